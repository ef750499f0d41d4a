"""What becomes of one tracking call: accept it, accept it into quarantine, or refuse it with a status.

`judge` is pure: no clock, no file, no network; the caller brings the time and acts on the decision. After it
nothing downstream checks an event again, and the visitor's raw id is gone. Refused is what will never
succeed as sent (an id is refused, never repaired). Quarantined is what is well formed but not to be trusted
by a model: it is acknowledged and kept with the reason, because the sender can do nothing about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from personalization_pipelines.currency import MAX_MINOR, fraction_digits
from personalization_pipelines.errors import InvalidIdentifier, NotBuiltYet
from personalization_pipelines.events.event import Event
from personalization_pipelines.identifiers import parse_item_type, parse_name, parse_user_id, pseudonym
from personalization_pipelines.website import Website

MAX_CATEGORIES = 20
MAX_CATEGORY_CHARACTERS = 1024
MAX_SEGMENTS = 100
MAX_INT32 = 2**31 - 1

_PRICE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,8})?)([A-Z]{3})")
_NUMBER = re.compile(r"[0-9]{1,10}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")


@dataclass(frozen=True)
class Call:
    """One tracking call as decoded text.

    `event` is the word of the path, `path` what follows it, split at `/`. `parameters` come from query and
    form body: lower-case name to its values in order; what was sent without a value is not in it.
    """

    event: str
    path: Sequence[str]
    parameters: Mapping[str, Sequence[str]]


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
Reader = Callable[[str, Sequence[str]], dict[str, Any]]
"""Takes a parameter's name (for the sentence) and its values, returns the fields of the event that it sets."""


@dataclass(frozen=True)
class _Rule:
    """How one kind of event is read: its stored name, its parameters, which of them it must have, what else is set."""

    name: str
    parameters: dict[str, Reader]
    required: str = ""
    several_items: bool = False
    defaults: dict[str, Any] = field(default_factory=dict)


def judge(call: Call, website: Website, now: int, key: bytes) -> Decision:
    """Decide about one call to `website` at `now` (microseconds since 1970) under the installation's key.

    The contract is section 1 of the HTTP contract (tracking).
    """
    rule = RULES.get(call.event)
    if rule is None:
        return _unknown(call.event)
    try:
        fields = _read_parameters(call, rule)
        user, item_type, items = _read_path(call, rule, website)
    except InvalidIdentifier as error:
        return Refuse(400, "", str(error))
    except NotBuiltYet as error:
        return Refuse(501, "Not built yet", str(error))
    fields["visitor"] = pseudonym(key, website.customer_id, user) if user is not None else ""
    declared = item_type in website.item_types
    if not declared:
        fields["quarantine"] = f"item type {item_type} is not declared by website {website.name}"
    events = tuple([Event(website.name, rule.name, now, now, item_type=item_type, item=i, **fields) for i in items])
    return Accept(events) if declared else Quarantine(events, fields["quarantine"])


def _unknown(event: str) -> Refuse:
    if event in NOT_BUILT:
        return Refuse(501, "Not built yet", f"{NOT_BUILT[event]} is not built yet: nothing was stored.")
    known = ", ".join(sorted(RULES))
    return Refuse(404, "Unknown event", f"event {event[:40]!r}: expected one of {known}.")


def _read_path(call: Call, rule: _Rule, website: Website) -> tuple[str | None, int, list[str]]:
    """Return user, item type and items. A user id may hold slashes: it is all but the last two parts."""
    if len(call.path) < 3:
        item = "{item[,item…]}" if rule.several_items else "{item}"
        raise InvalidIdentifier(f"path of {call.event}: expected {call.event}/{{user}}/{{type}}/{item}")
    *user, item_type, item = call.path
    items = [text for text in item.split(",") if text] if rule.several_items else [item]
    read = [website.item_id(text) for text in items] or [""]
    return parse_user_id("/".join(user)), parse_item_type(item_type), read


def _read_parameters(call: Call, rule: _Rule) -> dict[str, Any]:
    fields = dict(rule.defaults)
    for name, values in call.parameters.items():
        if name in rule.parameters:
            fields |= rule.parameters[name](name, values)
    if rule.required and rule.required not in call.parameters:
        raise InvalidIdentifier(f"{rule.required} is missing: {call.event} can not be stored without it")
    return fields


def _one(name: str, values: Sequence[str]) -> str:
    if len(values) > 1 and len(set(values)) > 1:
        raise InvalidIdentifier(f"{name} was given {len(values)} times with different values: expected it once")
    return values[0]


def _integer(field: str, lowest: int, highest: int) -> Reader:
    return lambda name, values: {field: _bounded(name, _one(name, values), lowest, highest)}


