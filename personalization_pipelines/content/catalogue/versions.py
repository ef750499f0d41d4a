"""A table of which every state is kept: immutable Parquet files and a manifest whose replacement commits.

`lake/<website>/<name>/manifest.json` lists the versions, oldest first; a file that it does not list does not
exist, and the next writer removes it. So a crash at any moment leaves the version of before.

A version's file holds either the whole state, or (in a table with a `key`) only what differs from the version before:
rows that are new or other, and the keys of those that went (column `removed`). So a small import into a large table
costs what it brings. The state as of a moment is the newest whole file up to then with the changes after it; of equal
keys the newest counts (`state_sql`). A writer makes a whole file again once the changes since the last one would
exceed a quarter of its rows or number MOST_CHANGES, so that readers never merge much: each row of a whole file is
written again only after a quarter as many changes. Tables under WHOLE_ROWS rows have only whole files.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from personalization_pipelines.content.catalogue.states import REMOVED, State, read_sql, state_sql
from personalization_pipelines.foundation.durable import sync as _sync
from personalization_pipelines.foundation.errors import Busy, CorruptData
from personalization_pipelines.foundation.sql_names import column_list

MANIFEST = "manifest.json"
ROW_GROUP_ROWS = 1 << 16
"""Whoever looks for one key of a sorted table reads one row group."""
WHOLE_ROWS = 20_000
"""Below so many rows of the whole file before, a version is a whole file: writing it costs milliseconds."""
CHANGED_SHARE = 0.25
MOST_CHANGES = 64
_DUCKDB = {
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.string(): "varchar",
    pa.timestamp("us"): "timestamp",
    pa.list_(pa.string()): "varchar[]",
}


class Version(msgspec.Struct, frozen=True, omit_defaults=True):
    """One state of the table: its rows; `changes` of them (and of removed keys) are in `file`, None: all are."""

    file: str
    imported_at: datetime
    import_id: str
    rows: int
    changes: int | None = None


class VersionedTable:
    """The versions of one table in `directory`, all of `schema`.

    With a `key`, whose columns are never null and sort every state, versions may be changes to those before.
    """

    def __init__(self, directory: Path, schema: pa.Schema, key: tuple[str, ...] = ()) -> None:
        self.directory = directory
        self.schema = schema
        self.key = key

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
        """Return the file of the newest version imported at or before `as_of`, else of the oldest; None without any."""
        known = self.known(as_of)
        return self.directory / known[-1].file if known else None

    def known(self, as_of: datetime) -> list[Version]:
        """Return the versions imported at or before `as_of`, oldest first; the oldest alone where all came later."""
        versions = self.versions()
        return [one for one in versions if one.imported_at <= as_of] or versions[:1]

    def state(self, version: Version) -> State:
        """Return the files of a version's state. Raises CorruptData where its changes follow no whole file."""
        files: list[Path] = []
        upto = False
        for one in reversed(self.versions()):
            upto = upto or one.file == version.file
            if upto:
                files.append(self.directory / one.file)
            if upto and one.changes is None:
                return State(files[-1], tuple(reversed(files[:-1])))
        raise CorruptData(
            f"{self.directory / MANIFEST}: {version.file} changes a version that is not there; "
            "restore the lake from a backup"
        )

    def sql(self, version: Version | None, columns: Sequence[str] = (), among: str = "") -> str:
        """Return a DuckDB query for some columns (all, where none are named) of a version's rows, in no order.

        `among` is a relation with the key's columns: only rows with such keys are looked for, in each file.
        """
        names = tuple(columns) or tuple(self.schema.names)
        if version is None:
            types = {name: _DUCKDB[self.schema.field(name).type] for name in names}
            empty = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in types.items())
            return f"select {empty} where false"
        found = f"semi join {among} using ({column_list(self.key)})" if among else ""

        def source(path: Path) -> str:
            return f"(select * from {read_sql(path)} {found})"  # noqa: S608 - our own names and paths

        return state_sql(self.state(version), names, self.key, source)

    def newest(self) -> Version | None:
        """Return the newest version, None without any."""
        return next(reversed(self.versions()), None)

    def current(self) -> pa.Table:
        """Return the newest version's rows."""
        newest = self.newest()
        return self.read(newest) if newest else self.schema.empty_table()

    def read(self, version: Version) -> pa.Table:
        """Return the rows of a version, sorted by the key if the table has one."""
        if version.changes is None:
            return pq.read_table(self.directory / version.file, columns=self.schema.names)
        with duckdb.connect() as connection:
            query = f"{self.sql(version)} order by {', '.join(self.key)}"
            return connection.sql(query).to_arrow_table().cast(self.schema)

    def takes_changes(self, versions: Sequence[Version], count: int) -> bool:
        """Return whether `count` changes to the newest version are to be a version of changes."""
        start = max((n for n, one in enumerate(versions) if one.changes is None), default=None)
        if not self.key or start is None or versions[start].rows < WHOLE_ROWS:
            return False
        since = sum(one.changes or 0 for one in versions[start:]) + count
        return since <= CHANGED_SHARE * versions[start].rows and len(versions) - start <= MOST_CHANGES

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

    def add(self, rows: pa.Table | pa.RecordBatchReader, import_id: str, imported_at: datetime) -> Version:
        """Make `rows` the newest version, whole; the caller holds the lock."""
        return self._add(rows, import_id, imported_at, None)

    def add_changes(
        self, changed: pa.Table, gone: pa.Table, import_id: str, imported_at: datetime, rows: int
    ) -> Version:
        """Make the newest version one with `changed` rows added or replaced, and the keys of `gone` removed.

        `changed` is sorted by the key; `rows` is how many the table then has. Writes the whole state where it is time
        to. The caller holds the lock.
        """
        if self.takes_changes(self.versions(), len(changed) + len(gone)):
            return self._add(self._changes(changed, gone), import_id, imported_at, rows)
        if len(changed) == rows:
            return self.add(changed, import_id, imported_at)
        with duckdb.connect() as connection:
            return self.add(self._merged(connection, changed, gone), import_id, imported_at)

    def _changes(self, changed: pa.Table, gone: pa.Table) -> pa.Table:
        keys = gone.select(list(self.key))
        nulls = [keys[f.name] if f.name in self.key else pa.nulls(len(keys), f.type) for f in self.schema]
        changes = pa.concat_tables(
            [
                changed.cast(self.schema).append_column(REMOVED, pa.repeat(False, len(changed))),
                pa.table(nulls, self.schema).append_column(REMOVED, pa.repeat(True, len(keys))),
            ]
        )
        return changes.take(pc.sort_indices(changes, [(name, "ascending") for name in self.key]))

    def _merged(self, connection: duckdb.DuckDBPyConnection, changed: pa.Table, gone: pa.Table) -> pa.RecordBatchReader:
        """Return the rows of the newest version with these changes, in order."""
        names = column_list(self.schema.names)
        same = " and ".join(f"c.{name} = e.{name}" for name in self.key)
        connection.register("changed", changed)
        connection.register("gone", gone)
        query = f"""
            select {names} from ({self.sql(self.newest())}) e
            where not exists (select 1 from changed c where {same}) and not exists (select 1 from gone c where {same})
            union all select {names} from changed order by {column_list(self.key)}
        """  # noqa: S608 - our own names
        return connection.sql(query).to_arrow_reader(ROW_GROUP_ROWS)

    def _add(
        self, rows: pa.Table | pa.RecordBatchReader, import_id: str, imported_at: datetime, total: int | None
    ) -> Version:
        """Write rows and commit them; `total` is how many the state has, None: they are all of it."""
        versions = self.versions()
        self._remove_strays(versions)
        name = f"{imported_at:%Y%m%dT%H%M%S%f}Z-{import_id}-{len(versions):06d}.parquet"
        temporary = self.directory / f"{name}.tmp"
        written = _write(temporary, rows, self.schema)
        _sync(temporary)
        _rename(temporary, self.directory / name)
        total, changes = (written, None) if total is None else (total, written)
        version = Version(name, imported_at, import_id, total, changes)
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


def _write(path: Path, rows: pa.Table | pa.RecordBatchReader, schema: pa.Schema) -> int:
    """Write rows as a file, a row group of them in memory at once; return how many there were."""
    own = [schema.field(one.name) if one.name in schema.names else one for one in rows.schema]
    written = 0
    with pq.ParquetWriter(path, pa.schema(own), compression="zstd") as writer:
        for part in [rows] if isinstance(rows, pa.Table) else (pa.Table.from_batches([one]) for one in rows):
            writer.write_table(part.cast(writer.schema), row_group_size=ROW_GROUP_ROWS)
            written += len(part)
    return written


def _rename(old: Path, new: Path) -> None:
    old.replace(new)
