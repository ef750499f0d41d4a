"""A broken contract names the rule, the column, how many rows and what they held; a kept one passes."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalization_pipelines.features.building import check_feature, run_all
from personalization_pipelines.features.sql_models import feature_names
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.quality.contracts import Contract
from personalization_pipelines.quality.table_checks import CheckReport, check_daily_share, check_rejected, check_table
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.features.tables import events_table, items_table, random_events, write_lake

pytestmark = pytest.mark.builds

CONTRACT = Contract.model_validate(
    {
        "description": "Visits, for a test.",
        "key": ["id"],
        "columns": {
            "id": {"type": "bigint", "description": "Number of the visit.", "minimum": 0, "maximum": 50_000},
            "kind": {"type": "text", "description": "What it was.", "values": ["click", "it's"]},
            "place": {"type": "text", "description": "Where.", "pattern": "^/", "min_length": 2, "nullable": True},
            "secret": {"type": "text", "description": "Who.", "pattern": "^a", "private": True},
            "first": {"type": "timestamp", "description": "Begin."},
            "last": {"type": "timestamp", "description": "End."},
            "tags": {"type": "text[]", "description": "Marks."},
        },
        "expectations": [
            {
                "expect": "ExpectColumnPairValuesAToBeGreaterThanB",
                "arguments": {"column_A": "last", "column_B": "first", "or_equal": True},
            },
            {"expect": "ExpectColumnValueLengthsToBeBetween", "arguments": {"column": "secret", "max_value": 8}},
            {"expect": "ExpectTableRowCountToBeBetween", "arguments": {"min_value": 1}},
        ],
    }
)
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("kind", pa.string()),
        ("place", pa.string()),
        ("secret", pa.string()),
        ("first", pa.timestamp("us")),
        ("last", pa.timestamp("us")),
        ("tags", pa.list_(pa.string())),
    ]
)
NOON = datetime(2026, 3, 1, 12)
ROW = {"kind": "click", "place": "/a", "secret": "ann", "first": NOON, "last": NOON, "tags": ["x"]}


def checked(directory: Path, *changes: dict[str, Any], count: int = 20) -> CheckReport:
    """Check a table of good rows in which the last ones carry the changes."""
    rows = [{**ROW, "id": number} for number in range(count)]
    for row, change in zip(rows[-len(changes) :] if changes else [], changes, strict=True):
        row.update(change)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), directory / "visits.parquet")
    return check_table("visits", CONTRACT, directory / "visits.parquet")


def test_a_table_that_keeps_its_contract_passes(tmp_path: Path) -> None:
    report = checked(tmp_path, {"kind": "it's", "place": None})
    assert report.passed
    assert report.summary == "visits: 16 expectations hold (20 rows; Great Expectations on 20 of them)"


@pytest.mark.parametrize(
    ("change", "rule", "column", "sample"),
    [
        ({"id": None}, "expect_column_values_to_not_be_null", "id", ()),
        ({"id": -1}, "expect_column_values_to_be_between", "id", ("-1",)),
        ({"id": 60_000}, "expect_column_values_to_be_between", "id", ("60000",)),
        ({"kind": "buy"}, "expect_column_values_to_be_in_set", "kind", ("buy",)),
        ({"place": "nowhere"}, "expect_column_values_to_match_regex", "place", ("nowhere",)),
        ({"secret": "bob"}, "expect_column_values_to_match_regex", "secret", ()),
        ({"secret": "a" * 9}, "expect_column_value_lengths_to_be_between", "secret", ()),
        ({"place": "/"}, "expect_column_value_lengths_to_be_between", "place", ("/",)),
        ({"tags": None}, "expect_column_values_to_not_be_null", "tags", ()),
        ({"id": 3}, "expect_compound_columns_to_be_unique", "id", ("3",)),
        (
            {"last": NOON - timedelta(days=1)},
            "expect_column_pair_values_a_to_be_greater_than_b",
            "last, first",
            ("2026-02-28 12:00:00 2026-03-01 12:00:00",),
        ),
    ],
)
def test_one_bad_row_fails_exactly_its_rule(
    tmp_path: Path, change: dict[str, Any], rule: str, column: str, sample: tuple[str, ...]
) -> None:
    report = checked(tmp_path, change)
    broken = [row for row in report.rows if not row.ok]
    assert [(row.expectation, row.column, row.unexpected, row.sample) for row in broken] == [(rule, column, 1, sample)]
    assert report.table[0]["ok"] is False


def test_a_bad_row_among_many_is_found_although_great_expectations_saw_a_sample(tmp_path: Path) -> None:
    report = checked(tmp_path, {"kind": "buy"}, {}, count=30_011)
    assert [row.unexpected for row in report.rows if not row.ok] == [1]
    assert "30,011 rows; Great Expectations on 7,503 of them" in report.note


def test_the_summary_is_a_sentence_a_rule(tmp_path: Path) -> None:
    report = checked(tmp_path, {"kind": "b"}, {"kind": "a"}, {"kind": "a"})
    first = report.summary.splitlines()[0]
    assert first.startswith("visits: expect_column_values_to_be_in_set of kind: 3 unexpected, for example a, b")


def test_an_empty_table_breaks_only_what_is_said_of_its_rows(tmp_path: Path) -> None:
    report = checked(tmp_path, count=0)
    assert [row.expectation for row in report.rows if not row.ok] == ["expect_table_row_count_to_be_between"]


def test_another_column_or_type_is_told_before_any_row_is_read(tmp_path: Path) -> None:
    path = tmp_path / "visits.parquet"
    rows = pa.Table.from_pylist([{**ROW, "id": 1}], schema=SCHEMA)
    pq.write_table(rows.rename_columns(["id", "sort", *SCHEMA.names[2:]]), path)
    assert "expect_table_columns_to_match_ordered_list: 2 unexpected, for example kind, sort" in (
        check_table("visits", CONTRACT, path).summary
    )
    pq.write_table(rows.set_column(0, "id", pa.array([1], pa.int32())), path)
    assert "expect_column_values_to_be_of_type of id: 1 unexpected, for example INTEGER instead of BIGINT" in (
        check_table("visits", CONTRACT, path).summary
    )


def test_a_table_that_is_not_there_is_corrupt_data(tmp_path: Path) -> None:
    with pytest.raises(CorruptData, match="visits cannot be read"):
        check_table("visits", CONTRACT, tmp_path / "visits.parquet")


@pytest.mark.parametrize("count", [0, 400])
def test_every_feature_keeps_its_contract(count: int, home: Home, shop: Website, tmp_path: Path) -> None:
    items = items_table([{"item": "1", "categories": ["/Küche/Töpfe"]}, {"item": "2"}]) if count else None
    build = Build(home, shop, datetime(2026, 4, 1, tzinfo=UTC))
    run_all(build, inputs=write_lake(tmp_path / "lake", [events_table(random_events(count, seed=5))], items))
    for name in feature_names():
        assert check_feature(build, name).passed, check_feature(build, name).summary


def test_importing_the_checks_does_not_import_great_expectations() -> None:
    code = "import sys, personalization_pipelines.quality.table_checks; print('great_expectations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("accepted", "rejected", "passed"), [(99, 1, True), (98, 2, False), (0, 0, True), (0, 1, False), (100, 0, True)]
)
def test_at_most_one_percent_may_be_rejected(accepted: int, rejected: int, passed: bool) -> None:
    assert check_rejected(accepted, rejected, 0.01).passed is passed


TODAY = date(2026, 3, 20)


def days(*counts: int) -> dict[date, int]:
    """Return events by day; the last count is yesterday's."""
    return {TODAY - timedelta(days=len(counts) - number): count for number, count in enumerate(counts)}


