"""Recommendations: `GET /api/v2/{customer}/{user}/{scenario}[.json|.jsonp]` (section 2 of the HTTP contract).

Called in front of Flask (serving/http/in_front.py). The order in which a request may fail: size (414), encoding
(400), path (404), method (405), key (401, 429), customer (404), nothing published (503), scenario (404),
parameters (400, 501), nothing to start from (409).

The raw user id lives in this request only: what is looked up is its pseudonym, and nothing here logs a request.
Where the live store is away or late the answer is composed without live history, and `X-Live-History:
unavailable` says so.
"""

from __future__ import annotations

import logging
import os
import time
from http import HTTPStatus
from queue import SimpleQueue
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound, ServiceUnavailable
from werkzeug.http import parse_date

from personalization_pipelines.events.event import MICROSECONDS
from personalization_pipelines.events.judging.links import Signer, answer_id
from personalization_pipelines.foundation.errors import LiveStoreUnavailable, NotBuiltYet
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.foundation.unset import without_unset
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.scenarios.plan import PlanScenario
from personalization_pipelines.website import Website
from serving.http.problems import CONTENT_TYPE, log_unexpected, problem_body
from serving.http.raw_request import Headers, Reply, check_url_length, decode_path, parse_parameters
from serving.recommending.plain_json import plain_json
from serving.recommending.question import Answer, LiveHistory, Question
from serving.recommending.request import Address, Wanted, known_user, parse_address, parse_callback, parse_wanted
from serving.recommending.responses import (
    HOST_CHARACTERS,
    Links,
    Writing,
    answer_value,
    as_json,
    as_jsonp,
    cache_headers,
    lifetime,
)
from serving.recommending.shelf import shelf_of
from serving.recommending.strategy import compose
from serving.services import Services
from serving.websites import ServedWebsite

UNAVAILABLE = ("X-Live-History", "unavailable")
SETTLING = 2.5
"""Seconds after a switch in which no Last-Modified is given: the header knows whole seconds only, and a worker
may serve the publication before for one second more."""

AT_ONCE = 4
"""How many requests a worker composes at a time; the others wait. Tracking needs many threads, which wait for the
disk; composing does not wait, and 32 threads that take turns at the interpreter answer a third less than 4."""

_log = logging.getLogger(__name__)

_KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
_ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")
"""On all answers, errors too, of a website that demands no key: pages of any origin may read what anybody may ask."""
_PREFLIGHT: Headers = [
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", "Accept, Content-Type, If-Modified-Since, X-Requested-With"),
    ("Access-Control-Max-Age", "86400"),
    ("Cache-Control", "no-store"),
]
_JSON: Headers = [("Content-Type", "application/json")]
_JAVASCRIPT: Headers = [("Content-Type", "application/javascript"), ("X-Content-Type-Options", "nosniff")]
_NOTHING_TO_START_FROM = (
    "scenario {!r} starts from context items or from the visitor's history, and this request has neither: "
    "give contextitems, or ask for a visitor who did something."
)


