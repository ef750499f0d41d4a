"""Batches that were sent again, as the follower meets them: the live store must not take them for something new.

The lake knows every event id of 35 days (events/lake/duplicates.py). The live store keeps no ids: a repeated batch has
the time of its own arrival, and would put into the basket again what was taken out since. Clients send again within
minutes, so the newest ids are remembered, in memory only; a follower that has just started knows none. Lines of orders
(events/judging/orders.py) repeat one for a day only.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.judging.orders import are_one

MOST = 100_000
"""Ids remembered at most, about 10 MB: the hash of each stands for it, and no two of so many will ever share one."""


class RecentIds:
    """The newest event ids that were applied, each of one visitor."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[int, int] = {}

    def unseen(self, events: Iterable[Event]) -> list[Event]:
        """Return the events that repeat none that was applied, and no other one among them."""
        met: dict[int, int] = {}
        fresh: list[Event] = []
        for event in events:
            if event.event_id:
                own = _hash(event)
                before = met.get(own, self._known.get(own))
                if before is not None and are_one(event.event_id, event.received_at, before):
                    continue
                met[own] = event.received_at
            fresh.append(event)
        return fresh

    def remember(self, events: Iterable[Event]) -> None:
        """Remember fresh events once they are committed: what failed has to come again."""
        self._known |= {_hash(event): event.received_at for event in events if event.event_id}
        for oldest in list(islice(self._known, max(0, len(self._known) - self._most))):
            del self._known[oldest]


def _hash(event: Event) -> int:
    return hash((event.website, event.visitor, event.event_id))
