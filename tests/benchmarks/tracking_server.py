"""The servers that the tracking benchmark and the fault tests start, as `python -m … WHAT PLACE PORT`.

`tracking` is one website with the real tracking block over the event log in the directory PLACE; `sqlite` and
`postgres` are the same over inserts into a file there, or into the database of which PLACE is the URL; `noop` is the
same Flask and the same server with a view that does nothing.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from granian import Granian
from granian.constants import Interfaces

from personalization_pipelines.events.log.event_log import EventLog, SegmentLog, repair
from personalization_pipelines.website import Website
from serving.http import problems
from serving.http.front import Front
from serving.http.in_front import stand_in_front
from serving.tracking.tracking_views import Tracker
from tests.benchmarks.inserts import PostgresInserts, SqliteInserts
from tests.conftest import make_website

KEY = b"k" * 32
THREADS = 32


@dataclass(frozen=True)
class Served:
    """A website as the tracker looks at it."""

    website: Website


class OneWebsite:
    """The configuration of an installation with one website."""

    def __init__(self, website: Website) -> None:
        self._served = Served(website)

    def by_customer(self, customer_id: str) -> Served | None:
        return self._served if customer_id == self._served.website.customer_id else None


def tracking_app(directory: Path) -> Flask:
    """Return an application with the tracking block alone; a dead writer's segments are repaired first."""
    repair(directory)
    return _app(SegmentLog(directory))


def _app(log: EventLog) -> Flask:
    app = Flask("tracking")
    problems.register(app)
    stand_in_front(app, Tracker(OneWebsite(make_website()), log, KEY).answer)
    return app


def noop_app() -> Flask:
    """Return an application whose only view answers 204."""
    app = Flask("noop")

    @app.get("/noop")
    def noop() -> tuple[str, int]:
        return "", 204

    return app


def load_target(target: str) -> Any:
    """Make the application named `WHAT:PLACE` in the server's worker process."""
    what, _, place = target.partition(":")
    app = _MAKERS[what](place)
    gc.freeze()  # as the product's server does
    return Front(app.wsgi_app, THREADS, lambda endpoint, status, seconds: None)


_MAKERS: dict[str, Callable[[str], Flask]] = {
    "noop": lambda _place: noop_app(),
    "tracking": lambda place: tracking_app(Path(place)),
    "sqlite": lambda place: _app(SqliteInserts(Path(place))),
    "postgres": lambda place: _app(PostgresInserts(place)),
}


def main(what: str, place: str, port: int) -> None:
    """Serve until stopped: granian and the product's front, one worker, 32 threads."""
    server = Granian(
        f"{what}:{place}",
        port=port,
        interface=Interfaces.RSGI,
        workers=1,
        log_access=False,
        log_level="warning",  # type: ignore[arg-type]
    )
    server.serve(target_loader=load_target)


if __name__ == "__main__":
    print(json.dumps({"serving": sys.argv[1:]}), flush=True)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
