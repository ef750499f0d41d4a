"""Progress and reports read well in a log and on a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.report import ImportReport, print_report
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.progress import Lines, terminal_progress
from personalization_pipelines.website import Website
from tests.content.files import purchase, write


def test_a_pipe_gets_plain_lines(home: Home, shop: Website, tmp_path: Path) -> None:
    text = io.StringIO()
    with terminal_progress(Console(file=text, width=200)) as progress:
        path = write(tmp_path, "events.csv", [purchase()] * 3)
        import_events(home, shop, [path], now=datetime(2024, 6, 1, tzinfo=UTC), progress=progress)
    assert text.getvalue().splitlines() == ["events.csv …", "events.csv: 3 rows, done"]


def test_long_tasks_say_where_they_are() -> None:
    text = io.StringIO()
    lines = Lines(Console(file=text, width=200), seconds=0)
    lines.begin("items.parquet", 10)
    lines.advance(4)
    assert "items.parquet: 4 of 10 rows" in text.getvalue()


def test_a_terminal_gets_a_bar() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100, color_system=None)
    with terminal_progress(console) as progress:
        progress.begin("items.parquet", None)
        progress.advance(7)
        progress.end()
    assert "items.parquet" in text.getvalue()
    assert "7 rows" in text.getvalue()


def test_a_report_says_the_outcome_first_then_why_rows_are_missing() -> None:
    text = io.StringIO()
    report = ImportReport(
        "items", "shop", ("a.csv",), "id", rows=1000, added=990, rejected=10, reasons={"b": 3, "a": 7}, notes=("Note.",)
    )
    print_report(Console(file=text, width=80), report)
    assert text.getvalue().splitlines() == [
        "items of shop: 1,000 rows read, 990 added, 10 rejected in 0.0 s", "  7 rows: a", "  3 rows: b", "Note.",
    ]  # fmt: skip
