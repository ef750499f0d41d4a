"""The languages of a publication's items: in which of them an item exists, and what it says in each.

`own` is the language that speaks for an item (its attributes are in `items.bin`); what it says in further ones stands
here, a row each, sorted by item. The language '' is any language: an item that has it exists in all of them. A
publication whose items have no languages holds none of these files, and nothing here costs it anything.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.array_checks import check_ascending, check_length, check_range
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.publications.format.arrays import Array, Coded, Texts

LANGUAGES = "languages.bin"
LANGUAGE_NAMES = "languages.json"
LANGUAGES_SCHEMA = {"own": "<i2", "rows": "<i4", "codes": "<i2", "starts": "<i8", "text": "|u1"}
MAX_LANGUAGES = 32_000


class Languages:
    """The languages of items. `names` are sorted; codes are places in it."""

    def __init__(self, arrays: Mapping[str, Array], names: tuple[str, ...]) -> None:
        self.names = names
        self.further = Texts(arrays["starts"], arrays["text"])
        self._codes = {name: code for code, name in enumerate(names)}
        self._own: NDArray[np.int16] = arrays["own"]
        self._rows: NDArray[np.int32] = arrays["rows"]
        self._further_codes: NDArray[np.int16] = arrays["codes"]
        self._any = self._codes.get("", -1)

    def of(self, row: int, language: str) -> str:
        """Return the language in which an item is told to somebody who asks in `language`; '' is any."""
        place = self.place(row, language) if language else -1
        return self.names[int(self._own[row] if place < 0 else self._further_codes[place])]

    def exist_in(self, language: str) -> NDArray[np.bool_]:
        """Return a flag an item row: whether it exists in a language."""
        wanted = [code for code in (self._any, self._codes.get(language, -1)) if code >= 0]
        exist = np.isin(self._own, wanted)
        exist[self._rows[np.isin(self._further_codes, wanted)]] = True
        return exist

    def place(self, row: int, language: str) -> int:
        """Return where in `further` an item's attributes in a language are: its own row of it, else that of any.

        -1: what speaks for the item is in that language, or the item has neither.
        """
        found = -1
        if self.names[self._own[row]] == language:
            return found
        for place in range(bisect_left(self._rows.data, row), len(self._rows)):
            if self._rows[place] != row:
                break
            code = self.names[self._further_codes[place]]
            if code == language:
                return place
            if code == "":
                found = place
        return found

    def check(self, items: int, thorough: bool) -> None:
        """Raise CorruptData where an array does not fit the others, or `items`, the number of items."""
        check_length("own", self._own, items)
        check_length("codes", self._further_codes, len(self._rows))
        check_length("starts", self.further.starts, len(self._rows) + 1)
        check_range("own", self._own, 0, len(self.names), thorough)
        check_range("codes", self._further_codes, 0, len(self.names), thorough)
        check_range("rows", self._rows, 0, items, thorough)
        check_ascending("rows", self._rows, thorough)
        self.further.check("starts", thorough)
        if list(self.names) != sorted(set(self.names)):
            raise CorruptData(f"{LANGUAGE_NAMES}: the languages are not sorted; publish again")


def language_arrays(
    own: Coded, rows: NDArray[np.int32], further: Coded, attributes: Texts
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return the arrays of `languages.bin` and the names; both empty where no item has a language.

    `own` is each item's first language; `rows` (ascending), `further` and `attributes` are the further ones'.
    """
    names = tuple(sorted({*own.names, *further.names}))
    if names in ((), ("",)):
        return {}, ()
    if len(names) > MAX_LANGUAGES:
        raise CorruptData(f"the items have {len(names):,} languages; at most {MAX_LANGUAGES:,} can be published")
    codes = {name: code for code, name in enumerate(names)}
    return {
        "own": own.recoded(codes, np.int16),
        "rows": rows,
        "codes": further.recoded(codes, np.int16),
        "starts": attributes.starts,
        "text": attributes.blob,
    }, names
