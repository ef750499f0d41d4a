"""The wall clock jumps an hour back and forth under load: no event is lost or doubled, nothing stalls or spins."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.log.event_log import SegmentLog, segments
from personalization_pipelines.foundation.errors import LiveStoreUnavailable
from personalization_pipelines.foundation.home import Home
from tests.faults.clock import Clock
from tests.faults.server import Clients, Server, count, wait_for
from tests.serving.live_site import RARE, Worker, publish_again, publish_site, workers_of

pytestmark = pytest.mark.fault

HOUR = 3600
JUMPS = (0, HOUR, -HOUR, 0, -HOUR, HOUR, -1, 1, 0)
"""Seconds ahead of the real clock, one after the other."""
STARTS = (0, -HOUR)
"""The second start is before the first one, by its clock."""


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock for the processes of this test."""
    return Clock(tmp_path)


def run(program: str, clock: Clock, *arguments: str) -> str:
    """Run a Python program with the moved clock; return what it printed."""
    environment = {**os.environ, **clock.environment}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_clock_of_a_process_can_be_moved(clock: Clock) -> None:
    program = (
        "import time, datetime; print(time.time() - {0}, time.time_ns() / 1e9 - {0}, "
        "datetime.datetime.now().timestamp() - {0}, time.monotonic() - {1})"
    )
    for shift in (HOUR, -HOUR, 0):
        clock.set(shift)
        *walls, monotonic = map(float, run(program.format(time.time(), time.monotonic()), clock).split())
        assert all(shift <= wall < shift + 30 for wall in walls)
        assert 0 <= monotonic < 30


