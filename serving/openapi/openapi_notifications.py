"""What `/openapi.json` says of a CMS' notifications."""

from __future__ import annotations

from typing import Any

from personalization_pipelines.content.exports.notification import (
    ACTIONS,
    FORMATS,
    MAX_ADDRESSES,
    MAX_CREDENTIAL,
    MAX_EVENTS,
    MAX_TRANSACTION,
)
from personalization_pipelines.events.judging.rules import LANGUAGE
from personalization_pipelines.website.export_hosts import MAX_ADDRESS
from serving.openapi.openapi_answers import problems
from serving.openapi.openapi_parameters import path_part

Value = dict[str, Any]


def _or_null(schema: Value) -> Value:
    return {"anyOf": [schema, {"type": "null"}]}


def _number(description: str) -> Value:
    digits = {"type": "string", "pattern": "^[0-9]{0,18}$"}
    return {**_or_null({"anyOf": [{"type": "integer", "minimum": 0}, digits]}), "description": description}


_SECRET: Value = _or_null({"type": "string", "maxLength": MAX_CREDENTIAL})
_ADDRESS: Value = {
    "type": "string",
    "maxLength": MAX_ADDRESS,
    "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#]+([/?][^#]*)?$",
    "description": "On one of the website's hosts (`content: export_hosts`); no user before an `@`.",
}
_CREDENTIALS: Value = {
    "type": "object",
    "properties": {"login": _SECRET, "password": _SECRET},
    "additionalProperties": _or_null({"type": "string"}),
    "description": "For Basic authentication where the documents are fetched; an empty list counts as none.",
}
_EVENT: Value = {
    "type": "object",
    "properties": {
        "action": {"enum": [*ACTIONS]},
        "format": {"enum": [*FORMATS]},
        "uri": _or_null({"anyOf": [_ADDRESS, {"type": "array", "items": _ADDRESS, "maxItems": MAX_ADDRESSES}]}),
        "itemId": _number("Of a DELETE, which needs it; 0 and none are the same."),
        "contentTypeId": _number("One of the website's item types; a FULL and a DELETE need it."),
        "lang": _or_null({"type": "string", "pattern": f"^({LANGUAGE.pattern})?$"}),
        "credentials": _or_null({"anyOf": [_CREDENTIALS, {"type": "array", "maxItems": 0}]}),
    },
    "required": ["action"],
}
_NOTIFICATION: Value = {
    "type": "object",
    "properties": {
        "transaction": _or_null({"type": ["string", "integer"], "maxLength": MAX_TRANSACTION}),
        "events": {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": MAX_EVENTS},
    },
    "required": ["events"],
}
_CHANGES: Value = {
    "type": "object",
    "properties": {"changes": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_EVENTS}},
    "required": ["changes"],
    "additionalProperties": False,
}
_QUEUED: Value = {
    "description": "Queued: all events are on disk, and the next refresh fetches what they name.",
    "content": {"application/json": {"schema": _CHANGES}},
}


def paths() -> dict[str, Value]:
    """Return the path that takes notifications."""
    operation = {
        "operationId": "post_items",
        "tags": ["content"],
        "description": "Notifies exports of a CMS. The ids of the changes, one an event, stand in the import history.",
        "parameters": [{"name": "customer", "in": "path", "required": True, "schema": path_part("customer")}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _NOTIFICATION}}},
        "responses": {"202": _QUEUED, **problems(400, 401, 411, 413, 414, 415, 429, 503)},
        "security": [{"key": []}],
    }
    return {"/api/{customer}/items": {"post": operation}}
