"""The event log: what was acknowledged is stored, whole and once, whatever the disk does."""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.events.log.event_log import (
    Disk,
    SegmentLog,
    read_everything,
    read_records,
    repair,
    segments,
)
from personalization_pipelines.events.log.segments import MAX_RECORD_BYTES, Damage, end_of, find_damage, frame
from personalization_pipelines.events.log.tail import Tail
from personalization_pipelines.foundation.errors import LogUnavailable, LogUncertain
from tests.events.disks import FailingDisk, LosingDisk, PowerLoss

SMALL = [b'{"event":"click","item":"%d"}' % number for number in range(5)]


def stored(directory: Path) -> list[bytes]:
    """All valid records of a log, in the order of its segments."""
    found = itertools.chain.from_iterable(read_everything(segment.path) for segment in segments(directory))
    return [record[1] for record in found if not isinstance(record, Damage)]


def dead_segment(directory: Path, data: bytes) -> Path:
    """The open segment of a writer that does not live any more."""
    path = directory / f"{'0' * 24}-00000001.open"
    path.write_bytes(data)
    return path


def acknowledged_until_failure(log: SegmentLog, appends: int = 12) -> list[bytes]:
    """Append one record after the other; return those that were acknowledged."""
    done = []
    for number in range(appends):
        record = b'{"number":%d}' % number
        try:
            log.append([record])
            done.append(record)
        except (LogUnavailable, PowerLoss):
            pass
    return done


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.binary(min_size=1, max_size=300), max_size=4), max_size=8), st.integers(1, 400))
def test_records_come_back_whole_and_in_order_across_segments(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[bytes]], max_bytes: int
) -> None:
    directory = tmp_path_factory.mktemp("log")
    log = SegmentLog(directory, max_bytes=max_bytes)
    for batch in batches:
        log.append(batch)
    log.close()
    assert stored(directory) == [record for batch in batches for record in batch]
    assert all(segment.sealed for segment in segments(directory))


def test_what_many_threads_append_is_stored_once_each(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, max_bytes=5_000)
    records = [b'{"key":"%d-%d"}' % (thread, number) for thread in range(16) for number in range(60)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda record: log.append([record]), records))
    log.close()
    assert sorted(stored(tmp_path)) == sorted(records)
    assert [segment.number for segment in segments(tmp_path)] == list(range(1, len(segments(tmp_path)) + 1))


def test_a_record_is_readable_before_its_segment_is_sealed(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path)
    log.append(SMALL[:2])
    (segment,) = segments(tmp_path)
    first, second = read_records(segment.path)
    assert not segment.sealed
    assert (first[1], second[1]) == (SMALL[0], SMALL[1])
    log.append(SMALL[2:3])
    assert [payload for _, payload in read_records(segment.path, end_of(*second))] == SMALL[2:3]
    log.close()


def test_an_idle_writer_seals_its_segment_in_time(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, max_seconds=0.2)
    log.append(SMALL)
    deadline = time.monotonic() + 5
    while not segments(tmp_path)[0].sealed and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [segment.sealed for segment in segments(tmp_path)] == [True]
    time.sleep(0.3)
    assert len(segments(tmp_path)) == 1, "an idle writer makes no empty segments"
    log.close()


def test_closing_seals_and_refuses_what_comes_after(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path)
    log.append(SMALL)
    log.close()
    log.close()
    with pytest.raises(LogUnavailable, match="closed"):
        log.append(SMALL)
    assert stored(tmp_path) == SMALL


@pytest.mark.parametrize("record", [b"", b"x" * MAX_RECORD_BYTES])
def test_a_record_that_can_not_be_read_back_is_not_written(tmp_path: Path, record: bytes) -> None:
    log = SegmentLog(tmp_path)
    with pytest.raises(ValueError, match="expected 1 to"):
        log.append([b"good", record])
    log.append([b"good"])
    log.close()
    assert stored(tmp_path) == [b"good"]


