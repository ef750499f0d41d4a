"""A build of five items and three visitors, ready to be published."""

from __future__ import annotations

from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.conftest import make_website
from tests.scenarios.built import (
    write_features,
    write_model,
)
from tests.scenarios.publishing import Item, neighbours, ranking

ITEMS = [
    Item(1, "10", ["/A/B"], price_minor=1250, attributes={"title": ["Desk"]}),
    Item(1, "20", ["/A"]),
    Item(1, "666"),
    Item(1, "77"),
    Item(2, "10"),
]
PAIRS = [(item.type, item.id) for item in ITEMS]
HISTORIES = {
    "anna": [(1, "20", "buy", 30), (2, "10", "click", 20), (1, "gone", "click", 10)],
    "ben": [(1, "gone", "click", 5)],
    "carl": [(1, "10", "basket", 7)],
}


def website(**changes: object) -> Website:
    box = {"input": "product", "output": ["product"], "strategy": [{"models": ["also"]}, {"models": ["top"]}]}
    values: dict[str, object] = {
        "models": {
            "top": {"type": "popularity"},
            "also": {"type": "also_bought"},
            "unused": {"type": "item_knn"},
            "never": {"type": "blacklist", "items": [{"type": 1, "id": 666}]},
        },
        "scenarios": {"box": box},
    }
    return make_website(**{**values, **changes})


def built(build: Build, items: list[Item] = ITEMS) -> Build:
    write_features(build, items, HISTORIES)
    write_model(build, "top", PAIRS, ranking(site_1=[(1, 4.0), (0, 1.0)], site_2=[(4, 1.0)]))
    write_model(build, "also", PAIRS, neighbours([(1, 1.0)], [(0, 1.0)], [], [], []))
    return build
