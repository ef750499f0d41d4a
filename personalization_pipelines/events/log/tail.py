"""What the event log holds beyond the point a reader has come to, so that nothing is skipped or read twice.

A reader (the lake, the live store) keeps one `Position` per writer together with what it stored, in one atomic
step; `Tail.unread` hands out the records after those positions. A writer fills its segments one after the
other, so the next segment is read only after the one before it is sealed and read to its end. A segment that is
still open is read up to what is durable of it (events/log/durable_mark.py), or to its last whole record where its
writer does not say.

Reading a directory while files are renamed in it may miss a file under both names. Therefore listings are
taken twice: a file is renamed only once, so the second listing has what the first one missed.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import NamedTuple

from personalization_pipelines.events.log.durable_mark import durable_size
from personalization_pipelines.events.log.segments import (
    Damage,
    Segment,
    end_of,
    find_damage,
    read_records,
    segment_path,
    segments,
)

CLOCK_GRAIN = 0.1
"""Seconds. A directory that changes twice within one tick of the file system's clock shows one mtime, so a listing
counts only once the mtime has stood still for longer than a tick. Measured with the monotonic clock: the file
system's may be another machine's, and either may be set."""


class Position(NamedTuple):
    """Where a reader stands in one writer's segments: all before `offset` of segment `number` is stored."""

    number: int
    offset: int


START = Position(0, 0)


@dataclass(frozen=True)
class Span:
    """Consecutive records of one segment, and the position to keep once they are stored.

    `damage` are bytes of a sealed segment behind these records that are no record (None: there are none).
    """

    segment: Segment
    records: list[tuple[int, bytes]]
    position: Position
    damage: Damage | None = None

    @property
    def finished(self) -> bool:
        """True if the segment is sealed and this is the last of it."""
        return self.position.number > self.segment.number


class Tail:
    """Reads on in the log of `directory`; lists it only when it has changed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._changed, self._since = -1, 0.0
        self._settled = False
        self._listing: dict[str, list[Segment]] = {}

    def unread(self, positions: Mapping[str, Position], limit: int = 10_000) -> Iterator[Span]:
        """Yield what stands behind `positions`, the oldest writer first, in spans of at most `limit` records."""
        for writer, listed in self.listing().items():
            position = positions.get(writer, START)
            for segment in listed:
                if segment.number < position.number:
                    continue
                start = position.offset if segment.number == position.number else 0
                finished = False
                for span in _spans(self._directory, segment, start, limit):
                    finished = span.finished
                    yield span
                if not finished:
                    break

    def listing(self) -> dict[str, list[Segment]]:
        """Return each writer's segments in the order of their numbers."""
        try:
            changed = self._directory.stat().st_mtime_ns
        except FileNotFoundError:
            return {}
        if changed != self._changed:
            self._changed, self._since, self._settled = changed, time.monotonic(), False
        if not self._settled:
            settled = time.monotonic() - self._since > CLOCK_GRAIN
            self._listing = _listing(self._directory)
            self._settled = settled
        return self._listing


def _listing(directory: Path) -> dict[str, list[Segment]]:
    newest = {(segment.writer, segment.number): segment for _ in range(2) for segment in segments(directory)}
    found: dict[str, list[Segment]] = defaultdict(list)
    for writer, number in sorted(newest):
        found[writer].append(newest[writer, number])
    return dict(found)


def _spans(directory: Path, segment: Segment, start: int, limit: int) -> Iterator[Span]:
    """Yield the spans of one segment; the last one is `finished` if the segment is sealed.

    A listed segment that no longer exists was sealed since then, or was empty and is gone.
    """
    if not segment.sealed and not segment.path.exists():
        sealed = segment_path(directory, segment.writer, segment.number, sealed=True)
        segment = replace(segment, path=sealed, sealed=True)
    durable = None if segment.sealed else durable_size(directory, segment.writer, segment.number)
    try:
        yield from _read(segment, start, limit, durable)
    except FileNotFoundError:
        if segment.sealed:
            yield Span(segment, [], Position(segment.number + 1, 0))


def _read(segment: Segment, start: int, limit: int, durable: int | None) -> Iterator[Span]:
    offset, size = start, segment.path.stat().st_size
    if durable is not None:
        size = min(size, durable)
    resume_at: int | None = offset
    while resume_at is not None:
        offset = resume_at
        for batch in _batches(segment.path, offset, limit, size) if offset < size else ():
            offset = end_of(*batch[-1])
            yield Span(segment, batch, Position(segment.number, offset))
        if not segment.sealed:
            return
        damage = find_damage(segment.path, offset) if offset < size else None
        resume_at = damage.resume_at if damage else None
        after = Position(segment.number + 1, 0) if resume_at is None else Position(segment.number, resume_at)
        yield Span(segment, [], after, damage)


def _batches(path: Path, start: int, limit: int, size: int) -> Iterator[list[tuple[int, bytes]]]:
    records = takewhile(lambda record: record[0] < size, read_records(path, start))
    while batch := list(islice(records, limit)):
        yield batch
