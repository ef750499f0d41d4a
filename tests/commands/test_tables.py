"""Tables of commands: whole cells for a person, in a terminal and in a pipe; JSON and CSV with names that stay."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from personalization_pipelines.commands.tables import Shown, Table, print_table

NAMES = ("model", "hits", "at", "notes")
FIGURE = "0.0746 (0.0721, 0.0772)"
COLUMNS = (
    Shown("model", lambda row: row["model"]),
    *(Shown(f"figure {number}", lambda row: FIGURE) for number in range(5)),
    Shown("notes", lambda row: "\n".join(row["notes"]), folds=True),
)


def table(**changes: object) -> Table:
    row = {"model": "knn", "hits": 0.07461234, "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "notes": ["a", "b"]}
    return Table("shop: models", NAMES, [{**row, **changes}], COLUMNS)


def printed(given: Table, width: int) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    print_table(console, given, "table")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return str(text)


@pytest.mark.parametrize("width", [20, 80, 100, 140, 300])
def test_a_terminal_of_any_width_shows_whole_figures(width: int) -> None:
    shown = printed(table(), width)
    assert shown.count(FIGURE) == 5 and "…" not in shown
    assert ("┃" in shown) == (width >= 160), "a table where it fits, else a block a row"


def test_a_pipe_gets_plain_lines_that_nothing_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Console(file=io.StringIO()), table(notes=["x" * 300, "b"]), "table")
    title, heading, row = capsys.readouterr().out.splitlines()
    assert title == "shop: models" and heading.split()[:3] == ["model", "figure", "0"]
    assert row.count(FIGURE) == 5 and row.endswith("x" * 300 + "; b")
    assert row.index(FIGURE) == heading.index("figure 0"), "columns are aligned"


def test_json_is_a_list_of_objects_with_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Console(), table(), "json")
    assert json.loads(capsys.readouterr().out) == [
        {"model": "knn", "hits": 0.07461234, "at": "2026-01-02T03:04:05Z", "notes": ["a", "b"]}
    ]
    print_table(Console(), Table("none", NAMES, [], COLUMNS), "json")
    assert json.loads(capsys.readouterr().out) == []


def test_csv_has_the_same_names_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Console(), table(model='kn,"n"\nx'), "csv")
    print_table(Console(), Table("none", NAMES, [], COLUMNS), "csv")
    heading, row, empty = csv.reader(io.StringIO(capsys.readouterr().out))
    assert heading == empty == list(NAMES)
    assert row == ['kn,"n"\nx', "0.07461234", "2026-01-02T03:04:05Z", '["a", "b"]']


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_csv_runs_nothing_in_a_spreadsheet(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Console(), table(model=text, hits=None), "csv")
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))[1][:2] == [f"'{text}", ""]


def test_a_cell_can_neither_steer_the_terminal_nor_use_markup() -> None:
    shown = printed(table(model="\x1b[2J[red]x[/]\x9b"), 300)
    assert "\x1b" not in shown and "\x9b" not in shown and "[red]x[/]" in shown
