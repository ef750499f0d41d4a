"""What `/openapi.json` says of paths, parameters and batches, read off the rules that requests are checked by.

Bounds and patterns come from the constants of those rules. Where a rule is wider than JSON schema can say (bytes
of UTF-8, the names of a website's scenarios) the schema says what it can, and the description the rest.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from personalization_pipelines.events.judging import rules
from personalization_pipelines.events.judging.batch_body import MAX_EVENTS
from personalization_pipelines.events.judging.batch_usual import EVENT_ID
from personalization_pipelines.events.judging.rules import RULES, Reader, Rule
from personalization_pipelines.foundation.currency import FRACTION_DIGITS, MAX_MINOR
from personalization_pipelines.foundation.identifiers import (
    CUSTOMER_ID,
    MAX_ITEM_CHARACTERS,
    MAX_ITEM_TYPE,
    MAX_NUMERIC_ITEM,
    MAX_USER_BYTES,
    NAME,
    PLACEHOLDER_USERS,
)
from serving.recommending.question import DEFAULT_NUMBER, HISTORY_CODES, MAX_NUMBER
from serving.recommending.request import CALLBACK, MAX_ATTRIBUTES, MAX_CATEGORIES, MAX_CONTEXT_ITEMS, NOT_BUILT

Value = dict[str, Any]

_FORBIDDEN = r"\u0000-\u001f\u007f\\"
_ITEM = rf"[^{_FORBIDDEN}/,\ufffd]{{1,{MAX_ITEM_CHARACTERS}}}"
_ROUNDED = "Rounded half to even."
_MINOR_DIGITS = len(str(MAX_MINOR)) - 1  # every number of as many digits is small enough


def _text(pattern: str, **more: Any) -> Value:
    return {"type": "string", "pattern": f"^{pattern}$", **more}


def _number(lowest: int, highest: int, **more: Any) -> Value:
    return {"type": "integer", "minimum": lowest, "maximum": highest, **more}


def _several(items: Value, most: int) -> Value:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}


def _price() -> Value:
    """Return the schema of an amount and its currency; an amount is rounded to the digits that ISO 4217 gives it."""
    amounts = []
    for digits in sorted(set(FRACTION_DIGITS.values())):
        codes = "|".join(code for code, own in FRACTION_DIGITS.items() if own == digits)
        fraction = rf"(?:\.[0-9]{{1,{rules.MAX_FRACTION}}}|,[0-9]{{1,2}})?"
        amounts.append(rf"[0-9]{{1,{_MINOR_DIGITS - digits}}}{fraction}(?:{codes})")
    return _text(f"(?:{'|'.join(amounts)})", examples=["12.45EUR", "456JPY"], description=_ROUNDED)


def _measure(lowest: int, highest: int) -> Value:
    """Return the schema of a number that is rounded to a whole one within bounds."""
    half = "maximum" if highest % 2 == 0 else "exclusiveMaximum"
    least = {"exclusiveMinimum": 0} if lowest else {"minimum": -0.5}
    return {"type": "number", **least, half: highest + 0.5, "description": _ROUNDED}


_USER_SAYS = (
    f"At most {MAX_USER_BYTES} bytes of UTF-8; the empty text and {', '.join(sorted(PLACEHOLDER_USERS))} are nobody."
)
_NOBODY = "|".join(
    "".join(f"[{one}{one.upper()}]" if one.isalpha() else f"\\{one}" if one in "[]" else one for one in text)
    for text in sorted(PLACEHOLDER_USERS)
)
_LOGIN_SAYS = "Somebody; where ids hold a slash, send the login in a batch. Source and target are not the same."
_ORDER_SAYS = "The same order, visitor, item, quantity and price in another call within 24 hours is the same purchase."
_ITEM_SAYS = f"ASCII digits, at most {MAX_NUMERIC_ITEM}, on a website whose ids are numeric."
SHARED: dict[str, Value] = {
    "Text": _text(rf"[^{_FORBIDDEN}]*"),
    "CustomerId": _text(CUSTOMER_ID.pattern),
    "User": _text(rf"[^{_FORBIDDEN}\ufffd]*", maxLength=MAX_USER_BYTES, description=_USER_SAYS),
    "LoginUser": _text(
        rf"(?!(?:{_NOBODY})$)[^{_FORBIDDEN}/\ufffd]+", maxLength=MAX_USER_BYTES, description=_LOGIN_SAYS
    ),
    "ItemType": _number(1, MAX_ITEM_TYPE),
    "ItemId": _text(_ITEM, description=_ITEM_SAYS),
    "ItemIds": _text(rf"(?:{_ITEM}(?:,{_ITEM})*)?", description=f"With commas between them. {_ITEM_SAYS}"),
    "Name": _text(NAME.pattern),
    "Segments": _several(_number(0, rules.MAX_INT32), rules.MAX_SEGMENTS),
    "Category": _text(rf"[^{_FORBIDDEN}]+", maxLength=rules.MAX_CATEGORY_CHARACTERS),
    "Categories": _several({"$ref": "#/components/schemas/Category"}, rules.MAX_CATEGORIES),
    "Language": _text(rules.LANGUAGE.pattern),
    "Price": _price(),
    "Order": _text(rf"[^{_FORBIDDEN}]+", maxLength=rules.MAX_ORDER_CHARACTERS, description=_ORDER_SAYS),
    "Boolean": {"type": "string", "enum": ["true", "false", "1", "0"], "default": "false"},
    "Attributes": _several(_text(rf"[^{_FORBIDDEN},]+"), MAX_ATTRIBUTES),
    "HistoryCode": {"type": "string", "enum": [*HISTORY_CODES]},
}
"""Schemas of the document's components that several parameters have in common."""