def _name(field: str) -> Reader:
    return lambda name, values: {field: parse_name(_one(name, values), name)}


def _bounded(name: str, text: str, lowest: int, highest: int) -> int:
    if not _NUMBER.fullmatch(text) or not lowest <= int(text) <= highest:
        raise InvalidIdentifier(f"{name} {text[:40]!r}: expected a whole number from {lowest} to {highest}")
    return int(text)


def _language(name: str, values: Sequence[str]) -> dict[str, Any]:
    text = _one(name, values)
    if not _LANGUAGE.fullmatch(text):
        raise InvalidIdentifier(f"{name} {text[:40]!r}: expected a language code like eng-GB")
    return {"language": text}


def _segments(name: str, values: Sequence[str]) -> dict[str, Any]:
    texts = [text for value in values for text in value.split(",") if text]
    if len(texts) > MAX_SEGMENTS:
        raise InvalidIdentifier(f"{name} with {len(texts)} ids: expected at most {MAX_SEGMENTS}")
    return {"segments": tuple(_bounded(name, text, 0, MAX_INT32) for text in texts)}


def _categories(name: str, values: Sequence[str]) -> dict[str, Any]:
    if len(values) > MAX_CATEGORIES:
        raise InvalidIdentifier(f"{name} given {len(values)} times: expected at most {MAX_CATEGORIES}")
    for value in values:
        if len(value) > MAX_CATEGORY_CHARACTERS:
            raise InvalidIdentifier(f"{name} {value[:40]!r}…: expected at most {MAX_CATEGORY_CHARACTERS} characters")
    paths = ["/".join(part for part in value.split("/") if part) for value in values]
    return {"categories": tuple(dict.fromkeys(f"/{path}" for path in paths if path))}


def _price(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Read `12.45EUR` as 1245 and EUR: exact in the digits of ISO 4217, or refused."""
    text = _one(name, values)
    match = _PRICE.fullmatch(text)
    if not match:
        raise InvalidIdentifier(f"{name} {text[:40]!r}: expected an amount and its currency, like 12.45EUR or 456JPY")
    digits = fraction_digits(match[2])
    amount = Decimal(match[1]).scaleb(digits)
    if amount != int(amount) or amount > MAX_MINOR:
        expected = f"at most {digits} digits after the point and {MAX_MINOR} of its smallest unit"
        raise InvalidIdentifier(f"{name} {text[:40]!r}: expected an amount of {match[2]} with {expected}")
    return {"price_minor": int(amount), "currency": match[2]}


def _not_yet(name: str, _values: Sequence[str]) -> dict[str, Any]:
    raise NotBuiltYet(f"{name} (replay of historical events) is not built yet: nothing was stored.")


_READERS: dict[str, Reader] = {
    "segments": _segments,
    "lang": _language,
    "requestuuid": _name("request_uuid"),
    "overridetimestamp": _not_yet,
    "signature": _not_yet,
    "categorypath": _categories,
    "percentage": _integer("percentage", 0, 100),
    "rating": _integer("rating", 0, 100),
    "quantity": _integer("quantity", 1, MAX_INT32),
    "fullprice": _price,
    "scenario": _name("scenario"),
    "modelid": _name("model"),
}
_EVERYWHERE = ("segments", "lang", "requestuuid", "overridetimestamp", "signature")
_PLAIN = ("basket", "deletefrombasket", "wishlist", "deletefromwishlist", "owns", "blacklist")


def _rule(name: str, *parameters: str, required: str = "", several: bool = False, **defaults: int) -> _Rule:
    chosen = {parameter: _READERS[parameter] for parameter in (*_EVERYWHERE, *parameters)}
    return _Rule(name, chosen, required, several, defaults)


RULES: dict[str, _Rule] = {
    "click": _rule("click", "categorypath"),
    "consume": _rule("consume", "percentage"),
    "buy": _rule("buy", "quantity", "fullprice", quantity=1),
    "rate": _rule("rate", "rating", required="rating"),
    "rendered": _rule("rendered", "scenario", "modelid", several=True),
    "clickrecommended": _rule("clickrecommended", "scenario", "modelid", "categorypath", required="scenario"),
    **{name: _rule(name) for name in _PLAIN},
}
RULES["follow"] = RULES["clickrecommended"]
"""Every event that is built, by the word of its path."""

NOT_BUILT = {
    "login": "login (joining an anonymous history to an account)",
    "transfer": "transfer (joining an anonymous history to an account)",
    "triggeropened": "triggeropened (push messages)",
    "clicktriggered": "clicktriggered (push messages)",
    "events": "events (batches)",
}
"""Events of the HTTP contract that are answered with 501, by the word of their path."""
EVENT_WORDS = frozenset(RULES) | frozenset(NOT_BUILT)
