"""What a check found, as values: one row a rule. Contracts, gates and Dagster's checks all report like this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CheckRow:
    """One rule: how many rows broke it, and a few of the values that did (none of private columns)."""

    expectation: str
    column: str
    ok: bool
    unexpected: int
    sample: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What broke, for a person."""
        values = f", for example {', '.join(self.sample)}" if self.sample else ""
        where = f" of {self.column}" if self.column else ""
        return f"{self.expectation}{where}: {self.unexpected:,} unexpected{values}"


@dataclass(frozen=True)
class CheckReport:
    """What a contract or gate found."""

    name: str
    rows: tuple[CheckRow, ...]
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether every rule held."""
        return all(row.ok for row in self.rows)

    @property
    def summary(self) -> str:
        """One line per broken rule, or one that says what held."""
        broken = [f"{self.name}: {row.sentence}" for row in self.rows if not row.ok]
        held = f"{self.name}: {len(self.rows)} expectations hold"
        return "\n".join(broken or [held]) + (f" ({self.note})" if self.note else "")

    @property
    def table(self) -> list[dict[str, Any]]:
        """The rules as rows for a person, broken ones first."""
        rows = sorted(self.rows, key=lambda row: row.ok)
        return [
            {
                "expectation": row.expectation,
                "column": row.column,
                "ok": row.ok,
                "unexpected": row.unexpected,
                "sample": ", ".join(row.sample),
            }
            for row in rows
        ]
