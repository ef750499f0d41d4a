"""A disk that fills up, fails to sync, or forgets: no acknowledgement that is not true, no wrong record read.

Disk full needs a small tmpfs (root); the failing sync needs strace; where one is missing the test is skipped
and says so.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

import pytest

from personalization_pipelines.events.log.event_log import (
    Damage,
    Disk,
    SegmentLog,
    read_everything,
    read_records,
    repair,
    segments,
)
from personalization_pipelines.events.log.segments import HEADER
from tests.faults.server import Clients, Count, Server, count, ingest_all, make_home, wait_for

pytestmark = pytest.mark.fault

TMPFS_BYTES = 2 << 20
FLIPS = 3_000
BATCH = 300


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 2 MiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(mount)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no small disk can be mounted: {made.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


def refused_and_accepted_again(clients: Clients, mend: Callable[[], object]) -> None:
    """Wait for the first refusal, mend what is broken, and wait until events are acknowledged again."""
    wait_for(lambda: len(clients.refused) > 0, 60)
    time.sleep(1)
    mend()
    before = len(clients.acknowledged)
    wait_for(lambda: len(clients.acknowledged) > before + 100, 30)


def assert_kept(found: Count) -> None:
    assert found.harm == (0, 0, 0, 0)
    assert found.acknowledged > 0


def test_a_full_disk_refuses_events_loses_none_and_accepts_again_once_there_is_room(
    tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(make_home(small_disk / "home"), database=f"sqlite:///{tmp_path / 'live.db'}")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(TMPFS_BYTES - 300_000))
    with Clients(server.port, pause=0.005) as clients:
        server.start()
        refused_and_accepted_again(clients, filler.unlink)
        server.kill()
    found = count(server.home, clients)
    with capsys.disabled():
        print(f"\ndisk full, and room again: {found}")
    assert_kept(found)
    assert found.stored_though_refused == 0, "what was written before the disk was full is cut off"
    log = server.log.read_text()
    assert log.count("events are refused: ") == log.count("events are accepted again") >= 1


def test_batches_for_which_there_is_no_room_are_stored_whole_or_not_at_all(
    tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(make_home(small_disk / "home"), database=f"sqlite:///{tmp_path / 'live.db'}", workers=2)
    filler = small_disk / "filler"
    server.start()
    filler.write_bytes(bytes(TMPFS_BYTES - 400_000))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: batch(server.port, number), range(40)))
    refused = {number for number, (status, _) in enumerate(answers) if status != 204}
    assert {status for status, _ in answers} == {204, 503}
    assert all("was not stored" in answers[number][1] for number in refused)
    filler.unlink()
    wait_for(lambda: batch(server.port, 40)[0] == 204, 30)
    server.terminate()
    stored = Counter(item // BATCH for item in ingest_all(server.home).elements())
    with capsys.disabled():
        print(f"\n{len(refused)} of 40 batches refused; stored events of each batch: {sorted(set(stored.values()))}")
    assert stored == Counter({number: BATCH for number in range(41) if number not in refused})


def batch(port: int, number: int) -> tuple[int, str]:
    """Send one batch of clicks; return status and text of the answer."""
    items = range(number * BATCH, (number + 1) * BATCH)
    events = [{"event": "click", "user": f"u{item}", "item_type": 1, "item": item} for item in items]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/api/00001/events", json.dumps(events), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("when", [1, 7, 40])
def test_after_a_failed_sync_no_record_of_its_segment_is_acknowledged_and_a_new_one_begins(
    tmp_path: Path, when: int, capsys: pytest.CaptureFixture[str]
) -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed: no sync can be made to fail")
    server = Server(make_home(tmp_path / "home"))
    server.start()
    with Clients(server.port) as clients:
        wait_for(lambda: len(clients.acknowledged) > 50, 10)
        inject = f"inject=fdatasync:error=EIO:when={when}"
        tracer = subprocess.Popen(
            ["strace", "-f", "-p", str(server.worker()), "-e", "trace=fdatasync", "-e", inject, "-o", "/dev/null"],
            stderr=subprocess.PIPE,
        )
        try:
            refused_and_accepted_again(clients, lambda: None)
        finally:
            tracer.terminate()
            _, complaint = tracer.communicate()
            server.kill()
    if b"Operation not permitted" in complaint:
        pytest.skip("this user may not trace a process: no sync can be made to fail")
    found = count(server.home, clients)
    with capsys.disabled():
        print(f"\nEIO at sync {when}: {found}")
    assert_kept(found)


def a_segment(directory: Path, records: int = 400) -> tuple[Path, list[bytes]]:
    """A sealed segment and its records."""
    directory.mkdir()
    log = SegmentLog(directory)
    written = [
        b'{"event":"click","item":"%d","visitor":"%s"}' % (number, os.urandom(11).hex().encode())
        for number in range(records)
    ]
    log.append(written)
    log.close()
    (segment,) = segments(directory)
    return segment.path, written


class UnsyncedDisk(Disk):
    """A disk whose power never fails: thousands of repairs need not wait for it."""

    def fdatasync(self, descriptor: int) -> None:
        """Return at once."""

    def sync_directory(self, directory: Path) -> None:
        """Return at once."""


def test_a_tail_torn_at_any_byte_is_cut_and_the_records_before_it_are_read_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, written = a_segment(tmp_path / "log", records=80)
    data, torn = path.read_bytes(), path.with_suffix(".open")
    path.unlink()
    acknowledged = stored = lost = duplicated = 0
    for size in range(1, len(data) + 1):
        torn.write_bytes(data[:size])
        repair(torn.parent, UnsyncedDisk())
        found = [payload for segment in segments(torn.parent) for _, payload in read_records(segment.path)]
        whole = [record for record, end in zip(written, ends(written), strict=True) if end <= size]
        acknowledged += len(whole)
        stored += len(found)
        lost += len(set(whole) - set(found))
        duplicated += len(found) - len(set(found))
        assert found == whole
        path.unlink(missing_ok=True)
    with capsys.disabled():
        print(
            f"\n{len(data)} torn tails: {acknowledged} acknowledged, {stored} stored, {lost} lost, "
            f"{duplicated} duplicated"
        )


def ends(written: list[bytes]) -> Iterator[int]:
    """Yield where each record of a segment ends."""
    return accumulate(len(record) + HEADER.size for record in written)


def test_a_flipped_bit_costs_at_most_the_record_it_is_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, written = a_segment(tmp_path / "log")
    data = bytearray(path.read_bytes())
    flips = random.Random(2)
    stored = duplicated = reported = 0
    for _ in range(FLIPS):
        place, bit = flips.randrange(len(data)), 1 << flips.randrange(8)
        data[place] ^= bit
        path.write_bytes(data)
        data[place] ^= bit
        found = list(read_everything(path))
        records = [one[1] for one in found if not isinstance(one, Damage)]
        stored += len(records)
        duplicated += len(records) - len(set(records))
        reported += len(found) - len(records)
        assert set(records) < set(written)
        assert len(records) == len(written) - 1
        assert len(found) == len(written), "the damage is reported, once"
    acknowledged = FLIPS * len(written)
    with capsys.disabled():
        print(
            f"\n{FLIPS} flipped bits: {acknowledged} acknowledged, {stored} stored, {reported} destroyed and reported, "
            f"{acknowledged - stored - reported} lost, {duplicated} duplicated"
        )
    assert (acknowledged - stored - reported, duplicated) == (0, 0)
