"""What answering asks about a publication's items at this moment, ready for a plain Python loop.

Candidates are looked at one at a time, and a dozen suffice for most answers: a `memoryview` gives a Python
number in 40 ns where a numpy scalar costs three times that, and no array is read as a whole.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from personalization_pipelines.publications.read.published import Items, Publication
from personalization_pipelines.publications.read.published_transfers import Transferred
from serving.recommending.question import ContextItem, LiveHistory

FOREVER = int(np.iinfo(np.int64).max)
KEPT_ROWS = 1 << 17
"""How many rows a worker remembers by item id, and ids by row (a look-up by hash costs 3 µs, a remembered one 0.1)."""

UNKNOWN_LANGUAGE = "?"
"""Stands for every language that no item has a row of; no language code looks like it."""

Ranges = list[tuple[int, int]]
"""Ranges `[low, high)` of category codes: paths with everything below them."""


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(dict[Key, Value]):
    """What `find` says of a key, remembered for the first KEPT_ROWS keys: a subscript costs no Python call."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[Key], Value]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, key: Key) -> Value:
        value = self._find(key)
        if len(self) < KEPT_ROWS:
            self[key] = value
        return value


class _Standing(NamedTuple):
    """What holds from `since` to `until` (µs): a byte an item row, and when it last changed."""

    since: int
    until: int
    standing: bytes
    changed: int
    chosen: dict[tuple[tuple[int, ...], str], bytes]
    """`standing` of the item types and the language that questions named."""


class Shelf:
    """Views into one publication: rows by id, item types, own categories, and which items may be shown now."""

    def __init__(self, items: Items, transfers: Transferred | None = None) -> None:
        self.items = items
        self._transfers = moved = transfers or {}
        self.types = items.types.data
        self._category_starts = items.category_starts.data
        self._category_codes = items.category_codes.data
        self._standing = _Standing(0, 0, b"", 0, {})
        self._languages = frozenset(items.languages.names) if items.languages else frozenset()
        self.rows: Remembered[tuple[int, str], int] = Remembered(lambda key: items.row(*moved.get(key, key)))
        """Rows by item type and id (of a transferred item its new one's), -1 where the publication does not know it."""
        self.ids: Remembered[int, str] = Remembered(items.ids.__getitem__)
        """Item ids by row."""

    def current(self, items: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
        """Return items (type, id) with the new one in place of each that was transferred."""
        moved = self._transfers
        return [moved.get(item, item) for item in items] if moved else items

    def current_events(self, events: LiveHistory) -> LiveHistory:
        """Return events as if they had been of the new items."""
        if not self._transfers:
            return events
        items = self.current([(one.item_type, one.item) for one in events])
        return [one._replace(item_type=kind, item=item) for one, (kind, item) in zip(events, items, strict=True)]

    def context_item(self, row: int, source: str) -> ContextItem:
        """Return the item of a row as something an answer starts from."""
        return ContextItem(row, self.types[row], self.ids[row], source)

    def standing(self, now: int) -> bytes:
        """Return one byte an item row: 1 where the item is valid at `now` (µs) and on no blacklist."""
        return self._at(now).standing

    def standing_of(self, now: int, types: tuple[int, ...], language: str = "") -> bytes:
        """Return `standing`, but 1 only for items of some types, and only for those that exist in a language ("": any).

        A caller may name any language: all that no item has are one, so that they are looked for once.
        """
        state = self._at(now)
        if language and language not in self._languages:
            language = UNKNOWN_LANGUAGE
        found = state.chosen.get((types, language))
        if found is None:
            chosen = np.frombuffer(state.standing, np.bool_) & np.isin(self.items.types, types)
            if language:
                chosen &= self.items.exist_in(language)
            found = state.chosen[types, language] = chosen.tobytes()
        return found

    def changed(self, now: int) -> int:
        """Return when an item last began or ceased to be valid (µs), 0 if none ever did before `now`."""
        return self._at(now).changed

    def _at(self, now: int) -> _Standing:
        """Return what holds at a moment; kept until the next item begins or ceases to be valid."""
        state = self._standing
        if not state.since <= now < state.until:
            items = self.items
            standing = (items.allowed & (items.valid_from <= now) & (now < items.valid_to)).tobytes()
            edges = np.concatenate((items.valid_from, items.valid_to))
            until = int(edges[edges > now].min(initial=FOREVER))
            changed = int(edges[edges <= now].max(initial=0))
            self._standing = state = _Standing(now, until, standing, changed, {})
        return state

    def in_ranges(self, row: int, ranges: Ranges) -> bool:
        """Tell whether one of an item's own categories lies in one of the ranges."""
        for code in self._category_codes[self._category_starts[row] : self._category_starts[row + 1]]:
            for low, high in ranges:
                if low <= code < high:
                    return True
        return False

    def ranges(self, paths: tuple[str, ...]) -> Ranges:
        """Return the ranges of some category paths; unknown paths have none."""
        found = (self.items.below(path) for path in paths)
        return [(low, high) for low, high in found if low < high]


_shelves: weakref.WeakKeyDictionary[Publication, Shelf] = weakref.WeakKeyDictionary()


def shelf_of(publication: Publication) -> Shelf:
    """Return the shelf of a publication; made once for each that is open."""
    shelf = _shelves.get(publication)
    if shelf is None:  # by the publication, which a shelf does not hold: it goes when the publication goes
        shelf = _shelves[publication] = Shelf(publication.items, publication.transfers)
    return shelf
