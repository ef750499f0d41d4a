"""The one table of every benchmark: rows of name, value, unit, baseline, ratio."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One measurement. `baseline` was measured in the same run; `ratio` is value / baseline."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    goal: str = ""


@dataclass
class Report:
    """Collects rows, prints each as it comes, writes them all at the end."""

    console: Console = field(default_factory=Console)
    rows: list[Row] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str, baseline: float | None = None, goal: str = "") -> None:
        """Record one measurement; the ratio to `baseline` follows by itself."""
        ratio = value / baseline if baseline else None
        self.rows.append(Row(name, value, unit, baseline, ratio, goal))
        self.console.print(f"  {name}: {value:,.4g} {unit}" + (f"  ({ratio:.2f} of {baseline:,.4g})" if ratio else ""))

    def print_table(self) -> None:
        """Print all rows."""
        table = Table("name", "value", "unit", "baseline", "ratio", "goal", title="Benchmarks")
        for row in self.rows:
            baseline = "" if row.baseline is None else f"{row.baseline:,.4g}"
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            table.add_row(row.name, f"{row.value:,.4g}", row.unit, baseline, ratio, row.goal)
        self.console.print(table)

    def write(self, path: Path) -> None:
        """Write the rows as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(row) for row in self.rows], indent=1) + "\n")
