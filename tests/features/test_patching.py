"""A table patched with what changed is, row by row, the table built whole; and reading it is reading one table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from personalization_pipelines.features import building, patching
from personalization_pipelines.features.building import check_feature, run_all, run_feature
from personalization_pipelines.features.sql_models import feature_names, feature_path, load_feature
from personalization_pipelines.features.stored import StoredTable
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.timespans import parse_schedule
from personalization_pipelines.models.matrices.read_features import read_training_data
from personalization_pipelines.publications.format.publication_manifest import read_manifest
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.publications.write import item_table
from personalization_pipelines.publications.write.feature_tables import feature_fingerprints
from personalization_pipelines.publications.write.item_table import read_items
from personalization_pipelines.publications.write.publishing import publish
from personalization_pipelines.quality.contracts import load_contracts
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.conftest import make_website
from tests.content.test_catalogue_changes import DAY, MONDAY, STEPS, delete, kept, new_home, send, step

pytestmark = pytest.mark.builds

ROW_BY_ROW = [name for name, contract in load_contracts().items() if contract.row_by_row]


@contextmanager
def patched(least: int = 0, share: float = 1e9, most: int = 24) -> Iterator[None]:
    """Let tables of so many rows be patched."""
    with kept(0), pytest.MonkeyPatch.context() as patch:
        for name, value in (("LEAST_ROWS", least), ("CHANGED_SHARE", share), ("MOST_CHANGES", most)):
            patch.setattr(patching, name, value)
        yield


def stored(build: Build, name: str) -> StoredTable:
    table = StoredTable.of(feature_path(build, name))
    assert table is not None
    return table


def changes(build: Build) -> dict[str, int]:
    return {name: len(stored(build, name).changes) for name in ROW_BY_ROW}


def on(home: Home, website: Website, day: int) -> Build:
    return Build(home, website, MONDAY + day * DAY)


def built(home: Home, website: Website, day: int) -> Build:
    run_all(on(home, website, day))
    return on(home, website, day)


def assert_as_whole(build: Build) -> None:
    """Compare every table, and what a publication makes of them, with a rebuild from nothing."""
    whole = Build(build.home, build.website, build.as_of, rebuild=True)
    run_all(whole)
    assert not any(changes(whole).values())
    for name in feature_names():
        assert load_feature(build, name).equals(load_feature(whole, name)), name
        assert check_feature(build, name).passed, name
    ours, theirs = (read_items(one.features, "EUR", frozenset()) for one in (build, whole))
    assert ours.categories == theirs.categories
    assert all(np.array_equal(ours.arrays[name], array) for name, array in theirs.arrays.items())
    learned = [read_training_data(one, ["buy"], parse_schedule("hourly")).index.ids for one in (build, whole)]
    assert learned[0] == learned[1] == tuple(load_feature(whole, "items")["item"].to_pylist())


def test_an_update_is_written_beside_the_table_and_no_larger_than_itself(home: Home, shop: Website) -> None:
    with patched():
        send(home, shop, dict.fromkeys(range(400), 5), 0)
        first = built(home, shop, 0)
        before = {name: feature_path(first, name).read_bytes() for name in ROW_BY_ROW}
        send(home, shop, {7: 6, 500: 1}, 1)
        last = built(home, shop, 1)
        assert changes(last) == {"stg_items": 1, "items": 1, "price_changes": 1, "item_languages": 0}
        assert before == {name: feature_path(last, name).read_bytes() for name in ROW_BY_ROW}
        change = stored(last, "items").changes[0]
        assert pq.read_table(last.features / change.rows)["item"].to_pylist() == ["500", "7"]
        assert change.gone == "" and change.touched == 2
        assert_as_whole(last)


def test_what_is_deleted_is_gone_and_comes_back(home: Home, shop: Website) -> None:
    with patched():
        send(home, shop, dict.fromkeys(range(40), 5), 0)
        built(home, shop, 0)
        delete(home, shop, 7, 1)
        second = built(home, shop, 1)
        assert (
            stored(second, "items").changes[0].rows == ""
            and "7" not in load_feature(second, "items")["item"].to_pylist()
        )
        assert_as_whole(second)
        send(home, shop, {7: 9}, 2)
        assert_as_whole(built(home, shop, 2))


def test_a_table_is_written_whole_after_a_share_of_its_rows_or_so_many_changes(home: Home, shop: Website) -> None:
    with patched(least=1, share=0.25):
        send(home, shop, dict.fromkeys(range(40), 5), 0)
        built(home, shop, 0)
        for day, expected in ((1, 1), (2, 2), (3, 3), (4, 0), (5, 1)):
            send(home, shop, dict.fromkeys(range(5), day * 10), day)
            assert changes(built(home, shop, day))["items"] == expected
        last = on(home, shop, 5)
        assert list(last.features.glob("items.rows-*")) == [last.features / stored(last, "items").changes[0].rows]
    with patched(most=1):
        send(home, shop, {1: 77}, 6)
        assert changes(built(home, shop, 6))["items"] == 0
    with patched(least=100):
        send(home, shop, {1: 78}, 7)
        assert changes(built(home, shop, 7))["items"] == 0


def test_new_prices_leave_alone_what_reads_categories(home: Home, shop: Website) -> None:
    with patched():
        send(home, shop, {1: 5, 2: 5}, 0)
        built(home, shop, 0)
        rows = pq.read_table(feature_path(on(home, shop, 0), "items"))
        assert rows["categories"].to_pylist() == [["/A/B5"], ["/A/B5"]]
        send(home, shop, {1: 6}, 1)  # which also moves it to /A/B6
        done = {one.name: one.unchanged for one in run_all(on(home, shop, 1))}
        assert not done["items"] and not done["item_categories"]
        texts = stored(on(home, shop, 1), "items").sidecar["columns"]
        run_feature(on(home, shop, 1), "items", whole=True)
        again = stored(on(home, shop, 1), "items").sidecar["columns"]
        assert texts["item"] == again["item"] and texts["categories"] != again["categories"]


@pytest.mark.slow
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
@given(st.lists(STEPS, min_size=2, max_size=6), st.integers(1, 3))
def test_tables_patched_day_by_day_are_those_built_whole(
    tmp_path_factory: Any, steps: list[tuple[str, Any]], most: int
) -> None:
    directory, website = tmp_path_factory.mktemp("homes"), make_website()
    home = new_home(directory / "home")
    with patched(most=most):
        for day, one in enumerate(steps):
            step(home, website, directory, day, one)
            build = built(home, website, day)
        assert_as_whole(build)


def test_a_build_that_dies_before_the_sidecar_leaves_the_table_of_before(
    home: Home, shop: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    with patched():
        send(home, shop, {1: 5, 2: 5}, 0)
        before = load_feature(built(home, shop, 0), "stg_items")
        send(home, shop, {1: 6}, 1)

        def dying(path: Path, content: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(building, "_replace_sidecar", dying)
            run_feature(on(home, shop, 1), "stg_items")
        assert load_feature(on(home, shop, 1), "stg_items").equals(before)
        send(home, shop, {1: 7}, 2)
        last = built(home, shop, 2)
        assert [path.name for path in last.features.glob("stg_items.*-*.parquet")] == [
            stored(last, "stg_items").changes[0].rows
        ]
        assert_as_whole(last)


def test_only_what_changed_is_checked_and_a_broken_row_in_it_is_named_until_it_is_mended(
    home: Home, shop: Website
) -> None:
    with patched():
        send(home, shop, {1: 5, 2: 5, 3: 5}, 0)
        assert check_feature(built(home, shop, 0), "stg_items").passed
        send(home, shop, {1: 6}, 1)
        second = built(home, shop, 1)
        change = second.features / stored(second, "stg_items").changes[0].rows
        rows = pq.read_table(change)
        broken = rows.set_column(rows.schema.get_field_index("price_minor"), "price_minor", pa.array([-1], pa.int64()))
        pq.write_table(broken, change)
        sidecar = change.with_name("stg_items.json")
        content = json.loads(sidecar.read_text())
        size = sum(path.stat().st_size for path in stored_files(sidecar))
        sidecar.write_text(json.dumps({**content, "bytes": size}))
        for _ in range(2):
            report = check_feature(second, "stg_items")
            assert [(row.column, row.sample) for row in report.rows if not row.ok] == [("price_minor", ("-1",))]
        send(home, shop, {1: 7}, 2)
        third = built(home, shop, 2)
        assert changes(third)["stg_items"] == 2
        assert check_feature(third, "stg_items").passed
        assert changes(third)["stg_items"] == 0, "what followed an unchecked change is written and checked whole"
        assert_as_whole(third)


def stored_files(sidecar: Path) -> list[Path]:
    return [sidecar.with_suffix(".parquet"), *sidecar.parent.glob("stg_items.*-*.parquet")]


def test_a_damaged_change_is_never_published_and_a_missing_one_is_built_again(home: Home, shop: Website) -> None:
    with patched():
        send(home, shop, {1: 5, 2: 5}, 0)
        built(home, shop, 0)
        send(home, shop, {1: 6}, 1)
        last = built(home, shop, 1)
        change = last.features / stored(last, "items").changes[0].rows
        known = feature_fingerprints(last.features)["items"]
        change.write_bytes(change.read_bytes()[:-1] + b"X")
        with pytest.raises(CorruptData, match=r"items\.rows-.* does not match the SHA-256"):
            read_items(last.features, "EUR", frozenset())
        change.unlink()
        with pytest.raises(CorruptData, match="build again"):
            feature_fingerprints(last.features)
        assert_as_whole(built(home, shop, 1))
        assert feature_fingerprints(last.features)["items"] != known, "whole now"


def test_publishing_goes_on_from_what_serves_and_writes_the_bytes_of_one_made_anew(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_website(models={}, scenarios={})
    with patched():
        send(home, shop, {1: 5, 2: 5, 3: 5}, 0)
        publish(built(home, shop, 0))
        send(home, shop, {2: 6, 30: 7}, 1)
        delete(home, shop, 1, 1)
        last = built(home, shop, 1)
        whole = Build(home, shop, last.as_of, rebuild=True)
        run_all(whole)
        anew = publish(whole).directory
        with monkeypatch.context() as patch:
            patch.setattr(item_table, "read_columns", None)
            directory = publish(last).directory
        for name in read_manifest(anew).files:
            assert (directory / name).read_bytes() == (anew / name).read_bytes(), name
        assert Publication.open(directory, thorough=True).items.row(1, "30") == 2
