"""Tracking and recommendations in front of Flask against the same two as Flask views: same home, same core, in turns.

Both servers are the product's (granian, one worker, 8 threads) with the home of the serving benchmark; the one of the
views has the tracker and the recommender called from Flask's routing. What counts is the CPU of a request, for what
else runs on the machine disturbs it least.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from statistics import median
from typing import Any

from flask import Flask, Response, request
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from personalization_pipelines.events.judging.origins import Origins
from personalization_pipelines.events.judging.rules import EVENT_WORDS
from personalization_pipelines.foundation.home import Home
from serving.app import create_app
from serving.http.front import Front
from serving.http.in_front import Answering
from serving.recommending.recommend_views import Recommender
from serving.server import THREADS
from serving.tracking.tracking_views import Tracker
from tests.benchmarks.bench_serving import requests
from tests.benchmarks.load import run_load
from tests.benchmarks.report import Report
from tests.benchmarks.served import cpu_seconds, scratch, server
from tests.benchmarks.serving_home import make_home

ROUNDS, SECONDS, CONNECTIONS = 7, 1.0, 16
PORTS = {"front": 18121, "views": 18122}
ASKED = {
    "tracking": [f"/api/00001/click/visitor{number % 500}/1/{number % 997}?lang=eng-GB" for number in range(2000)],
    "product page": requests("similar")[:20_000],
    "product page with the visitor's own": requests("product_page")[:20_000],
}


def run(report: Report) -> None:
    """Add the CPU of a request of each kind, and the share of answers that Flask's routing costs."""
    with contextlib.ExitStack() as stack:
        home = make_home(stack.enter_context(scratch()) / "home").root
        module = "tests.benchmarks.bench_in_front"
        groups = {what: stack.enter_context(server(what, home, port, module)) for what, port in PORTS.items()}
        for name, paths in ASKED.items():
            costs: dict[str, list[float]] = {what: [] for what in PORTS}
            for number in range(ROUNDS + 1):  # the first one warms up
                for what, port in PORTS.items():
                    before = cpu_seconds(groups[what])
                    load = run_load(port, CONNECTIONS, SECONDS, paths)
                    if load.statuses.keys() - {"200", "204"}:
                        raise RuntimeError(f"the server answered {load.statuses}")
                    used = (cpu_seconds(groups[what]) - before) / sum(load.statuses.values())
                    costs[what] += [used] if number else []
            front, views = (median(costs[what]) * 1e6 for what in PORTS)
            report.add(f"{name}: CPU of a request in front of Flask, as a view", front, "us", views)
            report.add(f"{name}: answers that a view costs", 100 * (1 - front / views), "%")


def as_views(app: Flask, track: Answering, recommend: Answering) -> None:
    """Have both answered by Flask's routing instead of in front of it."""
    app.wsgi_app = Flask.wsgi_app.__get__(app)  # type: ignore[method-assign]
    methods = ["GET", "POST", "OPTIONS"]

    def tracked(**_: str) -> Response:
        return Response(*_parts(track))

    def recommended(**_: str) -> Response:
        return Response(*_parts(recommend))

    rule = f"/api/<customer>/<any({', '.join(EVENT_WORDS)}):event>/<path:rest>"
    app.add_url_rule(rule, "tracked", tracked, methods=methods, provide_automatic_options=False)
    app.add_url_rule("/api/v2/<customer>/<path:rest>", "recommended", recommended, methods=methods)


def _parts(answering: Answering) -> tuple[bytes, int, list[tuple[str, str]]]:
    reply = answering(request.environ)
    return reply.body, reply.status, reply.headers


def load_target(target: str) -> Any:
    """Make the application named `WHAT:HOME` in the server's worker process."""
    what, _, home = target.partition(":")
    app = create_app(Home(Path(home)))
    if what == "views":
        services = app.extensions["personalization"]
        tracker = Tracker(
            services.websites, services.log, services.home.key, services.metrics, Origins(services.home.day_keys)
        )
        as_views(app, tracker.answer, Recommender(services).answer)
    return Front(app.wsgi_app, THREADS, lambda endpoint, status, seconds: None)


def main(what: str, home: str, port: int) -> None:
    """Serve until stopped."""
    made = Granian(f"{what}:{home}", port=port, interface=Interfaces.RSGI, log_access=False, log_level=LogLevels.error)
    made.serve(target_loader=load_target)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
