"""The durable event log: an event is acknowledged only after `append` returned, and then it is on the disk.

Group commit without a writer thread (one measured 6 to 22 % more CPU a record): the first of the waiting
threads becomes the leader, writes what all of them brought in one write loop and one `fdatasync`, hands
leadership to the next thread and wakes the others.
After any I/O error the log stops for good: after a failed sync the next one may succeed without the data, so a
retry would acknowledge what is lost. Then every waiter and every later call gets LogUnavailable.

One `SegmentLog` writes the segments of one process (events/log/segments.py has their format); nothing is opened
before the first record, so a log made before a fork is safe. Kafka may take its place behind `EventLog`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from personalization_pipelines.events.log import segments as files
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
from personalization_pipelines.foundation.errors import LogUnavailable

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


class EventLog(Protocol):
    """Where acknowledged events go."""

    @property
    def failure(self) -> LogUnavailable | None:
        """Why nothing is accepted any more, or None (for the readiness answer)."""

    def append(self, records: Sequence[bytes]) -> None:
        """Return when all `records` are durable; LogUnavailable if they are not known to be."""

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
    that is refused with LogUnavailable, but does not stop the log.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = MAX_SEGMENT_BYTES,
        max_seconds: float = MAX_SEGMENT_SECONDS,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        disk: Disk | None = None,
    ) -> None:
        self.directory = directory
        self._disk = disk or Disk()
        self._max_bytes, self._max_seconds, self._max_waiting = max_bytes, max_seconds, max_waiting_bytes
        self._mutex = threading.Lock()  # guards _waiting, _waiting_bytes, _led, _failure
        self._waiting: deque[_Append] = deque()
        self._waiting_bytes = 0
        self._led = False
        self._failure: LogUnavailable | None = None
        self._descriptor = -1  # this and the rest belong to the leader
        self._path = directory
        self._writer = ""
        self._number = 0
        self._size = 0
        self._opened = 0.0
        self._stop = threading.Event()
        self._timer: threading.Thread | None = None

    @property
    def failure(self) -> LogUnavailable | None:
        """Why the disk's failure, or `close`, ended the log; None while it accepts records."""
        return self._failure

    def append(self, records: Sequence[bytes]) -> None:
        """Return when all `records` are on the disk.

        Raises LogUnavailable if too much is waiting (later calls may succeed), if the log was closed, or if
        the disk failed (no later call succeeds); ValueError for an empty record or one of 1 MiB.
        """
        data = b"".join([files.frame(record) for record in records])
        if data:
            self._submit(_Append(data, len(records)))

    def close(self) -> None:
        """Write what waits, seal the open segment, refuse every later append."""
        self._stop.set()
        with contextlib.suppress(LogUnavailable):
            self._submit(_Append(b"", 0, seal=True), last=True)
        if self._descriptor >= 0:  # the disk failed: whoever repairs the log finds its writer gone
            os.close(self._descriptor)
            self._descriptor = -1
        if self._timer:
            self._timer.join()

    def _submit(self, item: _Append, *, last: bool = False) -> None:
        with self._mutex:
            self._enqueue(item)
            if last:
                self._failure = LogUnavailable("the event log was closed: the server is stopping, send again later")
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
        failure: LogUnavailable | None = LogUnavailable("the event log stopped on an unexpected error; restart")
        try:
            self._commit(batch)
            failure = None
        except OSError as error:
            failure = LogUnavailable(f"the event log can not be written ({error}): repair the disk and restart")
        finally:
            if failure:
                batch += self._stop_for_good(failure)
            for item in batch:
                item.done, item.failure = True, failure
            self._pass_on()
            for item in batch[1:]:
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

    def _stop_for_good(self, failure: LogUnavailable) -> list[_Append]:
        """Refuse every later append; return those that still wait."""
        with self._mutex:
            self._failure = failure
            abandoned = list(self._waiting)
            self._waiting.clear()
        return abandoned

    def _commit(self, batch: list[_Append]) -> None:
        data = b"".join([item.data for item in batch])
        if data:
            if self._descriptor < 0:
                self._open_segment()
            files.write_all(self._disk, self._descriptor, data)
            self._disk.fdatasync(self._descriptor)
            self._size += len(data)
        if self._descriptor >= 0 and (self._due() or any(item.seal for item in batch)):
            self._seal()

    def _due(self) -> bool:
        return self._size >= self._max_bytes or time.monotonic() - self._opened >= self._max_seconds

    def _open_segment(self) -> None:
        """Create the next segment and lock it; take another number if a repair found it before it was locked."""
        if not self._writer:
            self._writer = f"{time.time_ns():016x}{os.getpid():08x}"
        while self._descriptor < 0:
            self._number += 1
            path = files.segment_path(self.directory, self._writer, self._number, sealed=False)
            descriptor = self._disk.open(path)
            if files.lock(descriptor, path):
                self._descriptor, self._path = descriptor, path
            else:
                os.close(descriptor)
        self._disk.sync_directory(self.directory)
        self._size, self._opened = 0, time.monotonic()
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
                try:
                    self._submit(_Append(b"", 0, seal=True))
                except LogUnavailable:
                    return
