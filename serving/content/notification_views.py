"""What a CMS notifies: `POST /api/{customer}/items` (section 3 of the HTTP contract), with the licence key.

202 says that all events are on the disk; the documents that they name are fetched by the next refresh, never here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest, ServiceUnavailable

from personalization_pipelines.content.change_queue import enqueue, withdraw
from personalization_pipelines.content.exports.notification import (
    ACTIONS,
    FORMATS,
    MAX_ADDRESSES,
    MAX_CREDENTIAL,
    MAX_EVENTS,
    MAX_TRANSACTION,
    Notified,
    read_notification,
)
from personalization_pipelines.events.judging.rules import LANGUAGE
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.website import Website
from personalization_pipelines.website.export_hosts import MAX_ADDRESS
from serving.http.raw_request import read_body
from serving.openapi.schemas import (
    TEXT,
    Described,
    Value,
    closed_object,
    in_path,
    json_body,
    problems,
    several,
    with_key,
)
from serving.services import Services

MAX_BODY_BYTES = 4 << 20
_log = logging.getLogger(__name__)


def blueprint(services: Services) -> Blueprint:
    """Return the block that takes notifications."""
    block = Blueprint("notifications", __name__)

    @block.post("/api/<customer>/items")
    def notify(customer: str) -> Response:
        """Queue all events of a notification (202), or none of them (400, 401, 411, 413, 414, 415, 429, 503)."""
        served = services.with_key(customer, request.environ)
        body = read_body(request.environ, MAX_BODY_BYTES)
        try:
            events = read_notification(body, served.website)
        except ImportRefused as error:
            raise BadRequest(f"{error}. Nothing was stored.") from None
        changes = _queued(services, served.website, events)
        answer = orjson.dumps({"changes": changes})
        return Response(answer, 202, content_type="application/json", headers={"Cache-Control": "no-store"})

    return block


def describe() -> Described:
    """Return what `/openapi.json` says of notifications."""
    says = "Notifies exports of a CMS. The ids of the changes, one an event, stand in the import history."
    queued = {
        "description": "Queued: all events are on disk, and the next refresh fetches what they name.",
        "content": json_body(closed_object({"changes": several(TEXT, MAX_EVENTS)})),
    }
    notification = {
        "type": "object",
        "properties": {
            "transaction": _or_null({"type": ["string", "integer"], "maxLength": MAX_TRANSACTION}),
            "events": several(_event(), MAX_EVENTS),
        },
        "required": ["events"],
    }
    answers = {"202": queued, **problems(400, 401, 411, 413, 414, 415, 429, 503)}
    operation = with_key("post_items", "content", says, [in_path("customer")], answers, json_body(notification))
    return Described({"/api/{customer}/items": {"post": operation}})


def _event() -> Value:
    address = {
        "type": "string",
        "maxLength": MAX_ADDRESS,
        "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#]+([/?][^#]*)?$",
        "description": "On one of the website's hosts (`content: export_hosts`); no user before an `@`.",
    }
    return {
        "type": "object",
        "properties": {
            "action": {"enum": [*ACTIONS]},
            "format": {"enum": [*FORMATS]},
            "uri": _or_null({"anyOf": [address, {"type": "array", "items": address, "maxItems": MAX_ADDRESSES}]}),
            "itemId": _number("Of a DELETE, which needs it; 0 and none are the same."),
            "contentTypeId": _number("One of the website's item types; a FULL and a DELETE need it."),
            "lang": _or_null({"type": "string", "pattern": f"^({LANGUAGE.pattern})?$"}),
            "credentials": _or_null({"anyOf": [_credentials(), {"type": "array", "maxItems": 0}]}),
        },
        "required": ["action"],
    }


def _credentials() -> Value:
    secret = _or_null({"type": "string", "maxLength": MAX_CREDENTIAL})
    return {
        "type": "object",
        "properties": {"login": secret, "password": secret},
        "additionalProperties": _or_null(TEXT),
        "description": "For Basic authentication where the documents are fetched; an empty list counts as none.",
    }


def _or_null(schema: Value) -> Value:
    return {"anyOf": [schema, {"type": "null"}]}


def _number(description: str) -> Value:
    digits = {"type": "string", "pattern": "^[0-9]{0,18}$"}
    return {**_or_null({"anyOf": [{"type": "integer", "minimum": 0}, digits]}), "description": description}


def _queued(services: Services, website: Website, events: Sequence[Notified]) -> list[str]:
    """Return the ids of the changes, one an event, in their order. ServiceUnavailable where not all could be queued."""
    home, changes = services.home, list[str]()
    try:
        for event in events:
            changes.append(enqueue(home, website, event.kind, event.encoded(home.key), name=event.name))
    except OSError as error:
        _log.error("website %s: a notification can not be queued: %s", website.name, error.strerror)
        withdraw(home, website, changes)
        raise ServiceUnavailable("The notification can not be stored now: send it again.", retry_after=60) from None
    return changes
