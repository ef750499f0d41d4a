"""What every command that lists things prints: a table for a person, JSON or CSV for a program.

A person in a terminal gets a table as wide as the terminal; where its figures would not fit, a block of lines a row.
Into a pipe go plain lines of whole cells. JSON and CSV hold every value as it is, under names that stay.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import click
from rich.console import Console
from rich.text import Text

Format = Literal["table", "json", "csv"]
Row = Mapping[str, Any]

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
GAP = "  "


@dataclass(frozen=True)
class Shown:
    """A column of the table for persons: its heading and the text of a row's cell (lines, where it has several).

    Cells are whole in a terminal, too; only `folds` lets one be broken into several lines.
    """

    heading: str
    cell: Callable[[Row], str]
    folds: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under names that stay, and how a person sees them."""

    title: str
    names: tuple[str, ...]
    rows: Sequence[Row]
    columns: tuple[Shown, ...]

    def cells(self) -> list[list[str]]:
        """Return the texts that a person sees, a list a row; control characters, which steer a terminal, are gone."""
        return [[_CONTROL.sub("�", column.cell(row)) for column in self.columns] for row in self.rows]


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option of how its table is printed."""
    return click.option(
        "--format",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
        help="For a person, or every value as it is for a program.",
    )(function)


def print_table(console: Console, table: Table, format: Format) -> None:
    """Print a table in one of the formats."""
    if format == "json":
        click.echo(json_text(table))
    elif format == "csv":
        click.echo(csv_text(table), nl=False)
    elif console.is_terminal:
        _draw(console, table)
    else:
        click.echo(plain_text(table))


def json_text(table: Table) -> str:
    """Return the rows as a list of objects; times are ISO 8601."""
    rows = [{name: row[name] for name in table.names} for row in table.rows]
    return json.dumps(rows, indent=1, ensure_ascii=False, default=_plain)


def csv_text(table: Table) -> str:
    """Return the rows under a line of names; lists and objects are JSON, nothing is an empty cell.

    A text that a spreadsheet would run as a formula is preceded by an apostrophe: it may come from a stranger's file.
    """
    from personalization_pipelines.content.files.verdicts import guarded  # here, as it loads Arrow

    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(table.names)
    for row in table.rows:
        values = [row[name] for name in table.names]
        lines.writerow([guarded(value) if isinstance(value, str) else _csv_cell(value) for value in values])
    return text.getvalue()


def plain_text(table: Table) -> str:
    """Return the title, the headings and a line a row, columns aligned, nothing cut or broken."""
    lines = [[column.heading for column in table.columns]]
    lines += [[cell.replace("\n", "; ") for cell in cells] for cells in table.cells()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = (GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join([table.title, *(line.rstrip() for line in aligned)])


def _draw(console: Console, table: Table) -> None:
    from rich.table import Table as Drawn  # here, as most commands draw none

    drawn = Drawn(title=table.title)
    rows = table.cells()
    for number, column in enumerate(table.columns):
        lines = [line for cells in rows for line in cells[number].splitlines()]
        whole = None if column.folds else max(map(len, [column.heading, *lines]))
        drawn.add_column(Text(column.heading), no_wrap=not column.folds, min_width=whole, overflow="fold")
    for cells in rows:
        drawn.add_row(*map(Text, cells))
    unbounded = console.options.update(max_width=sys.maxsize)  # else what does not fit measures as if it did
    if console.measure(drawn, options=unbounded).minimum <= console.width:
        console.print(drawn)
    else:
        console.print(Text(_blocks(table)), soft_wrap=True)


def _blocks(table: Table) -> str:
    """Return a block a row, `heading: cell` a line: what fits into a terminal of any width."""
    width = max(len(column.heading) for column in table.columns)
    blocks = (
        "\n".join(
            f"{column.heading.rjust(width)}  {cell.replace(chr(10), chr(10) + ' ' * (width + 2))}"
            for column, cell in zip(table.columns, cells, strict=True)
            if cell
        )
        for cells in table.cells()
    )
    return "\n\n".join([table.title, *blocks])


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no place in a table")


def _csv_cell(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=_plain).strip('"')