def ref(name: str) -> Value:
    """Return the reference to a component's schema."""
    return {"$ref": f"#/components/schemas/{name}"}


_PATH = {"customer": "CustomerId", "user": "User", "type": "ItemType", "item": "ItemId", "scenario": "Name"}
_BATCHED = {"type": "item_type"}
"""Names of a batch's fields that are not those of the path."""
_PLACE = re.compile(r"\{(\w+)[^}]*\}")
_READERS: dict[Reader, str] = {
    rules.read_segments: "Segments",
    rules.read_categories: "Categories",
    rules.read_language: "Language",
    rules.read_price: "Price",
    rules.read_order: "Order",
}

REPEATED = frozenset({"categorypath"})
"""Parameters that are repeated for several values; the others hold them with commas between them."""

RECOMMENDATION: dict[str, Value] = {
    "numrecs": _number(1, MAX_NUMBER, default=DEFAULT_NUMBER),
    "contextitems": _several({"anyOf": [ref("ItemId"), ref("HistoryCode")]}, MAX_CONTEXT_ITEMS),
    "outputtypeid": {**ref("ItemType"), "description": "One of the scenario's output types."},
    "crosscontenttype": ref("Boolean"),
    "attribute": ref("Attributes"),
    "attributes": ref("Attributes"),
    "categorypath": _several(ref("Category"), MAX_CATEGORIES),
    "usecontextcategorypath": ref("Boolean"),
    "recommendCategory": ref("Boolean"),
    "lang": {
        **ref("Language"),
        "description": "Only items that exist in it; one of the website's languages, where it names any.",
    },
    "explain": ref("Boolean"),
    **{name: {**ref("Text"), "description": f"501: {what}, not built."} for name, what in NOT_BUILT.items()},
    "usetimeslot": {**ref("Boolean"), "description": "501 if true: time slots are not built."},
}
JSONP: dict[str, Value] = {"jsonpCallback": _text(CALLBACK.pattern.replace(r"\w", "A-Za-z0-9_"))}


def path_part(name: str, *, several: bool = False) -> Value:
    """Return the schema of a part of a path; `several` items have commas between them."""
    return ref("ItemIds" if several and name == "item" else _PATH.get(name, "LoginUser"))


def places(rule: Rule) -> list[str]:
    """Return the names of what follows the event in its path: `{source user}` is `source`, `{item[,item…]}` `item`."""
    return _PLACE.findall(rule.shape(""))


def event_parameters(rule: Rule) -> dict[str, Value]:
    """Return the schema of each parameter of an event."""
    return {name: _of_reader(reader) for name, reader in rule.parameters.items()}


def batch_event() -> Value:
    """Return the schema of one object of a batch: fields named as in path and query."""
    return {"anyOf": [_batched(word, rule) for word, rule in sorted(RULES.items())]}


def batch_content() -> Value:
    """Return the schemas of a batch's body, by content type."""
    array = {"type": "array", "items": ref("Event"), "maxItems": MAX_EVENTS}
    lines = {"type": "string", "description": f"At most {MAX_EVENTS} objects, one a line."}
    return {"application/json": {"schema": array}, "application/x-ndjson": {"schema": lines}}


def _batched(word: str, rule: Rule) -> Value:
    """Return the schema of an object of a batch; its fields are the places of the path and the parameters."""
    fields: Value = {"event": {"const": word}, EVENT_ID: {"type": "string", "format": "uuid"}}
    required = ["event", rule.required] if rule.required else ["event"]
    for place in places(rule):
        fields[_BATCHED.get(place, place)] = path_part(place, several=rule.path == "items")
    if "item" in fields:
        fields["item"] = {"anyOf": [_number(0, MAX_NUMERIC_ITEM), fields["item"]]}
    required += [name for name in fields if name not in ("event", "user", EVENT_ID)]
    fields |= event_parameters(rule)
    known = {name: schema if name in required else _or_nothing(schema) for name, schema in fields.items()}
    return open_object(known, required, {"type": ["boolean", "null"]}, _number(-(2**63), 2**64 - 1))


def _or_nothing(schema: Value) -> Value:
    """Return the schema of a field that may also be null or empty, which counts as not given."""
    return {"anyOf": [schema, {"enum": [None, "", []]}]}


def open_object(properties: Value, required: list[str], *others: Value) -> Value:
    """Return the schema of named values among which texts and `others` may be; they are ignored, but checked."""
    made = {"type": "object", "properties": properties, "required": required, "propertyNames": ref("Text")}
    return {**made, "additionalProperties": {"anyOf": [ref("Text"), *others]} if others else ref("Text")}


def _of_reader(reader: Reader) -> Value:
    """Return the schema of what a reader takes; KeyError for a kind of reader that is new."""
    if isinstance(reader, partial) and reader.func is rules.read_integer:
        _, lowest, highest = reader.args
        return _measure(lowest, highest)
    if isinstance(reader, partial) and reader.func is rules.read_name:
        return ref("Name")
    return ref(_READERS[reader])
