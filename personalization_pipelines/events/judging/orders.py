"""A purchase that is told again: a reloaded thank-you page sends the lines of its order once more, in calls of its own.

A buy that names its order and has no event id of its sender gets one made of what it says, so that what finds repeated
event ids finds it too: the lake (duplicates.py) and the live store (repeats.py). Unlike the sender's ids, such an id
holds for a day only, for a shop may begin again to count its orders.
"""

from __future__ import annotations

import hashlib

from personalization_pipelines.events.event import MICROSECONDS, Event

MARK = "~order-"
"""How the event id of an order's line begins; no UUID does."""
DAY = 24 * 3600 * MICROSECONDS


def line_id(event: Event) -> str:
    """Return the event id of an order's line; event ids are the visitor's, so it need not name one."""
    said = (event.order_id, event.item_type, event.item, event.quantity, event.price_minor, event.currency)
    return MARK + hashlib.sha256("\0".join(map(str, said)).encode()).hexdigest()[:32]


def are_one(event_id: str, arrival: int, other: int) -> bool:
    """Tell whether events of this id, of one visitor, that arrived at two moments (microseconds) are the same one."""
    return not event_id.startswith(MARK) or abs(arrival - other) <= DAY
