"""One thing a visitor did, as it is stored: in the log, the live store and the lake."""

from __future__ import annotations

import msgspec

MICROSECONDS = 1_000_000


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A valid event. `judge` (tracker) and the imports make them; nothing downstream checks again.

    Times are microseconds since 1970 in UTC. `visitor` is the pseudonym (22 characters of base64url)
    or "" for nobody. `item` is "" where the event names none. `price_minor` is the price of one piece
    in the currency's fractional unit (ISO 4217). Absent numbers are None. `verified` tells, for what was done
    with a recommendation, whether the call was a link that this installation gave out. `quarantine` is the reason
    why the event, though acknowledged and kept, must not reach features and models; "" for a good one.
    `source_visitor` is who a login moves to `visitor`, "" for any other event. `is_bot`: a robot did it.
    `origin` tells events of nobody with one item on one day apart by their source (events/judging/origins.py).
    """

    website: str
    event: str
    received_at: int
    time: int
    visitor: str = ""
    item_type: int = 0
    item: str = ""
    quantity: int | None = None
    price_minor: int | None = None
    currency: str = ""
    rating: int | None = None
    percentage: int | None = None
    categories: tuple[str, ...] = ()
    segments: tuple[int, ...] = ()
    session: str = ""
    order_id: str = ""
    event_id: str = ""
    scenario: str = ""
    model: str = ""
    request_uuid: str = ""
    language: str = ""
    trigger: str = ""
    verified: bool | None = None
    quarantine: str = ""
    source_visitor: str = ""
    is_bot: bool = False
    origin: str = ""


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Event).decode
