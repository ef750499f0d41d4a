"""A shop with one visitor who is everywhere, and a search of every byte of a home for what only he has."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from personalization_pipelines.erasure.tombstones import bury
from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.live.follower import Follower
from personalization_pipelines.events.live.live_store import LiveStore
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from tests.e2e import shop

MAIL = "red-three@canary.example"
USER = "red-3"

__all__ = ["MAIL", "USER", "bury", "follow", "make_home", "told_by", "traces", "visitor", "write"]


def visitor(home: Home, user: str) -> str:
    """Return the pseudonym of a user."""
    return pseudonym(home.key, "00001", user)


def make_home(home: Home, folder: Path) -> None:
    """Import a catalogue, purchases and users into the website `shop`; the purchases name USER, the users MAIL."""
    shop.write_website(home.root, "shop", "00001")
    with (home.websites / "shop.yaml").open("a") as file:
        file.write("quality:\n  events: {max_rejected: 100%}\n")
    users = folder / "users.csv"
    users.write_text(f"user,mail,city\n{USER},{MAIL},Bonn\nred-4,red-four@shop.example,Kiel\n")
    for kind, source in (
        ("items", shop.write_items(folder / "items.csv")),
        ("events", shop.write_events(folder / "events.csv")),
        ("users", users),
    ):
        shop.command_here(home.root, "import", kind, "--website", "shop", str(source))


def write(home: Home, *events: tuple[str, str, str], raw: tuple[bytes, ...] = ()) -> None:
    """Write (event, user or source, item or target) into one sealed segment, a microsecond apart; then `raw`."""
    log = SegmentLog(home.log)
    for name, user, other in events:
        now, who = time.time_ns() // 1000, visitor(home, user)
        login = Event("shop", name, now, now, visitor(home, other), source_visitor=who)
        log.append([encode(login if name == "login" else Event("shop", name, now, now, who, 1, other))])
        time.sleep(0.00001)
    if raw:
        log.append(raw)
    log.close()


def follow(home: Home) -> None:
    """Apply tombstones and log to the live store, as the follower does."""
    follower = Follower(home, LiveStore(home.live_database))
    follower.erase()
    while follower.apply_unread():
        pass
    follower.close()


def told_by(home: Home) -> None:
    """Let USER click, log in and be logged into, be in quarantine, and have what he did given on over two logins."""
    name = visitor(home, USER)
    poison = f'{{"website":"shop","visitor":"{name}","received_at":{time.time_ns() // 1000},'.encode()
    write(
        home,
        ("click", USER, "1"), ("click", "anon", "2"), ("login", "anon", USER), ("click", USER, "3"),
        ("login", USER, "desk"), ("login", "desk", "phone"), ("click", "phone", "4"),
        raw=(poison,),
    )  # fmt: skip
    follow(home)


def traces(home: Home, *names: str) -> list[str]:
    """Return every file of a home that holds one of the names, read as its format says or in its bytes."""
    patterns = [one for name in names for one in _patterns(name)]
    files = sorted(path for path in home.root.rglob("*") if path.is_file())
    return [
        path.relative_to(home.root).as_posix()
        for path in files
        if any(pattern in content for content in _contents(path) for pattern in patterns)
    ]


def day_before() -> str:
    """Return yesterday, as `--as-of` takes it."""
    return f"{datetime.now(UTC) - timedelta(hours=12):%Y-%m-%dT%H:%M:%S}"


def _patterns(name: str) -> Iterator[bytes]:
    yield name.encode()
    if len(name) == 22:  # a pseudonym is 128 bits, which publications hold as two numbers
        raw = urlsafe_b64decode(name + "==")
        yield from (raw, raw[:8][::-1], raw[8:][::-1])


def _contents(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    if path.suffix == ".parquet":
        yield repr(pq.ParquetFile(path).read().to_pydict()).encode()
