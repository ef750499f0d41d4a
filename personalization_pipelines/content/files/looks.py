"""Values that are taken as they are although they may mean something else: told once an import, with rows.

A price of `1.299` EUR is 1.30 EUR; where no other price of the file has more than two decimals, it is rather 1,299.00
with a point between the thousands. A category `Home & Garden > Kitchen` is one level unless a mapping names what
separates levels. Nothing of this rejects a row: it depends on the file around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.content.files.canonical_rows import Canonical
from personalization_pipelines.content.files.canonical_values import as_text
from personalization_pipelines.content.files.mapping import TOTAL
from personalization_pipelines.content.files.verdicts import Verdicts
from personalization_pipelines.content.report import rows
from personalization_pipelines.foundation.currency import FRACTION_DIGITS

SHOWN = 5
MAX_SHOWN_CHARACTERS = 60
_THOUSANDS = r"^\s*[1-9][0-9]{0,2}\.[0-9]{3}\s*$"
_FINER = r"\.[0-9]{3,}\s*$"
_THREE_DIGITS = pa.array([code for code, digits in FRACTION_DIGITS.items() if digits > 2])
_SEPARATOR = r"(?:>|»|→|::|\\|&gt;)"
_LEVELS = rf"^[^/]*[^/\s]\s*{_SEPARATOR}\s*[^/\s][^/]*$"


@dataclass
class _Seen:
    """What one file holds."""

    thousands: int = 0
    finer: int = 0
    plain: int = 0
    levels: int = 0
    separator: str = ""
    price_rows: list[str] = field(default_factory=list)
    level_rows: list[str] = field(default_factory=list)


class Looks:
    """Collects batch by batch what the files of an import look like."""

    def __init__(self) -> None:
        self._files: dict[str, _Seen] = {}

    def look(self, file: str, batch: Canonical) -> None:
        """Look at the rows of a batch that were taken; all verdicts have been given."""
        seen, kept = self._files.setdefault(file, _Seen()), pa.array(batch.verdicts.kept)
        _look_at_prices(seen, batch, kept)
        _look_at_categories(seen, batch, kept)

    def lines(self) -> list[str]:
        """Return what is to be said, a sentence for each file and thing."""
        return [
            line for file, seen in self._files.items() for line in (*_of_prices(file, seen), *_of_levels(file, seen))
        ]


def add_examples(found: dict[str, str], file: str, verdicts: Verdicts) -> None:
    """Add a sentence about the first rejected row of each reason that has more to say of a value."""
    for reason, one in verdicts.examples().items():
        found.setdefault(reason, f"{file} row {one.row}: {one.reason}")


def _look_at_prices(seen: _Seen, batch: Canonical, kept: pa.Array) -> None:
    cells = batch.cells("price") if (total := batch.cells(TOTAL)) is None else total
    if cells is None or pa.types.is_integer(cells.type):
        return
    codes = pc.fill_null(batch.text("currency"), batch.website.currency)
    judged = pc.and_(kept, pc.invert(pc.is_in(codes, _THREE_DIGITS)))
    text = pc.if_else(judged, as_text(cells), pa.scalar(None, pa.string()))
    thousands = pc.fill_null(pc.match_substring_regex(text, _THOUSANDS), False)
    fine, odd = pc.sum(pc.match_substring_regex(text, _FINER)).as_py() or 0, pc.sum(thousands).as_py() or 0
    seen.thousands += odd
    seen.finer += fine - odd
    seen.plain += len(text) - text.null_count - fine
    for row in _first(thousands, seen.price_rows):
        seen.price_rows.append(f"row {batch.verdicts.first + row}: {text[row].as_py().strip()} {codes[row].as_py()}")


def _of_prices(file: str, seen: _Seen) -> list[str]:
    if not seen.thousands or seen.finer or not seen.plain:
        return []
    return [
        f"{file}: {rows(seen.thousands)} with a price of three decimals, where no other price has more than two "
        f"({_shown(seen.price_rows, seen.thousands)}); taken as written, rounded: a point between thousands has to go"
    ]


def _look_at_categories(seen: _Seen, batch: Canonical, kept: pa.Array) -> None:
    if batch.rules.category or batch.rules.category_separator or (cells := batch.category()) is None:
        return
    text = as_text(cells)
    found = pc.and_(kept, pc.fill_null(pc.match_substring_regex(text, _LEVELS), False))
    seen.levels += pc.sum(found).as_py() or 0
    for row in _first(found, seen.level_rows):
        value = text[row].as_py()
        seen.separator = seen.separator or re.findall(_SEPARATOR, value)[0]
        seen.level_rows.append(f"row {batch.verdicts.first + row}: {value[:MAX_SHOWN_CHARACTERS]}")


def _of_levels(file: str, seen: _Seen) -> list[str]:
    if not seen.levels:
        return []
    return [
        f"{file}: {rows(seen.levels)} with a category that looks like several levels and is taken as one "
        f"({_shown(seen.level_rows, seen.levels)}); a mapping can cut them: `category_separator: '{seen.separator}'`"
    ]


def _first(where: pa.Array, known: list[str]) -> list[int]:
    """Return the places of a mask that are still to be shown."""
    if len(known) >= SHOWN:
        return []
    found: list[int] = np.flatnonzero(where.to_numpy(zero_copy_only=False))[: SHOWN - len(known)].tolist()
    return found


def _shown(shown: list[str], count: int) -> str:
    return ", ".join(shown) + (", …" if count > len(shown) else "")
