"""What no event of the tracker can say: a record of the log that says it was damaged, or not written by us.

`judge` lets nothing of this through, so nothing here changes what a visitor may send. It keeps a single such record
from stopping those who read the log: PostgreSQL holds no NUL and no long key, a column of 32 bits no larger number,
and a time of next year would stand first in a visitor's history until then.
"""

from __future__ import annotations

import re
from operator import attrgetter

import msgspec

from personalization_pipelines.events.event import MICROSECONDS, Event

LATEST = 4_102_444_800_000_000
"""2100-01-01: a later time is an error, and Python's dates end in 9999."""
MOST_AHEAD = 24 * 3600 * MICROSECONDS
"""How far an event's time may lie behind its arrival; the tracker allows five minutes."""
LONGEST_TEXT = 1024
CALM_BYTES = 1024
"""A record up to this size can not hold a longer text, and without a backslash (JSON) no control character."""

_BITS = {"item_type": 31, "quantity": 31, "price_minor": 63, "rating": 15, "percentage": 15}
_LIMITS = tuple(1 << bits for bits in _BITS.values())
_NUMBERS_OF = attrgetter(*_BITS)
_TEXTS = tuple(name for name, kind in Event.__annotations__.items() if kind == "str" and name != "quarantine")
_TEXTS_OF = attrgetter(*_TEXTS)
_CONTROL = re.compile(r"[\x00-\x1f]")
# How every record begins that `events.event.encode` made: to know whose it is, it need not be decoded.
_BEGINNING = re.compile(rb'\{"website":"([a-z][a-z0-9-]{0,62})"')
_WEBSITE = re.compile(r"[a-z][a-z0-9-]{0,62}")


class _Owner(msgspec.Struct):
    website: str | None = None


def owner_of(payload: bytes) -> str | None:
    """Return the website that a record names (first); None if it names none, or one that can not be."""
    if beginning := _BEGINNING.match(payload):
        return beginning[1].decode()
    try:
        name = msgspec.json.decode(payload, type=_Owner).website
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return name if name and _WEBSITE.fullmatch(name) else None


def find_fault(event: Event, payload: bytes) -> str:
    """Return what is impossible about an event, "" if nothing is; `payload` is the record it was read from."""
    if owner_of(payload) != event.website:
        return f"website {event.website[:63]!r} is not the one its record begins with, or can not be one"
    if not (0 <= event.received_at < LATEST and 0 <= event.time < LATEST):
        name = "time" if 0 <= event.received_at < LATEST else "received_at"
        return f"{name} is not a time between 1970 and 2100"
    if event.time - event.received_at > MOST_AHEAD:
        return "time is more than a day after received_at"
    for place, (value, limit) in enumerate(zip(_NUMBERS_OF(event), _LIMITS, strict=True)):
        if value and not -limit <= value < limit:
            return f"{list(_BITS)[place]} is too large a number for its column"
    if event.segments and any(not -(1 << 31) <= segment < 1 << 31 for segment in event.segments):
        return "segments hold too large a number for their column"
    return "" if is_calm(payload) else find_text_fault(event)


def is_calm(payload: bytes) -> bool:
    """Tell whether no text of a record needs to be looked at."""
    return len(payload) <= CALM_BYTES and b"\\" not in payload


def find_text_fault(event: Event) -> str:
    """Return which text holds a control character or is too long, "" if none does."""
    texts = [*zip(_TEXTS, _TEXTS_OF(event), strict=True), *(("categories", path) for path in event.categories)]
    for name, text in texts:
        if len(text) > LONGEST_TEXT:
            return f"{name} of {len(text)} characters: expected at most {LONGEST_TEXT}"
        if _CONTROL.search(text):
            return f"{name} holds a control character"
    return ""
