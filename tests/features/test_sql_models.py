"""Dependencies come from the SQL itself; a table is built again only when something it reads changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from personalization_pipelines.features import building
from personalization_pipelines.features.building import run_all
from personalization_pipelines.features.engine import SOURCES, Inputs
from personalization_pipelines.features.sql_models import (
    dependencies,
    feature_names,
    feature_path,
    load_feature,
    load_models,
)
from personalization_pipelines.foundation.errors import Busy, ConfigurationError, CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.features.tables import NOON, events_table, items_table, write_lake

AS_OF = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def build(home: Home, shop: Website) -> Build:
    return Build(home, shop, AS_OF)


@pytest.fixture
def lake(tmp_path: Path) -> Inputs:
    rows = [{"visitor": "ann", "item": "1"}, {"visitor": "bob", "item": "2", "time": NOON + timedelta(hours=1)}]
    return write_lake(tmp_path / "lake", [events_table(rows)], items_table([{"item": "1", "categories": ["/A/B"]}]))


def folder_with(tmp_path: Path, **files: str) -> Path:
    (tmp_path / "features").mkdir()
    for name, sql in files.items():
        (tmp_path / "features" / f"{name}.sql").write_text(sql)
    return tmp_path


def changed(build: Build, inputs: Inputs) -> set[str]:
    """Return the tables that a build with these inputs makes anew."""
    return {report.name for report in run_all(build, inputs=inputs) if not report.unchanged}


def test_every_table_comes_after_those_it_reads() -> None:
    seen = set(SOURCES)
    for name in feature_names():
        assert dependencies(name) <= seen
        seen.add(name)


def test_dependencies_are_tables_and_never_names_of_with_clauses() -> None:
    assert dependencies("stg_events") == {
        "lake_events",
        "build",
        "utc_days",
        "robots",
        "visitor_logins",
        "item_transfers",
    }
    assert dependencies("item_categories") == {"items", "learned_categories"}
    assert dependencies("items") == {"stg_items", "event_items", "build"}


def test_a_table_inside_a_nested_query_counts(tmp_path: Path) -> None:
    sql = "select item from lake_items where exists (select 1 from (select visitor from lake_users) as u) order by item"
    assert load_models(folder_with(tmp_path, one=sql))["one"].tables == {"lake_items", "lake_users"}


def test_tables_that_read_each_other_are_an_error_that_names_the_circle(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path, a="select x from b order by x", b="select x from c order by x", c="select x from a order by x"
    )
    with pytest.raises(ConfigurationError, match=r"features/\w\.sql: tables read each other in a circle: (\w → ){3}\w"):
        load_models(folder)


def test_an_unknown_table_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"features/a\.sql: reads 'nowhere', which does not exist; there are a, build"
    ):
        load_models(folder_with(tmp_path, a="select x from nowhere order by x"))


def test_text_that_is_not_one_select_is_an_error_that_names_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"features/a\.sql:2: not SQL"):
        load_models(folder_with(tmp_path, a="select x\nfrom where"))


def test_a_second_build_of_the_same_lake_does_nothing(build: Build, lake: Inputs) -> None:
    assert changed(build, lake) == set(feature_names())
    before = {name: feature_path(build, name).stat().st_mtime_ns for name in feature_names()}
    assert changed(build, lake) == set()
    assert before == {name: feature_path(build, name).stat().st_mtime_ns for name in feature_names()}


def test_a_later_build_that_has_seen_nothing_new_only_moves_what_counts_days(build: Build, lake: Inputs) -> None:
    run_all(build, inputs=lake)
    assert changed(replace(build, as_of=AS_OF + timedelta(hours=1)), lake) == set()
    assert changed(replace(build, as_of=AS_OF + timedelta(days=1)), lake) == {"active_items", "learned_categories"}


def test_an_event_without_an_item_does_not_reach_the_item_tables(build: Build, lake: Inputs, tmp_path: Path) -> None:
    run_all(build, inputs=lake)
    more = write_lake(tmp_path / "more", [events_table([{"record_id": "new", "event": "rendered", "item": ""}])])
    both = replace(lake, events=(*lake.events, *more.events), lake="one more")
    read = {
        "robots",
        "visitor_logins",
        "stg_events",
        "event_days",
        "visitor_item_days",
        "visitor_history",
        "event_items",
        "learned_categories",
    }
    assert changed(build, both) == read


def test_a_new_price_leaves_alone_what_reads_categories(build: Build, lake: Inputs, tmp_path: Path) -> None:
    run_all(build, inputs=lake)
    priced = items_table([{"item": "1", "categories": ["/A/B"], "price_minor": 7, "currency": "EUR"}])
    dearer = replace(lake, items=write_lake(tmp_path / "dearer", [], priced).items)
    assert changed(build, dearer) == {"stg_items", "items"}
    moved = items_table([{"item": "1", "categories": ["/A/C"], "price_minor": 7, "currency": "EUR"}])
    elsewhere = replace(lake, items=write_lake(tmp_path / "elsewhere", [], moved).items)
    assert changed(build, elsewhere) == {"stg_items", "items", "item_categories", "learned_categories"}


def test_a_changed_comment_changes_nothing_and_a_changed_condition_does(tmp_path: Path) -> None:
    texts = ("select item from lake_items order by item", "-- why\nselect\n  item\nfrom lake_items order by item")
    other = "select item from lake_items where item <> '' order by item"
    one, same, different = (
        load_models(folder_with(tmp_path / str(number), a=text))["a"].canonical
        for number, text in enumerate((*texts, other))
        if (tmp_path / str(number)).mkdir() is None
    )
    assert one == same != different


def test_a_damaged_table_is_built_again(build: Build, lake: Inputs) -> None:
    run_all(build, inputs=lake)
    path = feature_path(build, "items")
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert changed(build, lake) == {"items"}
    assert path.read_bytes() == whole


def test_a_table_without_its_sidecar_is_built_again(build: Build, lake: Inputs) -> None:
    run_all(build, inputs=lake)
    feature_path(build, "items").with_suffix(".json").unlink()
    assert changed(build, lake) == {"items"}


def test_the_sidecar_says_what_the_table_was_made_of(build: Build, lake: Inputs) -> None:
    run_all(build, inputs=lake)
    said = json.loads(feature_path(build, "stg_events").with_suffix(".json").read_text())
    assert said["rows"] == 2
    assert said["inputs"]["lake_events"] == "lake of 2"
    assert said["inputs"]["build"] == {"as_of": "2026-03-01T13:00:00+00:00"}


def test_a_rebuild_of_a_past_moment_stays_beside_the_current_tables(build: Build, lake: Inputs) -> None:
    run_all(build, inputs=lake)
    past = replace(build, as_of=NOON.replace(tzinfo=UTC), rebuild=True)
    run_all(past, inputs=lake)
    assert load_feature(past, "stg_events", ["visitor"]).to_pydict() == {"visitor": ["ann"]}
    assert load_feature(build, "stg_events", ["visitor"]).to_pydict() == {"visitor": ["ann", "bob"]}


def test_a_website_without_any_data_has_empty_tables(build: Build) -> None:
    reports = run_all(build, inputs=Inputs((), None, None, ""))
    assert {report.rows for report in reports} == {0}
    assert load_feature(build, "items").num_rows == 0


def test_reports_count_rows_and_show_the_first_ones(build: Build, lake: Inputs) -> None:
    reports = {report.name: report for report in run_all(build, inputs=lake)}
    assert reports["item_categories"].rows == 2
    assert reports["item_categories"].columns == ("item_type", "item", "category")
    assert reports["item_categories"].preview[0] == {"item_type": 1, "item": "1", "category": "/A"}


def test_a_preview_shows_neither_users_nor_what_they_said(build: Build, lake: Inputs, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from personalization_pipelines.content.users.user_tables import USER_SCHEMA
    from tests.features.tables import table

    pq.write_table(table(USER_SCHEMA, {"attributes": "{}"}, [{"visitor": "ann"}]), tmp_path / "users.parquet")
    reports = run_all(build, inputs=replace(lake, users=tmp_path / "users.parquet"))
    assert [set(report.preview[0]) for report in reports if report.name == "stg_users"] == [{"source"}]


def test_a_table_that_is_not_built_yet_says_so(build: Build) -> None:
    with pytest.raises(CorruptData, match="the feature items is not built yet"):
        load_feature(build, "items")


def test_a_second_build_at_the_same_time_waits_and_then_says_it_is_busy(
    build: Build, lake: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "LOCK_SECONDS", 0.2)
    with pytest.raises(Busy, match="another build"):
        run_all(build, lambda report: run_all(build, inputs=lake) and None, inputs=lake)
