"""What each kind of event may carry: its parameters, how their text is read, which of them it must have.

A reader refuses what it can not read (InvalidIdentifier with a sentence); nothing is guessed. Numbers with more digits
than they can have are rounded, half to even, for an event is worth more than its last digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from typing import Any, Literal

from personalization_pipelines.foundation.currency import FRACTION_DIGITS, MAX_MINOR, fraction_digits, to_minor
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.identifiers import parse_name
from personalization_pipelines.foundation.unset import UNSET

MAX_CATEGORIES = 20
MAX_CATEGORY_CHARACTERS = 1024
MAX_SEGMENTS = 100
MAX_ORDER_CHARACTERS = 128
MAX_ITEMS = 500
MAX_INT32 = 2**31 - 1

MAX_FRACTION = 40
"""Digits behind a number's point; what divides or adds in floats sends up to 17."""

PRICE = re.compile(
    rf"([0-9]{{1,15}}(?:\.[0-9]{{1,{MAX_FRACTION}}})?|[0-9]{{1,15}},[0-9]{{1,2}}"
    rf"|[0-9]{{1,3}}(?:\.[0-9]{{3}}){{1,4}},[0-9]{{1,{MAX_FRACTION}}}"
    rf"|[0-9]{{1,3}}(?:,[0-9]{{3}}){{1,4}}\.[0-9]{{1,{MAX_FRACTION}}})([A-Z]{{3}})"
)
"""An amount and its currency. A comma is read where it can mean one thing only: `9,99EUR` and `1.299,00EUR`, but
`1,299EUR` could be either."""
_NUMBER = re.compile(r"[0-9]{1,10}")
_DECIMAL = re.compile(rf"-?[0-9]{{1,19}}(?:\.[0-9]{{0,{MAX_FRACTION}}})?(?:[eE][-+]?[0-9]{{1,3}})?", re.ASCII)
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")

Shape = Literal["item", "items", "user", "users"]
Reader = Callable[[str, Sequence[str]], dict[str, Any]]
"""Takes a parameter's name (for the sentence) and its values, returns the fields of the event that it sets."""


@dataclass(frozen=True)
class Rule:
    """How one kind of event is read: its stored name, its parameters, which of them it must have, what else is set.

    `path` says what follows the event's word: a user and one item, a user and several items, a user alone, or
    two users (the source and the target of a login).
    """

    name: str
    parameters: Mapping[str, Reader]
    required: str = ""
    path: Shape = "item"
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, word: str) -> str:
        """Return what a call must look like, for a sentence."""
        tails = {"item": "{user}/{type}/{item}", "items": "{user}/{type}/{item[,item…]}", "user": "{user}"}
        return f"{word}/{tails.get(self.path, '{source user}/{target user}')}"