def test_a_directory_that_does_not_exist_refuses_events(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path / "missing")
    with pytest.raises(LogUnavailable, match="No such file"):
        log.append(SMALL)
    assert log.failure is not None
    assert (log.failure.reason, str(tmp_path) in log.failure.reason) == ("No such file or directory", False)
    assert abs(log.failure.since - time.time()) < 60
    log.close()


def test_more_than_may_wait_is_refused_and_what_waited_is_stored(tmp_path: Path) -> None:
    class SlowDisk(Disk):
        def __init__(self) -> None:
            self.syncing, self.go_on = threading.Event(), threading.Event()

        def fdatasync(self, descriptor: int) -> None:
            self.syncing.set()
            self.go_on.wait(10)
            super().fdatasync(descriptor)

    disk = SlowDisk()
    log = SegmentLog(tmp_path, max_waiting_bytes=50, disk=disk)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(log.append, SMALL[:1])
        assert disk.syncing.wait(10)
        second = pool.submit(log.append, SMALL[1:2])
        while not log._waiting:
            time.sleep(0.001)
        with pytest.raises(LogUnavailable, match="send again later"):
            log.append(SMALL[2:3])
        disk.go_on.set()
        first.result(10)
        second.result(10)
    log.append(SMALL[3:4])
    log.close()
    assert stored(tmp_path) == [SMALL[0], SMALL[1], SMALL[3]]


def test_after_an_error_at_any_call_of_the_disk_acknowledged_is_what_is_stored_and_it_goes_on(tmp_path: Path) -> None:
    for strike_at in itertools.count(1):
        directory = tmp_path / str(strike_at)
        directory.mkdir()
        disk = FailingDisk(strike_at)
        log = SegmentLog(directory, max_bytes=60, disk=disk, probe_seconds=0.001)
        before, uncertain = outcomes(log, 12)
        if not disk.struck:
            log.close()
            break
        wait_until_well(log)
        after, none = outcomes(log, 12, 12)
        log.close()
        assert (len(after), none) == (12, [])
        assert len(before) >= 10, "only what waited for the broken disk is refused"
        assert set(before + after) <= set(stored(directory)) <= set(before + after + uncertain)
        assert len(stored(directory)) == len(set(stored(directory)))
        assert not [path for path in directory.iterdir() if path.suffix != ".segment"], "nothing is left behind"
    assert strike_at > 40


def outcomes(log: SegmentLog, appends: int, first: int = 0) -> tuple[list[bytes], list[bytes]]:
    """Append one record after the other; return those that were acknowledged, and those that may be stored."""
    done, uncertain = [], []
    for number in range(first, first + appends):
        record = b'{"number":%d}' % number
        try:
            log.append([record])
            done.append(record)
        except LogUncertain:
            uncertain.append(record)
        except LogUnavailable:
            wait_until_well(log)
    return done, uncertain


def wait_until_well(log: SegmentLog) -> None:
    deadline = time.monotonic() + 20
    while log.failure:
        assert time.monotonic() < deadline, log.failure
        time.sleep(0.001)


