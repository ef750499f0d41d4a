"""Which Parquet files make up a website's lake: the one file whose replacement commits an ingestion.

`manifest.json` lists the live files together with the log positions and import ids they came from. It is replaced
in one atomic step, so files and positions always agree, whenever a process dies. A file that it does not list does
not exist for readers; what a crash left behind is removed by the next writer, which holds the website's lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.foundation.errors import Busy, CorruptData

ROW_GROUP_ROWS = 122_880  # DuckDB's own: its threads share a file by row groups
GRACE_SECONDS = 3600  # how long a file that was merged into another stays for builds that still read it
IDS_KEPT = timedelta(days=36)  # after that no new event can repeat one of the file's event ids
PATIENCE_SECONDS = 10.0
EVENTS, QUARANTINE = "events", "events_quarantine"


class LakeFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One live Parquet file, `path` relative to the website's lake.

    `content` is a number (16 hex digits) that adds up when files are merged, modulo 2^64; so the sum over a
    day says what the day holds, however its rows are cut into files.
    """

    path: str
    day: str
    rows: int
    content: str
    event_ids: int = 0


class ImportRecord(msgspec.Struct, frozen=True):
    """One import of events; `received_at` in microseconds UTC is its time of arrival."""

    import_id: str
    rows: int
    received_at: int


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of one website's events in the lake.

    `positions`: per log writer the segment number and offset up to which records are stored.
    `damaged`: names of segments of which bytes could not be read. `retired`: files that were merged into
    others, with the time (seconds) since when no new reader opens them.
    """

    version: int = 0
    files: tuple[LakeFile, ...] = ()
    quarantine: tuple[LakeFile, ...] = ()
    positions: dict[str, tuple[int, int]] = {}
    damaged: tuple[str, ...] = ()
    imports: tuple[ImportRecord, ...] = ()
    retired: dict[str, float] = {}


class Disk:
    """Every call of the lake that changes the disk, so that tests can make the n-th one fail."""

    def write_parquet(self, path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
        """Write `tables` as one file, in row groups, and return its rows."""
        rows = 0
        with pq.ParquetWriter(path, schema, **_parquet_options(schema)) as writer:
            for table in tables:
                writer.write_table(table, ROW_GROUP_ROWS)
                rows += table.num_rows
        return rows

    def write_bytes(self, path: Path, data: bytes) -> None:
        """Write a whole file."""
        path.write_bytes(data)

    def sync(self, path: Path) -> None:
        """Return when a file's bytes, or a directory's names, are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_directory(self, path: Path) -> None:
        """Make a directory and its parents."""
        path.mkdir(parents=True, exist_ok=True)

    def replace(self, old: Path, new: Path) -> None:
        """Give `old` the name of `new`, in one atomic step."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)


def read_manifest(lake: Path) -> Manifest:
    """Return the manifest of a website's lake; an empty one before the first ingestion."""
    path = lake / EVENTS / "manifest.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return Manifest()
    except msgspec.DecodeError as error:
        raise CorruptData(f"{path}: {error}; restore this file from a backup of the lake") from error


def commit(lake: Path, manifest: Manifest, disk: Disk) -> Manifest:
    """Make `manifest` the state of the lake; the files it lists must be on the disk already."""
    directory = lake / EVENTS
    made = msgspec.structs.replace(manifest, version=manifest.version + 1)
    temporary = directory / "manifest.json.tmp"
    disk.write_bytes(temporary, msgspec.json.format(msgspec.json.encode(made), indent=1))
    disk.sync(temporary)
    disk.replace(temporary, directory / "manifest.json")
    disk.sync(directory)
    return made


def write_part(
    lake: Path, kind: str, day: str, name: str, schema: pa.Schema, tables: Iterable[pa.Table], disk: Disk
) -> tuple[str, int]:
    """Write one part file durably, unlisted as yet; return its path relative to the lake, and its rows."""
    directory = lake / kind / f"received_day={day}"
    if not directory.is_dir():
        disk.make_directory(directory)
        disk.sync(directory.parent)
        disk.sync(lake)
    path = directory / f"{name}.parquet"
    rows = disk.write_parquet(path, schema, tables)
    disk.sync(path)
    disk.sync(directory)
    return path.relative_to(lake).as_posix(), rows


def remove_strays(lake: Path, manifest: Manifest, disk: Disk) -> Manifest:
    """Remove files that no manifest lists, merged ones after their grace, and digests that nobody asks for any more;
    return the manifest without the merged ones.
    """
    oldest = time.time() - GRACE_SECONDS
    retired = {path: since for path, since in manifest.retired.items() if since > oldest}
    listed = {file.path for file in (*manifest.files, *manifest.quarantine)} | retired.keys()
    asked = f"{datetime.now(UTC) - IDS_KEPT:%Y-%m-%d}"
    listed |= {ids_path(file.path) for file in manifest.files if file.event_ids and file.day >= asked}
    for kind in (EVENTS, QUARANTINE):
        for path in (lake / kind).glob("received_day=*/*"):
            if path.relative_to(lake).as_posix() not in listed:
                disk.remove(path)
    return msgspec.structs.replace(manifest, retired=retired)


def ids_path(path: str) -> str:
    """Return where the digests of a Parquet file's event ids are (events/lake/duplicates.py), relative as `path` is."""
    return f"{path.removesuffix('.parquet')}.ids"


@contextmanager
def locked(lake: Path, disk: Disk, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the website's lake for writing; Busy if another process keeps it for more than `patience` seconds."""
    disk.make_directory(lake / EVENTS)
    descriptor = os.open(lake / EVENTS / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, lake, time.monotonic() + patience)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, lake: Path, until: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise Busy(f"{lake}: another process is writing events into this lake; try again later") from None
            time.sleep(0.05)


def _parquet_options(schema: pa.Schema) -> dict[str, object]:
    unique = {"record_id", "received_at", "time", "event_id", "request_uuid", "order_id", "session", "payload"}
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [field.name for field in schema if field.name not in unique],
        "write_batch_size": 16_384,
    }
