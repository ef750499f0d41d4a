"""Merging of small files: a day that is over becomes one file; today's stay below fifty.

Files that were merged stay on the disk for an hour, for builds that have already listed them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.events.lake.duplicates import merge_ids
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

SMALL_ROWS = 500_000
MAX_SMALL_FILES = 50


def compact(lake: Path, manifest: Manifest, disk: Disk) -> Manifest:
    """Merge the small files of every day that has too many; one commit, no row changed or moved to another day."""
    files = list(manifest.files)
    quarantine = list(manifest.quarantine)
    retired = [
        *_merge(lake, manifest, EVENTS, EVENT_SCHEMA, files, disk),
        *_merge(lake, manifest, QUARANTINE, QUARANTINE_SCHEMA, quarantine, disk),
    ]
    if not retired:
        return manifest
    now = time.time()
    changed = msgspec.structs.replace(
        manifest,
        files=tuple(files),
        quarantine=tuple(quarantine),
        retired=manifest.retired | {file.path: now for file in retired},
    )
    return commit(lake, changed, disk)


def _merge(
    lake: Path, manifest: Manifest, kind: str, schema: pa.Schema, files: list[LakeFile], disk: Disk
) -> Iterator[LakeFile]:
    """Replace groups of small files in `files` by merged ones; yield those that were replaced."""
    small: dict[str, list[LakeFile]] = defaultdict(list)
    for file in files:
        if file.rows < SMALL_ROWS:
            small[file.day].append(file)
    newest = max((file.day for file in files), default="")
    for day, group in small.items():
        if len(group) > (MAX_SMALL_FILES if day == newest else 1):
            merged = _merge_group(lake, kind, schema, f"merged-{manifest.version:08d}", group, disk)
            at = files.index(group[0])
            files[at] = merged
            for file in group[1:]:
                files.remove(file)
            yield from group


def _merge_group(lake: Path, kind: str, schema: pa.Schema, name: str, group: list[LakeFile], disk: Disk) -> LakeFile:
    tables = (pq.read_table(lake / file.path, schema=schema, partitioning=None) for file in group)
    path, rows = write_part(lake, kind, group[0].day, name, schema, _joined(tables), disk)
    content = sum(int(file.content, 16) for file in group) % 2**64
    merged = LakeFile(path, group[0].day, rows, f"{content:016x}", sum(file.event_ids for file in group))
    merge_ids(lake, group, merged, disk)
    return merged


def _joined(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    while batch := list(islice(tables, MAX_SMALL_FILES)):
        yield pa.concat_tables(batch)
