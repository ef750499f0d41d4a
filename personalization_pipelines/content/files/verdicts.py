"""Which rows of a batch are taken, and why the others are not: the first reason found counts."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.content.files.canonical_values import as_number, as_text, missing
from personalization_pipelines.content.files.mapping import Condition

MAX_LISTED = 100_000
MAX_VALUE = 80
NOT_SHOWN = "(user id, not shown)"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


Explain = Callable[[str], str]
"""Makes a sentence about one value, for the list of rejects; the reason of all such values is what is counted."""


@dataclass(frozen=True)
class Reject:
    """One row that was not taken: its number in the file (the first row of data is 1), and what is wrong."""

    row: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True)
class _Finding:
    column: str
    reason: str
    cells: pa.Array | None
    listed: bool
    explain: Explain | None = None


@dataclass
class Verdicts:
    """The rows `first`… of a file under judgement. `secret` is the column whose values are never shown."""

    rows: int
    first: int = 1
    secret: str | None = None
    findings: list[_Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.codes = np.zeros(self.rows, dtype=np.uint16)

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Where nothing was found."""
        return np.equal(self.codes, 0)

    def reject(
        self,
        where: pa.Array,
        column: str,
        reason: str,
        cells: pa.Array | None,
        *,
        listed: bool = True,
        explain: Explain | None = None,
    ) -> None:
        """Give the rows of a mask this reason, unless they have one; null in the mask is False."""
        self.findings.append(_Finding(column, reason, cells, listed, explain))
        mask = pc.fill_null(where, False).to_numpy(zero_copy_only=False)
        self.codes[mask & self.kept] = len(self.findings)

    def unreadable(self, values: pa.Array, cells: pa.Array | None, column: str, reason: str) -> None:
        """Reject rows where a cell was given but no value could be read from it."""
        if cells is not None and values.null_count:
            self.reject(pc.and_not(values.is_null(), missing(cells)), column, reason, cells)

    def apply(self, conditions: Iterable[Condition], column: Callable[[str], pa.Array], *, listed: bool) -> None:
        """Reject the rows for which a condition of the mapping holds."""
        for condition in conditions:
            cells = column(condition.column)
            self.reject(_holds(condition, cells), condition.column, condition.reason, cells, listed=listed)

    def reasons(self) -> Counter[str]:
        """Return how many rows each reason took."""
        counts = np.bincount(self.codes, minlength=len(self.findings) + 1)[1:]
        found: Counter[str] = Counter()
        for finding, count in zip(self.findings, counts.tolist(), strict=True):
            found[finding.reason] += count
        return +found

    def examples(self) -> dict[str, Reject]:
        """Return the first row of each reason that says more of a value than the reason does."""
        found: dict[str, Reject] = {}
        for code, finding in enumerate(self.findings, 1):
            if finding.explain and len(rows := np.flatnonzero(self.codes == code)):
                found.setdefault(finding.reason, self._reject(int(rows[0])))
        return found

    @property
    def listed_rows(self) -> int:
        """How many rows were rejected for what the mapping does not expect."""
        worth = np.array([False] + [finding.listed for finding in self.findings])
        return int(np.count_nonzero(worth[self.codes]))

    def listed(self, limit: int) -> list[Reject]:
        """Return the rejected rows that are worth listing, in the file's order, `limit` at most."""
        worth = np.array([False] + [finding.listed for finding in self.findings])
        return [self._reject(int(row)) for row in np.flatnonzero(worth[self.codes])[: max(limit, 0)]]

    def _reject(self, row: int) -> Reject:
        finding = self.findings[self.codes[row] - 1]
        value, reason = "", finding.reason
        if finding.column == self.secret:
            value = NOT_SHOWN
        elif finding.cells is not None:
            value = as_text(finding.cells.slice(row, 1))[0].as_py() or ""
            reason = finding.explain(value.strip()) if finding.explain else reason
        return Reject(self.first + row, finding.column, value, reason)


def _holds(condition: Condition, cells: pa.Array) -> pa.Array:
    ((name, wanted),) = condition.test.items()
    if name == "missing":
        return missing(cells)
    if name in ("below", "at_most", "above"):
        compare = {"below": pc.less, "at_most": pc.less_equal, "above": pc.greater}[name]
        return compare(as_number(cells), float(wanted))
    if name == "equals":
        return pc.equal(as_text(cells), wanted)
    test = pc.starts_with if name == "starts_with" else pc.match_substring_regex
    return test(as_text(cells), wanted)


class RejectsFile:
    """The list of rejected rows of one import, as CSV: file, row, column, value, reason.

    Written beside and renamed when it is complete; nothing is left where nothing was rejected. Values are cut,
    user ids never shown, and what a spreadsheet would take for a formula gets an apostrophe.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> RejectsFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._temporary.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["file", "row", "column", "value", "reason"])
        return self

    def add(self, file: str, verdicts: Verdicts) -> None:
        """Write the rejected rows of a batch, up to 100,000 of an import."""
        for reject in verdicts.listed(MAX_LISTED - self.count):
            self.write(file, reject)

    def write(self, file: str, reject: Reject) -> None:
        """Write one rejected row, unless 100,000 are there already."""
        if self.count < MAX_LISTED:
            cells = [reject.column, reject.value[:MAX_VALUE], reject.reason]
            self._writer.writerow([guarded(file), reject.row, *map(guarded, cells)])
            self.count += 1

    def add_item(self, file: str, item: str, reason: str) -> None:
        """Write one item that was not taken, of a document that has no rows and columns."""
        if self.count < MAX_LISTED:
            self._writer.writerow([guarded(file), "", "", guarded(item[:MAX_VALUE]), guarded(reason)])
            self.count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if self.count:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink()

    @property
    def written(self) -> Path | None:
        """The file, if a row was rejected."""
        return self.path if self.count else None


def guarded(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