class FillingDisk(Disk):
    """A disk that takes `room` more bytes, then half of a write and no more; cutting a file back frees nothing."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.cuts = True

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = super().write(descriptor, data[: self.room])
        self.room -= taken
        return taken

    def truncate(self, descriptor: int, size: int) -> None:
        if not self.cuts:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().truncate(descriptor, size)


BATCH = [b'{"batch":%d}' % number for number in range(300)]


def test_a_batch_for_which_there_is_no_room_is_not_stored_at_all(tmp_path: Path) -> None:
    for room in range(0, sum(len(frame(record)) for record in BATCH), 400):
        directory = tmp_path / str(room)
        directory.mkdir()
        disk = FillingDisk(len(frame(SMALL[0])) + room)
        log = SegmentLog(directory, disk=disk, probe_seconds=0.001)
        log.append(SMALL[:1])
        with pytest.raises(LogUnavailable, match="No space left") as refused:
            log.append(BATCH)
        assert not isinstance(refused.value, LogUncertain)
        assert stored(directory) == SMALL[:1]
        disk.room = 1 << 30
        wait_until_well(log)
        log.append(BATCH)
        log.close()
        assert stored(directory) == [SMALL[0], *BATCH], "once, though it was sent twice"


def test_a_batch_that_can_not_be_cut_back_is_said_to_be_stored_in_part_and_not_read_while_that_is_open(
    tmp_path: Path,
) -> None:
    disk = FillingDisk(len(frame(SMALL[0])) + 4000)
    disk.cuts = False
    log = SegmentLog(tmp_path, disk=disk, probe_seconds=0.001)
    log.append(SMALL[:1])
    with pytest.raises(LogUncertain, match="No space left"):
        log.append(BATCH)
    (span,) = Tail(tmp_path).unread({})
    assert [payload for _, payload in span.records] == SMALL[:1]
    assert 1 < len(stored(tmp_path)) < len(BATCH)
    disk.room = 1 << 30
    wait_until_well(log)
    log.append(BATCH)
    log.close()
    assert [segment.sealed for segment in segments(tmp_path)] == [True, True]


def test_readers_see_nothing_that_is_not_durable_yet(tmp_path: Path) -> None:
    seen: list[list[bytes]] = []

    class WatchedDisk(Disk):
        def fdatasync(self, descriptor: int) -> None:
            seen.append([record for span in Tail(tmp_path).unread({}) for _, record in span.records])
            super().fdatasync(descriptor)

    log = SegmentLog(tmp_path, max_bytes=80, disk=WatchedDisk())
    for record in SMALL:
        log.append([record])
    assert seen == [SMALL[:number] for number in range(len(SMALL))]
    assert [record for span in Tail(tmp_path).unread({}) for _, record in span.records] == SMALL
    log.close()


def test_a_failure_and_a_recovery_are_a_line_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = SegmentLog(tmp_path / "log", probe_seconds=0.001)
    for _ in range(20):
        with pytest.raises(LogUnavailable):
            log.append(SMALL)
    (tmp_path / "log").mkdir()
    wait_until_well(log)
    log.append(SMALL)
    log.close()
    assert stored(tmp_path / "log") == SMALL
    assert [record.getMessage()[:24] for record in caplog.records] == [
        "events are refused: the ",
        "events are accepted agai",
    ]


def test_a_log_that_is_closed_while_its_disk_is_broken_stays_closed(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path / "log", probe_seconds=0.001)
    with pytest.raises(LogUnavailable):
        log.append(SMALL)
    log.close()
    (tmp_path / "log").mkdir()
    time.sleep(0.05)
    with pytest.raises(LogUnavailable):
        log.append(SMALL)


def test_marks_and_probes_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path)
    log.append(SMALL)
    (mark,) = tmp_path.glob("*.durable")
    (tmp_path / "0123456789abcdef.durable").write_bytes(bytes(8))
    (tmp_path / "1-1.probe").write_bytes(b"")
    assert repair(tmp_path) == []
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".durable", ".open"]
    assert mark.exists()
    log.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".segment"]


def test_everyone_who_waits_for_a_failing_disk_is_refused(tmp_path: Path) -> None:
    for strike_at in range(1, 12):
        directory = tmp_path / str(strike_at)
        directory.mkdir()
        log = SegmentLog(directory, max_bytes=200, disk=FailingDisk(strike_at), probe_seconds=1000)
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _, log=log: acknowledged_until_failure(log, 5), range(8)))
        failure = log.failure
        log.close()
        repair(directory)
        assert sum(map(len, results)) <= len(stored(directory))
        assert failure is not None


@pytest.mark.parametrize("seed", range(3))
def test_after_a_power_loss_at_any_call_of_the_disk_all_acknowledged_is_stored(tmp_path: Path, seed: int) -> None:
    for strike_at in itertools.count(1):
        directory = tmp_path / str(strike_at)
        directory.mkdir()
        disk = LosingDisk(strike_at, seed)
        log = SegmentLog(directory, max_bytes=60, disk=disk)
        acknowledged = acknowledged_until_failure(log)
        if not disk.struck:
            break
        log.close()
        disk.lose()
        repair(directory)
        assert stored(directory)[: len(acknowledged)] == acknowledged
    assert strike_at > 30


def test_repair_leaves_a_living_writer_alone(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path)
    log.append(SMALL)
    assert repair(tmp_path) == []
    log.append(SMALL)
    log.close()
    assert stored(tmp_path) == SMALL * 2


def test_repair_while_writers_open_and_seal_loses_nothing(tmp_path: Path) -> None:
    stop = threading.Event()

    def repair_all_the_time() -> None:
        while not stop.is_set():
            repair(tmp_path)

    repairer = threading.Thread(target=repair_all_the_time)
    repairer.start()
    log = SegmentLog(tmp_path, max_bytes=1)
    acknowledged = acknowledged_until_failure(log, 200)
    stop.set()
    repairer.join()
    log.close()
    assert len(acknowledged) == 200
    assert stored(tmp_path) == acknowledged


def test_a_tail_torn_at_any_byte_is_cut_at_the_last_whole_record(tmp_path: Path) -> None:
    whole = b"".join(map(frame, SMALL))
    ends = list(itertools.accumulate(len(frame(record)) for record in SMALL))
    for size in range(len(whole) + 1):
        path = dead_segment(tmp_path, whole[:size])
        (done,) = repair(tmp_path)
        kept = sum(end <= size for end in ends)
        assert (done.path, done.records, done.cut_bytes) == (path, kept, size - ([0, *ends][kept]))
        assert stored(tmp_path) == SMALL[:kept]
        assert not path.exists()
        if done.sealed:
            assert find_damage(done.sealed, done.sealed.stat().st_size) is None
            done.sealed.unlink()


def test_a_tail_of_zeros_is_no_record(tmp_path: Path) -> None:
    dead_segment(tmp_path, frame(SMALL[0]) + bytes(4096))
    (done,) = repair(tmp_path)
    assert (done.records, done.cut_bytes) == (1, 4096)
    assert stored(tmp_path) == SMALL[:1]


@pytest.mark.parametrize("flipped", range(len(frame(SMALL[1]))))
def test_a_damaged_record_costs_no_other_record_and_is_reported(tmp_path: Path, flipped: int) -> None:
    framed = [bytearray(frame(record)) for record in SMALL]
    framed[1][flipped] ^= 0x10
    path = tmp_path / f"{'0' * 24}-00000001.segment"
    path.write_bytes(b"".join(framed))
    offset = len(framed[0])
    assert [payload for _, payload in read_records(path)] == SMALL[:1]
    damage = Damage(path, offset, bytes(framed[1]), offset + len(framed[1]))
    assert find_damage(path, offset) == damage
    assert str(path) in str(damage.error())
    assert stored(tmp_path) == [SMALL[0], *SMALL[2:]]


def test_repair_keeps_the_good_records_behind_damage(tmp_path: Path) -> None:
    framed = b"".join(map(frame, SMALL))
    dead_segment(tmp_path, framed[:12] + b"\xff" + framed[13:] + b"torn")
    (done,) = repair(tmp_path)
    assert (done.records, done.cut_bytes) == (4, 4)
    assert stored(tmp_path) == SMALL[1:]


def test_files_of_other_names_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "1-1.open", "..open", "x" * 24 + "-00000001.open"):
        (tmp_path / name).write_bytes(b"mine")
    assert segments(tmp_path) == repair(tmp_path) == []
    assert segments(tmp_path / "missing") == []
    assert len(list(tmp_path.iterdir())) == 4
