"""What many tests share: an empty installation and a small website."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.memory import temporary_root

pytest_plugins = ["tests.postgres"]

os.environ["PYTEST_DEBUG_TEMPROOT"] = temporary_root()
for name in ("COLUMNS", "LINES"):  # set where tests run side by side, and a console keeps the width it begins with
    os.environ.pop(name, None)

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")  # what a test proves does not hang on what else the machine has to do

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what builds: it takes longest, and the process that does it loads Great Expectations once for all."""
    items.sort(key=lambda item: item.get_closest_marker("builds") is None)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An installation with a key and no website."""
    made = Home(tmp_path / "home")
    made.create()
    yield made


@pytest.fixture
def shop() -> Website:
    """A commerce website with one model of each simple kind and two scenarios."""
    return make_website()


def make_website(**changes: object) -> Website:
    """Return a small valid website; `changes` replace top-level keys of its YAML."""
    values: dict[str, object] = {
        "website": "shop",
        "customer_id": "00001",
        "license_key": "1111-2222-3333-4444-5555",
        "time_zone": "Europe/Berlin",
        "item_types": {1: "product", 2: "article"},
        "models": {
            "top_bought": {"type": "popularity", "event": "buy", "history": "90d", "build": "every 6h"},
            "also_bought": {"type": "also_bought", "history": "180d"},
            "for_you": {"type": "item_knn", "history": "365d"},
            "new_in": {"type": "recently_added", "item_age": "10d", "build": "every 1h"},
            "picks": {"type": "editorial", "items": [{"type": 1, "id": 77}]},
            "never": {"type": "blacklist", "items": [{"type": 1, "id": 666}]},
        },
        "scenarios": {
            "landing_page": {
                "input": "product",
                "output": ["product"],
                "strategy": [{"models": ["for_you", "top_bought"]}, {"models": ["new_in"]}],
                "filters": {"already_bought": "exclude"},
            },
            "product_page": {
                "input": "product",
                "output": ["product"],
                "strategy": [{"models": ["also_bought"]}, {"models": ["top_bought"]}],
            },
        },
        **changes,
    }
    return Website.model_validate(values)
