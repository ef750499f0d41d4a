"""From files a website hands over to feature tables that keep their contracts, through the real imports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.users.user_tables import import_users
from personalization_pipelines.features.building import check_feature, run_all, run_feature
from personalization_pipelines.features.sql_models import feature_names, feature_path, load_feature
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build

pytestmark = pytest.mark.builds

ITEMS = """item_type,item_id,price,currency,category,title
1,7,19.99,EUR,/Garden/Tools/Spades,Spade
1,8,,,/Garden|/Sale,Gloves
2,7,,,,How to dig
"""
EVENTS = """time,event,user,item_id,quantity,price,currency
2026-03-01T09:00:00Z,click,ann,7,,,
2026-03-01T09:05:00Z,buy,ann,7,2,19.99,EUR
2026-03-01T23:30:00Z,click,bob,8,,,
2026-03-02T10:00:00Z,buy,,8,1,5.00,EUR
"""
USERS = "user,source,city\nann,shop,Bonn\n"


def imported(home: Home, website: Website, directory: Path) -> Build:
    for name, text in (("items", ITEMS), ("events", EVENTS), ("users", USERS)):
        (directory / f"{name}.csv").write_text(text)
    now = datetime(2026, 3, 3, tzinfo=UTC)
    import_items(home, website, [directory / "items.csv"], now=now)
    import_events(home, website, [directory / "events.csv"], now=now)
    import_users(home, website, [directory / "users.csv"], now=now)
    return Build(home, website, datetime(2026, 3, 4, tzinfo=UTC))


def test_imported_files_become_features_that_keep_their_contracts(home: Home, shop: Website, tmp_path: Path) -> None:
    build = imported(home, shop, tmp_path)
    rows = {report.name: report.rows for report in run_all(build)}
    assert {name: rows[name] for name in ("stg_events", "items", "item_categories", "visitor_history")} == {
        "stg_events": 4,
        "items": 3,
        "item_categories": 5,
        "visitor_history": 3,
    }
    for name in feature_names():
        assert check_feature(build, name).passed, check_feature(build, name).summary
    days = load_feature(build, "visitor_item_days").to_pylist()
    assert sorted((row["event"], row["item"], row["day"], row["events"]) for row in days) == [
        ("buy", "7", date(2026, 3, 1), 1),
        ("buy", "8", date(2026, 3, 2), 1),
        ("click", "7", date(2026, 3, 1), 1),
        ("click", "8", date(2026, 3, 2), 1),
    ]


def test_tables_built_one_by_one_equal_those_built_together(home: Home, shop: Website, tmp_path: Path) -> None:
    build = imported(home, shop, tmp_path)
    run_all(build)
    alone = replace(build, rebuild=True)
    for name in feature_names():
        run_feature(alone, name)
        assert feature_path(alone, name).read_bytes() == feature_path(build, name).read_bytes(), name
