"""The items of a publication: rows, found by type and id, with what the filters ask about each.

A row is found by the 64-bit BLAKE2b of `type:id` in a sorted array, then verified against the stored id:
a collision costs one more comparison, never a wrong item.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from personalization_pipelines.foundation.array_checks import check_ascending, check_length, check_range, check_starts
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.publications.format.arrays import Array, Texts
from personalization_pipelines.publications.read.published_languages import Languages

ITEMS = "items.bin"
CATEGORIES = "categories.json"
ITEMS_SCHEMA = {
    "keys": "<i8", "key_rows": "<i4", "types": "<i4", "id_starts": "<i8", "id_text": "|u1",
    "price_minor": "<i8", "valid_from": "<i8", "valid_to": "<i8", "allowed": "|b1",
    "category_starts": "<i8", "category_codes": "<i4", "category_ends": "<i4",
    "attribute_starts": "<i8", "attribute_text": "|u1",
}  # fmt: skip
ALWAYS = np.iinfo(np.int64)
"""Sentinels of an open validity: `valid_from` is `ALWAYS.min`, `valid_to` is `ALWAYS.max`."""


def item_key(item_type: int, item: bytes) -> int:
    """Return the lookup key of an item (its id in UTF-8): a signed 64-bit number, the BLAKE2b of `type:id`."""
    return int.from_bytes(blake2b(b"%d:%b" % (item_type, item), digest_size=8).digest(), "little", signed=True)


def item_keys(types: NDArray[np.int32], ids: Texts) -> NDArray[np.int64]:
    """Return the lookup keys of many items, as `item_key` does of each."""
    pairs = zip(types.tolist(), ids.all_raw(), strict=True)
    return np.fromiter((item_key(kind, item) for kind, item in pairs), np.int64, len(types))


def path_order(path: str) -> list[str]:
    """Return the sort key of a category path: its elements, so that everything below a path follows it directly."""
    return path.split("/")


class _Object(msgspec.Struct):
    """Any JSON object; whatever it holds is skipped."""


_look_at = msgspec.json.Decoder(_Object).decode


class Items:
    """The catalogue of a publication, by row. Times are microseconds since 1970, prices in minor units (-1 unknown).

    `category_codes[category_starts[row]:category_starts[row + 1]]` are an item's own paths, in path order.
    """

    def __init__(
        self, arrays: Mapping[str, Array], categories: tuple[str, ...], languages: Languages | None = None
    ) -> None:
        self.types: NDArray[np.int32] = arrays["types"]
        self.ids = Texts(arrays["id_starts"], arrays["id_text"])
        self.price_minor: NDArray[np.int64] = arrays["price_minor"]
        self.valid_from: NDArray[np.int64] = arrays["valid_from"]
        self.valid_to: NDArray[np.int64] = arrays["valid_to"]
        self.allowed: NDArray[np.bool_] = arrays["allowed"]
        self.category_starts: NDArray[np.int64] = arrays["category_starts"]
        self.category_codes: NDArray[np.int32] = arrays["category_codes"]
        self.categories = categories
        self.languages = languages
        """None where no item has a language: all exist in every one."""
        self._ends: NDArray[np.int32] = arrays["category_ends"]
        self._codes = {path: code for code, path in enumerate(categories)}
        self._attributes = Texts(arrays["attribute_starts"], arrays["attribute_text"])
        self._keys: NDArray[np.int64] = arrays["keys"]
        self._key_rows: NDArray[np.int32] = arrays["key_rows"]
        self._keys_view = self._keys.data
        self._rows_view = self._key_rows.data
        self._types_view = self.types.data

    def __len__(self) -> int:
        return len(self.types)

    def row(self, item_type: int, item: str) -> int:
        """Return the row of an item, -1 where the publication does not know it."""
        try:
            text = item.encode()
        except UnicodeEncodeError:  # a lone surrogate: no stored id has one
            return -1
        key = item_key(item_type, text)
        for place in range(bisect_left(self._keys_view, key), len(self._keys_view)):
            if self._keys_view[place] != key:
                return -1
            row = self._rows_view[place]
            if self._types_view[row] == item_type and self.ids.raw(row) == text:
                return row
        return -1

    def below(self, path: str) -> tuple[int, int]:
        """Return the range `[low, high)` of category codes of a path and everything below it, (0, 0) if unknown.

        Slashes at both ends do not matter; the empty path is the root and means all categories.
        """
        inner = path.strip("/")
        if not inner:
            return 0, len(self.categories)
        code = self._codes.get("/" + inner)
        return (0, 0) if code is None else (code, int(self._ends[code]))

    def codes(self, row: int) -> NDArray[np.int32]:
        """Return the codes of an item's own categories, ascending."""
        return self.category_codes[self.category_starts[row] : self.category_starts[row + 1]]

    def paths(self, row: int) -> list[str]:
        """Return an item's own category paths, in path order."""
        return [self.categories[code] for code in self.codes(row)]

    def exist_in(self, language: str) -> NDArray[np.bool_]:
        """Return a flag a row: whether the item exists in a language."""
        return np.ones(len(self), np.bool_) if self.languages is None else self.languages.exist_in(language)

    def attributes(self, row: int, language: str = "") -> dict[str, list[Any]]:
        """Return an item's attributes: name to values (text or numbers). All of them: the caller selects.

        In `language` where the item has them in it; else ('' too) those of the language that speaks for it.
        """
        raw = self._attributes.raw(row)
        if language and self.languages is not None:
            place = self.languages.place(row, language)
            raw = raw if place < 0 else self.languages.further.raw(place)
        if not raw:
            return {}
        values: dict[str, list[Any]] = orjson.loads(raw)
        return values

    def check(self, thorough: bool) -> None:
        """Raise CorruptData where an array does not fit the others."""
        count = len(self)
        for name in ("price_minor", "valid_from", "valid_to", "allowed"):
            check_length(name, getattr(self, name), count)
        for name, array in (("keys", self._keys), ("key_rows", self._key_rows)):
            check_length(name, array, count)
        for name, starts in (("id_starts", self.ids.starts), ("attribute_starts", self._attributes.starts)):
            check_length(name, starts, count + 1)
        check_ascending("keys", self._keys, thorough)
        check_range("key_rows", self._key_rows, 0, count, thorough)
        check_range("types", self.types, 1, 2**31, thorough)
        check_range("allowed", self.allowed.view(np.uint8), 0, 2, thorough)
        self.ids.check("id_starts", thorough)
        self._attributes.check("attribute_starts", thorough)
        self._check_categories(thorough)
        if self.languages is not None:
            self.languages.check(count, thorough)
        if thorough:
            self._check_texts()

    def _check_categories(self, thorough: bool) -> None:
        count = len(self.categories)
        check_length("category_ends", self._ends, count)
        check_range("category_ends", self._ends, 1, count + 1, thorough)
        check_length("category_starts", self.category_starts, len(self) + 1)
        check_starts("category_starts", self.category_starts, len(self.category_codes), thorough)
        check_range("category_codes", self.category_codes, 0, count, thorough)
        if thorough and any(path_order(one) >= path_order(two) for one, two in pairwise(self.categories)):
            raise CorruptData("categories.json: the categories are not in path order; publish again")

    def _check_texts(self) -> None:
        for row in self._misplaced():
            kind, item = self.types[row], self.ids[row]
            if self.row(int(kind), item) != row:
                raise CorruptData(f"item {item[:40]!r} of type {kind} is not found by its key; publish again")
        row = _no_object(self._attributes)
        if row >= 0:
            item = self.ids[row]
            raise CorruptData(f"item {item[:40]!r} of type {self.types[row]}: its attributes are no JSON object")
        place = _no_object(self.languages.further) if self.languages else -1
        if place >= 0:
            raise CorruptData(f"further language {place}: its attributes are no JSON object; publish again")

    def _misplaced(self) -> list[int]:
        """Return the rows that a look-up might not find: another key than theirs, a missing key, or a shared one."""
        wanted, count = item_keys(self.types, self.ids), len(self)
        found = np.full(count, -1, np.int64)
        found[self._key_rows] = self._keys
        once = np.bincount(self._key_rows, minlength=count) == 1
        shared = np.zeros(count, np.bool_)
        twins = np.flatnonzero(self._keys[1:] == self._keys[:-1])
        shared[self._key_rows[twins]] = shared[self._key_rows[twins + 1]] = True
        return np.flatnonzero((wanted != found) | ~once | shared).tolist()


def _no_object(texts: Texts) -> int:
    """Return the place of the first text that is neither empty nor a JSON object, -1 where there is none.

    The objects are read without being made, in a third of the time.
    """
    place = -1
    try:
        for raw in texts.all_raw():
            place += 1
            if raw:
                _look_at(raw)
    except (msgspec.MsgspecError, RecursionError):
        return place
    return texts.not_utf8()