def read_parameters(rule: Rule, word: str, parameters: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the event's fields that the parameters set; unknown parameters set none."""
    fields = dict(rule.defaults)
    for name, values in parameters.items():
        if name in rule.parameters:
            fields |= rule.parameters[name](name, values)
    if rule.required and rule.required not in parameters:
        raise InvalidIdentifier(f"{rule.required} is missing: {word} can not be stored without it")
    return fields


def _one(name: str, values: Sequence[str]) -> str:
    if len(values) > 1 and len(set(values)) > 1:
        raise InvalidIdentifier(f"{name} was given {len(values)} times with different values: expected it once")
    return values[0]


def read_integer(field: str, lowest: int, highest: int, name: str, values: Sequence[str]) -> dict[str, Any]:
    """Read a number within bounds, rounded to a whole one."""
    text = _one(name, values)
    number = rounded(text, lowest, highest)
    if number is None:
        raise InvalidIdentifier(f"{name} {text[:40]!r}: expected a number from {lowest} to {highest}")
    return {field: number}


def rounded(text: str, lowest: int, highest: int) -> int | None:
    """Return a number as a whole one, half to even and of something never nothing: 0.4 pieces are 1.

    None where it is no number (ASCII digits, perhaps a point and an exponent), or not within the bounds.
    """
    if not _DECIMAL.fullmatch(text):
        return None
    exact = Decimal(text)
    number = exact.to_integral_value(ROUND_HALF_EVEN)
    if not number and exact > 0:
        number = Decimal(max(lowest, 0))
    return int(number) if lowest <= number <= highest else None


def read_name(field: str, name: str, values: Sequence[str]) -> dict[str, Any]:
    """Read the name of something that a website has."""
    return {field: parse_name(_one(name, values), name)}


def _bounded(name: str, text: str, lowest: int, highest: int) -> int:
    if not _NUMBER.fullmatch(text) or not lowest <= int(text) <= highest:
        raise InvalidIdentifier(f"{name} {text[:40]!r}: expected a whole number from {lowest} to {highest}")
    return int(text)


def read_language(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Read a language code."""
    text = _one(name, values)
    if not LANGUAGE.fullmatch(text):
        raise InvalidIdentifier(f"{name} {text[:40]!r}: expected a language code like eng-GB")
    return {"language": text}


def read_order(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Read the shop's own number of an order, which may be any text."""
    text = _one(name, values)
    if len(text) > MAX_ORDER_CHARACTERS:
        raise InvalidIdentifier(f"{name} {text[:40]!r}…: expected at most {MAX_ORDER_CHARACTERS} characters")
    return {"order_id": text}


def read_segments(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Read ids with commas between them."""
    texts = [text for value in values for text in value.split(",") if text not in UNSET]
    if len(texts) > MAX_SEGMENTS:
        raise InvalidIdentifier(f"{name} with {len(texts)} ids: expected at most {MAX_SEGMENTS}")
    return {"segments": tuple(_bounded(name, text, 0, MAX_INT32) for text in texts)}


def read_categories(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Read category paths; slashes around and between are made one."""
    if len(values) > MAX_CATEGORIES:
        raise InvalidIdentifier(f"{name} given {len(values)} times: expected at most {MAX_CATEGORIES}")
    for value in values:
        if len(value) > MAX_CATEGORY_CHARACTERS:
            raise InvalidIdentifier(f"{name} {value[:40]!r}…: expected at most {MAX_CATEGORY_CHARACTERS} characters")
    paths = ["/".join(part for part in value.split("/") if part) for value in values]
    return {"categories": tuple(dict.fromkeys(f"/{path}" for path in paths if path))}


def read_price(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Read `12.45EUR` as 1245 and EUR, rounded half to even to the digits of ISO 4217."""
    text = _one(name, values)
    if text[:-3] in UNSET and text[-3:] in FRACTION_DIGITS:
        return {}  # a page that joins an amount it does not have to its currency
    match = PRICE.fullmatch(text)
    if not match:
        raise InvalidIdentifier(f"{name} {text[:40]!r}: expected an amount and its currency, like 12.45EUR or 456JPY")
    fraction_digits(match[2])
    try:
        return {"price_minor": to_minor(_with_point(match[1]), match[2]), "currency": match[2]}
    except ValueError:
        expected = f"at most {MAX_MINOR} of its smallest unit"
        raise InvalidIdentifier(f"{name} {text[:40]!r}: expected an amount of {match[2]}, {expected}") from None


def _with_point(amount: str) -> str:
    """Return an amount with a point before its fraction and nothing between thousands: the last mark is the point."""
    whole, _, fraction = amount.replace(",", ".").rpartition(".")
    return f"{whole.replace('.', '')}.{fraction}" if whole else amount


_READERS: dict[str, Reader] = {
    "segments": read_segments,
    "lang": read_language,
    "requestuuid": partial(read_name, "request_uuid"),
    "categorypath": read_categories,
    "percentage": partial(read_integer, "percentage", 0, 100),
    "rating": partial(read_integer, "rating", 0, 100),
    "quantity": partial(read_integer, "quantity", 1, MAX_INT32),
    "fullprice": read_price,
    "order": read_order,
    "scenario": partial(read_name, "scenario"),
    "modelid": partial(read_name, "model"),
    "triggername": partial(read_name, "trigger"),
}
_EVERYWHERE = ("segments", "lang", "requestuuid")
_PLAIN = ("basket", "deletefrombasket", "wishlist", "deletefromwishlist", "owns", "blacklist")


def _rule(name: str, *parameters: str, required: str = "", path: Shape = "item", **defaults: int) -> Rule:
    chosen = {parameter: _READERS[parameter] for parameter in (*_EVERYWHERE, *parameters)}
    return Rule(name, chosen, required, path, defaults)


RULES: dict[str, Rule] = {
    "click": _rule("click", "categorypath"),
    "consume": _rule("consume", "percentage"),
    "buy": _rule("buy", "quantity", "fullprice", "order", quantity=1),
    "rate": _rule("rate", "rating", required="rating"),
    "rendered": _rule("rendered", "scenario", "modelid", path="items"),
    "clickrecommended": _rule("clickrecommended", "scenario", "modelid", "categorypath", required="scenario"),
    "triggeropened": _rule("triggeropened", "triggername", required="triggername", path="user"),
    "clicktriggered": _rule("clicktriggered", "triggername", required="triggername"),
    "login": _rule("login", path="users"),
    **{name: _rule(name) for name in _PLAIN},
}
RULES["follow"] = RULES["clickrecommended"]
RULES["transfer"] = RULES["login"]
"""Every event, by the word of its path."""

BATCH = "events"
EVENT_WORDS = frozenset(RULES) | {BATCH}
"""The words after the customer id that the tracker answers."""
