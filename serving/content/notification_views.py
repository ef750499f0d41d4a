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
from personalization_pipelines.content.exports.notification import Notified, read_notification
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.website import Website
from serving.http.raw_request import read_body
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
