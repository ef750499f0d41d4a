"""The history of prices: every change of every import, also where its files were deleted, or as of a past day."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.content.catalogue.price_history import price_files
from personalization_pipelines.features.building import check_feature, run_all
from personalization_pipelines.features.sql_models import load_feature
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.conftest import make_website
from tests.content.files import write

pytestmark = pytest.mark.builds

DAY = timedelta(days=1)
MONDAY = datetime(2024, 6, 3, tzinfo=UTC)
LATER = MONDAY + 99 * DAY
Change = tuple[str, int | None, str, int]


def brought(home: Home, website: Website, tmp_path: Path, day: int, prices: dict[int, Any], **more: Any) -> str:
    rows = [{"item_id": item, "price": price, "title": "Lamp", **more} for item, price in prices.items()]
    report = import_items(home, website, [write(tmp_path, f"{day}.csv", rows)], force=True, now=MONDAY + day * DAY)
    return report.import_id


def price_file(home: Home, website: Website, as_of: datetime) -> Path | None:
    """Return the one file of the history: catalogues as small as these have no versions of changes."""
    files = price_files(home, website, as_of)
    assert len(files) <= 1
    return files[0] if files else None


def changes(home: Home, website: Website, as_of: datetime = LATER) -> list[Change]:
    """Return item, price, currency and day of every change."""
    path = price_file(home, website, as_of)
    rows = pq.read_table(path).to_pylist() if path else []
    monday = MONDAY.replace(tzinfo=None)
    return [(row["item"], row["price_minor"], row["currency"], (row["valid_from"] - monday).days) for row in rows]


def test_every_change_is_a_row_with_its_import(home: Home, shop: Website, tmp_path: Path) -> None:
    assert price_file(home, shop, LATER) is None
    brought(home, shop, tmp_path, 0, {1: "5.00", 2: "7.00", 3: None})
    brought(home, shop, tmp_path, 1, {1: "5.00", 2: "6.00", 3: "1.00"})
    last = brought(home, shop, tmp_path, 2, {1: "5.00", 3: None})
    assert changes(home, shop) == [
        ("1", 500, "EUR", 0),
        ("2", 700, "EUR", 0), ("2", 600, "EUR", 1), ("2", None, "", 2),
        ("3", 100, "EUR", 1), ("3", None, "", 2),
    ]  # fmt: skip
    path = price_file(home, shop, LATER)
    assert path and pq.read_table(path)["import_id"].to_pylist()[-1] == last


def test_another_currency_is_a_change_and_another_title_is_none(home: Home, shop: Website, tmp_path: Path) -> None:
    brought(home, shop, tmp_path, 0, {1: "5.00"})
    brought(home, shop, tmp_path, 1, {1: "5.00"}, title="Table")
    brought(home, shop, tmp_path, 2, {1: "5.00"}, currency="USD")
    assert changes(home, shop) == [("1", 500, "EUR", 0), ("1", 500, "USD", 2)]


def test_a_past_moment_sees_the_changes_up_to_then(home: Home, shop: Website, tmp_path: Path) -> None:
    for day, price in enumerate(("5.00", "6.00", "7.00")):
        brought(home, shop, tmp_path, day, {1: price})
    whole = changes(home, shop)
    assert changes(home, shop, MONDAY + DAY) == whole[:2]
    assert changes(home, shop, MONDAY - DAY) == whole[:1], "as the catalogue of before the first import is the oldest"


def test_files_that_are_missing_are_made_again_with_the_same_bytes(home: Home, shop: Website, tmp_path: Path) -> None:
    for day, price in enumerate(("5.00", "6.00", "7.00")):
        brought(home, shop, tmp_path, day, {1: price, 2: "1.00"})
        step = price_file(home, shop, LATER)
    assert step
    before = step.read_bytes()
    shutil.rmtree(step.parent)
    again = price_file(home, shop, LATER)
    assert again == step and again.read_bytes() == before


def test_a_build_without_an_import_reads_no_version(home: Home, shop: Website, tmp_path: Path) -> None:
    brought(home, shop, tmp_path, 0, {1: "5.00"})
    path = price_file(home, shop, LATER)
    for version in (home.lake("shop") / "items").glob("*.parquet"):
        version.unlink()
    assert price_file(home, shop, LATER) == path


def test_files_of_earlier_versions_go_after_a_day(home: Home, shop: Website, tmp_path: Path) -> None:
    brought(home, shop, tmp_path, 0, {1: "5.00"})
    old = price_file(home, shop, LATER)
    brought(home, shop, tmp_path, 1, {1: "6.00"})
    young = price_file(home, shop, LATER)
    assert old and young and old.exists()
    os.utime(old, (1, 1))
    brought(home, shop, tmp_path, 2, {1: "7.00"})
    assert [price for _, price, _, _ in changes(home, shop)] == [500, 600, 700]
    assert young.exists() and not old.exists()


PRICES = st.dictionaries(st.integers(1, 4), st.sampled_from(["1.00", "2.00", None]), min_size=1)


@settings(max_examples=15, deadline=None)
@given(st.lists(PRICES, min_size=1, max_size=4))
def test_the_newest_change_of_each_item_is_its_price(
    tmp_path_factory: Any, catalogues: list[dict[int, str | None]]
) -> None:
    directory, website = tmp_path_factory.mktemp("home"), make_website()
    home = Home(directory / "home")
    home.create()
    for day, prices in enumerate(catalogues):
        brought(home, website, directory, day, prices)
        now = {item: price for item, price, _, _ in changes(home, website)}
        wanted = {str(item): int(float(price) * 100) for item, price in prices.items() if price}
        assert {item: price for item, price in now.items() if price is not None} == wanted
    found = changes(home, website)
    assert all(one[0] != other[0] or one[1:3] != other[1:3] for one, other in pairwise(found))


def test_the_feature_table_keeps_its_contract(home: Home, shop: Website, tmp_path: Path) -> None:
    brought(home, shop, tmp_path, 0, {1: "5.00", 2: None})
    brought(home, shop, tmp_path, 1, {1: "4.00", 2: None})
    build = Build(home, shop, LATER)
    assert not [one for one in run_all(build) if one.unchanged]
    assert load_feature(build, "price_changes")["price_minor"].to_pylist() == [500, 400]
    assert check_feature(build, "price_changes").passed
    assert all(one.unchanged for one in run_all(build))
