"""Tracking: one call in, the event on the disk, then the answer (section 1 of the HTTP contract).

The block answers in front of Flask: `/api/{customer}/{event}/…` for the words of tracking, and all of `/ebl/`
that legacy.py does not rewrite, are taken before Flask sees them, everything else goes on to it. CPU measured
for each event at 32 connections on a busy machine: 75 us in front of Flask, 194 us as a Flask view, 74 us for a
Flask view that does nothing. The order in which a call may fail: size (414, 413), encoding (400), customer
(404), method (405), the event itself (400, 401, 404, 501), the disk (503). A batch is one call: one append of
all its records, or of none.

No raw user id leaves this module: it is pseudonymised in `judge`, and nothing here logs a request. Of nobody's events
the address becomes an origin (events/judging/origins.py), of others nothing. The user
agent tells whether a robot calls, and goes no further. A batch comes from a server: its user agent says nothing
about visitors.
"""

from __future__ import annotations

import logging
import time
from base64 import b64decode
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from flask import Blueprint, Flask
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from personalization_pipelines.events.event import encode
from personalization_pipelines.events.judging.batch import MAX_BYTES, judge_batch
from personalization_pipelines.events.judging.judge import EVENT_WORDS, Call, Refuse, judge
from personalization_pipelines.events.judging.origins import Origins, mark_origins
from personalization_pipelines.events.judging.robots import is_robot, mark_robots
from personalization_pipelines.events.judging.rules import BATCH
from personalization_pipelines.events.log.event_log import EventLog
from personalization_pipelines.foundation.errors import LogUnavailable, LogUncertain
from personalization_pipelines.website import Website
from serving.http.client_address import client_address
from serving.http.problems import CONTENT_TYPE, RETRY_AFTER, log_unexpected, problem_body
from serving.http.raw_request import check_url_length, decode_path, parse_parameters, read_body
from serving.http.request_metrics import Metrics

if TYPE_CHECKING:
    from serving.services import Services
    from serving.websites import ServedWebsite

MAX_BODY_BYTES = 64 * 1024
PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
"""A GIF of one transparent pixel, 43 bytes."""

_COMMON = [("Cache-Control", "no-store"), ("Access-Control-Allow-Origin", "*")]
_NO_CONTENT = _COMMON
_PIXEL = [("Content-Type", "image/gif"), ("Content-Length", str(len(PIXEL))), *_COMMON]
_METHODS = "GET, OPTIONS, POST"
_BATCH_METHODS = "OPTIONS, POST"
_PREFLIGHT = [
    ("Access-Control-Allow-Methods", _METHODS),
    ("Access-Control-Allow-Headers", "Content-Encoding, Content-Type"),
    ("Access-Control-Max-Age", "86400"),
    *_COMMON,
]
_JSON_TYPES = frozenset({"", "application/json", "application/x-ndjson", "application/jsonl", "text/plain"})
"""Types of a batch: it is read as JSON whatever it calls itself. `text/plain` is what `sendBeacon` sends a text as."""
_log = logging.getLogger(__name__)

StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class Customers(Protocol):
    """Where websites are found."""

    def by_customer(self, customer_id: str) -> ServedWebsite | None:
        """Return the website of a customer id, or None."""


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""


