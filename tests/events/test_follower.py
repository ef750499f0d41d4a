"""The follower shows an acknowledged event within a second, and loses none however it is ended or cut off."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.live.follower import FOREVER, Follower, follow, retention_of_websites
from personalization_pipelines.events.live.live_history import LiveReader, LiveStore
from personalization_pipelines.events.live.repeats import RecentIds
from personalization_pipelines.events.log.event_log import SegmentLog, repair, segments
from personalization_pipelines.foundation.errors import LiveStoreUnavailable
from personalization_pipelines.foundation.home import Home
from tests.postgres import PostgresServer

DAY = 86_400_000_000


@pytest.fixture(params=["sqlite", "postgres"])
def any_home(request: pytest.FixtureRequest, home: Home) -> Home:
    """An installation, once with each database."""
    return home if request.param == "sqlite" else Home(home.root, request.getfixturevalue("postgres_url"))


def test_an_acknowledged_event_is_visible_within_a_second_with_a_real_follower(any_home: Home) -> None:
    log, reader = SegmentLog(any_home.log), LiveReader(any_home.live_database, deadline=1.0)
    with process(any_home):
        log.append([click(0)])
        wait_for(lambda: items(reader) == [0], 30)  # until the process has started
        delays = []
        for number in range(1, 11):
            log.append([click(number)])
            started = time.perf_counter()
            wait_for(lambda number=number: items(reader)[:1] == [number], 30)
            delays.append(time.perf_counter() - started)
    log.close()
    assert sorted(delays)[4] < 1.0  # the median, for a loaded machine may stop for a second


def test_a_follower_killed_again_and_again_loses_nothing(home: Home) -> None:
    chance = random.Random(5)
    logs = [SegmentLog(home.log, max_bytes=8000) for _ in range(2)]
    sent = 0
    for _ in range(3):
        with process(home, end=signal.SIGKILL):
            until = time.monotonic() + 0.6 + chance.random() / 2
            while time.monotonic() < until:
                chance.choice(logs).append([click(sent + n) for n in range(5)])
                sent += 5
                time.sleep(0.002)
    for log in logs:
        log.close()
    apply_all(home)
    assert sorted(items(LiveReader(home.live_database, deadline=5.0), 100_000)) == list(range(sent))


def test_sigterm_ends_the_follower_after_its_batch(home: Home) -> None:
    log, reader = SegmentLog(home.log), LiveReader(home.live_database, deadline=1.0)
    with process(home) as follower:
        log.append([click(1)])
        wait_for(lambda: items(reader) == [1], 30)
        follower.terminate()
        assert follower.wait(30) == 0
    log.close()


def test_a_second_follower_waits_until_the_first_has_ended(home: Home) -> None:
    log, reader = SegmentLog(home.log), LiveReader(home.live_database, deadline=1.0)
    with thread(home) as stop_first:
        wait_for(lambda: (home.root / "live.db").exists(), 30)
        with thread(home):
            log.append([click(1)])
            wait_for(lambda: items(reader) == [1], 30)
            stop_first.set()
            log.append([click(2)])
            wait_for(lambda: items(reader) == [2, 1], 30)
    log.close()


def test_torn_tails_rotation_and_dead_writers_are_followed_record_by_record(home: Home) -> None:
    log = SegmentLog(home.log)
    log.append([click(0)])
    (path,) = (segment.path for segment in segments(home.log))
    start = path.stat().st_size
    log.append([click(1)])
    whole = path.read_bytes()
    follower = Follower(home, LiveStore(home.live_database))
    for end in range(start, len(whole)):
        os.truncate(path, end)
        assert follower.apply_unread() == (1 if end == start else 0)
        path.write_bytes(whole)
    assert follower.apply_unread() == 1
    log.close()
    assert repair(home.log) == []
    assert follower.apply_unread() == 0
    follower.close()
    assert items(LiveReader(home.live_database)) == [1, 0]


def test_a_batch_that_is_sent_again_changes_nothing_in_the_live_store(any_home: Home) -> None:
    log, reader = SegmentLog(any_home.log), LiveReader(any_home.live_database, deadline=1.0)
    follower = Follower(any_home, LiveStore(any_home.live_database))
    log.append([encode(named("ann", "1", at)) for at in (1, 2)])
    assert follower.apply_unread() == 2
    log.append([encode(named("ann", "2", 3)), encode(named("ann", "1", 4)), encode(named("bob", "1", 5))])
    assert follower.apply_unread() == 3
    follower.close()
    log.close()
    times = {visitor: [event.time for event in reader.history("shop", visitor)] for visitor in ("ann", "bob")}
    assert times == {"ann": [3, 1], "bob": [5]}


def test_a_batch_that_could_not_be_applied_is_no_repetition(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    log, store = SegmentLog(home.log), LiveStore(home.live_database)
    follower = Follower(home, store)
    log.append([encode(named("ann", "1", 1))])
    with monkeypatch.context() as patched, pytest.raises(LiveStoreUnavailable):
        patched.setattr(store, "apply", unavailable)
        follower.apply_unread()
    assert follower.apply_unread() == 1
    follower.close()
    log.close()
    assert [event.time for event in LiveReader(home.live_database, deadline=1.0).history("shop", "ann")] == [1]


def test_only_the_newest_event_ids_are_remembered() -> None:
    recent, events = RecentIds(most=2), [named("ann", str(number), number) for number in range(3)]
    recent.remember(events)
    assert recent.unseen(events) == events[:1]


def test_unreadable_records_are_passed_over(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    log = SegmentLog(home.log)
    log.append([click(1), b"junk", b'{"website":"shop"}', b"[" * 3000, click(2)])
    log.close()
    apply_all(home)
    assert items(LiveReader(home.live_database)) == [2, 1]
    assert "3 unreadable events, the first at offset" in caplog.text


def test_postgresql_may_go_away_and_come_back_without_a_loss(
    home: Home, postgres_server: PostgresServer, postgres_url: str
) -> None:
    here = Home(home.root, postgres_url)
    log, reader = SegmentLog(here.log), LiveReader(postgres_url, deadline=1.0)
    with thread(here):
        log.append([click(0)])
        wait_for(lambda: items(reader) == [0], 30)
        postgres_server.stop()
        log.append([click(1)])
        time.sleep(0.3)
        postgres_server.start()
        wait_for(lambda: items(reader) == [1, 0], 30)
        postgres_server.freeze()
        log.append([click(2)])
        time.sleep(0.3)
        postgres_server.thaw()
        wait_for(lambda: items(reader) == [2, 1, 0], 30)
    log.close()


def test_what_is_older_than_the_websites_retention_is_forgotten(home: Home) -> None:
    now = time.time_ns() // 1000
    log = SegmentLog(home.log)
    for website in ("short", "default"):
        log.append([click(age, website=website, time=now - age * DAY) for age in (1, 10, 40)])
    log.close()
    apply_all(home)
    follower = Follower(home, LiveStore(home.live_database), lambda: {"short": timedelta(days=5)})
    for share in range(64):
        follower.forget(share)
    follower.close()
    reader = LiveReader(home.live_database)
    assert items(reader, website="short") == [1]
    assert items(reader, website="default") == [1, 10]


def test_retention_comes_from_the_websites_files_and_a_broken_file_keeps_everything(home: Home) -> None:
    valid = 'website: shop\ncustomer_id: "1"\nlicense_key: "1-2-3-4-5"\nretention: {live: 5d}\n'
    (home.websites / "shop.yaml").write_text(valid)
    (home.websites / "broken.yaml").write_text("website: [")
    assert retention_of_websites(home) == {"shop": timedelta(days=5), "broken": FOREVER}


def test_the_follower_starts_without_the_heavy_libraries() -> None:
    program = (
        "import sys; import personalization_pipelines.events.live.follower;"
        "print([m for m in 'dagster pandas pyarrow duckdb numpy psycopg2 pydantic'.split() if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def named(visitor: str, event_id: str, at: int) -> Event:
    return Event("shop", "basket", at, at, visitor, 1, "7", event_id=event_id)


def unavailable(*_: object) -> None:
    raise LiveStoreUnavailable("away")


def click(number: int, *, website: str = "shop", time: int = 0) -> bytes:
    moment = time or 1_800_000_000_000_000 + number
    return encode(Event(website, "click", moment, moment, "v", 1, str(number)))


def items(reader: LiveReader, limit: int = 200, website: str = "shop") -> list[int]:
    """The items of the one visitor, newest first; none while the store is away."""
    try:
        return [int(found.item) for found in reader.history(website, "v", limit)]
    except LiveStoreUnavailable:
        return []


def apply_all(home: Home) -> None:
    follower = Follower(home, LiveStore(home.live_database))
    while follower.apply_unread():
        pass
    follower.close()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} seconds"
        time.sleep(0.005)


@contextmanager
def process(home: Home, end: signal.Signals = signal.SIGTERM) -> Iterator[subprocess.Popen[bytes]]:
    """A follower as a process of its own, as `serve` runs it."""
    environment = {**os.environ, "PERSONALIZATION_HOME": str(home.root), "PERSONALIZATION_DATABASE": home.database}
    command = [sys.executable, "-m", "personalization_pipelines.events.live.follower"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as started:
        try:
            yield started
        finally:
            started.send_signal(end)


@contextmanager
def thread(home: Home) -> Iterator[threading.Event]:
    """A follower in a thread of the test."""
    stop = threading.Event()
    running = threading.Thread(target=follow, args=(home, stop))
    running.start()
    try:
        yield stop
    finally:
        stop.set()
        running.join()
