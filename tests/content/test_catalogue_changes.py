"""A catalogue kept as changes is, at every moment, the catalogue kept whole: rows, prices, features, publication."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.catalogue import versions
from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.content.catalogue.items import catalogue, import_items, read_catalogue
from personalization_pipelines.content.catalogue.price_history import PRICE_SCHEMA, price_files
from personalization_pipelines.content.catalogue.read_items import ITEM_SCHEMA
from personalization_pipelines.content.change_queue import DELETE_ITEM, ITEMS_XML, enqueue
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.content.xml.write_xml import write_xml_items
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.features.building import run_all
from personalization_pipelines.features.sql_models import feature_names, feature_path, load_feature
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.write.item_table import read_items
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.conftest import make_website
from tests.content.files import write

DAY = timedelta(days=1)
MONDAY = datetime(2024, 6, 3, tzinfo=UTC)
Rows = dict[int, int]


@contextmanager
def kept(whole_rows: int, share: float = 1e9, most: int = 64) -> Iterator[None]:
    """Let tables of so many rows be kept as changes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("WHOLE_ROWS", whole_rows), ("CHANGED_SHARE", share), ("MOST_CHANGES", most)):
            patch.setattr(versions, name, value)
        yield


def new_home(directory: Path) -> Home:
    home = Home(directory)
    home.create()
    return home


def send(home: Home, website: Website, prices: Rows, day: int, language: str = "") -> None:
    items = [
        XmlItem(1, str(item), language, price_minor=price, currency="EUR", categories=[f"/A/B{price}"])
        for item, price in prices.items()
    ]
    enqueue(home, website, ITEMS_XML, write_xml_items(items, website), name=f"POST of {day}")
    apply_changes(home, website, now=MONDAY + day * DAY)


def delete(home: Home, website: Website, item: int, day: int) -> None:
    body = msgspec.json.encode({"item_type": 1, "item": str(item), "language": None})
    enqueue(home, website, DELETE_ITEM, body, name=f"DELETE of {item}")
    apply_changes(home, website, now=MONDAY + day * DAY)


def step(home: Home, website: Website, directory: Path, day: int, one: tuple[str, Any]) -> None:
    kind, value = one
    if kind == "xml":
        send(home, website, value, day)
    elif kind == "german":
        send(home, website, value, day, "ger-DE")
    elif kind == "delete":
        delete(home, website, value, day)
    else:
        rows = [{"item_id": item, "price": price, "title": f"T{price}"} for item, price in value.items()]
        file = write(directory, f"{day}.csv", rows)
        mode: Any = kind
        import_items(home, website, [file], mode=mode, force=True, now=MONDAY + day * DAY)


def prices(home: Home, website: Website, as_of: datetime) -> list[dict[str, Any]]:
    tables = [PRICE_SCHEMA.empty_table(), *(pq.read_table(path) for path in price_files(home, website, as_of))]
    order = [(name, "ascending") for name in ("item_type", "item", "language", "valid_from")]
    return list(pa.concat_tables(tables).sort_by(order).drop_columns("import_id").to_pylist())


def changes_kept(home: Home, website: Website) -> list[int | None]:
    return [one.changes for one in catalogue(home, website).versions()]


def titles(home: Home, website: Website, day: int) -> dict[str, int]:
    table = read_catalogue(home, website, MONDAY + day * DAY)
    return dict(zip(table["item"].to_pylist(), table["price_minor"].to_pylist(), strict=True))


def test_each_day_sees_the_items_of_that_day(home: Home, shop: Website) -> None:
    with kept(0):
        send(home, shop, {1: 10, 2: 20, 3: 30}, 0)
        send(home, shop, {2: 21, 4: 40}, 1)
        delete(home, shop, 1, 2)
        send(home, shop, {1: 11}, 3)
        assert changes_kept(home, shop) == [None, 2, 1, 1]
        assert titles(home, shop, 0) == titles(home, shop, -9) == {"1": 10, "2": 20, "3": 30}
        assert titles(home, shop, 1) == {"1": 10, "2": 21, "3": 30, "4": 40}
        assert titles(home, shop, 2) == {"2": 21, "3": 30, "4": 40}
        assert titles(home, shop, 99) == {"1": 11, "2": 21, "3": 30, "4": 40}
        assert [one.rows for one in catalogue(home, shop).versions()] == [3, 4, 3, 4]
        seen = read_catalogue(home, shop, MONDAY + 9 * DAY).to_pylist()[0]["first_seen"]
        assert seen == MONDAY.replace(tzinfo=None), "an item that comes back was first seen when it first came"


def test_files_grow_with_the_update_and_become_whole_after_a_share_of_the_catalogue(home: Home, shop: Website) -> None:
    with kept(100, share=0.25):
        send(home, shop, dict.fromkeys(range(400), 5), 0)
        for day in range(1, 9):
            send(home, shop, dict.fromkeys(range(20), day * 10), day)
        assert changes_kept(home, shop) == [None, 20, 20, 20, 20, 20, None, 20, 20]
        files = [catalogue(home, shop).directory / one.file for one in catalogue(home, shop).versions()]
        assert [pq.read_metadata(path).num_rows for path in files] == [400, 20, 20, 20, 20, 20, 400, 20, 20]
        assert titles(home, shop, 9) == {str(n): 80 if n < 20 else 5 for n in range(400)}
    with kept(100, most=2):
        send(home, shop, {1: 1}, 9)
        assert changes_kept(home, shop)[-2:] == [20, None], "never more than so many files of changes"


