"""What an import did, as one value and as lines for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console

Kind = Literal["items", "events", "users"]


class GateRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule: what is allowed, what was found, whether that is fine, and rows that show it."""

    rule: str
    limit: str
    found: str
    ok: bool = True
    rows: tuple[str, ...] = ()
    key: str = ""
    """Where the limit stands in the website's file."""

    @property
    def sentence(self) -> str:
        """What was found, for a person; rows follow where the rule is broken."""
        shown = f"; for example {', '.join(self.rows)}" if self.rows and not self.ok else ""
        return f"{self.rule}: {self.found}, {self.limit}{shown}"

    @property
    def cells(self) -> dict[str, str]:
        """The rule as a row of a table."""
        return {
            "rule": self.rule,
            "limit": self.limit,
            "found": self.found,
            "ok": "yes" if self.ok else "no",
            "rows": ", ".join(self.rows),
        }


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
    gates: tuple[GateRow, ...] = ()
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
        gates = [f"  {'fine' if gate.ok else 'forced'}: {gate.sentence}" for gate in self.gates]
        return [first, *(f"  {rows(count)}: {reason}" for reason, count in reasons), *listed, *gates, *self.notes]


def rows(count: int) -> str:
    """Return `1 row` or `2,000 rows`."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def print_report(console: Console, report: ImportReport) -> None:
    """Print a report."""
    for line in report.lines():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
