"""Keeps `dbt_like_sql/` in the portable subset: the same file must mean the same on DuckDB, PostgreSQL and Spark.

An allow-list of syntax nodes, because a deny-list grows by one production failure at a time: of 24 constructs
tried, 10 failed or answered differently on another engine, and transpiling warned of none. What is not listed
here is refused until somebody adds it together with a case in `tests/sql/`, which runs on both engines.

Run by `make check`: `python -m personalization_pipelines.features.sql_linter [file…]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from personalization_pipelines.quality.contracts import SQL_FOLDER

ALLOWED: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Distinct),
        *(exp.With, exp.CTE, exp.Union, exp.Subquery, exp.Table, exp.TableAlias, exp.Alias, exp.Star, exp.Paren),
        *(exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Var),
        *(exp.DataType, exp.Cast, exp.Interval),
        *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE),
        *(exp.Is, exp.In, exp.Between, exp.Like),
        *(exp.Exists, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least),
        *(exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.IntDiv, exp.Neg, exp.Abs),
        *(exp.Count, exp.Sum, exp.Min, exp.Max, exp.Window, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead),
        *(exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Substring, exp.StrPosition, exp.Reverse, exp.DPipe),
        *(exp.Explode, exp.Array, exp.DateDiff, exp.TimestampTrunc),
    }
)
INSTEAD: dict[type[exp.Expr], str] = {
    exp.ArgMax: "row_number() over (partition by … order by …) in a subquery, then = 1",
    exp.ArgMin: "row_number() over (partition by … order by …) in a subquery, then = 1",
    exp.First: "row_number() over (partition by … order by …) in a subquery, then = 1",
    exp.Rollup: "one SELECT per grouping, and union all",
    exp.Cube: "one SELECT per grouping, and union all",
    exp.GroupingSets: "one SELECT per grouping, and union all",
    exp.Qualify: "the window function in a subquery, and a where clause around it",
    exp.TryCast: "case when the text looks right then cast(…) end",
    exp.Struct: "one column per field",
    exp.ArrayAgg: "keep the rows: no two engines order a collected list alike",
    exp.GroupConcat: "keep the rows: no two engines order a collected list alike",
    exp.PercentileCont: "row_number() and count(*) over (…), and take the middle row",
    exp.Median: "row_number() and count(*) over (…), and take the middle row",
    exp.Extract: "arithmetic on cast(… as date); weekdays are numbered differently everywhere",
    exp.DayOfWeek: "arithmetic on cast(… as date); weekdays are numbered differently everywhere",
    exp.DayOfWeekIso: "arithmetic on cast(… as date); weekdays are numbered differently everywhere",
    exp.AtTimeZone: "a join with utc_days, as in stg_events.sql",
    exp.TimeToUnix: "timestamps as they are, and intervals",
    exp.GenerateSeries: "a recursive with clause",
    exp.Unnest: "unnest(…) as a column of the select",
    exp.CurrentDate: "build.as_of_day: a build can be repeated as of any past moment",
    exp.CurrentTimestamp: "build.as_of: a build can be repeated as of any past moment",
    exp.Rand: "nothing: a build gives the same rows every time",
    exp.TableSample: "nothing: a build gives the same rows every time",
    exp.Limit: "row_number() over (… order by all key columns) in a subquery",
    exp.Div: "integer division (//), or leave the division to numpy: sums of floats differ between runs",
    exp.Avg: "sum and count; the division is the reader's",
    exp.Lateral: "a join",
    exp.ILike: "lower(…) like …",
    exp.RegexpLike: "like, or substring and strpos: regular expressions differ between engines",
    exp.ReadParquet: "a source: lake_events, lake_items, lake_prices, lake_users, build, utc_days",
}
ANONYMOUS: dict[str, str] = {
    "hash": "the columns themselves: every engine hashes differently",
    "now": "build.as_of: a build can be repeated as of any past moment",
}
CAST_TYPES = {
    exp.DataType.Type.TEXT,
    exp.DataType.Type.VARCHAR,
    exp.DataType.Type.INT,
    exp.DataType.Type.SMALLINT,
    exp.DataType.Type.BIGINT,
    exp.DataType.Type.DATE,
    exp.DataType.Type.TIMESTAMP,
    exp.DataType.Type.TIMESTAMPNTZ,
    exp.DataType.Type.BOOLEAN,
    exp.DataType.Type.ARRAY,
}
BUILD_COLUMNS = {"as_of", "as_of_day", "time_zone", "max_events_per_minute", "first_language", "category_from_clicks"}
SHOWN = 50  # characters of a construct in a finding
JOINS = {"", "INNER", "LEFT", "CROSS"}


@dataclass(frozen=True)
class Finding:
    """One construct outside the subset: where, what, and what to write instead."""

    path: Path
    line: int
    construct: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.construct}: write {self.instead}"


def lint(sql: str, path: Path) -> list[Finding]:
    """Return what is outside the portable subset in one file's text."""
    try:
        statements = [one for one in sqlglot.parse(sql, dialect="duckdb") if one is not None]
    except sqlglot.errors.ParseError as error:
        where = error.errors[0] if error.errors else {}
        return [Finding(path, where.get("line") or 1, "text that is not SQL", "a SELECT")]
    if len(statements) != 1 or not isinstance(statements[0], exp.Select | exp.Union):
        return [Finding(path, 1, "a file that is not one SELECT", "one SELECT per file; its name is the table's")]
    tree = statements[0]
    found = [Finding(path, line, *what) for line, what in (*_nodes(tree), *_outermost(tree))]
    return sorted(dict.fromkeys(found), key=lambda finding: (finding.line, finding.construct))