class Tracker:
    """Answers tracking calls. `key` is the installation key; it may be used from many threads."""

    def __init__(self, websites: Customers, log: EventLog, key: bytes, metrics: Metrics, origins: Origins) -> None:
        self._websites = websites
        self._log = log
        self._key = key
        self._metrics = metrics
        self._origins = origins
        self._said = ""

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Return the answer to one call, whose path begins with `/api/` or `/ebl/`; never raises."""
        started = time.perf_counter()
        try:
            answer = self._answer(environ)
        except HTTPException as error:
            answer = _problem(error.code or 400, "", error.description or "", *_retry(error.code))
        except LogUnavailable as error:
            self._say_once(error)
            answer = _problem(503, "", _not_acknowledged(error), *_retry(503))
        except Exception as error:  # noqa: BLE001 - the last line of defence: no call may get a traceback
            log_unexpected(error)
            answer = _problem(500, "", "The server made an error, which it has logged; the event was not stored.")
        self._metrics.answered("tracking", answer.status, time.perf_counter() - started)
        return answer

    def _answer(self, environ: dict[str, Any]) -> Answer:
        check_url_length(environ)
        parts = decode_path(environ).split("/")
        customer, event = parts[2], parts[3] if len(parts) > 3 else ""
        method, is_batch = environ["REQUEST_METHOD"], event == BATCH
        parameters = {} if is_batch else parse_parameters(environ, MAX_BODY_BYTES)
        if method == "OPTIONS":
            return Answer(204, _PREFLIGHT)
        served = self._websites.by_customer(customer)
        if served is None:
            return _problem(404, "Unknown customer", f"customer {customer[:40]!r}: no website has this customer id.")
        if method not in ("GET", "POST") or (is_batch and method != "POST"):
            expected = "POST" if is_batch else "GET or POST"
            return _problem(
                405,
                "",
                f"method {method[:20]}: expected {expected}.",
                ("Allow", _BATCH_METHODS if is_batch else _METHODS),
            )
        if is_batch:
            return self._batch(environ, served.website, parts[4:])
        now = _now()
        decision = judge(Call(event, parts[4:], parameters), served.website, now, self._key)
        if isinstance(decision, Refuse):
            return self._refuse(decision, served.website)
        stored = decision.events
        if is_robot(environ.get("HTTP_USER_AGENT", ""), served.website.events.bots.user_agents):
            stored = mark_robots(stored)
        if not stored[0].visitor:
            stored = mark_origins(stored, self._origins.at(served.website, client_address(environ), now))
        self._log.append([encode(event) for event in stored])
        self._metrics.count("events_acknowledged", served.website.name, stored[0].event, amount=len(stored))
        if method == "GET" and _wants_image(environ.get("HTTP_ACCEPT", "")):
            return Answer(200, _PIXEL, PIXEL)
        return Answer(204, _NO_CONTENT)

    def _batch(self, environ: dict[str, Any], website: Website, rest: list[str]) -> Answer:
        if any(rest):
            return _problem(404, "", f"path after events {'/'.join(rest)[:40]!r}: expected nothing.")
        body = read_body(environ, MAX_BYTES)
        kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if kind not in _JSON_TYPES:
            raise UnsupportedMediaType(
                f"body of type {kind[:60]!r}: expected application/json or application/x-ndjson."
            )
        now = _now()
        batch = judge_batch(body, website, now, self._key, self._origins.at(website, client_address(environ), now))
        if isinstance(batch, Refuse):
            return self._refuse(batch, website)
        self._log.append(batch.records)
        for event, amount in batch.counts.items():
            self._metrics.count("events_acknowledged", website.name, event, amount=amount)
        return Answer(204, _NO_CONTENT)

    def _refuse(self, refused: Refuse, website: Website) -> Answer:
        self._metrics.count("events_refused", website.name, str(refused.status))
        return _problem(refused.status, refused.title, refused.detail)

    def _say_once(self, error: LogUnavailable) -> None:
        """Log why events are refused, once; what the disk did the event log has said itself."""
        failure = str(error)
        if failure != self._said and not error.since:
            _log.error("events are refused: %s", failure)
        self._said = failure


def blueprint(services: Services) -> Blueprint:
    """Return the tracking block of the application."""
    home = services.home
    return tracking_blueprint(services.websites, services.log, home.key, services.metrics, Origins(home.day_keys))


def tracking_blueprint(
    websites: Customers, log: EventLog, key: bytes, metrics: Metrics | None = None, origins: Origins | None = None
) -> Blueprint:
    """Return a block that, registered on an application, answers the tracking paths in front of it."""
    block = Blueprint("tracking", __name__)
    tracker = Tracker(websites, log, key, metrics or Metrics(), origins or Origins())
    block.record_once(lambda state: _mount(state, tracker))
    return block


def is_tracking(path: str) -> bool:
    """Whether a WSGI path is for the tracker: all of `/ebl/`, and `/api/{customer}/{event}` for its words."""
    if not path.startswith("/api/"):
        return path.startswith("/ebl/")
    parts = path.split("/", 4)
    return len(parts) > 3 and parts[3] in EVENT_WORDS and parts[2] != "v2"


def _mount(state: BlueprintSetupState, tracker: Tracker) -> None:
    app = cast(Flask, state.app)
    behind = cast(Application, app.wsgi_app)

    def front(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not is_tracking(environ["PATH_INFO"]):
            return behind(environ, start_response)
        answer = tracker.answer(environ)
        start_response(_STATUS[answer.status], answer.headers)
        return [answer.body]

    app.wsgi_app = front  # type: ignore[method-assign]


_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def _not_acknowledged(error: LogUnavailable) -> str:
    if isinstance(error, LogUncertain):
        return f"The call may be stored, a batch in part: {error}. Repeat it with the same event ids."
    return f"The event was not stored: {error}."


def _now() -> int:
    return time.time_ns() // 1000


def _wants_image(accept: str) -> bool:
    """Whether an Accept header asks for an image: a browser's `<img>` does, `*/*` alone does not."""
    if "image/" not in accept:
        return False
    ranges = [part.replace(" ", "").lower() for part in accept.split(",")]
    return any(part.startswith("image/") and not part.endswith((";q=0", ";q=0.0")) for part in ranges)


def _retry(status: int | None) -> list[tuple[str, str]]:
    return list(RETRY_AFTER.items()) if status == 503 else []


def _problem(status: int, title: str, detail: str, *headers: tuple[str, str]) -> Answer:
    body = problem_body(status, title or HTTPStatus(status).phrase, detail)
    return Answer(
        status, [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body))), *headers, *_COMMON], body
    )
