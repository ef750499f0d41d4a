"""The sensor of new files: asks once for what is there, waits for copies to end, and what it asks for is imported."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import pyarrow.parquet as pq
import pytest

from personalization_pipelines.commands.refresh import refresh
from personalization_pipelines.content.catalogue.items import catalogue_file
from personalization_pipelines.content.files.read_files import expand_files
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.definitions import complete, website_definitions
from personalization_pipelines.foundation.errors import ConfigurationError, ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.parts import installation
from personalization_pipelines.website import Website
from personalization_pipelines.website.load import load_website
from tests.conftest import make_website
from tests.content.files import write

pytestmark = pytest.mark.builds


@pytest.fixture
def site() -> Website:
    return make_website(content={"sources": [{"files": "data/*.csv", "format": "csv", "mode": "incremental"}]})


class Sensor:
    """A website's sensor with its cursor, as the daemon keeps it."""

    def __init__(self, home: Home, website: Website) -> None:
        self.resources = {"installation": installation(home)}
        self.definitions = complete(home, website_definitions(website))
        self.cursor: str | None = None

    def look(self) -> dg.SensorResult:
        sensor = self.definitions.resolve_sensor_def("shop_files")
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(instance=instance, cursor=self.cursor, resources=self.resources)
            found = sensor(context)
        assert isinstance(found, dg.SensorResult)
        self.cursor = found.cursor
        return found

    def asks(self) -> bool:
        return bool(self.look().run_requests)


def items_of(home: Home, website: Website) -> list[str]:
    path = catalogue_file(home, website, datetime.now(UTC))
    return [row["item"] for row in pq.read_table(path).to_pylist()] if path else []


def test_new_files_are_asked_for_once_and_only_when_they_stay_as_they_are(home: Home, site: Website) -> None:
    sensor = Sensor(home, site)
    assert "no file is there" in str(sensor.look().skip_reason)
    path = write(home.root / "data", "a.csv", [{"item_id": 1}])
    assert "waiting until they stay" in str(sensor.look().skip_reason)
    path.write_text(path.read_text() + "2\n")  # still being copied
    assert not sensor.asks()
    assert sensor.asks()
    assert "no file is new or changed" in str(sensor.look().skip_reason)


def test_a_changed_file_and_one_more_file_are_new(home: Home, site: Website) -> None:
    sensor = Sensor(home, site)
    path = write(home.root / "data", "a.csv", [{"item_id": 1}])
    assert [sensor.asks() for _ in range(3)] == [False, True, False]
    os.utime(path, ns=(1, 1))
    assert [sensor.asks() for _ in range(3)] == [False, True, False]
    write(home.root / "data", "b.csv", [{"item_id": 2}])
    assert [sensor.asks() for _ in range(3)] == [False, True, False]
    write(home.root / "data", "c.parquet", [{"item_id": 2}])
    assert not any(sensor.asks() for _ in range(3)), "the pattern names CSV files"


def test_a_cursor_of_another_version_counts_as_none(home: Home, site: Website) -> None:
    write(home.root / "data", "a.csv", [{"item_id": 1}])
    sensor = Sensor(home, site)
    sensor.cursor = "[1, 2"
    assert [sensor.asks() for _ in range(3)] == [False, True, False]


def test_what_the_sensor_asks_for_is_imported(home: Home, site: Website) -> None:
    sensor = Sensor(home, site)
    write(home.root / "data", "a.csv", [{"item_id": 1}])
    sensor.look()
    (request,) = sensor.look().run_requests or []
    assert request.tags["website"] == "shop" and "dagster/max_runtime" in request.tags
    job = sensor.definitions.resolve_job_def("shop_refresh")
    selection = sensor.definitions.resolve_sensor_def("shop_files").asset_selection
    keys = sorted(selection.resolve(sensor.definitions.resolve_asset_graph())) if selection else []
    assert [key.to_user_string() for key in keys] == ["shop/content/items"]
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, asset_selection=keys, tags=request.tags).success
    assert items_of(home, site) == ["1"]
    assert import_history(home, site)[-1].mode == "incremental"


def test_a_refresh_takes_the_files_of_sources_and_goes_on_where_there_are_none(home: Home, site: Website) -> None:
    before = refresh(home, site)
    assert not any("content" in one for one in before.failures), before.failures
    assert import_history(home, site) == []
    write(home.root / "data", "a.csv", [{"item_id": 1}])
    write(home.root / "data", "b.csv", [{"item_id": 2}])
    refresh(home, site)
    assert items_of(home, site) == ["1", "2"]


def test_a_website_without_sources_has_no_such_sensor(home: Home) -> None:
    sensors = website_definitions(make_website()).sensors or []
    assert [sensor.name for sensor in sensors] == ["shop_automation", "shop_changes"]


