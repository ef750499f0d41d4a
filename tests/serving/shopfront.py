"""A small published website for the tests of serving: six products, two articles, answers one can see.

Products 1..5 stand in a ring (also_bought: 1 → 2, 3; 2 → 3, 4; …); 6 has no neighbour. 1, 2 are shirts,
3, 4 trousers, 5 a shirt on sale, 6 nothing. Popular are 6, 5, 4, 3, 2, 1 in this order.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from flask import Flask
from flask.testing import FlaskClient

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.live.live_history import LiveReader, LiveStore
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.publications.format.publication_manifest import CURRENT
from personalization_pipelines.publications.write.writing import write_publication
from personalization_pipelines.website import Website
from serving.app import create_app_with
from serving.http.request_metrics import Metrics
from serving.services import Services
from serving.websites import Websites
from tests.scenarios import publishing
from tests.scenarios.publishing import Item, content, neighbours, ranking

KEY = b"k" * 32
ITEMS = [
    Item(1, "1", ["/Women/Shirts"], attributes={"title": ["one"], "secret": ["canary"], "width": [30]}),
    Item(1, "2", ["/Women/Shirts"], attributes={"title": ["two"], "secret": ["canary"]}),
    Item(1, "3", ["/Women/Trousers"]),
    Item(1, "4", ["/Women/Trousers/Long", "/Sale"]),
    Item(1, "5", ["/Women/Shirts", "/Sale"]),
    Item(1, "6"),
    Item(2, "70"),
    Item(2, "71"),
]
NAMES = [(item.type, item.id) for item in ITEMS]
RING = neighbours(*[[((n + 1) % 5, 0.8), ((n + 2) % 5, 0.4)] for n in range(5)], [], [], [])
POPULAR = [(row, 6.0 + row) for row in (5, 4, 3, 2, 1, 0)]
MODELS: dict[str, Ranking | Neighbours] = {
    "also_bought": RING,
    "for_you": RING,
    "top_bought": ranking(
        **{
            "site_1": POPULAR,
            "site_2": [(7, 9.0), (6, 2.0)],
            "category_1:/Women": [(4, 10.0), (3, 9.0), (2, 8.0), (1, 7.0), (0, 6.0)],
            "category_1:/Women/Shirts": [(4, 10.0), (1, 7.0), (0, 6.0)],
            "category_1:/Women/Trousers": [(3, 9.0), (2, 8.0)],
            "category_1:/Sale": [(4, 10.0), (3, 9.0)],
        }
    ),
    "new_in": ranking(site_1=[(0, 2.0), (1, 1.0)]),
    "picks": ranking(site_1=[(2, 1.0)]),
    "never": ranking(),
}
HISTORIES = {"bought 2": [(1, "buy", 1_700_000_000_000_000)], "wished 3": [(2, "wishlist", 1_700_000_000_000_000)]}


def scenario(*levels: Any, output: tuple[str, ...] = ("product",), **filters: Any) -> dict[str, Any]:
    """Return a scenario's YAML value; a level is a list of models or a whole level."""
    strategy = [level if isinstance(level, dict) else {"models": level} for level in levels]
    return {"input": "product", "output": list(output), "strategy": strategy, "filters": filters}


SCENARIOS = {
    "landing_page": scenario(["for_you", "top_bought"], ["new_in"], already_bought="exclude"),
    "product_page": scenario(["also_bought"], ["top_bought"]),
    "only_neighbours": scenario(["also_bought"]),
    "only_personal": scenario(["for_you"]),
    "popular": scenario(["top_bought"], output=("product", "article")),
    "same": scenario({"models": ["top_bought"], "category": {"same": True}}),
    "up": scenario({"models": ["top_bought"], "category": {"same": True, "levels_up": 1}}),
    "main": scenario({"models": ["top_bought"], "category": {"main": True, "depth": 1}}),
    "near_context": scenario({"models": ["also_bought"], "category": {"same": True, "reference": "context"}}),
}


