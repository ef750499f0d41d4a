"""Whether a table keeps its contract, and the gates on the events of a website.

Two readings of one contract. Every rule that a row can break (null, range, set, pattern, pair, key) is counted
over the *whole* table by one DuckDB statement; Great Expectations validates the declared suite on a sample of at
most 10,000 rows spread evenly and repeatably over the table (every k-th row). A rule holds where both say so.
Why not GX alone: a 1.5 M row pandas frame costs it seconds and a gigabyte. Why not SQL alone: GX is the reading
that people know, and the two would disagree where a rule means different things to different engines.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.sql_names import quoted
from personalization_pipelines.quality.contracts import DUCKDB_TYPES, Column, Contract, Expectation
from personalization_pipelines.quality.expectations import ROW_COUNT, SHOWN_VALUES, validated
from personalization_pipelines.quality.findings import CheckReport, CheckRow

__all__ = ["CheckReport", "CheckRow", "check_daily_share", "check_rejected", "check_table"]

LEAST_DAYS = 7
"""Days of events before a day can be compared with the usual one."""


def check_table(name: str, contract: Contract, path: Path) -> CheckReport:
    """Return whether the Parquet table at `path` keeps its contract.

    Raises CorruptData where there is no readable table.
    """
    with duckdb.connect(":memory:") as connection:
        try:
            found = connection.execute(f"describe select * from read_parquet({quoted(path)})").fetchall()  # noqa: S608 - a path of ours, quoted
        except duckdb.Error as error:
            raise CorruptData(f"{path}: the feature {name} cannot be read ({error}); build it again") from error
        shape = _shape(contract, {row[0]: row[1] for row in found})
        if not all(row.ok for row in shape):
            return CheckReport(name, tuple(shape))
        guards = _guards(connection, contract, path)
    expected = validated(name, contract, path)
    note = f"{expected.total:,} rows; Great Expectations on {expected.sampled:,} of them"
    return CheckReport(name, (*shape, *_merged(guards, expected.rows)), note)


def check_rejected(accepted: int, rejected: int, max_rejected: float) -> CheckReport:
    """Return whether at most the share `max_rejected` of what arrived was rejected (`quality.events.max_rejected`)."""
    arrived = accepted + rejected
    ok = rejected <= max_rejected * arrived
    shown = (
        f"{rejected / arrived:.2%} of {arrived:,} arrived; at most {max_rejected:.2%} may be"
        if arrived
        else "none arrived"
    )
    return CheckReport("events", (CheckRow("at most max_rejected are rejected", "", ok, rejected, (shown,)),))


def check_daily_share(events: Mapping[date, int], today: date, min_daily_share: float) -> CheckReport:
    """Return whether yesterday, the last full day, had its share of the usual day (`quality.events.min_daily_share`).

    `events`: tracked events by day in the website's time zone; a day that is absent had none. The usual day is the
    median of all full days from the first to the day before yesterday. With fewer than 7 of them nothing can
    be called usual: the report passes and says so.
    """
    rule, yesterday = "yesterday has at least min_daily_share of the median day", today - timedelta(days=1)
    first = min(events, default=today)
    before = [events.get(first + timedelta(days=number), 0) for number in range((yesterday - first).days)]
    if len(before) < LEAST_DAYS:
        note = f"{len(before)} tracked days before yesterday; the daily share is compared from {LEAST_DAYS} on"
        return CheckReport("events", (CheckRow(rule, "day", True, 0),), note)
    usual, seen = statistics.median(before), events.get(yesterday, 0)
    shown = (
        f"{seen:,} tracked events on {yesterday}, {usual:,.0f} on the median day, {min_daily_share:.0%} demanded; look "
        "whether the website still sends them, or lower `quality: {events: {min_daily_share: …}}`"
    )
    ok = seen >= min_daily_share * usual
    return CheckReport("events", (CheckRow(rule, "day", ok, 0 if ok else 1, (shown,)),))


def _shape(contract: Contract, found: Mapping[str, str]) -> list[CheckRow]:
    """Compare names, order and types of the columns with the contract's."""
    wanted = {name: DUCKDB_TYPES[column.type] for name, column in contract.columns.items()}
    names = [CheckRow("expect_table_columns_to_match_ordered_list", "", list(found) == list(wanted), 0)]
    if list(found) != list(wanted):
        differing = tuple(sorted(found.keys() ^ wanted.keys())) or ("the order",)
        names = [CheckRow("expect_table_columns_to_match_ordered_list", "", False, len(differing), differing)]
    types = [
        CheckRow("expect_column_values_to_be_of_type", name, False, 1, (f"{found[name]} instead of {kind}",))
        for name, kind in wanted.items()
        if found.get(name, kind) != kind
    ]
    return names + types


@dataclass(frozen=True)
class _Guard:
    """One rule of rows as SQL: `broken` is true for a row that breaks it."""

    expectation: str
    columns: tuple[str, ...]
    broken: str
    shown: bool = True

    @property
    def name(self) -> tuple[str, str]:
        return self.expectation, ", ".join(self.columns)


