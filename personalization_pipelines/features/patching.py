"""Builds of a feature table only the rows that the news can have changed, and writes them beside the table.

A contract says `row_by_row` where rows depend only on rows with equal columns elsewhere. What those columns were
touched with since the table was built is read from the changes of what it reads; its SELECT then runs over the touched
rows alone. tests/features/test_patching.py proves that the outcome is what building the whole table gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from personalization_pipelines.features.engine import Engine
from personalization_pipelines.features.stored import GONE, Change, Parts, StoredTable
from personalization_pipelines.features.table_columns import sha256
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.sql_names import column_list, quoted
from personalization_pipelines.quality.contracts import Contract

LEAST_ROWS = 20_000
"""Smaller tables are built whole: that takes milliseconds."""
CHANGED_SHARE = 0.25
MOST_CHANGES = 24
TOUCHED, OLD, NEWEST, OTHERS = "touched_keys", "old_rows", "newest_keys", "other_keys"

States = Sequence[str]


@dataclass(frozen=True)
class Patch:
    """What a change made of a table: its changes, rows and size, and the columns that may hold something else."""

    changes: tuple[Change, ...]
    rows: int
    changed: frozenset[str]


@dataclass(frozen=True)
class Source:
    """One table that is read: the states of its files as they were when the reader was built and as they are."""

    before: States
    now: States
    stored: StoredTable | None = None

    @property
    def only_changed(self) -> bool:
        """Whether all that differs is known from further files."""
        return bool(self.before) and self.now[: len(self.before)] == self.before


class Patcher:
    """Patches one table; `contract` says by which columns, `sources` are the tables its SELECT reads."""

    def __init__(self, engine: Engine, table: StoredTable, contract: Contract, sources: Mapping[str, Source]) -> None:
        self._engine, self._table, self._contract, self._sources = engine, table, contract, sources
        self._by, self._rows = contract.row_by_row, table.rows

    def touch(self, changed: Iterable[str]) -> bool:
        """Find the keys touched in the `changed` sources; False where the table is to be built whole."""
        queries = [self._touched_in(name) for name in changed]
        if not queries or None in queries or not self._by or len(self._table.changes) >= MOST_CHANGES:
            return False
        together = " union ".join(query for query in queries if query)
        self._engine.rows(f"create or replace temp table {TOUCHED} as {together}")
        own, read = self._rows, max([self._rows, *(one.stored.rows for one in self._sources.values() if one.stored)])
        changed_rows = sum(change.touched for change in self._table.changes)
        return (
            read >= LEAST_ROWS
            and self._count(TOUCHED) <= CHANGED_SHARE * read
            and (changed_rows <= CHANGED_SHARE * max(own, LEAST_ROWS))
        )

    def patch(self, sql: str, state: str, compared: Collection[str]) -> Patch:
        """Run the SELECT over touched rows; write what it gives and what is gone as one more change.

        Only `compared` columns are looked into for differences; others count as changed.
        """
        rows, gone = (self._table.path.with_suffix(f".{kind}-{state}.parquet") for kind in ("rows", "gone"))
        shown = [name for name in self._sources if self._show_touched(name)]
        written = self._engine.write(sql, rows)
        for name in shown:
            self._engine.rows(f'drop table temp."{name}"')
        went, before, differing = self._differences(rows, gone, sorted(compared))
        if went or written > before:  # rows that came or went are in every column
            differing = frozenset(self._contract.columns)
        else:
            differing |= self._contract.columns.keys() - set(compared)
        (rows_name, rows_sha256), (gone_name, gone_sha256) = _kept(rows, written), _kept(gone, went)
        change = Change(rows_name, gone_name, rows_sha256, gone_sha256, written + went)
        if not change.touched:
            return Patch(self._table.changes, self._rows, frozenset())
        return Patch((*self._table.changes, change), self._rows - before + written, differing)

    def _touched_in(self, name: str) -> str | None:
        source = self._sources[name]
        if not source.only_changed:
            return None
        if source.stored:
            return source.stored.touched_sql(len(source.before) - 1, self._by)
        files = self._engine.changed_files(name)[len(source.before) :]
        names = column_list(self._by)
        return " union ".join(f"select {names} from read_parquet({quoted(file)})" for file in files)  # noqa: S608 - ours

    def _show_touched(self, name: str) -> bool:
        """Let a table that has the columns show its touched rows alone; a temporary table hides a view."""
        stored = self._sources[name].stored
        if stored:
            self._engine.add_table(name, stored.sql())
        parts = stored.parts if stored else self._engine.parts(name)
        names = [row[0] for row in self._engine.rows(f'describe "{name}"')]
        if parts is None or not set(self._by) <= set(names):
            return False
        self._pick(name, parts, names)
        return True

    def _pick(self, target: str, parts: Parts, columns: Sequence[str], *, narrow: bool = False) -> None:
        """Make the temporary table `target` of the touched rows of a relation.

        Rows are read of those changes alone that have such ones; of what is whole, keys are looked through first, where
        its columns are not `narrow` (then looking costs what reading does).
        """
        if parts.changes:
            found = [*self._changed(parts), *self._unchanged(parts, narrow)]
        else:
            found = [f"{parts.whole} semi join {TOUCHED} using ({column_list(self._by)})"]
        read = column_list(columns)
        rows = " union all by name ".join(f"select {read} from {one}" for one in found)  # noqa: S608 - names and paths are ours
        self._engine.rows(f'create or replace temp table "{target}" as {rows}')

    def _changed(self, parts: Parts) -> list[str]:
        """Put key, step and `gone` of each touched key that changed into NEWEST; return relations with its rows."""
        by, key = column_list(self._by), column_list(parts.key)
        steps = " union all ".join(
            f"select {key}, {GONE}, {step} as step from ({one}) semi join {TOUCHED} using ({by})"  # noqa: S608 - as above
            for step, one in enumerate(parts.changes)
        )
        newest = f"select * from ({steps}) qualify row_number() over (partition by {key} order by step desc) = 1"  # noqa: S608
        self._engine.rows(f"create or replace temp table {NEWEST} as {newest}")
        there = self._engine.rows(f"select distinct step from {NEWEST} where not {GONE} order by step")  # noqa: S608 - as above
        return [
            f"(select * exclude ({GONE}) from ({parts.changes[step]}) where not {GONE}) "  # noqa: S608 - as above
            f"semi join (select {key} from {NEWEST} where step = {step} and not {GONE}) using ({key})"
            for (step,) in there
        ]

    def _unchanged(self, parts: Parts, narrow: bool) -> list[str]:
        """Return relations with the touched rows of what is whole that no change holds."""
        if set(self._by) == set(parts.key) and self._count(NEWEST) == self._count(TOUCHED):
            return [_none_of(parts)]
        by, key = column_list(self._by), column_list(parts.key)
        others = f"{parts.whole} semi join {TOUCHED} using ({by}) anti join {NEWEST} using ({key})"
        if narrow:
            return [others]
        self._engine.rows(f"create or replace temp table {OTHERS} as select {key} from {others}")  # noqa: S608 - as above
        # behind nothing to join with, DuckDB still reads the columns
        return [f"{parts.whole} semi join {OTHERS} using ({key})" if self._count(OTHERS) else _none_of(parts)]

    def _differences(self, rows: Path, gone: Path, compared: Sequence[str]) -> tuple[int, int, frozenset[str]]:
        """Write the keys of `rows` that went; return how many, of how many rows, and which compared columns differ."""
        key = column_list(self._contract.key)
        read = [*self._contract.key, *(name for name in compared if name not in self._contract.key)]
        self._pick(OLD, self._table.parts, read, narrow=True)
        new = f"read_parquet({quoted(rows)})"
        went = self._engine.write(f"select {key} from {OLD} anti join {new} using ({key}) order by {key}", gone)  # noqa: S608
        differing = "".join(f', bool_or(o."{name}" is distinct from n."{name}")' for name in compared)
        query = f"select count(*){differing} from {OLD} o left join {new} n using ({key})"  # noqa: S608 - ours
        ((before, *found),) = self._engine.rows(query)
        return went, before, frozenset(name for name, differs in zip(compared, found, strict=True) if differs)

    def _count(self, relation: str) -> int:
        return int(self._engine.rows(f"select count(*) from {relation}")[0][0])  # noqa: S608 - ours


def _none_of(parts: Parts) -> str:
    """Return a relation without rows, which has the columns: there may be no other."""
    return f"(select * from {parts.whole} where false)"  # noqa: S608 - as above


def evolved(digests: Mapping[str, str], patch: Patch) -> dict[str, str]:
    """Return the digests of columns after a patch: others where what they stand for may be another."""
    if len(patch.changes) == 0:
        return dict(digests)
    state = patch.changes[-1].state
    return {
        name: fingerprint(before=digest, change=state) if name in patch.changed else digest
        for name, digest in digests.items()
    }


def described(changes: Iterable[Change]) -> list[dict[str, object]]:
    """Return changes as a sidecar lists them."""
    return [asdict(change) for change in changes]


def remove_strays(table: StoredTable) -> None:
    """Remove files of changes that the table no longer has, or never had because writing it was interrupted."""
    kept = {path.name for path in table.files}
    for kind in ("rows", "gone"):
        for path in table.path.parent.glob(f"{table.path.stem}.{kind}-*.parquet"):
            if path.name not in kept:
                path.unlink()


def _kept(path: Path, rows: int) -> tuple[str, str]:
    """Return the name and SHA-256 of a file with rows; one without is removed."""
    if rows:
        return path.name, sha256(path)
    path.unlink()
    return "", ""
