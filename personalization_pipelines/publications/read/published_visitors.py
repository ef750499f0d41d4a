"""The visitors of a publication: each one's newest events, found by pseudonym.

A pseudonym is 128 bits in base64url. Its upper half is looked up in a sorted array, its lower half compared.
"""

from __future__ import annotations

import binascii
import re
from bisect import bisect_left
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.array_checks import check_ascending, check_length, check_range, check_starts
from personalization_pipelines.publications.format.arrays import Array

VISITORS = "visitors.bin"
VISITORS_SCHEMA = {"high": "<i8", "low": "<i8", "starts": "<i8", "rows": "<i4", "events": "|u1", "times": "<i8"}
EVENTS = (
    "click", "consume", "basket", "wishlist", "rate", "buy", "owns", "deletefrombasket", "deletefromwishlist",
    "blacklist", "rendered", "clickrecommended", "clicktriggered",
)  # fmt: skip
"""Names of the events a history holds, in the order of their codes. New ones go to the end."""

_PSEUDONYM = re.compile(r"[A-Za-z0-9_-]{22}")

History = tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]


def visitor_key(visitor: str) -> tuple[int, int] | None:
    """Return the two halves of a pseudonym as signed 64-bit numbers, None where the text is no pseudonym."""
    if not _PSEUDONYM.fullmatch(visitor):
        return None
    raw = binascii.a2b_base64(visitor.replace("-", "+").replace("_", "/") + "==")
    return int.from_bytes(raw[:8], "big", signed=True), int.from_bytes(raw[8:], "big", signed=True)


class Visitors:
    """Histories by pseudonym; visitor `i` has the events `starts[i]:starts[i + 1]`, newest first."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._high: NDArray[np.int64] = arrays["high"]
        self._low: NDArray[np.int64] = arrays["low"]
        self._starts: NDArray[np.int64] = arrays["starts"]
        self._rows: NDArray[np.int32] = arrays["rows"]
        self._events: NDArray[np.uint8] = arrays["events"]
        self._times: NDArray[np.int64] = arrays["times"]
        self._high_view, self._low_view = self._high.data, self._low.data
        self._starts_view = self._starts.data
        self.rows, self.events, self.times = self._rows.data, self._events.data, self._times.data
        """The histories of all visitors, one after the other; `span` says where one's are."""

    def __len__(self) -> int:
        return len(self._high)

    def history(self, visitor: str) -> History:
        """Return item rows, event codes (positions in `EVENTS`) and times (µs), newest first; empty if unknown."""
        first, end = self.span(visitor)
        return self._rows[first:end], self._events[first:end], self._times[first:end]

    def span(self, visitor: str) -> tuple[int, int]:
        """Return from where to where (exclusive) a visitor's events lie in `rows`, `events` and `times`."""
        key = visitor_key(visitor)
        if key is None:
            return 0, 0
        high, low = key
        place = bisect_left(self._high_view, high)  # no numpy: for one number it costs more than the search
        while place < len(self._high_view) and self._high_view[place] == high:
            if self._low_view[place] == low:
                return self._starts_view[place], self._starts_view[place + 1]
            place += 1
        return 0, 0

    def check(self, items: int, thorough: bool) -> None:
        """Raise CorruptData where an array does not fit the others or a row lies outside the items."""
        check_length("low", self._low, len(self))
        check_ascending("high", self._high, thorough)
        check_length("starts", self._starts, len(self) + 1)
        check_starts("starts", self._starts, len(self._rows), thorough)
        check_length("events", self._events, len(self._rows))
        check_length("times", self._times, len(self._rows))
        check_range("rows", self._rows, 0, items, thorough)
        check_range("events", self._events, 0, len(EVENTS), thorough)
