"""How far an import is: a bar on a terminal, plain lines elsewhere, nothing in tests and in the graph.

Imports talk to the small protocol `Progress` and know neither terminal nor rich.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import rich.progress
from rich.console import Console

SECONDS_BETWEEN_LINES = 5.0


class Progress(Protocol):
    """What an import reports: one task after the other, each counted in rows."""

    def begin(self, title: str, total: int | None) -> None:
        """A task begins; `total` rows are expected, None where the file does not say."""

    def advance(self, rows: int) -> None:
        """That many more rows are done."""

    def end(self) -> None:
        """The task is done."""


class Silent:
    """Says nothing."""

    def begin(self, title: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, rows: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class Lines:
    """Prints a line when a task begins and ends, and every few seconds between."""

    def __init__(self, console: Console, seconds: float = SECONDS_BETWEEN_LINES) -> None:
        self.console = console
        self.seconds = seconds
        self.title, self.total, self.rows, self.said = "", None, 0, 0.0  # type: str, int | None, int, float

    def begin(self, title: str, total: int | None) -> None:
        """Print the task's title."""
        self.title, self.total, self.rows, self.said = title, total, 0, time.monotonic()
        self._print(f"{title} …")

    def advance(self, rows: int) -> None:
        """Print the count, if the last line is old enough."""
        self.rows += rows
        if time.monotonic() - self.said >= self.seconds:
            self.said = time.monotonic()
            self._print(f"{self.title}: {self.rows:,}{f' of {self.total:,}' if self.total else ''} rows")

    def end(self) -> None:
        """Print the final count."""
        self._print(f"{self.title}: {self.rows:,} rows, done")

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)


class Bar:
    """Draws a bar by rows, or a running one where the total is unknown."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        self.bars = bars
        self.task: rich.progress.TaskID | None = None

    def begin(self, title: str, total: int | None) -> None:
        """Add a bar."""
        self.task = self.bars.add_task(title, total=total)

    def advance(self, rows: int) -> None:
        """Move the bar."""
        if self.task is not None:
            self.bars.advance(self.task, rows)

    def end(self) -> None:
        """Fill the bar."""
        if self.task is not None:
            done = self.bars.tasks[self.bars.task_ids.index(self.task)].completed
            self.bars.update(self.task, total=done or 1, completed=done or 1)
            self.task = None


@contextmanager
def terminal_progress(console: Console) -> Iterator[Progress]:
    """Yield a bar where `console` is a terminal, plain lines where it is a file or a pipe."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.completed:,.0f} rows"),
        rich.progress.TimeElapsedColumn(),
    )
    with rich.progress.Progress(*columns, console=console) as bars:
        yield Bar(bars)