@pytest.mark.parametrize(
    ("counts", "passed"),
    [
        ((100, 90, 110, 100, 100, 95, 105, 30), True),
        ((100, 90, 110, 100, 100, 95, 105, 29), False),
        ((100, 90, 110, 100, 100, 95, 105, 0), False),
        ((5000, 90, 110, 100, 100, 95, 105, 30), True),
        ((100, 90, 110, 100, 100, 95, 0), True),
        ((), True),
    ],
    ids=["just enough", "one too few", "silence", "one wild day moves no median", "too young a website", "no events"],
)
def test_yesterday_must_have_its_share_of_the_usual_day(counts: tuple[int, ...], passed: bool) -> None:
    assert check_daily_share(days(*counts), TODAY, 0.3).passed is passed


def test_days_without_any_event_count_as_zero_and_today_does_not_count() -> None:
    week = {TODAY - timedelta(days=8): 100, TODAY: 1}
    assert check_daily_share(week, TODAY, 0.3).passed
    assert not check_daily_share(days(*[100] * 8) | {TODAY - timedelta(days=1): 0, TODAY: 500}, TODAY, 0.3).passed


def test_a_young_website_passes_and_the_report_says_why() -> None:
    report = check_daily_share(days(1, 2, 3), TODAY, 0.3)
    assert report.note == "2 tracked days before yesterday; the daily share is compared from 7 on"
