"""Tracking: one call in, the event on the disk, then the answer (section 1 of the HTTP contract).

Called in front of Flask (serving/http/in_front.py). The order in which a call may fail: size (414, 413), encoding
(400), customer (404), method (405), the event itself (400, 401, 404, 501), the disk (503). A batch is one call: one
append of all its records, or of none.

No raw user id leaves this module: it is pseudonymised in `judge`, and nothing here logs a request. Of nobody's events
the address becomes an origin (events/judging/origins.py), of others nothing. The user
agent tells whether a robot calls, and goes no further. A batch comes from a server: its user agent says nothing
about visitors.
"""

from __future__ import annotations

import logging
import time
from base64 import b64decode
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from personalization_pipelines.events.event import encode
from personalization_pipelines.events.judging.batch import MAX_BYTES, judge_batch
from personalization_pipelines.events.judging.judge import Call, Refuse, judge
from personalization_pipelines.events.judging.origins import Origins, mark_origins
from personalization_pipelines.events.judging.robots import is_robot, mark_robots
from personalization_pipelines.events.judging.rules import BATCH
from personalization_pipelines.events.log.event_log import EventLog
from personalization_pipelines.foundation.errors import LogUnavailable, LogUncertain
from personalization_pipelines.website import Website
from serving.http.client_address import client_address
from serving.http.problems import CONTENT_TYPE, RETRY_AFTER, log_unexpected, problem_body
from serving.http.raw_request import Reply, check_url_length, decode_path, parse_parameters, read_body
from serving.http.request_metrics import Metrics

if TYPE_CHECKING:
    from serving.websites import ServedWebsite

MAX_BODY_BYTES = 64 * 1024
PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
"""A GIF of one transparent pixel, 43 bytes."""

_COMMON = [("Cache-Control", "no-store"), ("Access-Control-Allow-Origin", "*")]
_NO_CONTENT = _COMMON
_PIXEL = [("Content-Type", "image/gif"), *_COMMON]
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


class Customers(Protocol):
    """Where websites are found."""

    def by_customer(self, customer_id: str) -> ServedWebsite | None:
        """Return the website of a customer id, or None."""


class Tracker:
    """Answers tracking calls. `key` is the installation key; it may be used from many threads."""

    def __init__(
        self,
        websites: Customers,
        log: EventLog,
        key: bytes,
        metrics: Metrics | None = None,
        origins: Origins | None = None,
    ) -> None:
        self._websites = websites
        self._log = log
        self._key = key
        self._metrics = metrics or Metrics()
        self._origins = origins or Origins()
        self._said = ""

    def answer(self, environ: dict[str, Any]) -> Reply:
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

    def _answer(self, environ: dict[str, Any]) -> Reply:
        check_url_length(environ)
        parts = decode_path(environ).split("/")
        customer, event = parts[2], parts[3] if len(parts) > 3 else ""
        method, is_batch = environ["REQUEST_METHOD"], event == BATCH
        parameters = {} if is_batch else parse_parameters(environ, MAX_BODY_BYTES)
        if method == "OPTIONS":
            return Reply(204, _PREFLIGHT)
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
            return Reply(200, _PIXEL, PIXEL)
        return Reply(204, _NO_CONTENT)

    def _batch(self, environ: dict[str, Any], website: Website, rest: list[str]) -> Reply:
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
        return Reply(204, _NO_CONTENT)

    def _refuse(self, refused: Refuse, website: Website) -> Reply:
        self._metrics.count("events_refused", website.name, str(refused.status))
        return _problem(refused.status, refused.title, refused.detail)

    def _say_once(self, error: LogUnavailable) -> None:
        """Log why events are refused, once; what the disk did the event log has said itself."""
        failure = str(error)
        if failure != self._said and not error.since:
            _log.error("events are refused: %s", failure)
        self._said = failure


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


def _problem(status: int, title: str, detail: str, *headers: tuple[str, str]) -> Reply:
    body = problem_body(status, title or HTTPStatus(status).phrase, detail)
    return Reply(status, [("Content-Type", CONTENT_TYPE), *headers, *_COMMON], body)
