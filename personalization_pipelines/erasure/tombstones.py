"""Tombstones: whom a website must forget, durable before anybody is told so, and without naming them.

`lake/<website>/erasures/<time µs, 20 digits>-<uuid>.json` is one request. It holds a keyed hash of the pseudonym, not
the pseudonym, so that the tombstone itself is no trace; who it means is found by hashing each visitor one comes
across. What was received up to the tombstone's time is forgotten; who comes back later is a new visitor. Tombstones
are kept for good: a backup of the log that is put back must not bring anybody back.

The server and the follower import this: no pyarrow, no duckdb.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from personalization_pipelines.foundation.durable import sync, write_durably
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.keyed_hash import KeyedHash

BLANK = b'{"erased":true}'
"""How a record of the log begins whose event was erased; spaces follow, so that it is as long as before."""
_MOST_REMEMBERED = 200_000
_QUOTED = re.compile(rb'"([A-Za-z0-9_-]{21}[AQgw])(?![A-Za-z0-9_-])')  # a torn record may lack the second quote
_RECEIVED = re.compile(rb'"received_at":(\d{1,18})')
_NAME = re.compile(r"\d{20}-[0-9a-f]{32}\.json")


class Tombstone(msgspec.Struct, frozen=True):
    """One request: `visitor` is the keyed hash (hex) of the pseudonym, `time` microseconds UTC."""

    id: str
    visitor: str
    time: int


def directory(home: Home, website: str) -> Path:
    """Where a website's tombstones and receipts are."""
    return home.lake(website) / "erasures"


def bury(home: Home, website: str, visitors: Sequence[str]) -> list[Tombstone]:
    """Write a tombstone for each visitor (pseudonyms); return when all are on the disk."""
    place, hashed = directory(home, website), _hash_of(home, website)
    if not place.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        for parent in (place.parent, place.parent.parent, home.root):
            sync(parent)
    now, made = time.time_ns() // 1000, []
    for visitor in visitors:
        stone = Tombstone(f"{now:020d}-{uuid.uuid4().hex}", hashed.digest(visitor.encode()).hex(), now)
        write_durably(place / f"{stone.id}.json", msgspec.json.encode(stone))
        made.append(stone)
    return made


def tombstones(home: Home, website: str) -> list[Tombstone]:
    """Return a website's tombstones, oldest first. Raises CorruptData for one that can not be read."""
    place = directory(home, website)
    names = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    return [_read(place / name) for name in names if _NAME.fullmatch(name)]


def states(home: Home) -> dict[str, tuple[int, int]]:
    """Return, of every website that ever had a tombstone, what changes with the next one: time and number of files."""
    places = (home.root / "lake").glob("*/erasures")
    return {place.parent.name: (place.stat().st_mtime_ns, sum(1 for _ in place.iterdir())) for place in places}


class Forgotten:
    """Tells who of a website is to be forgotten, and up to when."""

    def __init__(self, home: Home, website: str, stones: Iterable[Tombstone] | None = None) -> None:
        self.stones = list(tombstones(home, website) if stones is None else stones)
        self._home, self._website = home, website
        self._hash = _hash_of(home, website)
        self._times: dict[str, int] = {}
        for stone in self.stones:
            self._times[stone.visitor] = max(stone.time, self._times.get(stone.visitor, -1))
        self._known: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._times)

    def only(self, stones: Iterable[Tombstone]) -> Forgotten:
        """Return the same for some of the tombstones."""
        return Forgotten(self._home, self._website, stones)

    def until(self, visitor: str) -> int:
        """Return up to when (microseconds UTC) a visitor is forgotten; -1 where that is nobody to forget."""
        found = self._known.get(visitor)
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = self._times.get(self._hash.digest(visitor.encode()).hex(), -1) if visitor else -1
            self._known[visitor] = found
        return found

    def among(self, visitors: Iterable[str]) -> dict[str, int]:
        """Return those of `visitors` who are to be forgotten, each with the time up to which."""
        return {visitor: until for visitor in visitors if (until := self.until(visitor)) >= 0}

    def holds(self, payload: bytes) -> bool:
        """Tell whether a record of the log names somebody who was to be forgotten after it was received.

        A record whose time of arrival can not be read counts as received before.
        """
        until = max((self.until(name) for name in named_in(payload)), default=-1)
        if until < 0:
            return False
        received = _RECEIVED.search(payload)
        return received is None or int(received[1]) <= until


def named_in(data: bytes) -> Iterator[str]:
    """Yield every text behind a quote that has the form of a pseudonym."""
    for found in _QUOTED.finditer(data):
        yield found[1].decode()


def _read(path: Path) -> Tombstone:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Tombstone)
    except msgspec.DecodeError as error:
        raise CorruptData(f"{path}: {error}; restore this tombstone from a backup of the lake") from error


def _hash_of(home: Home, website: str) -> KeyedHash:
    return KeyedHash(home.key, b"erasure\0" + website.encode() + b"\0")
