"""What `/openapi.json` says of forgetting users."""

from __future__ import annotations

from typing import Any

from serving.openapi.openapi_answers import problems
from serving.openapi.openapi_parameters import path_part
from serving.users.erasing_views import MAX_USERS

Value = dict[str, Any]

_ERASURES: Value = {
    "type": "object",
    "properties": {"erasures": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_USERS}},
    "required": ["erasures"],
    "additionalProperties": False,
}
_BURIED: Value = {
    "description": "On disk: the live store forgets within a second, everything else with the next refresh.",
    "content": {"application/json": {"schema": _ERASURES}},
}
_USERS: Value = {"type": "string", "minLength": 1, "description": f"Up to {MAX_USERS} user ids with commas between."}


def paths() -> dict[str, Value]:
    """Return the path that forgets users."""
    operation = {
        "operationId": "delete_user",
        "tags": ["users"],
        "description": "Forgets users everywhere; the ids of the erasures are those of their receipts.",
        "parameters": [
            {"name": "customer", "in": "path", "required": True, "schema": path_part("customer")},
            {"name": "users", "in": "path", "required": True, "schema": _USERS},
        ],
        "responses": {"202": _BURIED, **problems(400, 401, 404, 414, 429, 503)},
        "security": [{"key": []}],
    }
    return {"/api/{customer}/user/{users}": {"delete": operation}}