def test_events_publications_and_viewers_while_the_clock_jumps(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    home = publish_site(tmp_path / "home")
    server = Server(home, **clock.environment)
    slowest, switched = 0.0, 0.0
    with Clients(server.port, pause=0.005) as clients:
        for start, shift in enumerate(STARTS):
            clock.set(shift)
            server.start()
            try:
                (worker,) = workers_of(server)
                slowest = max(slowest, *slowest_after_jumps(worker, clock, f"buyer{start}"))
                clock.set(-HOUR)
                switched = max(switched, seconds_to_switch(worker, home))
                viewers = viewers_across_jumps(worker, clock, RARE[start])
                worker.close()
                assert viewers == 3
            finally:
                server.kill()
    found = count(home, clients)
    with capsys.disabled():
        print(
            f"\n{len(STARTS) * len(JUMPS)} jumps of the clock, {len(STARTS)} starts: {found}; "
            f"slowest live event {slowest:.2f} s, slowest switch of publications {switched:.2f} s"
        )
    assert found.harm == (0, 0, 0, 0)
    assert found.acknowledged > 500
    assert len({segment.writer for segment in segments(home.log)}) == len(STARTS)
    assert slowest < 10
    assert switched < 10


def slowest_after_jumps(worker: Worker, clock: Clock, user: str) -> Iterator[float]:
    """Yield, for each jump, the seconds until what happened right after it is known."""
    for number, jump in enumerate(JUMPS):
        clock.set(jump)
        yield seen_after(worker, f"{user}-{number}")


def seen_after(worker: Worker, user: str) -> float:
    """Return the seconds until a buy of this moment is known to the recommendations."""
    acknowledged = worker.send("buy", user, "6")
    wait_for(lambda: 6 not in worker.recommended(user), 20)
    return time.monotonic() - acknowledged


def seconds_to_switch(worker: Worker, home: Home) -> float:
    """Return the seconds until another publication is served."""
    before = worker.publication()
    publish_again(home)
    began = time.monotonic()
    wait_for(lambda: worker.publication() != before, 20)
    return time.monotonic() - began


def viewers_across_jumps(worker: Worker, clock: Clock, item: str) -> int:
    """Return how many viewers three visitors are who came an hour apart by the clock."""
    for shift in (-HOUR, HOUR, 0):
        clock.set(shift)
        worker.send("consume", f"viewer{item}{shift}", item)
        seen_after(worker, f"viewer{item}{shift}")
    return worker.viewers("someone", item)


ROTATE = """
import json, sys, time
from pathlib import Path
from personalization_pipelines.events.log.event_log import SegmentLog
log = SegmentLog(Path(sys.argv[1]), max_seconds=0.5)
until, number, slowest = time.monotonic() + float(sys.argv[2]), 0, 0.0
while time.monotonic() < until:
    began = time.monotonic()
    log.append([b'{"number":%d}' % number])
    slowest = max(slowest, time.monotonic() - began)
    number += 1
    time.sleep(0.005)
last = time.monotonic()
while list(Path(sys.argv[1]).glob("*.open")) and time.monotonic() < last + 20:
    time.sleep(0.01)
print(json.dumps({"records": number, "slowest": slowest, "idle": time.monotonic() - last, "cpu": time.process_time()}))
log.close()
"""


def test_segments_are_sealed_by_the_time_that_passes_not_by_the_clock(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    directory, seconds = tmp_path / "log", 5.0
    directory.mkdir()
    environment = {**os.environ, **clock.environment}
    command = [sys.executable, "-c", ROTATE, str(directory), str(seconds)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as writer:
        for jump in itertools.cycle(JUMPS):
            clock.set(jump)
            time.sleep(0.1)
            if writer.poll() is not None:
                break
        assert writer.stdout is not None
        done = json.loads(writer.stdout.read())
    sealed = [segment for segment in segments(directory) if segment.sealed]
    with capsys.disabled():
        print(f"\n{len(sealed)} segments of 0.5 s in {seconds:.0f} s of jumps: {done}")
    assert 5 <= len(sealed) <= seconds / 0.5 + 2
    assert done["idle"] < 10
    assert done["cpu"] < seconds / 2


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
def test_a_follower_with_another_clock_than_the_disk_misses_no_segment(home: Home, clock: Clock, shift: int) -> None:
    clock.set(shift)
    log, reader = SegmentLog(home.log, max_bytes=1), LiveReader(home.live_database, deadline=2.0)
    with following(home, clock):
        log.append([click(0)])
        wait_for(lambda: len(items(reader)) == 1, 20)
        for number in range(1, 150):  # each is a segment of its own, many within one tick of the disk's clock
            log.append([click(number)])
        wait_for(lambda: items(reader) == list(range(149, -1, -1)), 10)
    log.close()


def click(number: int) -> bytes:
    moment = time.time_ns() // 1000
    return encode(Event("shop", "click", moment, moment, "v", 1, str(number)))


def items(reader: LiveReader) -> list[int]:
    try:
        return [int(found.item) for found in reader.history("shop", "v")]
    except LiveStoreUnavailable:
        return []


@contextmanager
def following(home: Home, clock: Clock) -> Iterator[None]:
    """A follower whose clock can be moved."""
    environment = {**os.environ, **clock.environment, "PERSONALIZATION_HOME": str(home.root)}
    command = [sys.executable, "-m", "personalization_pipelines.events.live.follower"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as started:
        try:
            yield
        finally:
            started.terminate()


INGEST = """
import os, sys
from pathlib import Path
from personalization_pipelines.events.lake.event_lake import ingest
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.load import load_websites
home = Home(Path(sys.argv[1]))
report = ingest(home, load_websites(home)[0]["shop"])
print(report.events, report.quarantined, report.duplicates)
"""


def test_ingestions_at_jumping_times_store_each_event_once(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    home = publish_site(tmp_path / "home")
    server = Server(home, **clock.environment)
    server.start()
    ingested = [0, 0, 0]
    with Clients(server.port, pause=0.005) as clients:
        try:
            for jump in (0, HOUR, -HOUR, 25 * HOUR, 0):
                clock.set(jump)
                enough = len(clients.acknowledged) + 100
                wait_for(lambda enough=enough: len(clients.acknowledged) >= enough, 20)
                done = run(INGEST, clock, str(home.root)).split()
                ingested = [total + int(one) for total, one in zip(ingested, done, strict=True)]
        finally:
            server.kill()
    found = count(home, clients)
    with capsys.disabled():
        print(f"\nfive ingestions, the clock elsewhere each time: {found}; {ingested[0]} ingested by the five")
    assert found.harm == (0, 0, 0, 0)
    assert ingested[1:] == [0, 0]
    assert 500 <= ingested[0] <= found.stored