def values(**changes: Any) -> dict[str, Any]:
    """Return what the website's YAML says; `changes` replace top-level keys."""
    return {
        "website": "shop",
        "customer_id": "00001",
        "license_key": "1111-2222-3333-4444-5555",
        "item_types": {1: "product", 2: "article"},
        "models": {
            "top_bought": {"type": "popularity", "event": "buy", "build": "every 6h"},
            "also_bought": {"type": "also_bought"},
            "for_you": {"type": "item_knn"},
            "new_in": {"type": "recently_added", "build": "every 1h"},
            "picks": {"type": "editorial", "items": [{"type": 1, "id": 3}]},
            "never": {"type": "blacklist", "items": [{"type": 1, "id": 666}]},
        },
        "scenarios": SCENARIOS,
        **changes,
    }


def website(**changes: Any) -> Website:
    """Return the website of `values`."""
    return Website.model_validate(values(**changes))


class Installation:
    """A home with published websites, its live store and the application, all real."""

    def __init__(self, home: Home, *websites: Website) -> None:
        (home.root / "key").write_text(KEY.hex() + "\n")
        self.home = home
        self.websites = {one.name: one for one in websites}
        for one in websites:
            self.publish(one)
        self.store: LiveStore | None = None
        self.app = self._app()
        self.client: FlaskClient = self.app.test_client()

    def _app(self) -> Flask:
        found = Websites(self.home, load=lambda home: (dict(self.websites), {}), look_every=0.0)
        self.log, self.live, self.metrics = SegmentLog(self.home.log), LiveReader(self.home.live_database), Metrics()
        return create_app_with(Services(self.home, found, self.log, self.live, self.metrics))

    def publish(self, one: Website, number: int = 1, **parts: Any) -> None:
        """Publish the small catalogue for a website and switch to it."""
        made = content(
            one,
            parts.get("items", ITEMS),
            parts.get("histories", {}),
            parts.get("models", MODELS),
            parts.get("transfers", ()),
        )
        name = f"20260301T{number:06d}000000Z-0123456789abcdef"
        directory = self.home.publications(one.name)
        directory.mkdir(parents=True, exist_ok=True)
        write_publication(directory / name, made, publication=name, as_of=publishing.AS_OF)
        (directory / "CURRENT.new").write_text(name + "\n")
        (directory / "CURRENT.new").replace(directory / CURRENT)

    def happened(self, user: str, *events: tuple[str, str], name: str = "shop", ago: float = 0.0) -> None:
        """Apply (event, product) of a user to the live store, oldest first, as the follower does."""
        if self.store is None:
            self.store = LiveStore(self.home.live_database)
        now = time.time_ns() // 1000 - int(ago * 1e6)
        who = pseudonym(KEY, self.websites[name].customer_id, user)
        batch = [
            Event(name, event, now + place, now + place, visitor=who, item_type=1, item=item)
            for place, (event, item) in enumerate(events)
        ]
        self.store.apply(batch)

    def get(self, path: str, **headers: str) -> Any:
        """Return the response to `/api/v2/00001/` + path."""
        return self.client.get(
            f"/api/v2/00001/{path}", headers={key.replace("_", "-"): v for key, v in headers.items()}
        )

    def ids(self, path: str) -> list[int]:
        """Return the recommended ids of a 200 answer."""
        response = self.get(path)
        assert response.status_code == 200, response.text
        return [one["itemId"] for one in response.json["recommendationItems"]]

    def close(self) -> None:
        """Close what holds files."""
        self.log.close()
        self.live.close()
        if self.store is not None:
            self.store.close()


def write_yaml(home: Home, **changes: Any) -> Path:
    """Write the website's file as a person would."""
    made = values(**changes)
    path = home.websites / f"{made['website']}.yaml"
    plain = json.loads(json.dumps(made)) | {"item_types": made["item_types"]}  # the reader refuses YAML's anchors
    path.write_text(yaml.safe_dump(plain, sort_keys=False))
    return path


def http_date(moment: datetime) -> str:
    """Return a moment as an HTTP date."""
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
