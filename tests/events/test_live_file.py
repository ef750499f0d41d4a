"""A live store whose SQLite file was deleted, replaced or damaged is made again from the log, by itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.live.live_history import LiveReader, LiveStore
from personalization_pipelines.events.live.live_store import discard
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.errors import CorruptData, LiveStoreUnavailable
from personalization_pipelines.foundation.home import Home

VISITORS = 400
NOW = time.time_ns() // 1000


@pytest.fixture
def log(home: Home) -> Iterator[SegmentLog]:
    """An event log in which each of the visitors has five clicks."""
    made = SegmentLog(home.log)
    made.append([click(visitor, item) for visitor in range(VISITORS) for item in range(5)])
    yield made
    made.close()


def test_a_deleted_file_is_made_again_with_all_that_happened(home: Home, log: SegmentLog) -> None:
    reader = LiveReader(home.live_database, deadline=2.0)
    with following(home):
        wait_for(lambda: whole(reader))
        (home.root / "live.db").unlink()
        log.append([click(0, 99)])
        wait_for(lambda: histories(reader)[0] == [99, 4, 3, 2, 1, 0])
        assert histories(reader)[1:] == [[4, 3, 2, 1, 0]] * (VISITORS - 1)
    assert "('ok',)" in elsewhere(SOUND, home.root / "live.db")


def test_a_file_that_was_put_in_place_of_the_open_one_is_followed_on(home: Home, log: SegmentLog) -> None:
    reader = LiveReader(home.live_database, deadline=2.0)
    with following(home):
        wait_for(lambda: whole(reader))
    shutil.copy(home.root / "live.db", home.root / "backup")
    with following(home):
        log.append([click(0, 98)])
        wait_for(lambda: histories(reader)[0][:1] == [98])
        (home.root / "backup").replace(home.root / "live.db")
        log.append([click(0, 99)])
        wait_for(lambda: histories(reader)[0] == [99, 98, 4, 3, 2, 1, 0])
    assert whole(reader, first=1)


DAMAGES = {
    "no header": "data[:100] = b'?' * 100",
    "no pages": "data[4096:] = b'\\xa5' * (len(data) - 4096)",
    "only half": "del data[len(data) // 2 :]",
    "emptied": "data.clear()",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("when", ["while it is followed", "before the start"])
def test_a_damaged_file_is_made_again_and_said_so(home: Home, log: SegmentLog, damage: str, when: str) -> None:
    reader = LiveReader(home.live_database, deadline=2.0)
    with following(home):
        wait_for(lambda: whole(reader))
        if when == "while it is followed":
            overwrite(home.root / "live.db", damage)
            wait_for(lambda: again(log, reader, home))
    if when == "before the start":
        overwrite(home.root / "live.db", damage)
        with following(home):
            wait_for(lambda: again(log, reader, home))
    assert whole(reader, first=1)
    if damage != "emptied":  # an empty file is a new one
        assert "made again from the event log" in (home.root / "follower.log").read_text()


def test_damage_that_only_a_reader_meets_is_reported_and_a_false_report_is_forgotten(home: Home) -> None:
    store = LiveStore(home.live_database)
    store.apply([Event("shop", "click", NOW, NOW, "v", 1, "7")])
    (home.root / "live.db-damaged").touch()
    store.check()
    assert not (home.root / "live.db-damaged").exists()
    store.close()
    overwrite(home.root / "live.db", "no pages")
    reader = LiveReader(home.live_database, deadline=2.0)
    with pytest.raises(LiveStoreUnavailable):
        reader.history("shop", "v")
    assert (home.root / "live.db-damaged").exists()
    with pytest.raises(CorruptData):
        LiveStore(home.live_database).check()
    discard(home.live_database)
    assert not list(home.root.glob("live.db*"))


def click(visitor: int, item: int) -> bytes:
    return encode(Event("shop", "click", NOW + item, NOW + item, f"visitor{visitor}", 1, str(item)))


def histories(reader: LiveReader, first: int = 0) -> list[list[int]]:
    try:
        found = [reader.history("shop", f"visitor{visitor}") for visitor in range(first, VISITORS)]
    except LiveStoreUnavailable:
        return [[-1]]
    return [[int(event.item) for event in history] for history in found]


def whole(reader: LiveReader, first: int = 0) -> bool:
    return histories(reader, first) == [[4, 3, 2, 1, 0]] * (VISITORS - first)


def again(log: SegmentLog, reader: LiveReader, home: Home) -> bool:
    """Whether an event that comes now arrives, and the file is sound: pages in memory may hide what is broken."""
    log.append([click(0, 99)])
    time.sleep(0.2)
    return histories(reader)[0][:1] == [99] and "('ok',)" in elsewhere(SOUND, home.root / "live.db")


SOUND = """
import sqlite3, sys
try: print(sqlite3.connect(sys.argv[1]).execute("PRAGMA integrity_check").fetchone())
except sqlite3.DatabaseError as error: print(error)
"""
CHECKPOINT = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')"
OVERWRITE = """
import sys
with open(sys.argv[1], "r+b") as file:
    data = bytearray(file.read())
    {}
    file.seek(0)
    file.write(data)
    file.truncate(len(data))
"""


def overwrite(path: Path, damage: str) -> None:
    elsewhere(CHECKPOINT, path)
    elsewhere(OVERWRITE.format(DAMAGES[damage]), path)


def elsewhere(program: str, path: Path) -> str:
    """Run it in a process of its own: closing a file here would drop this process's locks on it (POSIX)."""
    return subprocess.run([sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True).stdout


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} seconds"
        time.sleep(0.02)


@contextmanager
def following(home: Home) -> Iterator[None]:
    """A follower as a process of its own, which writes to `follower.log`."""
    environment = {**os.environ, "PERSONALIZATION_HOME": str(home.root), "PERSONALIZATION_DATABASE": ""}
    command = [sys.executable, "-m", "personalization_pipelines.events.live.follower"]
    with (
        (home.root / "follower.log").open("ab") as output,
        subprocess.Popen(command, env=environment, stderr=output) as started,
    ):
        try:
            yield
        finally:
            started.send_signal(signal.SIGTERM)
