"""What the serving benchmark serves: 100,000 items, 100 neighbours each, visitors with a live history.

Also the bare Flask view it is measured against: `python -m tests.benchmarks.serving_home bare PORT FILE`
answers every request with the bytes of FILE, under the same server with the same settings.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from flask import Flask, Response
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.live.live_history import LiveStore
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.models.forms.form import MAIN, Lists
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.publications.format.arrays import Coded, Texts
from personalization_pipelines.publications.format.publication_arrays import (
    Content,
    item_arrays,
    model_arrays,
    visitor_arrays,
)
from personalization_pipelines.publications.format.publication_manifest import CURRENT
from personalization_pipelines.publications.read.published import EVENTS
from personalization_pipelines.publications.read.published_items import ALWAYS
from personalization_pipelines.publications.write.writing import write_publication
from personalization_pipelines.scenarios.plan import make_plan
from personalization_pipelines.website import Website
from tests.scenarios.publishing import AS_OF, ID
from tests.serving import shopfront
from tests.serving.shopfront import write_yaml

ITEMS = 100_000
LENGTH = 100
VISITORS = 20_000
LIVE_EVENTS = 10
PAST_EVENTS = 16


def scenarios() -> dict[str, object]:
    """Return a product page that asks three models: neighbours, the visitor's own, popularity."""
    page = {
        "input": "product",
        "output": ["product"],
        "strategy": [{"models": ["also_bought", "for_you"]}, {"models": ["top_bought"]}],
        "filters": {"already_bought": "exclude"},
    }
    similar = {**page, "strategy": [{"models": ["also_bought"]}, {"models": ["top_bought"]}]}
    return {"product_page": page, "similar": similar}


def make_home(root: Path) -> Home:
    """Return an installation with the website published and its visitors' live histories stored."""
    home = Home(root)
    home.create()
    write_yaml(home, scenarios=scenarios())
    website = shopfront.website(scenarios=scenarios())
    _publish(home, website)
    _live_histories(home, website)
    return home


def _publish(home: Home, website: Website) -> None:
    random = np.random.default_rng(1)
    plan = make_plan(website)
    directory = home.publications(website.name)
    directory.mkdir(parents=True)
    starts = np.arange(ITEMS + 1, dtype=np.int64) * LENGTH
    entries = []
    for name in ("also_bought", "for_you"):
        rows = ((random.pareto(1.1, ITEMS * LENGTH) * 2_000) % ITEMS).astype(np.int32)
        lists = Lists(starts, _distinct(rows), _falling(random, ITEMS * LENGTH))
        entries.append(model_arrays(plan.models[name], "b", {"recency": 2.0}, {MAIN: Neighbours(lists, starts[1:])}))
    best = Lists(np.array([0, LENGTH]), np.arange(LENGTH, dtype=np.int32), np.arange(LENGTH, 0, -1, dtype=np.float32))
    one = np.ones(1, np.int64)
    entries.append(model_arrays(plan.models["top_bought"], "b", {}, {MAIN: Ranking(("site:1",), best, one, one)}))
    content = Content(plan, *_items(), _visitors(random, website), entries)
    write_publication(directory / ID, content, publication=ID, as_of=AS_OF)
    (directory / CURRENT).write_text(ID + "\n")


def _distinct(rows: np.ndarray) -> np.ndarray:
    """Return the rows with those repeated inside one list moved to other items."""
    lists = np.sort(rows.reshape(ITEMS, LENGTH), axis=1)
    again = np.zeros(lists.shape, bool)
    again[:, 1:] = lists[:, 1:] == lists[:, :-1]
    lists[again] = np.random.default_rng(2).integers(0, ITEMS, int(again.sum()))
    return np.random.default_rng(3).permuted(lists, axis=1).ravel().astype(np.int32)


def _falling(random: np.random.Generator, count: int) -> np.ndarray:
    scores = np.sort(random.random((count // LENGTH, LENGTH), np.float32), axis=1)[:, ::-1]
    return (scores + np.float32(0.001)).ravel()


def _items() -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    none = np.zeros(ITEMS, np.int64)
    return item_arrays(
        np.ones(ITEMS, np.int32),
        Texts.of([str(100_000 + row) for row in range(ITEMS)]),
        price_minor=none - 1,
        valid_from=none + ALWAYS.min,
        valid_to=none + ALWAYS.max,
        allowed=np.ones(ITEMS, bool),
        path_starts=np.arange(ITEMS + 1),
        paths=Coded.of([f"/c{row % 40}/d{row % 400}" for row in range(ITEMS)]),
        attributes=Texts.of(["{}"] * ITEMS),
    )


def _visitors(random: np.random.Generator, website: Website) -> dict[str, np.ndarray]:
    count = VISITORS * PAST_EVENTS
    when = np.tile(np.arange(PAST_EVENTS, 0, -1), VISITORS) + 1_700_000_000_000_000
    return visitor_arrays(
        [pseudonym(b"k" * 32, website.customer_id, f"u{number}") for number in range(VISITORS)],
        np.arange(VISITORS + 1) * PAST_EVENTS,
        random.integers(0, ITEMS, count).astype(np.int32),
        random.choice([EVENTS.index("click"), EVENTS.index("buy")], count).astype(np.uint8),
        when.astype(np.int64),
    )


def _live_histories(home: Home, website: Website) -> None:
    (home.root / "key").write_text((b"k" * 32).hex() + "\n")
    random, now = np.random.default_rng(4), time.time_ns() // 1000
    store = LiveStore(home.live_database)
    for first in range(0, VISITORS, 1000):
        batch = []
        for number in range(first, first + 1000):
            who = pseudonym(b"k" * 32, website.customer_id, f"u{number}")
            for place, row in enumerate(random.integers(0, ITEMS, LIVE_EVENTS).tolist()):
                event = "basket" if place % 5 == 4 else "click"
                at = now - place * 60_000_000
                batch.append(
                    Event(website.name, event, at, at, visitor=who, item_type=1, item=str(100_000 + row), quantity=1)
                )
        store.apply(batch)
    store.close()


def bare_app(body: bytes) -> Flask:
    """Return an application with one view that answers with ready bytes."""
    app = Flask("bare", static_folder=None)

    @app.get("/api/v2/<customer>/<user>/<scenario>")
    def answer(customer: str, user: str, scenario: str) -> Response:
        return Response(body, content_type="application/json")

    return app


def serve_bare(port: int, path: Path, threads: int) -> None:
    """Serve the bare view until stopped."""
    server = Granian(
        "bare",
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=threads,
        http=HTTPModes.http1,
        websockets=False,
        log_access=False,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=lambda: bare_app(path.read_bytes()), wrap_loader=False)


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        serve_bare(int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        print(json.dumps({"home": str(make_home(Path(sys.argv[2])).root)}))
