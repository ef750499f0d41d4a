"""The durable event log: an event is acknowledged only after `append` returned, and then it is on the disk.

Group commit without a writer thread (one measured 6 to 22 % more CPU a record): the first of the waiting
threads becomes the leader, writes what all of them brought in one write loop and one `fdatasync`, hands
leadership to the next thread and wakes the others.
After any I/O error the segment is closed for good, cut back to what was acknowledged: after a failed sync the
next one may succeed without the data, so a retry would acknowledge what is lost. Every waiter and every later call
gets LogUnavailable until a test file could be written and synced; then a new segment of a new writer begins.
Where it is not known that nothing of a call was stored, the call gets LogUncertain. Readers never see what was
not acknowledged (events/log/durable_mark.py).

One `SegmentLog` writes the segments of one process (events/log/segments.py has their format); nothing is opened
before the first record, so a log made before a fork is safe. Kafka may take its place behind `EventLog`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from personalization_pipelines.events.log import segments as files
from personalization_pipelines.events.log.durable_mark import encode_mark, mark_path
from personalization_pipelines.events.log.segments import (
    Damage,
    Disk,
    Repair,
    Segment,
    find_damage,
    read_everything,
    read_records,
    repair,
    segments,
)
from personalization_pipelines.foundation.errors import LogUnavailable, LogUncertain

__all__ = [
    "Damage",
    "Disk",
    "EventLog",
    "Repair",
    "Segment",
    "SegmentLog",
    "find_damage",
    "read_everything",
    "read_records",
    "repair",
    "segments",
]

MAX_SEGMENT_BYTES = 64 << 20
MAX_SEGMENT_SECONDS = 60.0
MAX_BATCH_RECORDS = 2000
"""Records in one sync: of 32 batches of 100, twenty are synced together, a third less CPU each than five together."""
MAX_WAITING_BYTES = 32 << 20
PROBE_SECONDS = 1.0
PROBE_BYTES = 1 << 20
"""What a disk must be able to take before a failed log goes on: as much as the largest record."""

_log = logging.getLogger(__name__)


class EventLog(Protocol):
    """Where acknowledged events go."""

    @property
    def failure(self) -> LogUnavailable | None:
        """Why nothing is accepted at present, or None (for the readiness answer)."""

    def append(self, records: Sequence[bytes]) -> None:
        """Return when all `records` are durable; LogUnavailable if none is stored, LogUncertain if some may be."""

    def close(self) -> None:
        """Seal what is open; every later append is refused."""


class _Append:
    """One call of `append`: its bytes, and the lock on which its thread sleeps. `seal` ends the segment after it."""

    __slots__ = ("data", "done", "failure", "records", "seal", "wake")

    def __init__(self, data: bytes, records: int, *, seal: bool = False) -> None:
        self.data = data
        self.records = records
        self.seal = seal
        self.done = False
        self.failure: LogUnavailable | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


class SegmentLog:
    """The event log of one process as segment files in `directory`.

    A segment is sealed once it holds `max_bytes` or is `max_seconds` old, also when nothing more comes.
    `append` may be called from any number of threads. At most 32 MiB wait to be written; what comes beyond
    that is refused with LogUnavailable, but does not stop the log. After a failure of the disk it is tried again
    every `probe_seconds`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = MAX_SEGMENT_BYTES,
        max_seconds: float = MAX_SEGMENT_SECONDS,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        probe_seconds: float = PROBE_SECONDS,
        disk: Disk | None = None,
    ) -> None:
        self.directory = directory
        self._disk = disk or Disk()
        self._max_bytes, self._max_seconds, self._max_waiting = max_bytes, max_seconds, max_waiting_bytes
        self._probe_seconds = probe_seconds
        self._mutex = threading.Lock()  # guards _waiting, _waiting_bytes, _led, _failure, _recovery
        self._waiting: deque[_Append] = deque()
        self._waiting_bytes = 0
        self._led = False
        self._failure: LogUnavailable | None = None
        self._descriptor = -1  # this and the rest belong to the leader
        self._mark = -1
        self._path = directory
        self._writer = ""
        self._number = 0
        self._size = 0
        self._opened = 0.0
        self._stop = threading.Event()
        self._timer: threading.Thread | None = None
        self._recovery: threading.Thread | None = None

    @property
    def failure(self) -> LogUnavailable | None:
        """Why the log accepts nothing at present: the disk's failure, or `close`; None while it accepts records."""
        return self._failure

    def append(self, records: Sequence[bytes]) -> None:
        """Return when all `records` are on the disk.

        Raises LogUnavailable if too much is waiting, the log was closed, or the disk failed (later calls may
        succeed): nothing of `records` was stored. LogUncertain if the disk failed so that it may hold some of
        them. ValueError for an empty record or one of 1 MiB.
        """
        data = b"".join([files.frame(record) for record in records])
        if data:
            self._submit(_Append(data, len(records)))

    def close(self) -> None:
        """Write what waits, seal the open segment, refuse every later append."""
        self._stop.set()
        with contextlib.suppress(LogUnavailable):
            self._submit(_Append(b"", 0, seal=True), last=True)
        for thread in (self._timer, self._recovery):
            if thread:
                thread.join()
        if self._mark >= 0:
            mark_path(self.directory, self._writer).unlink(missing_ok=True)
        self._let_go()

    def _submit(self, item: _Append, *, last: bool = False) -> None:
        with self._mutex:
            self._enqueue(item)
            if last:
                self._failure = LogUnavailable(
                    "the event log was closed: the server is stopping, send again later", reason="closed"
                )
            leads, self._led = not self._led, True
        if not leads:
            item.wake.acquire()
        if not item.done:
            self._lead()
        if item.failure:
            raise item.failure

    def _enqueue(self, item: _Append) -> None:
        if self._failure:
            raise self._failure
        if self._waiting and self._waiting_bytes + len(item.data) > self._max_waiting:
            raise LogUnavailable("the event log has as much waiting as it may: send again later")
        self._waiting.append(item)
        self._waiting_bytes += len(item.data)

    def _lead(self) -> None:
        """Commit what waits, first of all the leader's own, pass the leadership on, wake the others."""
        with self._mutex:
            batch = self._take()
        abandoned: list[_Append] = []
        lost: LogUnavailable | None = LogUncertain(
            "the event log stopped on an unexpected error: restart the server", reason="unexpected error"
        )
        ended: LogUnavailable | None = lost
        try:
            lost = self._commit(batch)
            ended = lost or self._rotate(batch)
        finally:
            if ended:
                abandoned = self._break_off(ended)
            for item in batch:
                item.done, item.failure = True, lost
            self._pass_on()
            for item in (*batch[1:], *abandoned):
                item.wake.release()

    def _take(self) -> list[_Append]:
        batch: list[_Append] = []
        records = 0
        while self._waiting and records < MAX_BATCH_RECORDS:
            item = self._waiting.popleft()
            batch.append(item)
            records += item.records
            self._waiting_bytes -= len(item.data)
        return batch

    def _pass_on(self) -> None:
        """Make the first waiting thread the leader; with nobody waiting, whoever comes next."""
        with self._mutex:
            self._led = bool(self._waiting)
            if self._led:
                self._waiting[0].wake.release()

    def _break_off(self, ended: LogUnavailable) -> list[_Append]:
        """Refuse what waits and every later append until the disk is well again; return what waited."""
        self._let_go()
        refused = LogUnavailable(str(ended), reason=ended.reason, since=ended.since)
        with self._mutex:
            abandoned = list(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            for item in abandoned:
                item.done, item.failure = True, refused
            if self._stop.is_set():  # it was closed, and stays so
                return abandoned
            self._failure = refused
            if ended.since:  # the disk's failure, not a bug's
                _log.error("events are refused: %s", refused)
                self._recovery = threading.Thread(target=self._recover, name="event-log-recovery", daemon=True)
                self._recovery.start()
        return abandoned

    def _let_go(self) -> None:
        """Forget the segment that is open, if one is: whoever repairs the log finds its writer gone."""
        for descriptor in (self._descriptor, self._mark):
            if descriptor >= 0:
                with contextlib.suppress(OSError):  # what close may report was reported by the call before
                    os.close(descriptor)
        self._descriptor, self._mark, self._writer, self._number = -1, -1, "", 0

    def _recover(self) -> None:
        """Accept records again once a test file can be written and the broken segment is sealed."""
        while not self._stop.wait(self._probe_seconds):
            try:
                files.probe(self._disk, self.directory, PROBE_BYTES)
                repair(self.directory, self._disk)
            except OSError:
                continue  # said when it began
            with self._mutex:
                failed = self._failure
                if failed and not self._stop.is_set():
                    self._failure = None
                    _log.warning("events are accepted again, after %.1f s", time.time() - failed.since)
            return

    def _commit(self, batch: list[_Append]) -> LogUnavailable | None:
        """Make the batch durable, or return why it is not; then nothing of it is stored unless LogUncertain says so."""
        try:
            data = b"".join([item.data for item in batch])
            if not data:
                return None
            if self._descriptor < 0:
                self._open_segment()
            files.write_all(self._disk, self._descriptor, data)
        except (OSError, MemoryError) as error:
            return _failure(error, stored=not self._cut_back(sync=True))
        try:
            self._disk.fdatasync(self._descriptor)
            self._disk.write_mark(self._mark, encode_mark(self._number, self._size + len(data)))
        except OSError as error:
            self._cut_back(sync=False)  # without a promise: this file's sync has failed
            return _failure(error, stored=True)
        self._size += len(data)
        return None

    def _cut_back(self, *, sync: bool) -> bool:
        """Take what was not acknowledged off the segment; tell whether it is off it for good."""
        if self._descriptor < 0:
            return True
        try:
            self._disk.truncate(self._descriptor, self._size)
            if sync:
                self._disk.fdatasync(self._descriptor)
        except OSError:
            return False
        return True

    def _rotate(self, batch: list[_Append]) -> LogUnavailable | None:
        """Seal the segment where it is time for it; return why that failed."""
        if self._descriptor < 0 or not (self._due() or any(item.seal for item in batch)):
            return None
        try:
            self._seal()
        except OSError as error:
            return _failure(error, stored=False)
        return None

    def _due(self) -> bool:
        return self._size >= self._max_bytes or time.monotonic() - self._opened >= self._max_seconds

    def _open_segment(self) -> None:
        """Create the next segment and lock it; take another number if a repair found it before it was locked."""
        self._size = 0
        while self._mark < 0:
            self._writer = f"{time.time_ns():016x}{os.getpid():08x}"
            path = mark_path(self.directory, self._writer)
            self._mark = _locked(self._disk.open_mark(path), path)
        while self._descriptor < 0:
            self._number += 1
            self._path = files.segment_path(self.directory, self._writer, self._number, sealed=False)
            self._disk.write_mark(self._mark, encode_mark(self._number, 0))
            self._descriptor = _locked(self._disk.open(self._path), self._path)
        self._disk.sync_directory(self.directory)
        self._opened = time.monotonic()
        if not self._timer:
            self._timer = threading.Thread(target=self._rotate_idle, name="event-log-rotation", daemon=True)
            self._timer.start()

    def _seal(self) -> None:
        sealed = files.segment_path(self.directory, self._writer, self._number, sealed=True)
        self._disk.rename(self._path, sealed)
        self._disk.sync_directory(self.directory)
        os.close(self._descriptor)
        self._descriptor = -1

    def _rotate_idle(self) -> None:
        """Seal a segment in time also when no further record comes."""
        while not self._stop.wait(self._max_seconds / 10):
            if self._descriptor >= 0 and self._due():
                with contextlib.suppress(LogUnavailable):  # whoever appends next is told
                    self._submit(_Append(b"", 0, seal=True))


def _locked(descriptor: int, path: Path) -> int:
    """Return the descriptor of a file just made once it is locked; -1 if a repair took the file away before."""
    try:
        locked = files.lock(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    if not locked:
        os.close(descriptor)
    return descriptor if locked else -1


def _failure(error: Exception, *, stored: bool) -> LogUnavailable:
    reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    kind = LogUncertain if stored else LogUnavailable
    sentence = f"the event log can not be written ({error}); it is tried again every second"
    return kind(sentence, reason=reason, since=time.time())
