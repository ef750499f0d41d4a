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
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from personalization_pipelines.durable import sync as _sync
from personalization_pipelines.errors import Busy, CorruptData

MANIFEST = "manifest.json"
ROW_GROUP_ROWS = 1 << 16
"""Whoever looks for one key of a sorted table reads one row group."""
WHOLE_ROWS = 20_000
"""Below so many rows of the whole file before, a version is a whole file: writing it costs milliseconds."""
CHANGED_SHARE = 0.25
MOST_CHANGES = 64
REMOVED = "removed"
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


@dataclass(frozen=True)
class State:
    """The files of one state: one with all rows, and those of changes to it, oldest first."""

    whole: Path
    changes: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all files, the whole one first."""
        return self.whole, *self.changes


def state_sql(state: State, columns: Sequence[str], key: Sequence[str]) -> str:
    """Return a DuckDB query for some columns of a state's rows, in no order."""
    names = _listed(columns)
    if not state.changes:
        return f"select {names} from read_parquet({_quoted(state.whole)})"  # noqa: S608 - our own names and paths
    return f"""
        with changes as ({newest_sql(state.changes, columns, key)})
        select {names} from read_parquet({_quoted(state.whole)}) w anti join changes using ({_listed(key)})
        union all
        select {names} from changes where not {REMOVED}
    """  # noqa: S608 - as above


def newest_sql(changes: Sequence[Path], columns: Sequence[str], key: Sequence[str], removed: str = REMOVED) -> str:
    """Return a DuckDB query for the newest row of each key in files of changes; the flag of gone ones is `removed`."""
    parts = (
        f"select *, {number} as step from read_parquet({_quoted(path)})"  # noqa: S608 - our own names and paths
        for number, path in enumerate(changes)
    )
    names = _listed([*key, *(name for name in columns if name not in key)])
    return f"""
        select {names}, {REMOVED} as "{removed}" from ({" union all by name ".join(parts)})
        qualify row_number() over (partition by {_listed(key)} order by step desc) = 1
    """  # noqa: S608 - as above


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


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

    def sql(self, version: Version | None, columns: Sequence[str] = ()) -> str:
        """Return a DuckDB query for some columns (all, where none are named) of a version's rows, in no order."""
        names = tuple(columns) or tuple(self.schema.names)
        if version is None:
            empty = ", ".join(f"cast(null as {_DUCKDB[self.schema.field(n).type]}) as {n}" for n in names)
            return f"select {empty} where false"
        return state_sql(self.state(version), names, self.key)

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
            return pq.read_table(self.directory / version.file)
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

    def add(self, table: pa.Table, import_id: str, imported_at: datetime) -> Version:
        """Make `table` the newest version, whole; the caller holds the lock."""
        return self._add(table.cast(self.schema), import_id, imported_at, None)

    def add_changes(
        self, changed: pa.Table, gone: pa.Table, import_id: str, imported_at: datetime, rows: int
    ) -> Version:
        """Make the newest version one with `changed` rows added or replaced, and the keys of `gone` removed.

        `rows` is how many the table then has. Writes the whole state where it is time to. The caller holds the lock.
        """
        keys = gone.select(list(self.key))
        nulls = [keys[f.name] if f.name in self.key else pa.nulls(len(keys), f.type) for f in self.schema]
        changes = pa.concat_tables(
            [
                changed.cast(self.schema).append_column(REMOVED, pa.repeat(False, len(changed))),
                pa.table(nulls, self.schema).append_column(REMOVED, pa.repeat(True, len(keys))),
            ]
        )
        changes = changes.take(pc.sort_indices(changes, [(name, "ascending") for name in self.key]))
        if self.takes_changes(self.versions(), len(changes)):
            return self._add(changes, import_id, imported_at, rows)
        return self.add(self._with(changes), import_id, imported_at)

    def _with(self, changes: pa.Table) -> pa.Table:
        keys, names = ", ".join(self.key), ", ".join(self.schema.names)
        existing = self.sql(self.newest())
        with duckdb.connect() as connection:
            connection.register("changes", changes)
            query = f"""
                select {names} from ({existing}) e
                where not exists (select 1 from changes c where {" and ".join(f"c.{k} = e.{k}" for k in self.key)})
                union all select {names} from changes where not {REMOVED} order by {keys}
            """  # noqa: S608 - our own names
            return connection.sql(query).to_arrow_table().cast(self.schema)

    def _add(self, table: pa.Table, import_id: str, imported_at: datetime, rows: int | None) -> Version:
        versions = self.versions()
        self._remove_strays(versions)
        name = f"{imported_at:%Y%m%dT%H%M%S%f}Z-{import_id}-{len(versions):06d}.parquet"
        temporary = self.directory / f"{name}.tmp"
        pq.write_table(table, temporary, compression="zstd", row_group_size=ROW_GROUP_ROWS)
        _sync(temporary)
        _rename(temporary, self.directory / name)
        total, changes = (table.num_rows, None) if rows is None else (rows, table.num_rows)
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


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _rename(old: Path, new: Path) -> None:
    old.replace(new)
