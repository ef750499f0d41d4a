"""What `/openapi.json` says of answers: their statuses, types and shapes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from serving.http.problems import CONTENT_TYPE
from serving.openapi.openapi_parameters import SHARED, batch_event, ref
from serving.tracking.tracker_script import FORMER_NAMES

Value = dict[str, Any]


def _object(required: Value, **optional: Value) -> Value:
    return {"type": "object", "properties": required | optional, "required": [*required], "additionalProperties": False}


def _list(items: Value) -> Value:
    return {"type": "array", "items": items}


_ID: Value = {"type": ["integer", "string"], "description": "A number on a website whose ids are numeric."}
_TYPE = ref("ItemType")
_TEXT: Value = {"type": "string"}
_SOURCE: Value = {"enum": ["REQUEST", "CLICK", "CONSUME", "BUY", "OWNS", "BASKET", "RATE", "WISHLIST"]}
_ITEM = {"itemId": _ID, "itemType": _TYPE}
_LINKS = _object({"clickRecommended": _TEXT, "rendered": _TEXT})
_ATTRIBUTE = _object({"key": _TEXT, "values": _list({"type": ["string", "number", "boolean"]})})
_EXPLAINED: Value = {"type": "object"}

COMPONENTS: dict[str, Value] = {
    **SHARED,
    "Problem": _object(
        {
            "type": {"const": "about:blank"},
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "minLength": 1, "description": "A sentence: what, its value, what to send."},
        }
    ),
    "ContextItem": _object(_ITEM | {"sources": _list(_SOURCE)}, viewers={"type": "integer", "minimum": 0}),
    "RecommendedItem": _object(
        _ITEM | {"relevance": {"type": "integer", "minimum": 1, "maximum": 1000}, "attributes": _list(_ATTRIBUTE)},
        origin=_object({"itemIds": _list(_ID), "itemType": _TYPE, "source": _SOURCE}),
        category=_TEXT,
        links=_LINKS,
        explanation=_EXPLAINED,
    ),
    "Answer": _object(
        {"contextItems": _list(ref("ContextItem")), "recommendationItems": _list(ref("RecommendedItem"))},
        explanation=_EXPLAINED,
    ),
    "Event": batch_event(),
}


def _problem(status: HTTPStatus) -> Value:
    content = {CONTENT_TYPE: {"schema": ref("Problem")}}
    again = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}}
    return {"description": status.phrase, "content": content, "headers": again if status == 503 else {}}


RESPONSES: dict[str, Value] = {str(one.value): _problem(one) for one in HTTPStatus if one >= 400}


def problems(*statuses: int) -> dict[str, Value]:
    """Return the answers that are errors, by status."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


_READABLE: Value = {
    "Access-Control-Allow-Origin": {
        "schema": {"const": "*"},
        "description": "Where recommendations need no key; on errors, too.",
    }
}


def recommended(*, jsonp: bool) -> dict[str, Value]:
    """Return the answers to a request for recommendations."""
    kind, schema = ("application/javascript", _TEXT) if jsonp else ("application/json", ref("Answer"))
    late = {
        **_READABLE,
        "X-Live-History": {"schema": {"const": "unavailable"}, "description": "Composed without live history."},
    }
    found = {"description": "Recommendations.", "content": {kind: {"schema": schema}}, "headers": late}
    unchanged = {"description": "The sender's copy still holds.", "headers": _READABLE}
    return {"200": found, "304": unchanged, **problems(400, 401, 404, 409, 414, 429, 501, 503)}


def _page(kind: str, schema: Value, *more: dict[str, Value]) -> dict[str, Value]:
    found: dict[str, Value] = {"200": {"description": "As it is now.", "content": {kind: {"schema": schema}}}}
    for one in more:
        found |= one
    return found


_OPEN = {"Access-Control-Allow-Origin": {"required": True, "schema": {"const": "*"}}}
_STORED: Value = {"description": "Stored: it is on disk.", "headers": _OPEN}
_PIXEL: Value = {**_STORED, "content": {"image/gif": {"schema": {"type": "string", "format": "binary"}}}}
_BODY_REFUSED = (411, 413, 415)
TRACKED: dict[str, dict[str, Value]] = {
    "get": {"200": _PIXEL, "204": _STORED, **problems(400, 401, 404, 414, 503)},
    "post": {"204": _STORED, **problems(400, 401, 404, 414, 503, *_BODY_REFUSED)},
}
BATCHED: dict[str, Value] = {"204": _STORED, **problems(400, 401, 404, 414, 501, 503, *_BODY_REFUSED)}
_READINESS = _object(
    {"status": {"enum": ["ready", "not ready"]}, "event_log": _TEXT, "websites": {"type": "object"}},
    event_log_failure=_object({"reason": _TEXT, "since": {"type": ["string", "null"], "format": "date-time"}}),
)
_NOT_READY = {"503": {"description": "Not yet.", "content": {"application/json": {"schema": _READINESS}}}}
_SCRIPT_UNCHANGED = {"304": {"description": "The sender's copy still holds."}}
PAGES: dict[str, dict[str, Value]] = {
    "/healthz": _page("application/json", _object({"status": {"const": "ok"}})),
    "/readyz": _page("application/json", _READINESS, _NOT_READY),
    "/metrics": _page("text/plain", _TEXT),
    **{f"/{name}": _page("text/javascript", _TEXT, _SCRIPT_UNCHANGED) for name in ("tracker.js", *FORMER_NAMES)},
    "/openapi.json": _page("application/json", {"type": "object"}),
}
"""Paths without parameters."""