def _column_guards(name: str, column: Column) -> list[_Guard]:
    field, shown = f'"{name}"', not column.private
    rules = []
    if not column.nullable:
        rules.append(_Guard("expect_column_values_to_not_be_null", (name,), f"{field} is null", shown=False))
    bounds = [f"{field} < {column.minimum}"] if column.minimum is not None else []
    bounds += [f"{field} > {column.maximum}"] if column.maximum is not None else []
    if bounds:
        rules.append(_Guard("expect_column_values_to_be_between", (name,), " or ".join(bounds), shown))
    if column.values:
        allowed = ", ".join(_text(value) for value in column.values)
        rules.append(_Guard("expect_column_values_to_be_in_set", (name,), f"{field} not in ({allowed})", shown))
    if column.min_length is not None:
        broken = f"length({field}) < {column.min_length}"
        rules.append(_Guard("expect_column_value_lengths_to_be_between", (name,), broken, shown))
    if column.pattern:
        broken = f"not regexp_matches({field}, {_text(column.pattern)})"
        rules.append(_Guard("expect_column_values_to_match_regex", (name,), broken, shown))
    return rules


def _declared_guard(one: Expectation, contract: Contract) -> _Guard:
    given = one.arguments
    columns: tuple[str, ...]
    if one.expect == "ExpectColumnPairValuesAToBeGreaterThanB":
        pair = (str(given["column_A"]), str(given["column_B"]))
        sign = ">=" if given.get("or_equal") else ">"
        broken, columns, name = (
            f'not ("{pair[0]}" {sign} "{pair[1]}")',
            pair,
            "expect_column_pair_values_a_to_be_greater_than_b",
        )
    else:
        columns, name = (str(given["column"]),), "expect_column_value_lengths_to_be_between"
        least, most = int(given.get("min_value", 0)), int(given.get("max_value", 2**31))
        broken = f'length("{columns[0]}") not between {least} and {most}'
    return _Guard(name, columns, broken, not any(contract.columns[column].private for column in columns))


def _guards(connection: duckdb.DuckDBPyConnection, contract: Contract, path: Path) -> list[CheckRow]:
    """Return how many of all rows break each rule."""
    source = f"read_parquet({quoted(path)})"
    guards = [guard for name, column in contract.columns.items() for guard in _column_guards(name, column)]
    guards += [_declared_guard(one, contract) for one in contract.expectations if one.expect != ROW_COUNT]
    key = ", ".join(f'"{name}"' for name in contract.key)
    repeated = f"select {key} from {source} group by {key} having count(*) > 1"  # noqa: S608 - names of contracts.yml
    # Equal keys have equal hashes, so no repeated hash means no repeated key; counting hashes costs half.
    hashes = f"select 1 from {source} group by hash({key}) having count(*) > 1"  # noqa: S608 - names of contracts.yml
    counts = ["count(*)", *(f"count(case when {guard.broken} then 1 end)" for guard in guards)]
    query = f"select {', '.join(counts)}, (select count(*) from ({hashes})) from {source}"  # noqa: S608 - names of contracts.yml
    (total, *broken, repeats) = connection.execute(query).fetchall()[0]
    if repeats:
        ((repeats,),) = connection.execute(f"select count(*) from ({repeated})").fetchall()  # noqa: S608 - as above
    rows = [
        CheckRow(*guard.name, not count, count, _values(connection, source, guard) if count else ())
        for guard, count in zip(guards, broken, strict=True)
    ]
    shown = _shown(connection, f"{repeated} order by all limit {SHOWN_VALUES}") if repeats else ()
    rows.append(CheckRow("expect_compound_columns_to_be_unique", ", ".join(contract.key), not repeats, repeats, shown))
    rows += [_row_count(one, total) for one in contract.expectations if one.expect == ROW_COUNT]
    return rows


def _row_count(one: Expectation, total: int) -> CheckRow:
    least, most = int(one.arguments.get("min_value", 0)), int(one.arguments.get("max_value", 2**63))
    ok = least <= total <= most
    return CheckRow("expect_table_row_count_to_be_between", "", ok, 0 if ok else 1, () if ok else (f"{total:,} rows",))


def _values(connection: duckdb.DuckDBPyConnection, source: str, guard: _Guard) -> tuple[str, ...]:
    if not guard.shown:
        return ()
    columns = ", ".join(f'"{column}"' for column in guard.columns)
    query = f"select distinct {columns} from {source} where {guard.broken} order by all limit {SHOWN_VALUES}"  # noqa: S608 - names of contracts.yml
    return _shown(connection, query)


def _shown(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[str, ...]:
    return tuple(" ".join(map(str, row))[:80] for row in connection.execute(query).fetchall())


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _merged(whole: Sequence[CheckRow], sampled: Sequence[CheckRow]) -> list[CheckRow]:
    """Return one row a rule: counts of the whole table, failed where either reading failed."""
    seen = {(row.expectation, row.column): row for row in sampled}
    rows = []
    for row in whole:
        other = seen.pop((row.expectation, row.column), row)
        rows.append(other if row.ok and not other.ok else row)
    return rows + list(seen.values())
