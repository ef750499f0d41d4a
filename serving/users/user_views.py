"""Users over HTTP: `/api/{customer}/{source}/user…` (section 4 of the HTTP contract), with the licence key.

202 (or 200, see `_status`) says that what was sent is on the disk; a GET sees it at once, the features with the next
refresh. No raw id and no e-mail address is kept or logged: the queue and the lake hold pseudonyms, and addresses
sealed under the installation key. Erasing is in erasing.py.
"""

from __future__ import annotations

import io
import logging

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest, NotFound, ServiceUnavailable

from personalization_pipelines.content.change_queue import enqueue
from personalization_pipelines.events.judging.rules import RULES
from personalization_pipelines.events.judging.visitors import visitor_of
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.identifiers import parse_name
from personalization_pipelines.website import Website
from serving.http.raw_request import parse_parameters, read_body
from serving.openapi.schemas import (
    QUEUED_CHANGE,
    TEXT,
    Described,
    in_path,
    in_query,
    path_part,
    problems,
    ref,
    with_key,
)
from serving.recommending.request import parse_flag
from serving.services import Services

MAX_BODY_BYTES = 1 << 20
MAX_USERS = 100
RESERVED = frozenset({"item", "items", "user", "events", "transferitems", "imports", *RULES})
"""Words that follow the customer in other addresses."""
XML = "application/xml; charset=utf-8"
FORMER_XML = "text/xml"
NO_STORE = {"Cache-Control": "no-store"}

_log = logging.getLogger(__name__)


def blueprint(services: Services) -> Blueprint:
    """Return the block of the user API."""
    block, api = Blueprint("users", __name__), _Users(services)
    block.add_url_rule("/api/<customer>/<source>/user", "post_users", api.post, methods=["POST"])
    block.add_url_rule("/api/<customer>/<source>/user/<path:users>", "get_users", api.get)
    return block


def describe() -> Described:
    """Return what `/openapi.json` says of users."""
    place = [in_path("customer"), in_path("source", path_part("scenario"))]
    named = {"type": "string", "minLength": 1, "description": f"Up to {MAX_USERS} user ids with commas between."}
    says = "Queued: it is on disk, a GET sees it, and the next refresh applies it."
    queued, xml = {**QUEUED_CHANGE, "description": says}, {"application/xml": {"schema": TEXT}}
    sent = {
        "200": queued | {"description": f"As 202, to a body of type {FORMER_XML}."},
        "202": queued,
        **problems(400, 401, 404, 411, 413, 414, 415, 429, 503),
    }
    body = xml | {FORMER_XML: xml["application/xml"]}
    post = with_key("post_users", "users", "Replaces what a source says of users.", place, sent, body)
    found = {"description": "The users of whom something is known.", "content": xml}
    asked = [*place, in_path("users", named), in_query("allSources", ref("Boolean"))]
    answers = {"200": found, **problems(400, 401, 404, 414, 429)}
    get = with_key("get_users", "users", "What a source, or every source, says of users.", asked, answers)
    return Described(
        {"/api/{customer}/{source}/user": {"post": post}, "/api/{customer}/{source}/user/{users}": {"get": get}}
    )


class _Users:
    def __init__(self, services: Services) -> None:
        self._services = services

    def post(self, customer: str, source: str) -> Response:
        """Queue what a source says of users (202 or 200), or say what is wrong with the document (400)."""
        from personalization_pipelines.content.users.user_changes import USERS, queued_users
        from personalization_pipelines.content.xml.xml_users import read_xml_users

        website, home = self._website(customer), self._services.home
        _check_source(source)
        body = read_body(request.environ, MAX_BODY_BYTES)
        try:
            users = list(read_xml_users(io.BytesIO(body), website))
        except ImportRefused as error:
            raise BadRequest(f"{error}. Nothing was stored.") from None
        name = f"POST of {len(users):,} {'user' if len(users) == 1 else 'users'} by {source}"
        try:
            change = enqueue(home, website, USERS, queued_users(users, website, source, home.key), name=name)
        except OSError as error:
            _log.error("website %s: users can not be queued: %s", website.name, error.strerror)
            raise ServiceUnavailable(
                "The users can not be stored now: send them again later.", retry_after=60
            ) from None
        return Response(status=_status(request.mimetype), headers={**NO_STORE, "X-Change": change})

    def get(self, customer: str, source: str, users: str) -> Response:
        """Answer with what is known of users (404: of none of them), as the document that `post` takes."""
        from personalization_pipelines.content.users.read_users import known_of
        from personalization_pipelines.content.xml.xml_users import Told, write_xml_users

        website, home = self._website(customer), self._services.home
        _check_source(source)
        everything = parse_flag(parse_parameters(request.environ, 0), "allsources")
        visitors = _visitors(users, website, home.key)
        known = known_of(home, website, list(visitors.values()))
        found: list[tuple[str, list[Told]]] = []
        for user, visitor in visitors.items():
            said = known.get(visitor, {})
            told = [said[source]] if source in said else []
            if everything:
                others = sorted(said.items())
                told += [Told(one.attributes, one.types, name) for name, one in others if name != source]
            if told:
                found.append((user, told))
        if not found:
            raise NotFound(f"source {source!r} says nothing of these users: compare the ids, or ask with allSources.")
        return Response(write_xml_users(found), content_type=XML, headers=NO_STORE)

    def _website(self, customer: str) -> Website:
        """Return the website whose key the request carries (401, 414, 429 where it does not)."""
        return self._services.with_key(customer, request.environ).website


def _status(mimetype: str) -> int:
    """Return the status of what is on the disk: 200 for `text/xml`, as which the official PHP client sends users.

    Its command tells success by 200 alone. Both are true: a GET sees the users already, the refresh is to come.
    """
    return 200 if mimetype == FORMER_XML else 202


def _check_source(source: str) -> None:
    """Raise for a source that is no name, or whose addresses belong to something else (404)."""
    parse_name(source, "source")
    if source in RESERVED:
        raise NotFound(f"source {source!r}: this word has a meaning of its own in addresses; choose another name.")


def _visitors(users: str, website: Website, key: bytes) -> dict[str, str]:
    """Return the visitors behind ids or tokens with commas between them; BadRequest where one is nobody."""
    named = list(dict.fromkeys(users.split(",")))
    if len(named) > MAX_USERS:
        raise BadRequest(f"{len(named)} users: expected at most {MAX_USERS} in one call.")
    visitors = {user: visitor_of(user, website, key) for user in named}
    if "" in visitors.values():
        raise BadRequest("one of the users is nobody: expected user ids or tokens like ~AbCd….")
    return visitors
