"""What becomes of one tracking call: accept it, accept it into quarantine, or refuse it with a status.

`judge` is pure: no clock, no file, no network; the caller brings the time and acts on the decision. After it
nothing downstream checks an event again, and the visitor's raw id is gone. Refused is what will never
succeed as sent (an id is refused, never repaired). Quarantined is what is well formed but not to be trusted
by a model: it is acknowledged and kept with the reason, because the sender can do nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.judging.links import LINKED, are_signed
from personalization_pipelines.events.judging.orders import line_id
from personalization_pipelines.events.judging.rules import EVENT_WORDS, MAX_ITEMS, RULES, Rule, read_parameters
from personalization_pipelines.events.judging.signature import OVERRIDE, find_fault, override_time, replay_id
from personalization_pipelines.events.judging.visitors import visitor_of
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.identifiers import parse_item_type
from personalization_pipelines.foundation.unset import without_unset
from personalization_pipelines.website import Website

__all__ = ["EVENT_WORDS", "RULES", "Accept", "Call", "Decision", "Quarantine", "Refuse", "judge"]


@dataclass(frozen=True)
class Call:
    """One tracking call as decoded text.

    `event` is the word of the path, `path` what follows it, split at `/`. `parameters` come from query and
    form body: lower-case name to its values in order; what was sent without a value is not in it. What has a value
    that says nothing (`lang=undefined`) is, for it may be signed.
    `event_id` is the sender's own id of the event (batches), "" for none.
    """

    event: str
    path: Sequence[str]
    parameters: Mapping[str, Sequence[str]]
    event_id: str = ""


@dataclass(frozen=True)
class Accept:
    """Store these events, then acknowledge."""

    events: tuple[Event, ...]


@dataclass(frozen=True)
class Quarantine:
    """Store these events, each marked with the reason, then acknowledge."""

    events: tuple[Event, ...]
    reason: str


@dataclass(frozen=True)
class Refuse:
    """Store nothing and answer with this error."""

    status: int
    title: str
    detail: str


Decision = Accept | Quarantine | Refuse


def judge(call: Call, website: Website, now: int, key: bytes) -> Decision:
    """Decide about one call to `website` at `now` (microseconds since 1970) under the installation's key.

    The contract is section 1 of the HTTP contract (tracking).
    """
    rule = RULES.get(call.event)
    if rule is None:
        return _unknown(call.event)
    told = without_unset(call.parameters)
    try:
        fields = read_parameters(rule, call.event, told)
        users, place = _split_path(call, rule)
        item_type, items = _read_place(place, rule, website)
        fields |= _read_users(users, website, key)
        time = override_time(told, website.zone, now)
    except InvalidIdentifier as error:
        return Refuse(400, "", str(error))
    if fault := find_fault(website, (call.event, *users, *place), call.parameters, told):
        return Refuse(401, "", fault)
    if reason := undeclared(item_type, website):
        fields["quarantine"] = reason
    fields |= {"received_at": now, "time": now if time is None else time, "item_type": item_type}
    made = [Event(website.name, rule.name, item=item, **fields) for item in items]
    events = _verified(_identified(made, call.event_id, told, website), told, website, now, key)
    return Quarantine(events, reason) if reason else Accept(events)


def undeclared(item_type: int, website: Website) -> str:
    """Return why an event of this item type belongs into quarantine; "" if it does not, or names no item."""
    if not item_type or item_type in website.item_types:
        return ""
    return f"item type {item_type} is not declared by website {website.name}"


def _unknown(event: str) -> Refuse:
    known = ", ".join(sorted(RULES))
    return Refuse(404, "Unknown event", f"event {event[:40]!r}: expected one of {known}.")


def _split_path(call: Call, rule: Rule) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the user (of a login: source and target), and type and item where there are any.

    A user id may hold slashes, which WSGI gives decoded (`%2F` is `/`): where two ids stand side by side nobody can
    tell which slash ends the first, so a login whose path has more than one is refused, never guessed.
    """
    if rule.path == "users":
        if len(call.path) != 2:
            raise InvalidIdentifier(
                f"path of {call.event}: expected {rule.shape(call.event)}; ids with '/' in them go in a batch"
            )
        return tuple(call.path), ()
    after = 0 if rule.path == "user" else 2
    if len(call.path) <= after:
        raise InvalidIdentifier(f"path of {call.event}: expected {rule.shape(call.event)}")
    end = len(call.path) - after
    return ("/".join(call.path[:end]),), tuple(call.path[end:])


def _read_users(users: Sequence[str], website: Website, key: bytes) -> dict[str, str]:
    """Return the visitor, of a login with its source; InvalidIdentifier for a login that joins nothing."""
    *sources, visitor = [visitor_of(user, website, key) for user in users]
    if not sources:
        return {"visitor": visitor}
    for user, what in zip(users, (*sources, visitor), strict=True):
        if not what:
            raise InvalidIdentifier(f"user id {user!r} in a login: nobody has no history; expected two user ids")
    if sources[0] == visitor:
        raise InvalidIdentifier("login with the same user twice: expected the anonymous id, then the account's")
    return {"visitor": visitor, "source_visitor": sources[0]}


def _read_place(place: Sequence[str], rule: Rule, website: Website) -> tuple[int, list[str]]:
    """Return item type and items; type 0 and one empty item where the event has none."""
    if not place:
        return 0, [""]
    item_type, item = place
    items = [text for text in item.split(",") if text] if rule.path == "items" else [item]
    if len(items) > MAX_ITEMS:
        raise InvalidIdentifier(f"{len(items)} items in one call: expected at most {MAX_ITEMS}")
    return parse_item_type(item_type), [website.item_id(text) for text in items] or [""]


def _identified(events: list[Event], event_id: str, told: Mapping[str, Sequence[str]], website: Website) -> list[Event]:
    """Return the events with their event ids: those of signed ones and of orders are made of what they say.

    So a replay is the same, and so is a line of an order that is told again.
    """
    if OVERRIDE in told:
        return [replace(event, event_id=replay_id(website.customer_id, event)) for event in events]
    if not event_id:
        return [replace(event, event_id=line_id(event)) for event in events] if events[0].order_id else events
    ids = [event_id, *(f"{event_id}/{number}" for number in range(1, len(events)))]
    return [replace(event, event_id=own) for event, own in zip(events, ids, strict=True)]


def _verified(
    events: list[Event], told: Mapping[str, Sequence[str]], website: Website, now: int, key: bytes
) -> tuple[Event, ...]:
    """Return the events, those of recommendations marked with whether the call is a link that we gave out."""
    if events[0].event not in LINKED:
        return tuple(events)
    signed = are_signed(events, told, website.customer_id, now, key)
    return tuple([replace(event, verified=known) for event, known in zip(events, signed, strict=True)])
