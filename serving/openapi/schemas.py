"""Parts of which every view makes its description: schemas, parameters, answers, operations.

Bounds and patterns come from the constants of the rules that requests are checked by. Where a rule is wider than JSON
schema can say (bytes of UTF-8, the names of a website's scenarios) the schema says what it can, and the description the
rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from personalization_pipelines.events.judging import rules
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
from serving.http.problems import CONTENT_TYPE

Value = dict[str, Any]


class Described(NamedTuple):
    """What a block of views says of itself: its paths, and schemas that several of them refer to."""

    paths: Value
    schemas: Mapping[str, Value] = {}


FORBIDDEN = r"\u0000-\u001f\u007f\\"
_ITEM = rf"[^{FORBIDDEN}/,\ufffd]{{1,{MAX_ITEM_CHARACTERS}}}"
ROUNDED = "Rounded half to even."
_MINOR_DIGITS = len(str(MAX_MINOR)) - 1  # every number of as many digits is small enough

TEXT: Value = {"type": "string"}


def ref(name: str) -> Value:
    """Return the reference to a component's schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(pattern: str, **more: Any) -> Value:
    """Return the schema of a text that matches a pattern wholly."""
    return {"type": "string", "pattern": f"^{pattern}$", **more}


def number(lowest: int, highest: int, **more: Any) -> Value:
    """Return the schema of a whole number."""
    return {"type": "integer", "minimum": lowest, "maximum": highest, **more}


def measure(lowest: int, highest: int) -> Value:
    """Return the schema of a number that is rounded to a whole one within bounds."""
    half = "maximum" if highest % 2 == 0 else "exclusiveMaximum"
    least = {"exclusiveMinimum": 0} if lowest else {"minimum": -0.5}
    return {"type": "number", **least, half: highest + 0.5, "description": ROUNDED}


def several(items: Value, most: int) -> Value:
    """Return the schema of at least one value."""
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}


def list_of(items: Value) -> Value:
    """Return the schema of any number of values."""
    return {"type": "array", "items": items}


def closed_object(required: Value, **optional: Value) -> Value:
    """Return the schema of an object with these properties and no others."""
    return {"type": "object", "properties": required | optional, "required": [*required], "additionalProperties": False}


def open_object(properties: Value, required: list[str], *others: Value) -> Value:
    """Return the schema of named values among which texts and `others` may be; they are ignored, but checked."""
    made = {"type": "object", "properties": properties, "required": required, "propertyNames": ref("Text")}
    return {**made, "additionalProperties": {"anyOf": [ref("Text"), *others]} if others else ref("Text")}


def _price() -> Value:
    """Return the schema of an amount and its currency; an amount is rounded to the digits that ISO 4217 gives it."""
    amounts = []
    for digits in sorted(set(FRACTION_DIGITS.values())):
        codes = "|".join(code for code, own in FRACTION_DIGITS.items() if own == digits)
        fraction = rf"(?:\.[0-9]{{1,{rules.MAX_FRACTION}}}|,[0-9]{{1,2}})?"
        amounts.append(rf"[0-9]{{1,{_MINOR_DIGITS - digits}}}{fraction}(?:{codes})")
    return text(f"(?:{'|'.join(amounts)})", examples=["12.45EUR", "456JPY"], description=ROUNDED)


