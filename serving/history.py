"""A visitor's past as one list, newest first: what was published, and everything since from the live store.

The two overlap (the live store keeps weeks), which does no harm: everything asked here is about distinct
items or about the newest of several events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from operator import itemgetter

from personalization_pipelines.scenarios.published import EVENTS, Publication
from serving.question import ContextItem, LiveHistory
from serving.shelf import Shelf

YEAR = 365 * 24 * 3600 * 1_000_000
"""Microseconds that a visitor's blacklist and `already_consumed` last."""

CONTEXT_ITEMS = 10
"""How many of the visitor's newest distinct items serve as context (spec: scenarios, history as context)."""

SOURCES = {
    "click": "CLICK", "consume": "CONSUME", "buy": "BUY", "owns": "BUY", "basket": "BASKET", "wishlist": "WISHLIST",
    "rate": "RATE",
}  # fmt: skip
"""Events that say an item interests the visitor, and what an answer calls them."""

_EVENTS_OF_CODE = {
    "CLICKED": frozenset({"click"}),
    "CONSUMED": frozenset({"consume"}),
    "OWNS": frozenset({"buy", "owns"}),
    "RATED": frozenset({"rate"}),
}
_LISTS = {
    "BASKET": ("basket", frozenset({"basket", "deletefrombasket", "buy"})),
    "WISHLIST": ("wishlist", frozenset({"wishlist", "deletefromwishlist"})),
}

Entry = tuple[int, int, str]
"""Time (microseconds), item row, event."""


class Past:
    """One visitor's events on items the publication knows, newest first."""

    def __init__(self, publication: Publication, shelf: Shelf, visitor: str, live: LiveHistory) -> None:
        find = shelf.row
        entries = [(time, find(item_type, item), event) for event, item_type, item, time, _ in live]
        if visitor:
            rows, events, times = publication.visitors.history(visitor)
            if len(rows):
                names = map(EVENTS.__getitem__, events.tolist())
                entries += zip(times.tolist(), rows.tolist(), names, strict=True)
                entries.sort(key=itemgetter(0), reverse=True)
        self.entries: list[Entry] = entries
        self._shelf = shelf

    def interests(self, item_type: int) -> list[ContextItem]:
        """Return the newest distinct items of one type that the visitor took an interest in."""
        return self._distinct(self._of(SOURCES), item_type)

    def of_code(self, code: str, item_type: int) -> list[ContextItem]:
        """Return the newest distinct items of one type that a history code (`CLICKED`, `BASKET` …) means."""
        if code in _LISTS:
            return self._distinct(self._still_listed(*_LISTS[code]), item_type)
        return self._distinct(self._of(_EVENTS_OF_CODE[code]), item_type)

    def rows_since(self, events: Collection[str], since: int) -> list[int]:
        """Return the rows of all these events from a time on (microseconds)."""
        return [row for time, row, event in self.entries if event in events and time >= since]

    def _of(self, events: Collection[str]) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry[2] in events)

    def _still_listed(self, added: str, deciding: frozenset[str]) -> Iterator[Entry]:
        """Yield what was put on a list and neither taken off nor (basket) bought since."""
        decided = set()
        for entry in self._of(deciding):
            if entry[1] not in decided:
                decided.add(entry[1])
                if entry[2] == added:
                    yield entry

    def _distinct(self, entries: Iterator[Entry], item_type: int) -> list[ContextItem]:
        types = self._shelf.types
        found: dict[int, ContextItem] = {}
        for _, row, event in entries:
            if row >= 0 and row not in found and types[row] == item_type:
                found[row] = ContextItem(row, item_type, self._shelf.items.ids[row], SOURCES[event])
                if len(found) == CONTEXT_ITEMS:
                    break
        return list(found.values())
