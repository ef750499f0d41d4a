"""One state of a versioned table as SQL: the rows of a whole file, with the changes of those after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from personalization_pipelines.foundation.sql_names import column_list, quoted

REMOVED = "removed"
"""The column of a file of changes that says which keys went."""


@dataclass(frozen=True)
class State:
    """The files of one state: one with all rows, and those of changes to it, oldest first."""

    whole: Path
    changes: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all files, the whole one first."""
        return self.whole, *self.changes


def read_sql(path: Path) -> str:
    """Return what a FROM clause reads a file by."""
    return f"read_parquet({quoted(path)})"


def state_sql(
    state: State, columns: Sequence[str], key: Sequence[str], source: Callable[[Path], str] = read_sql
) -> str:
    """Return a DuckDB query for some columns of a state's rows, in no order; `source` is how SQL reads a file."""
    names = column_list(columns)
    if not state.changes:
        return f"select {names} from {source(state.whole)}"  # noqa: S608 - our own names and paths
    steps = (
        f"select *, {number} as step from {source(path)}"  # noqa: S608 - as above
        for number, path in enumerate(state.changes)
    )
    kept = column_list([*key, *(name for name in columns if name not in key)])
    return f"""
        with changes as (
            select {kept}, {REMOVED} from ({" union all by name ".join(steps)})
            qualify row_number() over (partition by {column_list(key)} order by step desc) = 1
        )
        select {names} from {source(state.whole)} w anti join changes using ({column_list(key)})
        union all
        select {names} from changes where not {REMOVED}
    """  # noqa: S608 - as above
