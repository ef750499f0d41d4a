"""Builds of a feature table only the rows that the news can have changed, and writes them beside the table.

A contract says `row_by_row` where rows depend only on rows with equal columns elsewhere. What those columns were
touched with since the table was built is read from the changes of what it reads; its SELECT then runs over the touched
rows alone. tests/features/test_patching.py proves that the outcome is what building the whole table gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from personalization_pipelines.features.contracts import Contract
from personalization_pipelines.features.engine import SOURCES, Engine, quoted
from personalization_pipelines.features.stored import Change, StoredTable, column_list
from personalization_pipelines.features.table_columns import sha256
from personalization_pipelines.fingerprint import fingerprint

LEAST_ROWS = 20_000
"""Smaller tables are built whole: that takes milliseconds."""
CHANGED_SHARE = 0.25
MOST_CHANGES = 24
TOUCHED = "touched_keys"

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
        self._by = contract.row_by_row

    def touch(self, changed: Iterable[str]) -> bool:
        """Find the keys touched in the `changed` sources; False where the table is to be built whole."""
        queries = [self._touched_in(name) for name in changed]
        rows = int(self._table.sidecar["rows"])
        if not queries or None in queries or not self._by or rows < LEAST_ROWS:
            return False
        if len(self._table.changes) >= MOST_CHANGES:
            return False
        together = " union ".join(query for query in queries if query)
        self._engine.rows(f"create or replace temp table {TOUCHED} as {together}")
        touched = sum(change.touched for change in self._table.changes) + self._count(TOUCHED)
        return touched <= CHANGED_SHARE * rows

    def patch(self, sql: str, state: str, compared: Collection[str]) -> Patch:
        """Run the SELECT over touched rows; write what it gives and what is gone as one more change.

        Only `compared` columns are looked into for differences; others count as changed.
        """
        rows, gone = (self._table.path.with_suffix(f".{kind}-{state}.parquet") for kind in ("rows", "gone"))
        try:
            for name in self._sources:
                self._restrict(name)
            written = self._engine.write(sql, rows)
        finally:
            for name in SOURCES.keys() & self._sources.keys():
                self._engine.show_source(name)
        key, old = column_list(self._contract.key), self._table.restricted_sql(TOUCHED, self._by)
        went = self._engine.write(_GONE.format(key=key, old=old, new=quoted(rows), order=key), gone)
        before, differing = self._compare(old, rows, sorted(compared))
        if went or written > before:  # rows that came or went are in every column
            differing = frozenset(self._contract.columns)
        else:
            differing |= self._contract.columns.keys() - set(compared)
        (rows_name, rows_sha256), (gone_name, gone_sha256) = _kept(rows, written), _kept(gone, went)
        change = Change(rows_name, gone_name, rows_sha256, gone_sha256, written + went)
        total = int(self._table.sidecar["rows"]) - before + written
        if not change.touched:
            return Patch(self._table.changes, total, frozenset())
        return Patch((*self._table.changes, change), total, differing)

    def _touched_in(self, name: str) -> str | None:
        source = self._sources[name]
        if not source.only_changed:
            return None
        if source.stored:
            return source.stored.touched_sql(len(source.before) - 1, self._by)
        files = self._engine.changed_files(name)[len(source.before) :]
        names = column_list(self._by)
        return " union ".join(f"select {names} from read_parquet({quoted(file)})" for file in files)  # noqa: S608 - ours

    def _restrict(self, name: str) -> None:
        source = self._sources[name]
        if source.stored and self._has_columns(source.stored.path):
            self._engine.add_table(name, source.stored.restricted_sql(TOUCHED, self._by))
        elif source.stored:
            self._engine.add_table(name, source.stored.sql())
        elif set(self._by) <= set(SOURCES[name].names):
            self._engine.restrict_source(name, TOUCHED, self._by)

    def _has_columns(self, path: Path) -> bool:
        found = self._engine.rows(f"describe select * from read_parquet({quoted(path)})")  # noqa: S608 - our own path
        return set(self._by) <= {row[0] for row in found}

    def _compare(self, old: str, rows: Path, compared: Sequence[str]) -> tuple[int, frozenset[str]]:
        """Return how many rows there were, and in which of the compared columns the new ones differ."""
        key = column_list(self._contract.key)
        differing = "".join(f', bool_or(o."{name}" is distinct from n."{name}")' for name in compared)
        query = f"""
            select count(*){differing}
            from ({old}) o left join read_parquet({quoted(rows)}) n using ({key})
        """  # noqa: S608 - names and paths are ours
        ((before, *found),) = self._engine.rows(query)
        return before, frozenset(name for name, differs in zip(compared, found, strict=True) if differs)

    def _count(self, relation: str) -> int:
        return int(self._engine.rows(f"select count(*) from {relation}")[0][0])  # noqa: S608 - ours


_GONE = """
select {key} from (select {key} from ({old})) anti join read_parquet({new}) using ({key}) order by {order}
"""


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
