"""One ingestion: spans of the log, collected as columns and committed together with the positions behind them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.erasure.tombstones import Forgotten
from personalization_pipelines.events.lake.duplicates import drop_duplicates
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA, QUARANTINE_SCHEMA
from personalization_pipelines.events.lake.lake_manifest import (
    EVENTS,
    QUARANTINE,
    Disk,
    LakeFile,
    Manifest,
    commit,
    write_part,
)
from personalization_pipelines.events.lake.record_columns import Columns
from personalization_pipelines.events.log.tail import Position, Span

COMMIT_ROWS = 500_000
DAY = 86_400_000_000


@dataclass(frozen=True)
class IngestReport:
    """What one ingestion did. `segments` were read to their end; `damaged` names those with unreadable bytes."""

    segments: int = 0
    events: int = 0
    quarantined: int = 0
    duplicates: int = 0
    days: tuple[str, ...] = ()
    files: int = 0
    damaged: tuple[str, ...] = ()


@dataclass
class Ingestion:
    """Collects spans of the log and stores them, about `commit_rows` a commit."""

    lake: Path
    website: str
    manifest: Manifest
    disk: Disk
    commit_rows: int
    forgotten: Forgotten | None = None
    pending: dict[str, Position] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    segments: int = 0
    events: int = 0
    quarantined: int = 0
    duplicates: int = 0
    days: set[str] = field(default_factory=set)
    files: int = 0

    def __post_init__(self) -> None:
        self.columns = Columns(self.website, time.time_ns() // 1000, self.forgotten)

    def positions(self) -> dict[str, Position]:
        """Return where this lake stands in each writer's segments."""
        return {writer: Position(*position) for writer, position in self.manifest.positions.items()}

    def add(self, span: Span) -> None:
        """Collect one span; store what is collected when it is enough."""
        self.columns.add(span.segment.path.stem, span.records)
        self.pending[span.segment.writer] = span.position
        self.segments += span.finished
        if span.damage:
            self.damaged.append(span.segment.path.stem)
        if len(self.columns) >= self.commit_rows:
            self.store()

    def store(self) -> None:
        """Write what is collected and commit it with the positions behind it."""
        if not self.pending:
            return
        collected, rejected = self.columns.take()
        events = drop_duplicates(self.lake, self.manifest, collected, self.disk)
        files = self._write(EVENTS, EVENT_SCHEMA, events)
        quarantine = self._write(QUARANTINE, QUARANTINE_SCHEMA, rejected)
        self.manifest = commit(self.lake, self._advanced(files, quarantine), self.disk)
        self.pending = {}
        self.events += events.num_rows
        self.quarantined += rejected.num_rows
        self.duplicates += collected.num_rows - events.num_rows
        self.files += len(files) + len(quarantine)
        self.days |= {file.day for file in files}

    def report(self) -> IngestReport:
        """Return the counts."""
        return IngestReport(
            segments=self.segments,
            events=self.events,
            quarantined=self.quarantined,
            duplicates=self.duplicates,
            days=tuple(sorted(self.days)),
            files=self.files,
            damaged=tuple(self.damaged),
        )

    def _advanced(self, files: list[LakeFile], quarantine: list[LakeFile]) -> Manifest:
        positions = {writer: (position.number, position.offset) for writer, position in self.pending.items()}
        return msgspec.structs.replace(
            self.manifest,
            files=(*self.manifest.files, *files),
            quarantine=(*self.manifest.quarantine, *quarantine),
            positions=self.manifest.positions | positions,
            damaged=tuple(dict.fromkeys((*self.manifest.damaged, *self.damaged))),
        )

    def _write(self, kind: str, schema: pa.Schema, table: pa.Table) -> list[LakeFile]:
        name = f"part-{self.manifest.version:08d}"
        return [self._write_day(kind, schema, name, day, rows) for day, rows in _by_day(table)]

    def _write_day(self, kind: str, schema: pa.Schema, name: str, day: str, table: pa.Table) -> LakeFile:
        path, rows = write_part(self.lake, kind, day, name, schema, [table], self.disk)
        content = _digest(table.select(["record_id"]))
        ids = pc.sum(pc.not_equal(table["event_id"], "")).as_py() if "event_id" in schema.names else 0
        return LakeFile(path, day, rows, content, ids)


def _digest(table: pa.Table) -> str:
    digest = hashlib.sha256()
    for batch in table.to_batches():
        digest.update(batch.serialize())
    return digest.hexdigest()[:16]


def _by_day(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each day of arrival (UTC), in their order."""
    days = pc.divide(table["received_at"].cast(pa.int64()), DAY)
    for day in sorted(pc.unique(days).to_pylist()):
        yield arrival_day(day * DAY), table.filter(pc.equal(days, day))


def arrival_day(microseconds: int) -> str:
    """Return the day (UTC) of a time, as partitions are named."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).strftime("%Y-%m-%d")