def test_small_catalogues_and_those_of_before_have_whole_files_alone(home: Home, shop: Website) -> None:
    send(home, shop, {1: 10, 2: 20}, 0)
    send(home, shop, {1: 11}, 1)
    manifest = catalogue(home, shop).directory / versions.MANIFEST
    assert "changes" not in manifest.read_text()
    with kept(0):
        send(home, shop, {2: 21}, 2)
        assert changes_kept(home, shop) == [None, None, 1]
        assert titles(home, shop, 2) == {"1": 11, "2": 21}


def test_an_import_of_the_past_changes_the_newest_version_and_is_read_with_it(home: Home, shop: Website) -> None:
    with kept(0):
        send(home, shop, {1: 10}, 0)
        send(home, shop, {2: 20}, 5)
        send(home, shop, {3: 30}, 3)
        assert titles(home, shop, 3) == {"1": 10, "2": 20, "3": 30}, "as whole files have it"
        assert [(row["item"], row["price_minor"]) for row in prices(home, shop, MONDAY + 4 * DAY)] == [
            ("1", 10), ("2", 20), ("3", 30),
        ]  # fmt: skip


def test_changes_without_what_they_change_are_refused(home: Home, shop: Website) -> None:
    with kept(0):
        send(home, shop, {1: 10}, 0)
        send(home, shop, {2: 20}, 1)
        manifest = catalogue(home, shop).directory / versions.MANIFEST
        manifest.write_bytes(msgspec.json.encode(msgspec.json.decode(manifest.read_bytes())[1:]))
        with pytest.raises(CorruptData, match="restore the lake"):
            read_catalogue(home, shop, MONDAY + DAY)


@pytest.mark.parametrize("nth", [0, 1], ids=["file", "manifest"])
def test_a_crash_while_changes_are_written_leaves_the_version_of_before(
    home: Home, shop: Website, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kept(0):
        send(home, shop, {1: 10}, 0)
        real, done = versions._rename, []

        def dying(old: Path, new: Path) -> None:
            if len(done) == nth:
                raise KeyboardInterrupt
            done.append(new)
            real(old, new)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(versions, "_rename", dying)
            send(home, shop, {1: 11, 2: 20}, 1)
        assert titles(home, shop, 1) == {"1": 10}
        apply_changes(home, shop, now=MONDAY + 2 * DAY)
        assert titles(home, shop, 2) == {"1": 11, "2": 20}
        table = catalogue(home, shop)
        assert {path.name for path in table.directory.glob("*.parquet")} == {one.file for one in table.versions()}


PRICES = st.dictionaries(st.integers(1, 6), st.integers(1, 3), min_size=1, max_size=4)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["xml", "german", "incremental", "full"]), PRICES),
    st.tuples(st.just("delete"), st.integers(1, 6)),
)


@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
@given(st.lists(STEPS, min_size=2, max_size=5), st.integers(1, 3))
def test_changes_built_after_a_build_give_the_bytes_of_whole_files_built_once(
    tmp_path_factory: Any, steps: list[tuple[str, Any]], most: int
) -> None:
    directory, website = tmp_path_factory.mktemp("homes"), make_website()
    changing, whole = new_home(directory / "changing"), new_home(directory / "whole")
    for day, one in enumerate(steps):
        with kept(0, most=most):
            step(changing, website, directory, day, one)
            if day == len(steps) - 2:
                run_all(Build(changing, website, MONDAY + day * DAY))  # so that the last build reuses what it may
        with kept(10**9):
            step(whole, website, directory, day, one)
    for day in range(len(steps)):
        then = MONDAY + day * DAY
        assert read_catalogue(changing, website, then).to_pylist() == read_catalogue(whole, website, then).to_pylist()
        assert prices(changing, website, then) == prices(whole, website, then)
    last, once = (Build(home, website, MONDAY + len(steps) * DAY) for home in (changing, whole))
    run_all(last), run_all(once)
    for name in sorted(set(feature_names()) - {"price_changes"}):  # two homes name the changes of a queue differently
        assert feature_path(last, name).read_bytes() == feature_path(once, name).read_bytes(), name
    changed = [load_feature(build, "price_changes").drop_columns("import_id") for build in (last, once)]
    assert changed[0].equals(changed[1])
    ours, theirs = (read_items(build.features, "EUR", frozenset()) for build in (last, once))
    assert ours.categories == theirs.categories
    assert all(np.array_equal(ours.arrays[name], array) for name, array in theirs.arrays.items())
    counted = [(row.added, row.changed, row.removed) for row in import_history(changing, website)]
    assert counted == [(row.added, row.changed, row.removed) for row in import_history(whole, website)]
    assert read_catalogue(changing, website, MONDAY + 99 * DAY).schema == ITEM_SCHEMA
