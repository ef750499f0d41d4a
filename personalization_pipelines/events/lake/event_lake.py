"""The lake of events: Parquet by day of arrival, every acknowledged event exactly once, whatever is killed when.

An event is identified by where it stands in the log (segment and offset). Part files are written and synced
first; then one replacement of the manifest makes them live and moves the log positions, together. A client that
sent the same event id twice (35 days, per visitor) is acknowledged twice and stored once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.erasure.tombstones import Forgotten
from personalization_pipelines.events.lake.compaction import compact
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA
from personalization_pipelines.events.lake.ingestion import COMMIT_ROWS, Ingestion, IngestReport, arrival_day
from personalization_pipelines.events.lake.lake_manifest import (
    EVENTS,
    PATIENCE_SECONDS,
    ROW_GROUP_ROWS,
    Disk,
    ImportRecord,
    LakeFile,
    commit,
    locked,
    read_manifest,
    remove_strays,
    write_part,
)
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.log.segments import segments
from personalization_pipelines.events.log.tail import START, Tail
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

SPAN_RECORDS = 10_000


def ingest(
    home: Home,
    website: Website,
    *,
    include_open: bool = True,
    commit_rows: int = COMMIT_ROWS,
    disk: Disk | None = None,
    patience: float = PATIENCE_SECONDS,
) -> IngestReport:
    """Move the website's events from the log into its lake, each exactly once; merge small files.

    `include_open`: also what is acknowledged in segments that are still written, so that a build sees an event
    of a second ago. `commit_rows`: about how many are collected in memory before they are committed.
    Raises Busy if another process writes into this lake for more than `patience` seconds.
    """
    disk, lake = disk or Disk(), home.lake(website.name)
    with locked(lake, disk, patience):
        manifest, forgotten = remove_strays(lake, read_manifest(lake), disk), Forgotten(home, website.name) or None
        ingestion = Ingestion(lake, website.name, manifest, disk, commit_rows, forgotten)
        for span in Tail(home.log).unread(ingestion.positions(), SPAN_RECORDS):
            if span.segment.sealed or include_open:
                ingestion.add(span)
        ingestion.store()
        compact(lake, ingestion.manifest, disk)
        return ingestion.report()


def append_import(
    home: Home,
    website: Website,
    table: pa.Table | Iterable[pa.Table | pa.RecordBatch],
    import_id: str,
    received_at: datetime | None = None,
    *,
    disk: Disk | None = None,
    patience: float = PATIENCE_SECONDS,
) -> int:
    """Add imported events to the lake in one step; return the rows added: 0 if `import_id` was added before.

    `table` has the columns of EVENT_SCHEMA, sorted as they shall be kept. `record_id` and `received_at` are filled
    in here (`received_at`: aware, default now: the partition is the day of arrival); other missing columns become
    empty. An unknown column, or a type that does not fit, raises ImportRefused, and nothing is stored.
    """
    disk, lake = disk or Disk(), home.lake(website.name)
    arrival = _microseconds(received_at or datetime.now(UTC))
    with locked(lake, disk, patience):
        manifest = remove_strays(lake, read_manifest(lake), disk)
        if any(record.import_id == import_id for record in manifest.imports):
            return 0
        tables = [table] if isinstance(table, pa.Table) else table
        filled = _filled(_row_groups(tables), import_id, arrival)
        name = f"import-{manifest.version:08d}"
        path, rows = write_part(lake, EVENTS, arrival_day(arrival), name, EVENT_SCHEMA, filled, disk)
        made = LakeFile(path, arrival_day(arrival), rows, fingerprint(imported=import_id, rows=rows))
        files = (*manifest.files, made) if rows else manifest.files
        record = ImportRecord(import_id, rows, arrival)
        commit(lake, msgspec.structs.replace(manifest, files=files, imports=(*manifest.imports, record)), disk)
        return rows


def event_files(home: Home, website: Website) -> list[Path]:
    """Return the live Parquet files of the website's events, by day of arrival, oldest first."""
    lake = home.lake(website.name)
    return [lake / file.path for file in sorted(read_manifest(lake).files, key=lambda file: (file.day, file.path))]


