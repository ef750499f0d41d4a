"""How a feature table lies on disk: a whole Parquet file and, of large tables of items, what changed in it since.

`<table>.parquet` holds all rows of one moment. A change since is up to two files, both in the order of the table's
key: `<table>.rows-<state>.parquet` with the rows that are new or other than before, and `<table>.gone-<state>.parquet`
with the keys of those that went. The sidecar `<table>.json` lists the changes, oldest first; a file that it does not
list does not exist. Of equal keys the newest counts. So a small change to a large table costs what it brings, and what
reads the table whole pays a little for putting it together.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.sql_names import column_list, quoted

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 16
GONE = "gone"


@dataclass(frozen=True)
class Change:
    """The files of one change by name, "" where there is none; their SHA-256; how many keys it touches."""

    rows: str
    gone: str
    rows_sha256: str
    gone_sha256: str
    touched: int

    @property
    def state(self) -> str:
        """Return what tells this change from another."""
        return f"{self.rows_sha256}-{self.gone_sha256}"


class Parts(NamedTuple):
    """A relation with all rows of a moment, and queries for its changes since, oldest first, with the column `gone`.

    Of equal `key`s the newest counts. Where the relation never changes, there is no key.
    """

    whole: str
    changes: tuple[str, ...] = ()
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredTable:
    """A table as its sidecar describes it; `key` is empty where the table is always one whole file."""

    path: Path
    sidecar: Mapping[str, Any]
    key: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

    @classmethod
    def of(cls, path: Path) -> StoredTable | None:
        """Return the table whose whole file is `path`; None where the sidecar is nothing or not about these files."""
        try:
            sidecar = json.loads(path.with_suffix(".json").read_text())
            changes = tuple(Change(**one) for one in sidecar.get("changes", ()))
            table = cls(path, sidecar, tuple(sidecar.get("key", ())), changes)
            return table if sidecar["bytes"] == sum(file.stat().st_size for file in table.files) else None
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @property
    def rows(self) -> int:
        """Return how many rows it has."""
        return int(self.sidecar["rows"])

    @property
    def chain(self) -> list[str]:
        """Return the states of the whole file and of each change; a table that only changed has a longer chain."""
        return [str(self.sidecar["sha256"]), *(change.state for change in self.changes)]

    @property
    def state(self) -> str:
        """Return what tells one content from another: the SHA-256 of its file, or of all that it consists of."""
        return self._state_after(len(self.changes))

    def _state_after(self, changes: int) -> str:
        return self.chain[0] if not changes else fingerprint(chain=self.chain[: changes + 1])

    def changes_since(self, state: str) -> tuple[Change, ...] | None:
        """Return what changed since one of its states, oldest first; None where it was never in that one."""
        for number in range(len(self.changes), -1, -1):
            if self._state_after(number) == state:
                return self.changes[number:]
        return None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all its files, the whole one first."""
        return self.path, *self.files_of(self.changes)

    def files_of(self, changes: Iterable[Change]) -> tuple[Path, ...]:
        """Return the files of some of its changes."""
        names = [name for change in changes for name in (change.rows, change.gone) if name]
        return tuple(self.path.with_name(name) for name in names)

    @property
    def digests(self) -> dict[Path, str]:
        """Return the SHA-256 that each file must have."""
        named = {one.rows: one.rows_sha256 for one in self.changes} | {
            one.gone: one.gone_sha256 for one in self.changes
        }
        return {file: named.get(file.name, str(self.sidecar["sha256"])) for file in self.files}

    def without_last(self) -> StoredTable:
        """Return the table as it was before its last change."""
        return StoredTable(self.path, self.sidecar, self.key, self.changes[:-1])

    def touched_sql(self, after: int, columns: Sequence[str]) -> str:
        """Return a DuckDB query for some key columns of what was touched by the changes after the first `after`."""
        parts = [one for change in self.changes[after:] for one in (change.rows, change.gone) if one]
        return " union ".join(f"select {column_list(columns)} from {self._read(name)}" for name in parts)  # noqa: S608 - ours

    def sql(self) -> str:
        """Return a DuckDB query for its rows, in no order."""
        if not self.changes:
            return f"select * from {self._read(self.path.name)}"  # noqa: S608 - our own path
        return f"""
            with newest as ({self._newest(self.changes)})
            select * from {self._read(self.path.name)} anti join newest using ({column_list(self.key)})
            union all by name select * exclude ({GONE}) from newest where not {GONE}
        """  # noqa: S608 - names and paths are ours

    @property
    def parts(self) -> Parts:
        """Return it as what a query for a few of its rows looks through."""
        return Parts(self._read(self.path.name), tuple(map(self._change, self.changes)), self.key)

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield its rows in the order of its key, only `columns`, about `rows` at a time."""
        import pyarrow.parquet as pq

        wanted = list(columns)
        with pq.ParquetFile(self.path) as file:
            if not self.changes:
                yield from file.iter_batches(rows, columns=wanted)
                return
            read = [*wanted, *(name for name in self.key if name not in wanted)]
            merger = _Merger(self.newest_rows(self.changes, read), self.key)
            for batch in file.iter_batches(rows, columns=read):
                yield from merger.add(batch.select(read)).select(wanted).to_batches()
            yield from merger.rest().select(wanted).to_batches()

    def some(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield rows to look at, at most so many at a time: those of the last change, or of a table without, its own.

        Putting a large table together to show its first rows would take longer than building what changed.
        """
        import pyarrow.parquet as pq

        last = self.changes[-1].rows if self.changes else ""
        if not last:
            yield from self.batches(columns, rows)
            return
        with pq.ParquetFile(self.path.with_name(last)) as file:
            yield from file.iter_batches(rows, columns=list(columns))

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return its rows in the order of its key, only `columns`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pq.read_schema(self.path)
        if missing := set(columns) - set(schema.names):
            raise CorruptData(f"{self.path}: lacks the columns {sorted(missing)}; delete it and build again")
        return pa.Table.from_batches(self.batches(columns), pa.schema([schema.field(name) for name in columns]))

    def _read(self, name: str) -> str:
        return f"read_parquet({quoted(self.path.with_name(name))})"

    def _change(self, change: Change) -> str:
        """Return a query for the rows of a change and the keys of what it removed, which are `gone`."""
        named = ((change.rows, "false"), (change.gone, "true"))
        return " union all by name ".join(
            f"select *, {gone} as {GONE} from {self._read(name)}"  # noqa: S608 - ours
            for name, gone in named
            if name
        )

    def _newest(self, changes: Sequence[Change]) -> str:
        """Return a query for the newest row of each key that a change touched; `gone` where the change removed it."""
        steps = (f"select *, {step} as step from ({self._change(one)})" for step, one in enumerate(changes))  # noqa: S608
        return f"""
            select * exclude (step) from ({" union all by name ".join(steps)})
            qualify row_number() over (partition by {column_list(self.key)} order by step desc) = 1
        """  # noqa: S608 - names and paths are ours

    def newest_rows(self, changes: Sequence[Change], columns: Sequence[str]) -> pa.Table:
        """Return the newest row of each key that these changes touched, in the order of the key, and the flag `gone`.

        Of a row that is gone only the key is there.
        """
        import duckdb

        # a table of which nothing but keys went has no other columns: the whole file says which there are
        newest = f"union all by name {self._newest(changes)}" if changes else ""
        order = f"order by {column_list(self.key)}" if changes else ""
        query = f"""
            select {column_list(columns)}, {GONE} from (
                select *, false as {GONE} from {self._read(self.path.name)} where false {newest}
            ) {order}
        """  # noqa: S608 - names and paths are ours
        with duckdb.connect() as connection:
            return connection.sql(query).to_arrow_table()