@pytest.fixture
def stored(site: Website) -> Iterator[tuple[fsspec.AbstractFileSystem, Website]]:
    """A bucket, and a website whose items come from it."""
    store = fsspec.filesystem("memory")
    yield (
        store,
        make_website(content={"sources": [{"files": "memory://shop/new/*.json", "format": "export", "mode": "full"}]}),
    )
    store.rm("/shop", recursive=True)


def export(*ids: int) -> bytes:
    entries = [{"contentId": one, "contentTypeId": 1, "title": f"<b>item</b> {one}"} for one in ids]
    return json.dumps({"contentList": {"content": entries}}).encode()


def test_new_and_changed_objects_of_a_store_are_asked_for_once(home: Home, stored: Any) -> None:
    store, website = stored
    store.pipe("/shop/old/a.json", export(1))
    sensor = Sensor(home, website)
    assert "no file is there" in str(sensor.look().skip_reason)
    store.pipe("/shop/new/a.json", export(1))
    assert [sensor.asks() for _ in range(3)] == [False, True, False]
    store.pipe("/shop/new/a.json", export(2))  # as many bytes as before
    assert [sensor.asks() for _ in range(3)] == [False, True, False]
    store.pipe("/shop/new/b.json", export(3))
    assert [sensor.asks() for _ in range(3)] == [False, True, False]


def test_the_graph_imports_the_objects_of_a_store(home: Home, stored: Any) -> None:
    store, website = stored
    store.pipe("/shop/new/a.json", export(1, 2))
    store.pipe("/shop/new/b.json.gz", gzip.compress(export(3)))  # the pattern does not name it
    job = Sensor(home, website).definitions.resolve_job_def("shop_refresh")
    with dg.DagsterInstance.ephemeral() as instance:
        items = [dg.AssetKey(["shop", "content", "items"])]
        assert job.execute_in_process(instance=instance, asset_selection=items, tags={"website": "shop"}).success
    assert items_of(home, website) == ["1", "2"]
    (row,) = import_history(home, website)
    assert (row.files, row.mode) == (("memory://shop/new/a.json",), "full")
    assert [path.name for path in home.root.iterdir() if "download" in path.name] == []


def test_the_sensor_waits_for_a_store_that_does_not_answer(
    home: Home, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, website = stored
    store.pipe("/shop/new/a.json", export(1))
    sensor = Sensor(home, website)
    assert not sensor.asks()

    def fail(*_: object, **__: object) -> None:
        raise OSError("canary-secret-key")

    with monkeypatch.context() as broken:
        broken.setattr(type(store), "glob", fail)
        found = sensor.look()
        assert "memory://shop/new/*.json: the store can not be read now (OSError)" in str(found.skip_reason)
        assert "canary" not in str(found)
    assert sensor.asks(), "what was seen before the failure counts"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://169.254.169.254/latest/*.csv", "others are never opened"),
        ("https://example.org/items.csv", "others are never opened"),
        ("simplecache::s3://bucket/*.csv", "others are never opened"),
        ("s3://bucket/a::http://example.org/*.csv", "others are never opened"),
        ("github://owner:repo@/x.csv", "others are never opened"),
        ("s3://key:secret@bucket/*.csv", "holds no credentials"),
        ("s3://", "others are never opened"),
    ],
)
@pytest.mark.parametrize("stage", ["content", "events"])
def test_addresses_of_nothing_but_object_stores_are_taken(
    tmp_path: Path, home: Home, stage: str, address: str, sentence: str
) -> None:
    path = tmp_path / "my-shop.yaml"
    source = f'{stage}: {{sources: [{{files: "{address}", format: csv}}]}}'
    path.write_text("\n".join(["website: my-shop", 'customer_id: "1"', "license_key: abcd-efgh", source]) + "\n")
    with pytest.raises(ConfigurationError, match=rf"4: \w+\.sources\[0\]\.files: .*{sentence}") as refused:
        load_website(path)
    assert "secret@" not in str(refused.value)
    if "://" in address:
        with pytest.raises(ImportRefused, match=sentence):
            expand_files(home, address)


def test_the_schedule_asks_for_the_objects_of_a_store_too(home: Home, stored: Any) -> None:
    store, website = stored
    store.pipe("/shop/new/a.json", export(1))
    definitions = complete(home, website_definitions(website))
    items, cursor, asked = dg.AssetKey(["shop", "content", "items"]), None, []
    with dg.DagsterInstance.ephemeral() as instance:
        for hour, minute in ((0, 30), (1, 30), (2, 30), (2, 45)):  # 03:00 of Berlin is 02:00 in winter
            result = dg.evaluate_automation_conditions(
                definitions,
                instance,
                asset_selection=dg.AssetSelection.assets(items),
                evaluation_time=datetime(2026, 11, 2, hour, minute, tzinfo=UTC),
                cursor=cursor,
            )
            cursor = result.cursor
            asked.append(result.get_num_requested(items))
    assert asked == [1, 0, 1, 0], "once at the beginning, and at the tick"