def quarantine_files(home: Home, website: Website) -> list[Path]:
    """Return the live Parquet files of what was put aside: record_id, received_at, reason, payload."""
    lake = home.lake(website.name)
    return [lake / file.path for file in read_manifest(lake).quarantine]


def imports(home: Home, website: Website) -> list[ImportRecord]:
    """Return the imports of events, oldest first."""
    return list(read_manifest(home.lake(website.name)).imports)


def lake_fingerprint(home: Home, website: Website) -> str:
    """Return a text that changes when events are added, and not when files are merged."""
    days: dict[str, tuple[int, int]] = {}
    for file in read_manifest(home.lake(website.name)).files:
        rows, content = days.get(file.day, (0, 0))
        days[file.day] = (rows + file.rows, (content + int(file.content, 16)) % 2**64)
    return fingerprint(days=days)


def remove_ingested_segments(
    home: Home, websites: Iterable[Website], keep: timedelta = timedelta(days=2), *, disk: Disk | None = None
) -> list[Path]:
    """Delete the log's segments that every reader is through with; return what was deleted.

    That is: sealed longer than `keep` ago, undamaged, ingested by the lake of each of `websites` (all of the
    installation), and applied by the live store. Nothing goes while the live store can not be asked
    (LiveStoreUnavailable), for it might still need everything.
    """
    disk = disk or Disk()
    manifests = [read_manifest(home.lake(website.name)) for website in websites]
    if not manifests:
        return []
    damaged = {name for manifest in manifests for name in manifest.damaged}
    readers: list[Mapping[str, tuple[int, int]]] = [
        LiveReader(home.live_database, deadline=5.0).positions(),
        *(m.positions for m in manifests),
    ]
    oldest = time.time() - keep.total_seconds()
    removed = [
        segment.path
        for segment in segments(home.log)
        if segment.sealed
        and segment.path.stat().st_mtime < oldest
        and segment.path.stem not in damaged
        and all(reader.get(segment.writer, START)[0] > segment.number for reader in readers)
    ]
    for path in removed:
        disk.remove(path)
    return removed


def _row_groups(tables: Iterable[pa.Table | pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the same rows in tables of whole row groups, so that a stream of small batches stays fast to read."""
    waiting: list[pa.Table] = []
    for part in tables:
        waiting.append(pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part)
        rows = sum(table.num_rows for table in waiting)
        if whole := rows - rows % ROW_GROUP_ROWS:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, whole)
            waiting = [joined.slice(whole)]
    if waiting:
        yield pa.concat_tables(waiting)


def _filled(tables: Iterable[pa.Table], import_id: str, arrival: int) -> Iterator[pa.Table]:
    """Yield tables with exactly the columns of EVENT_SCHEMA; rows are numbered through all of them."""
    first = 0
    for table in tables:
        rows = table.num_rows
        numbers = pa.array(np.arange(first, first + rows)).cast(pa.string())
        known = {
            "record_id": pc.binary_join_element_wise(f"import-{import_id}", numbers, ":"),
            "received_at": pa.repeat(pa.scalar(arrival, pa.int64()), rows).cast(pa.timestamp("us")),
        }
        yield _conformed(table, known, import_id)
        first += rows


def _conformed(table: pa.Table, known: dict[str, pa.Array], import_id: str) -> pa.Table:
    if unknown := set(table.column_names) - set(EVENT_SCHEMA.names):
        raise ImportRefused(f"import {import_id}: {sorted(unknown)} are no columns of the lake's events")
    columns = [
        known[column.name] if column.name in known else _column(table, column, import_id) for column in EVENT_SCHEMA
    ]
    return pa.table(columns, EVENT_SCHEMA)


def _column(table: pa.Table, column: pa.Field, import_id: str) -> pa.Array | pa.ChunkedArray:
    if column.name not in table.column_names:
        empty = {"string": "", "list": []}.get(str(column.type).partition("<")[0])
        return pa.repeat(pa.scalar(empty, column.type), table.num_rows)
    try:
        return table[column.name].cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ImportRefused(f"import {import_id}: column {column.name}: {error}") from error


def _microseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"received_at {moment} has no time zone")
    return int(moment.timestamp() * 1_000_000)
