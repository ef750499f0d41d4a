"""A visitor's past as one list, newest first: what was published, and everything since from the live store.

The two overlap (the live store keeps weeks), which does no harm: everything asked here is about distinct
items or about the newest of several events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from itertools import compress
from operator import itemgetter
from typing import NamedTuple

from personalization_pipelines.publications.read.published import EVENTS, Publication
from serving.recommending.question import LiveHistory
from serving.recommending.shelf import Shelf

YEAR = 365 * 24 * 3600 * 1_000_000
"""Microseconds that a visitor's blacklist and `already_consumed` last."""

CODE_ITEMS = 10
"""How many of the visitor's newest distinct items a history code means (spec: scenarios, history as context)."""

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

_NAMES = EVENTS.__getitem__
_CODES = {event: code for code, event in enumerate(EVENTS)}

Entry = tuple[int, int, str]
"""Time (microseconds), item row, event."""


class Flags(NamedTuple):
    """Some events: their names, and a byte for each event code, 1 where it is one of them."""

    events: tuple[str, ...]
    of_code: bytes

    @classmethod
    def of(cls, *events: str) -> Flags:
        """Return the flags of some events."""
        return cls(events, bytes(code < len(EVENTS) and EVENTS[code] in events for code in range(256)))


class Past:
    """One visitor's events on items the publication knows.

    Most answers ask for a few of them only (what was bought), so the whole list is made when it is first asked for.
    """

    def __init__(self, publication: Publication, shelf: Shelf, visitor: str, live: LiveHistory) -> None:
        self._live = live
        self._published = publication.visitors
        self._first, self._end = publication.visitors.span(visitor) if visitor else (0, 0)
        self._codes = publication.visitors.events[self._first : self._end].tobytes()
        self._rows = shelf.rows
        self._types = shelf.types

    @cached_property
    def entries(self) -> list[Entry]:
        """All of them, newest first."""
        find = self._rows
        entries = [(time, find[item_type, item], event) for event, item_type, item, time, _ in self._live]
        published, part = self._published, slice(self._first, self._end)
        if self._first < self._end:
            times, rows = published.times[part].tolist(), published.rows[part].tolist()
            overlap = entries and entries[-1][0] < times[0]
            entries += zip(times, rows, map(_NAMES, self._codes), strict=True)
            if overlap:
                entries.sort(key=itemgetter(0), reverse=True)
        return entries

    def of(self, events: Collection[str]) -> list[Entry]:
        """Return the entries of some events, those of the live store first; the others are not even looked up."""
        find = self._rows
        found = [(time, find[kind, item], event) for event, kind, item, time, _ in self._live if event in events]
        codes, part = self._codes, slice(self._first, self._end)
        if any(_CODES[event] in codes for event in events):
            times, rows = self._published.times[part].tolist(), self._published.rows[part].tolist()
            found += [entry for entry in zip(times, rows, map(_NAMES, codes), strict=True) if entry[2] in events]
        return found

    def rows_of(self, flags: Flags) -> list[int]:
        """Return the item rows of some events, one and the same row perhaps several times."""
        find, events = self._rows, flags.events
        found = [find[kind, item] for event, kind, item, _, _ in self._live if event in events]
        if self._codes:
            rows = self._published.rows[self._first : self._end].tolist()
            found += compress(rows, self._codes.translate(flags.of_code))
        return found

    def interests(self, item_type: int, limit: int) -> Iterator[Entry]:
        """Yield the newest entry of each item of one type that the visitor took an interest in."""
        found: set[int] = set()
        types = self._types
        for entry in self.entries:
            row = entry[1]
            if row not in found and entry[2] in SOURCES and row >= 0 and types[row] == item_type:
                yield entry
                found.add(row)
                if len(found) == limit:
                    return

    def of_code(self, code: str, item_type: int) -> list[Entry]:
        """Return the newest entry of each item of one type that a history code (`CLICKED`, `BASKET` …) means."""
        entries = self._still_listed(*_LISTS[code]) if code in _LISTS else self._newest(_EVENTS_OF_CODE[code])
        mine = (entry for entry in entries if entry[1] >= 0 and self._types[entry[1]] == item_type)
        newest: dict[int, Entry] = {}
        for entry in mine:
            newest.setdefault(entry[1], entry)
        return list(newest.values())[:CODE_ITEMS]

    def _newest(self, events: Collection[str]) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry[2] in events)

    def _still_listed(self, added: str, deciding: frozenset[str]) -> Iterator[Entry]:
        """Yield what was put on a list and neither taken off nor (basket) bought since, or in the same moment.

        A batch has one time, an import perhaps only days: there nothing tells the order.
        """
        decided = set()
        for entry in sorted(self._newest(deciding), key=lambda entry: (-entry[0], entry[2] == added)):
            if entry[1] not in decided:
                decided.add(entry[1])
                if entry[2] == added:
                    yield entry
