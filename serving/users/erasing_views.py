"""Forgetting users over HTTP: `DELETE /api/{customer}/user/{id[,id…]}` (section 4 of the contract), with the key.

202 says that the tombstones are on the disk: the live store forgets within a second, everything else with the next
refresh, and the import history says when. No raw id is kept or logged; an id that is nobody's refuses the whole call.
"""

from __future__ import annotations

import logging

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest, ServiceUnavailable

from personalization_pipelines.erasure.tombstones import bury
from personalization_pipelines.events.judging.visitors import visitor_of
from personalization_pipelines.website import Website
from serving.openapi.schemas import (
    TEXT,
    Described,
    closed_object,
    in_path,
    json_body,
    problems,
    several,
    with_key,
)
from serving.services import Services

MAX_USERS = 100
_log = logging.getLogger(__name__)


def blueprint(services: Services) -> Blueprint:
    """Return the block that forgets users."""
    block = Blueprint("erasing", __name__)

    @block.delete("/api/<customer>/user/<path:users>")
    def delete_user(customer: str, users: str) -> Response:
        """Bury the users that the path names (202), or none of them (400, 401, 414, 429, 503)."""
        served = services.with_key(customer, request.environ)
        visitors = _visitors(users, served.website, services.home.key)
        try:
            stones = bury(services.home, served.website.name, visitors)
        except OSError as error:
            _log.error("website %s: an erasure can not be stored: %s", served.website.name, error.strerror)
            raise ServiceUnavailable("The erasure can not be stored now: send it again.", retry_after=60) from None
        body = orjson.dumps({"erasures": [stone.id for stone in stones]})
        return Response(body, 202, content_type="application/json", headers={"Cache-Control": "no-store"})

    return block


def describe() -> Described:
    """Return what `/openapi.json` says of forgetting users."""
    says = "Forgets users everywhere; the ids of the erasures are those of their receipts."
    named = {"type": "string", "minLength": 1, "description": f"Up to {MAX_USERS} user ids with commas between."}
    buried = {
        "description": "On disk: the live store forgets within a second, everything else with the next refresh.",
        "content": json_body(closed_object({"erasures": several(TEXT, MAX_USERS)})),
    }
    answers = {"202": buried, **problems(400, 401, 404, 414, 429, 503)}
    operation = with_key("delete_user", "users", says, [in_path("customer"), in_path("users", named)], answers)
    return Described({"/api/{customer}/user/{users}": {"delete": operation}})


def _visitors(users: str, website: Website, key: bytes) -> list[str]:
    """Return the visitors behind ids or tokens with commas between them, each once; BadRequest where one is nobody."""
    named = users.split(",")
    if len(named) > MAX_USERS:
        raise BadRequest(f"{len(named)} users: expected at most {MAX_USERS} in one call. Nobody was erased.")
    visitors = [visitor_of(user, website, key) for user in named]
    if "" in visitors:
        wrong = named[visitors.index("")]
        raise BadRequest(f"user {wrong!r} is nobody: expected user ids or tokens like ~AbCd…. Nobody was erased.")
    return list(dict.fromkeys(visitors))
