"""What kept its contract is not checked twice, and nothing else is taken for kept."""

from __future__ import annotations

from pathlib import Path

from personalization_pipelines.features.checked import remember, remembered
from personalization_pipelines.quality.findings import CheckReport, CheckRow

GOOD = CheckReport("table", (CheckRow("ExpectColumnValuesToNotBeNull", "item", True, 0),), "3 rows")
BAD = CheckReport("table", (CheckRow("ExpectColumnValuesToNotBeNull", "item", False, 2, ("x",)),))


def test_a_report_that_passed_comes_back_for_the_same_state_alone(tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    assert remember(table, "state 1", GOOD) is GOOD
    assert remembered(table, "state 1") == GOOD
    assert remembered(table, "state 2") is None


def test_a_broken_table_is_never_remembered(tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    remember(table, "state 1", GOOD)
    assert remember(table, "state 2", BAD) is BAD
    assert remembered(table, "state 2") is None


def test_a_damaged_memory_means_checking_again(tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    remember(table, "state 1", GOOD)
    for damage in (
        "",
        "[]",
        "{}",
        '{"state": "state 1"}',
        '{"state": "state 1", "rows": [1], "name": "t", "note": ""}',
    ):
        (tmp_path / "table.checked.json").write_text(damage)
        assert remembered(table, "state 1") is None
