"""What `/openapi.json` says of the content API: items and transfers as XML, with the customer's key."""

from __future__ import annotations

from typing import Any

from serving.openapi.openapi_answers import problems
from serving.openapi.openapi_parameters import path_part, ref

Value = dict[str, Any]

_DOCUMENT: Value = {"application/xml": {"schema": {"type": "string"}}}
_SENT = {"required": True, "content": _DOCUMENT}
_QUEUED: Value = {
    "202": {
        "description": "Queued: it is on disk, and the next refresh applies it.",
        "headers": {"X-Change": {"required": True, "schema": {"type": "string"}, "description": "The change's id."}},
    }
}
_SAYS = {
    "post_item": "Adds items, or replaces those of the same type, id and language. The schema is at `schema.xsd`.",
    "transfer_items": "Lets the history of old items count for new ones, from now on; the old items are removed.",
    "get_item": "An item as it is published now.",
    "delete_item": "Removes an item, in one language or (without `lang`) in all.",
    "get_item_schema": "The XML Schema of this website's documents.",
}


def paths() -> dict[str, Value]:
    """Return the paths of the content API."""
    found: Value = {"200": {"description": "As it is published.", "content": _DOCUMENT}}
    item = [_place("customer"), _place("type"), _place("item"), _language()]
    return {
        "/api/{customer}/item": {
            "post": _operation(
                "post_item", [_place("customer")], _QUEUED | problems(400, 401, 411, 413, 414, 415, 429, 503)
            )
            | {"requestBody": _SENT}
        },
        "/api/{customer}/transferitems": {
            "post": _operation(
                "transfer_items", [_place("customer")], _QUEUED | problems(400, 401, 411, 413, 414, 415, 429, 503)
            )
            | {"requestBody": _SENT}
        },
        "/api/{customer}/item/schema.xsd": {
            "get": _operation("get_item_schema", [_place("customer")], found | problems(400, 401, 414, 429))
        },
        "/api/{customer}/item/{type}/{item}": {
            "get": _operation("get_item", item, found | problems(400, 401, 404, 414, 429, 501)),
            "delete": _operation("delete_item", item, _QUEUED | problems(400, 401, 404, 414, 429, 503)),
        },
    }


def _operation(name: str, parameters: list[Value], answers: Value) -> Value:
    return {
        "operationId": name,
        "tags": ["content"],
        "description": _SAYS[name],
        "parameters": parameters,
        "responses": answers,
        "security": [{"key": []}],
    }


def _place(name: str) -> Value:
    return {"name": name, "in": "path", "required": True, "schema": path_part(name)}


def _language() -> Value:
    return {"name": "lang", "in": "query", "schema": ref("Language")}