class Asked:
    """One request that will be answered: everything it names exists and is well-formed."""

    __slots__ = ("address", "callback", "environ", "modified", "now", "publication", "scenario", "wanted", "website")

    def __init__(
        self,
        environ: dict[str, Any],
        address: Address,
        callback: str,
        website: Website,
        publication: Publication,
        changed: float,
        scenario: PlanScenario,
        wanted: Wanted,
    ) -> None:
        self.environ = environ
        self.address = address
        self.callback = callback
        self.website = website
        self.publication = publication
        self.scenario = scenario
        self.wanted = wanted
        self.now = time.time_ns() // 1000
        modified = max(changed, shelf_of(publication).changed(self.now) / 1e6)
        self.modified = modified if self.now / 1e6 - modified > SETTLING else None

    def is_known(self) -> bool:
        """Tell whether the sender's copy still holds. Never where a user is named: that answer is live."""
        since = self.environ.get("HTTP_IF_MODIFIED_SINCE")
        if since is None or self.modified is None or self.address.user is not None:
            return False
        date = parse_date(since)
        return date is not None and date.timestamp() >= int(self.modified)

    def caching(self) -> Headers:
        """Return the headers that say how long the answer holds."""
        if self.address.user is not None:
            return cache_headers(None, self.modified, private=True)
        models = self.publication.plan.models
        life = lifetime([models[name].build_seconds for name in self.scenario.models()])
        return cache_headers(life, self.modified, private=self.website.recommendation_auth == "basic")

    def question(self, visitor: str) -> Question:
        """Return the question this request asks for a visitor ("" for nobody)."""
        return Question(self.now, visitor, *self.wanted.asked)

    def writing(self, visitor: str, key: bytes) -> Writing:
        """Return how its answer is to be written: with links for this visitor, signed under the installation's key."""
        wanted, address, links = self.wanted, self.address, None
        if address.user is not None:
            category = wanted.asked.categories[0] if wanted.asked.categories else ""
            host = (self.website.public_host or _host(self.environ)).strip("/")
            uuid = os.urandom(16).hex()
            customer, scenario, rid = address.customer, address.scenario, answer_id(self.now // MICROSECONDS, uuid)
            signer = Signer(key, customer, visitor, scenario, rid)
            links = Links(host, customer, address.user, scenario, category, uuid, signer)
        numeric, allowed = self.publication.plan.numeric_ids, self.website.output_attributes
        items, nearest = self.publication.items, wanted.asked.nearest_category
        return Writing(items, numeric, wanted.attributes, allowed, links, nearest, wanted.asked.language)


class Recommender:
    """Answers recommendation requests of one worker; it may be used from many threads."""

    def __init__(self, services: Services) -> None:
        self._websites = services.websites
        self._live = services.live
        self._metrics = services.metrics
        self._key = services.home.key
        self._access = services.access
        self._silent_until = 0.0
        self._turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(AT_ONCE):
            self._turns.put(None)

    def answer(self, environ: dict[str, Any]) -> Reply:
        """Return the answer to one request whose path begins with `/api/v2/`; never raises."""
        started = time.perf_counter()
        turn, is_open = self._turns.get(), False
        try:
            is_open = self._is_open(environ)
            is_preflight = is_open and environ["REQUEST_METHOD"] == "OPTIONS"
            reply = Reply(204, _PREFLIGHT) if is_preflight else self._reply(environ)
        except HTTPException as error:
            kept = [(name, value) for name, value in error.get_headers() if name in _KEPT_HEADERS]
            reply = _problem(error.code or 400, error.description or "", kept)
        except NotBuiltYet as error:
            reply = _problem(501, str(error), [])
        except Exception as error:  # noqa: BLE001 - the last line of defence: no caller may get a traceback
            log_unexpected(error)
            reply = _problem(500, "The server made an error, which it has logged; the same request may fail again.", [])
        finally:
            self._turns.put(turn)
        self._metrics.answered("recommendations", reply.status, time.perf_counter() - started)
        return reply._replace(headers=[*reply.headers, _ANY_ORIGIN]) if is_open else reply

    def _is_open(self, environ: dict[str, Any]) -> bool:
        """Tell whether the customer that the path names, whatever else is wrong with it, demands no key."""
        customer = environ["PATH_INFO"].split("/", 4)[3]
        return not self._demands_key(self._websites.by_customer(customer))

    def _reply(self, environ: dict[str, Any]) -> Reply:
        asked = self._asked(environ)
        if asked.is_known():
            return Reply(304, asked.caching())
        return self._composed(asked)

    def _asked(self, environ: dict[str, Any]) -> Asked:
        """Return what is asked and of which publication, or raise what refuses it."""
        check_url_length(environ)
        address = parse_address(decode_path(environ))
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(["GET", "HEAD"], f"method {environ['REQUEST_METHOD'][:20]}: expected GET.")
        parameters = without_unset(parse_parameters(environ, 0))
        served = self._served(address, environ)
        address = known_user(address, served.website)
        publication = served.publication
        if publication is None:
            raise ServiceUnavailable("Nothing is published for this website yet: build it, then ask.", retry_after=30)
        scenario = publication.plan.scenarios.get(address.scenario)
        if scenario is None:
            raise NotFound(f"scenario {address.scenario[:40]!r}: the website has no scenario of this name.")
        wanted = parse_wanted(parameters, served.website, scenario)
        callback = parse_callback(parameters) if address.jsonp else ""
        return Asked(environ, address, callback, served.website, publication, served.changed, scenario, wanted)

    def _served(self, address: Address, environ: dict[str, Any]) -> ServedWebsite:
        served = self._websites.by_customer(address.customer)
        if self._demands_key(served):
            self._access.demand(address.customer, served.website if served else None, environ)
        if served is None:
            raise NotFound(f"customer {address.customer[:40]!r}: no website has this customer id.")
        return served

    def _demands_key(self, served: ServedWebsite | None) -> bool:
        """Tell whether a key is needed; for an unknown customer as soon as any website here needs one."""
        if served is not None:
            return served.website.recommendation_auth == "basic"
        return any(one.website.recommendation_auth == "basic" for one in self._websites.all())

    def _composed(self, asked: Asked) -> Reply:
        name, scenario, user = asked.website.name, asked.scenario, asked.address.user
        visitor = pseudonym(self._key, asked.address.customer, user) if user is not None else ""
        live, shown, late = self._history(name, visitor, scenario.filters.max_repeats is not None)
        answer = compose(asked.publication, scenario, asked.question(visitor), live, shown)
        extra = [UNAVAILABLE] if late else []
        if not answer.asked:
            self._metrics.count("recommendations_impossible", name, scenario.name)
            return _problem(409, _NOTHING_TO_START_FROM.format(scenario.name), extra)
        viewers, extra = self._viewers(name, answer, extra)
        self._metrics.count("recommendations" if answer.items else "recommendations_empty", name, scenario.name)
        writing = asked.writing(visitor, self._key)
        if asked.callback:
            body = as_jsonp(answer_value(answer, writing, viewers), asked.callback)
            return Reply(200, [*_JAVASCRIPT, *asked.caching(), *extra], body)
        body = plain_json(answer, writing, viewers) or as_json(answer_value(answer, writing, viewers))
        return Reply(200, [*_JSON, *asked.caching(), *extra], body)

    def _history(self, website: str, visitor: str, with_shown: bool) -> tuple[LiveHistory, LiveHistory, bool]:
        """Return the visitor's live history and, if wanted, what was shown; and whether they could not be had."""
        if not visitor:
            return (), (), False
        try:
            live = self._live.history(website, visitor)
            return live, self._live.deliveries(website, visitor) if with_shown else (), False
        except LiveStoreUnavailable as error:
            self._missed(website, error)
            return (), (), True

    def _viewers(self, website: str, answer: Answer, extra: Headers) -> tuple[list[int] | None, Headers]:
        """Return how many visitors each context item had in the last 24 hours; None where nobody knows."""
        if not answer.context:
            return [], extra
        if extra:
            return None, extra  # the store just failed: do not wait for it a second time
        try:
            return self._live.viewers(website, [(one.item_type, one.item) for one in answer.context]), extra
        except LiveStoreUnavailable as error:
            self._missed(website, error)
            return None, [UNAVAILABLE]

    def _missed(self, website: str, error: LiveStoreUnavailable) -> None:
        """Count an answer without live history, and say so once a minute."""
        self._metrics.count("live_store_unavailable", website)
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + 60
            _log.warning("answers go out without live history: %s", error)


def _host(environ: dict[str, Any]) -> str:
    """Return the host the request was sent to; it goes into links, so nothing but a host name may be in it."""
    host: str = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    if len(host) > 255 or not HOST_CHARACTERS.issuperset(host):
        raise BadRequest(f"Host header {host[:80]!r}: expected a host name.")
    return host


def _problem(status: int, detail: str, headers: Headers) -> Reply:
    body = problem_body(status, HTTPStatus(status).phrase, detail)
    return Reply(status, [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store"), *headers], body)