def lint_files(paths: list[Path]) -> list[Finding]:
    """Return what is outside the portable subset in some files."""
    return [finding for path in paths for finding in lint(path.read_text(encoding="utf-8"), path)]


def _nodes(tree: exp.Expr) -> Iterator[tuple[int, tuple[str, str]]]:
    line = 1
    for node in tree.walk(bfs=False):
        line = _line(node) or line
        problem = _problem(node)
        if problem:
            yield line, problem


def _problem(node: exp.Expr) -> tuple[str, str] | None:
    if isinstance(node, exp.Anonymous):
        name = node.name.lower()
        return f"{name}()", ANONYMOUS.get(name, "a function that all three engines have (see ALLOWED)")
    if type(node) not in ALLOWED:
        return _called(node), INSTEAD.get(type(node), "it with what the portable subset has (see ALLOWED)")
    check = CHECKS.get(type(node))
    return check(node) if check else None


def _join(node: exp.Join) -> tuple[str, str] | None:
    for part in ("method", "kind"):
        word = str(node.args.get(part) or "").upper()
        if word not in JOINS:
            return f"{word} join", "an inner or left join, or where exists (…)"
    if str(node.args.get("side") or "").upper() not in JOINS:
        return f"{node.args['side']} join", "a left join from the other side"
    if node.args.get("using"):
        return "join … using", "join … on with both columns named"
    return None


def _group(node: exp.Group) -> tuple[str, str] | None:
    if node.args.get("all"):
        return "group by all", "every grouped column by name"
    if any(isinstance(one, exp.Literal) for one in node.expressions):
        return "group by a position", "the column's name"
    return None


def _star(node: exp.Star) -> tuple[str, str] | None:
    for part, word in (("except_", "exclude"), ("except", "exclude"), ("replace", "replace"), ("rename", "rename")):
        if node.args.get(part):
            return f"select * {word}", "the columns by name"
    return None


def _distinct(node: exp.Distinct) -> tuple[str, str] | None:
    if node.args.get("on"):
        return "distinct on", "row_number() over (partition by … order by …) in a subquery, then = 1"
    return None


def _array(node: exp.Array) -> tuple[str, str] | None:
    if node.expressions or not isinstance(node.parent, exp.Cast):
        return "a list literal", "cast([] as varchar[]) for no values, else rows"
    return None