class _Merger:
    """Puts changed rows into the batches of a whole table; both in the order of their key."""

    def __init__(self, newest: pa.Table, key: tuple[str, ...]) -> None:
        self._newest, self._key = newest.combine_chunks(), key
        self._keys = list(zip(*(newest[name].to_pylist() for name in key), strict=True))
        self._joined = _joined(newest, key)
        self._done = 0

    def add(self, batch: pa.RecordBatch) -> pa.Table:
        """Return the rows of the batch as they are now, with what is new between them."""
        import pyarrow as pa

        if not batch.num_rows:
            return pa.Table.from_batches([batch])
        last = tuple(batch.column(name)[-1].as_py() for name in self._key)
        return self._merged(pa.Table.from_batches([batch]), bisect_right(self._keys, last, self._done))

    def rest(self) -> pa.Table:
        """Return what is new behind the last batch."""
        return self._merged(self._newest.slice(0, 0).drop_columns(GONE), len(self._keys))

    def _merged(self, old: pa.Table, end: int) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        begin, self._done = self._done, end
        if begin == end:
            return old
        here, joined = self._newest.slice(begin, end - begin), self._joined.slice(begin, end - begin)
        gone = np.asarray(here[GONE].combine_chunks().to_numpy(zero_copy_only=False), np.bool_)
        place = pc.fill_null(pc.index_in(_joined(old, self._key), value_set=joined), -1).to_numpy(zero_copy_only=False)
        rows = np.where(place >= 0, len(old) + place, np.arange(len(old)))[(place < 0) | ~gone[place]]
        together = pa.concat_tables([old, here.drop_columns(GONE).cast(old.schema)])
        added = np.setdiff1d(np.flatnonzero(~gone), place)
        if not len(added):
            return together.take(rows)
        more = together.take(np.append(rows, len(old) + added))
        return more.take(pc.sort_indices(more, [(name, "ascending") for name in self._key]))


def _joined(table: pa.Table, key: Sequence[str]) -> pa.Array:
    """Return each row's key as one text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = [table[name].cast(pa.string()) for name in key]
    return pc.binary_join_element_wise(*texts, "\0").combine_chunks()
