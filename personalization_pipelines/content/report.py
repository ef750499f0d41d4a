"""What an import did, as one value and as lines for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console

Kind = Literal["items", "events", "users"]


@dataclass(frozen=True)
class ImportReport:
    """Counts of one import. Of `rows` read, `rejected` were not taken over; `reasons` says why."""

    kind: Kind
    website: str
    files: tuple[str, ...]
    import_id: str
    rows: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    rejected: int = 0
    anonymous: int = 0
    """Events tied to nobody: they count for popularity only."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    rejects_file: Path | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    already_imported: bool = False

    def lines(self) -> list[str]:
        """Return the report as sentences, the outcome first."""
        if self.already_imported:
            return [f"{self.kind} of {self.website}: already imported, nothing changed", *self.notes]
        counts = [f"{rows(self.rows)} read", f"{self.added:,} added"]
        counts += [f"{n:,} {what}" for n, what in ((self.changed, "changed"), (self.removed, "removed")) if n]
        counts += [f"{n:,} {what}" for n, what in ((self.rejected, "rejected"), (self.anonymous, "of nobody")) if n]
        first = f"{self.kind} of {self.website}: {', '.join(counts)} in {self.seconds:.1f} s"
        reasons = sorted(self.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
        listed = [f"rejected rows are listed in {self.rejects_file}"] if self.rejects_file else []
        return [first, *(f"  {rows(count)}: {reason}" for reason, count in reasons), *listed, *self.notes]


def rows(count: int) -> str:
    """Return `1 row` or `2,000 rows`."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def print_report(console: Console, report: ImportReport) -> None:
    """Print a report."""
    for line in report.lines():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