def _explode(node: exp.Explode) -> tuple[str, str] | None:
    parent = node.parent.parent if isinstance(node.parent, exp.Alias) else node.parent
    return (
        None if isinstance(parent, exp.Select) else ("unnest inside an expression", "unnest(…) as a column of its own")
    )


def _date_diff(node: exp.DateDiff) -> tuple[str, str] | None:
    for side in (node.this, node.expression):
        if not (isinstance(side, exp.Cast) and side.to.this == exp.DataType.Type.DATE):
            return "date_diff on timestamps", "date_diff('day', cast(… as date), cast(… as date))"
    return None


def _timestamp_trunc(node: exp.TimestampTrunc) -> tuple[str, str] | None:
    unit = node.text("unit").lower()
    if unit not in {"minute", "hour"}:
        return f"date_trunc('{unit}', …)", "cast(… as date) for days; weeks begin on other days elsewhere"
    return None


def _cast(node: exp.Cast) -> tuple[str, str] | None:
    if node.to.this not in CAST_TYPES:
        return f"cast to {node.to.sql().lower()}", "text, an integer type, date or timestamp; tables hold no floats"
    return None


def _literal(node: exp.Literal) -> tuple[str, str] | None:
    if not node.args.get("is_string") and not str(node.this).isdigit():
        return f"the number {node.this}", "whole numbers: sums of floats differ between runs"
    return None


def _table(node: exp.Table) -> tuple[str, str] | None:
    if not isinstance(node.this, exp.Identifier):
        return "a table function", "a source or another file's table"
    if node.args.get("db") or not node.name.isidentifier():
        return f"the table {node.sql(dialect='duckdb')}", "a source's or another file's name"
    return None


def _column(node: exp.Column) -> tuple[str, str] | None:
    if node.name in BUILD_COLUMNS and node.table != "build":
        return f"{node.name} without its table", f"build.{node.name}: the fingerprint counts what is read of build"
    return None


def _aggregate(node: exp.Expr) -> tuple[str, str] | None:
    if node.find(exp.Order):
        return "an ordered aggregate", "row_number() over (… order by …) in a subquery"
    return None


CHECKS: dict[type[exp.Expr], Callable[[Any], tuple[str, str] | None]] = {
    exp.Join: _join,
    exp.Group: _group,
    exp.Star: _star,
    exp.Distinct: _distinct,
    exp.Array: _array,
    exp.Explode: _explode,
    exp.DateDiff: _date_diff,
    exp.TimestampTrunc: _timestamp_trunc,
    exp.Cast: _cast,
    exp.Literal: _literal,
    exp.Table: _table,
    exp.Column: _column,
    exp.Sum: _aggregate,
    exp.Min: _aggregate,
    exp.Max: _aggregate,
}


def _outermost(tree: exp.Query) -> Iterator[tuple[int, tuple[str, str]]]:
    """The outermost SELECT names its columns and sorts its rows: the table's shape and bytes hang on both."""
    order = tree.args.get("order")
    if order is None:
        yield 1, ("no order by at the end", "order by with all key columns last: builds are compared byte by byte")
    elif not all(isinstance(one.this, exp.Column) for one in order.expressions):
        yield _line(order) or 1, ("order by an expression or a position", "order by columns of the select")
    if any(one.is_star for one in tree.selects):
        yield 1, ("select * at the end", "the table's columns by name, in the contract's order")


def _line(node: exp.Expr) -> int | None:
    """Return the line a node stands on: its own, else that of the first thing inside that knows one."""
    return next((one.meta["line"] for one in node.walk(bfs=False) if "line" in one.meta), None)


def _called(node: exp.Expr) -> str:
    """Return a construct as DuckDB would write it, cut to a readable length."""
    text = " ".join(node.sql(dialect="duckdb", comments=False).split())
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def main(arguments: list[str]) -> int:
    """Print every finding in the named files, or in all of `dbt_like_sql/`; return 1 if there is any."""
    paths = [Path(argument) for argument in arguments] or sorted(SQL_FOLDER.glob("*/*.sql"))
    findings = lint_files(paths)
    for finding in findings:
        print(finding)
    print(f"{len(paths)} SQL files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