_USER_SAYS = (
    f"At most {MAX_USER_BYTES} bytes of UTF-8; the empty text and {', '.join(sorted(PLACEHOLDER_USERS))} are nobody."
)
_NOBODY = "|".join(
    "".join(f"[{one}{one.upper()}]" if one.isalpha() else f"\\{one}" if one in "[]" else one for one in word)
    for word in sorted(PLACEHOLDER_USERS)
)
_LOGIN_SAYS = "Somebody; where ids hold a slash, send the login in a batch. Source and target are not the same."
_ORDER_SAYS = "The same order, visitor, item, quantity and price in another call within 24 hours is the same purchase."
_ITEM_SAYS = f"ASCII digits, at most {MAX_NUMERIC_ITEM}, on a website whose ids are numeric."
SHARED: dict[str, Value] = {
    "Text": text(rf"[^{FORBIDDEN}]*"),
    "CustomerId": text(CUSTOMER_ID.pattern),
    "User": text(rf"[^{FORBIDDEN}\ufffd]*", maxLength=MAX_USER_BYTES, description=_USER_SAYS),
    "LoginUser": text(rf"(?!(?:{_NOBODY})$)[^{FORBIDDEN}/\ufffd]+", maxLength=MAX_USER_BYTES, description=_LOGIN_SAYS),
    "ItemType": number(1, MAX_ITEM_TYPE),
    "ItemId": text(_ITEM, description=_ITEM_SAYS),
    "ItemIds": text(rf"(?:{_ITEM}(?:,{_ITEM})*)?", description=f"With commas between them. {_ITEM_SAYS}"),
    "Name": text(NAME.pattern),
    "Segments": several(number(0, rules.MAX_INT32), rules.MAX_SEGMENTS),
    "Category": text(rf"[^{FORBIDDEN}]+", maxLength=rules.MAX_CATEGORY_CHARACTERS),
    "Categories": several(ref("Category"), rules.MAX_CATEGORIES),
    "Language": text(rules.LANGUAGE.pattern),
    "Price": _price(),
    "Order": text(rf"[^{FORBIDDEN}]+", maxLength=rules.MAX_ORDER_CHARACTERS, description=_ORDER_SAYS),
    "Boolean": {"type": "string", "enum": ["true", "false", "1", "0"], "default": "false"},
    "Problem": closed_object(
        {
            "type": {"const": "about:blank"},
            "title": TEXT,
            "status": number(400, 599),
            "detail": {"type": "string", "minLength": 1, "description": "A sentence: what, its value, what to send."},
        }
    ),
}
"""Schemas that several views have in common."""
_PATH = {"customer": "CustomerId", "user": "User", "type": "ItemType", "item": "ItemId", "scenario": "Name"}
REPEATED = frozenset({"categorypath"})
"""Parameters that are repeated for several values; the others hold them with commas between them."""


def path_part(name: str, *, several_items: bool = False) -> Value:
    """Return the schema of a part of a path; several items have commas between them."""
    return ref("ItemIds" if several_items and name == "item" else _PATH.get(name, "LoginUser"))


def in_path(name: str, schema: Value | None = None) -> Value:
    """Return a parameter in the path; parts that several paths have need no schema."""
    return {"name": name, "in": "path", "required": True, "schema": schema or path_part(name)}


def in_query(name: str, schema: Value) -> Value:
    """Return a parameter in the query that may be left out."""
    return {"name": name, "in": "query", "required": False, "schema": schema}


def style(name: str) -> Value:
    """Return how several values of a parameter are written: one name each, or one with commas between them."""
    return {"style": "form", "explode": name in REPEATED}


def json_body(schema: Value) -> Value:
    """Return the content of a body of JSON."""
    return {"application/json": {"schema": schema}}


def problems(*statuses: int) -> dict[str, Value]:
    """Return the answers that are errors, by status."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _problem(status: HTTPStatus) -> Value:
    content = {CONTENT_TYPE: {"schema": ref("Problem")}}
    again = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}}
    return {"description": status.phrase, "content": content, "headers": again if status == 503 else {}}


RESPONSES: dict[str, Value] = {str(one.value): _problem(one) for one in HTTPStatus if one >= 400}

QUEUED_CHANGE: Value = {
    "description": "Queued: it is on disk, and the next refresh applies it.",
    "headers": {"X-Change": {"required": True, "schema": TEXT, "description": "The change's id."}},
}


def with_key(
    name: str, tag: str, says: str, parameters: Sequence[Value], answers: Value, body: Value | None = None
) -> Value:
    """Return an operation that needs the customer's key; `body` is the content of the one it takes."""
    operation: Value = {"operationId": name, "tags": [tag], "description": says, "parameters": [*parameters]}
    operation |= {"responses": answers, "security": [{"key": []}]}
    return operation if body is None else operation | {"requestBody": {"required": True, "content": body}}


def page(path: str, kind: str, schema: Value, more: Value | None = None) -> Value:
    """Return a path without parameters that is open to everybody."""
    found = {"description": "As it is now.", "content": {kind: {"schema": schema}}}
    operation = {"operationId": path.strip("/"), "tags": ["service"], "responses": {"200": found, **(more or {})}}
    return {path: {"get": operation}}
