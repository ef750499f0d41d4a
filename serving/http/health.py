"""Whether this process lives, whether it can answer, and what it has counted: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import orjson
from flask import Blueprint, Response

from serving.openapi.schemas import TEXT, Described, closed_object, page
from serving.services import Services


def blueprint(services: Services) -> Blueprint:
    """Return the health block."""
    block = Blueprint("health", __name__)

    @block.get("/healthz")
    def healthz() -> Response:
        """Answer as long as the process does."""
        return _json({"status": "ok"}, 200)

    @block.get("/readyz")
    def readyz() -> Response:
        """Answer 200 once events can be stored and at least one website has something to recommend, else 503."""
        state = readiness(services)
        return _json(state, 200 if state["status"] == "ready" else 503)

    @block.get("/metrics")
    def metrics() -> Response:
        """Answer with this worker's counters as Prometheus text."""
        text = services.metrics.text(_gauges(services))
        return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")

    return block


def describe() -> Described:
    """Return what `/openapi.json` says of these three."""
    state = closed_object(
        {"status": {"enum": ["ready", "not ready"]}, "event_log": TEXT, "websites": {"type": "object"}},
        event_log_failure=closed_object({"reason": TEXT, "since": {"type": ["string", "null"], "format": "date-time"}}),
    )
    not_ready = {"503": {"description": "Not yet.", "content": {"application/json": {"schema": state}}}}
    return Described(
        page("/healthz", "application/json", closed_object({"status": {"const": "ok"}}))
        | page("/readyz", "application/json", state, not_ready)
        | page("/metrics", "text/plain", TEXT)
    )


def readiness(services: Services) -> dict[str, object]:
    """Return the state of the event log and of every website, and whether they are enough to be ready.

    What exactly is wrong is in the log: this answer is open to everybody, and its reasons name no path.
    """
    failure = services.log.failure
    writable = os.access(services.home.log, os.W_OK) and failure is None
    websites: dict[str, dict[str, str | None]] = {
        name: {"publication": None, "state": "configuration refused"} for name in services.websites.problems
    }
    for one in services.websites.all():
        publication = one.publication.id if one.publication else None
        state = websites.get(one.website.name, {}).get("state") or ("publication refused" if one.problem else "ok")
        websites[one.website.name] = {"publication": publication, "state": state if publication else "not published"}
    ready = writable and any(state["publication"] for state in websites.values())
    log = "ok" if writable else "cannot be written"
    answer: dict[str, object] = {"status": "ready" if ready else "not ready", "event_log": log, "websites": websites}
    if failure is not None:
        answer["event_log_failure"] = {"reason": failure.reason, "since": _time(failure.since)}
    return answer


def _gauges(services: Services) -> list[tuple[str, str, dict[str, str], float]]:
    failure = services.log.failure
    text = "Whether this worker's event log accepts events."
    gauges = [("personalization_event_log_writable", text, dict[str, str](), float(failure is None))]
    if failure is not None:
        text = "Time at which this worker's event log failed, in seconds since 1970."
        reason = {"reason": failure.reason}
        gauges.append(("personalization_event_log_failed_at_seconds", text, reason, round(failure.since, 1)))
    for one in services.websites.all():
        if one.publication is not None:
            age = round(time.time() - one.publication.as_of / 1e6, 1)
            text = "Seconds since the logical time of the publication that is served."
            gauges.append(("personalization_publication_age_seconds", text, {"website": one.website.name}, age))
    return gauges


def _time(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def _json(value: object, status: int) -> Response:
    return Response(orjson.dumps(value), status, content_type="application/json", headers={"Cache-Control": "no-store"})
