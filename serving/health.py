"""Whether this process lives, whether it can answer, and what it has counted: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import os
import time

import orjson
from flask import Blueprint, Response

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


def readiness(services: Services) -> dict[str, object]:
    """Return the state of the event log and of every website, and whether they are enough to be ready."""
    log_problem = "" if os.access(services.home.log, os.W_OK) else "its directory cannot be written"
    websites = {
        one.website.name: {"publication": one.publication.id if one.publication else None, "problem": one.problem}
        for one in services.websites.all()
    }
    for name, problem in services.websites.problems.items():
        websites.setdefault(name, {"publication": None, "problem": "its configuration is refused"})["problem"] = problem
    loaded = any(state["publication"] for state in websites.values())
    status = "ready" if loaded and not log_problem else "not ready"
    return {"status": status, "event_log": log_problem or "ok", "websites": websites}


def _gauges(services: Services) -> list[tuple[str, str, dict[str, str], float]]:
    gauges = []
    for one in services.websites.all():
        if one.publication is not None:
            age = round(time.time() - one.publication.as_of / 1e6, 1)
            text = "Seconds since the logical time of the publication that is served."
            gauges.append(("personalization_publication_age_seconds", text, {"website": one.website.name}, age))
    return gauges


def _json(value: object, status: int) -> Response:
    return Response(orjson.dumps(value), status, content_type="application/json", headers={"Cache-Control": "no-store"})
