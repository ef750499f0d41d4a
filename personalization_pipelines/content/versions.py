"""A table of which every state is kept: immutable Parquet files and a manifest whose replacement commits.

`lake/<website>/<name>/manifest.json` lists the versions, oldest first; a file that it does not list does not
exist, and the next writer removes it. So a crash at any moment leaves the version of before.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.durable import sync as _sync
from personalization_pipelines.errors import Busy, CorruptData

MANIFEST = "manifest.json"
ROW_GROUP_ROWS = 1 << 16
"""Whoever looks for one key of a sorted table reads one row group."""


class Version(msgspec.Struct, frozen=True):
    """One state of the table."""

    file: str
    imported_at: datetime
    import_id: str
    rows: int


class VersionedTable:
    """The versions of one table in `directory`, all of `schema`."""

    def __init__(self, directory: Path, schema: pa.Schema) -> None:
        self.directory = directory
        self.schema = schema

    def versions(self) -> list[Version]:
        """Return the versions, oldest first. Raises CorruptData for a damaged manifest."""
        path = self.directory / MANIFEST
        try:
            return msgspec.json.decode(path.read_bytes(), type=list[Version])
        except FileNotFoundError:
            return []
        except msgspec.DecodeError as error:
            raise CorruptData(f"{path}: {error}; restore this file from a backup of the lake") from error

    def file(self, as_of: datetime) -> Path | None:
        """Return the newest version imported at or before `as_of`, else the oldest; None without any."""
        known = self.known(as_of)
        return self.directory / known[-1].file if known else None

    def known(self, as_of: datetime) -> list[Version]:
        """Return the versions imported at or before `as_of`, oldest first; the oldest alone where all came later."""
        versions = self.versions()
        return [one for one in versions if one.imported_at <= as_of] or versions[:1]

    def current(self) -> pa.Table:
        """Return the newest version's rows."""
        versions = self.versions()
        return pq.read_table(self.directory / versions[-1].file) if versions else self.schema.empty_table()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the writer's lock; raises Busy where another process has it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(
                    f"{self.directory}: another import is writing this table; try again when it is done"
                ) from None
            yield
        finally:
            os.close(descriptor)

    def add(self, table: pa.Table, import_id: str, imported_at: datetime) -> Version:
        """Make `table` the newest version; the caller holds the lock."""
        versions = self.versions()
        self._remove_strays(versions)
        name = f"{imported_at:%Y%m%dT%H%M%S%f}Z-{import_id}-{len(versions):06d}.parquet"
        temporary = self.directory / f"{name}.tmp"
        pq.write_table(table.cast(self.schema), temporary, compression="zstd", row_group_size=ROW_GROUP_ROWS)
        _sync(temporary)
        _rename(temporary, self.directory / name)
        version = Version(name, imported_at, import_id, table.num_rows)
        manifest = self.directory / f"{MANIFEST}.tmp"
        manifest.write_bytes(msgspec.json.format(msgspec.json.encode([*versions, version]), indent=1))
        _sync(manifest)
        _sync(self.directory)
        _rename(manifest, self.directory / MANIFEST)
        _sync(self.directory)
        return version

    def _remove_strays(self, versions: list[Version]) -> None:
        listed = {one.file for one in versions} | {MANIFEST}
        for path in self.directory.iterdir():
            if path.suffix in (".parquet", ".tmp") and path.name not in listed:
                path.unlink()


def _rename(old: Path, new: Path) -> None:
    old.replace(new)
