"""What a visitor has been shown too often in the session that still runs (spec: scenarios, filter 8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain

from serving.recommending.question import LiveHistory

GAP = 30 * 60 * 1_000_000
"""Microseconds without any event after which the next event begins a new session."""


def session_start(now: int, times: Iterable[int]) -> int:
    """Return when the session that runs at `now` began: its oldest event, or `now` where there is none.

    `times` are those of all the visitor's events, in any order, in microseconds.
    """
    start = now
    for time in sorted(times, reverse=True):
        if start - time > GAP:
            break
        start = min(start, time)
    return start


def shown_too_often(now: int, live: LiveHistory, shown: LiveHistory, most: int) -> set[tuple[int, str]]:
    """Return type and id of the items that were delivered (`rendered`) at least `most` times in this session.

    `live` are the visitor's other events, which keep a session going as well. Deliveries of before count nothing.
    """
    start = session_start(now, (event.time for event in chain(live, shown)))
    counts = Counter((event.item_type, event.item) for event in shown if event.time >= start)
    return {item for item, count in counts.items() if count >= most}
