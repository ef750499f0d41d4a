"""What `/openapi.json` says of users: their attributes as XML, by source, with the customer's key."""

from __future__ import annotations

from typing import Any

from serving.openapi.openapi_answers import problems
from serving.openapi.openapi_parameters import path_part, ref
from serving.users.user_views import FORMER_XML, MAX_USERS

Value = dict[str, Any]

_DOCUMENT: Value = {"application/xml": {"schema": {"type": "string"}}}
_QUEUED: Value = {
    "description": "Queued: it is on disk, a GET sees it, and the next refresh applies it.",
    "headers": {"X-Change": {"required": True, "schema": {"type": "string"}, "description": "The change's id."}},
}
_USERS: Value = {"type": "string", "minLength": 1, "description": f"Up to {MAX_USERS} user ids with commas between."}
_ALL: Value = {"name": "allSources", "in": "query", "schema": ref("Boolean")}


def paths() -> dict[str, Value]:
    """Return the paths of the user API."""
    place = [_place("customer", path_part("customer")), _place("source", path_part("scenario"))]
    post = _operation("post_users", "Replaces what a source says of users.", place)
    post |= {"requestBody": {"required": True, "content": _DOCUMENT | {FORMER_XML: _DOCUMENT["application/xml"]}}}
    post["responses"] = {
        "200": _QUEUED | {"description": f"As 202, to a body of type {FORMER_XML}."},
        "202": _QUEUED,
        **problems(400, 401, 404, 411, 413, 414, 415, 429, 503),
    }
    get = _operation(
        "get_users", "What a source, or every source, says of users.", [*place, _place("users", _USERS), _ALL]
    )
    found = {"description": "The users of whom something is known.", "content": _DOCUMENT}
    get["responses"] = {"200": found, **problems(400, 401, 404, 414, 429)}
    return {"/api/{customer}/{source}/user": {"post": post}, "/api/{customer}/{source}/user/{users}": {"get": get}}


def _operation(name: str, says: str, parameters: list[Value]) -> Value:
    key = [{"key": list[str]()}]
    return {"operationId": name, "tags": ["users"], "description": says, "parameters": parameters, "security": key}


def _place(name: str, schema: Value) -> Value:
    return {"name": name, "in": "path", "required": True, "schema": schema}
