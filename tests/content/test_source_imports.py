"""A refresh opens no object of a store that is unchanged, and every one that may be another: counted by real stores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from personalization_pipelines.content.catalogue.items import catalogue, import_items, read_catalogue
from personalization_pipelines.content.files import object_stores
from personalization_pipelines.content.files.object_stores import list_objects
from personalization_pipelines.content.files.read_files import expand_files
from personalization_pipelines.content.files.source_imports import FILE, refresh_events, refresh_items
from personalization_pipelines.content.import_history import import_history, imports_directory
from personalization_pipelines.events.lake.lake_manifest import EVENTS
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.files import purchase, stored_events, write

NOW = datetime(2024, 6, 1, tzinfo=UTC)


class CountingMemory(MemoryFileSystem):
    """A store in memory that notes what is opened."""

    opened: ClassVar[list[str]] = []
    untold: ClassVar[Sequence[str]] = ()
    """What it does not say of its objects."""

    def open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        self.opened.append(path.rpartition("/")[2])
        return super().open(path, mode, **more)

    def glob(self, path: str, **more: Any) -> Any:
        found = super().glob(path, **more)
        return {key: {name: one[name] for name in one if name not in self.untold} for key, one in found.items()}


class CountingFiles(LocalFileSystem):
    """Files of this machine as a store that notes what is opened."""

    opened: ClassVar[list[str]] = []

    def open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        self.opened.append(path.rpartition("/")[2])
        return super().open(path, mode, **more)


class Bucket:
    """A folder of a store: puts objects there, refreshes a website from it, and tells what that opened."""

    def __init__(self, home: Home, store: Any, where: str, website: Website) -> None:
        self.home, self.store, self.where, self.website = home, store, where, website

    def put(self, name: str, *items: int, price: int = 1) -> None:
        text = "item_id,price\n" + "".join(f"{item},{price}\n" for item in items)
        self.store.pipe_file(f"{self.where}/{name}", text.encode())

    def refresh(self) -> list[str]:
        del self.store.opened[:]
        for source in self.website.content.sources:
            refresh_items(self.home, self.website, source, expand_files(self.home, source.files), datetime.now(UTC))
        for source in self.website.events.sources:
            refresh_events(self.home, self.website, source, expand_files(self.home, source.files))
        return list(self.store.opened)

    def stock(self) -> dict[int, int]:
        rows = read_catalogue(self.home, self.website, datetime.now(UTC)).to_pylist()
        return {int(row["item"]): row["price_minor"] // 100 for row in rows}


def sourced(where: str, *patterns: str, mode: str = "full", **more: Any) -> Website:
    sources = [{"files": f"{where}/{one}", "format": "csv", "mode": mode, **more} for one in patterns]
    return make_website(content={"sources": sources}, quality={"items": {"max_drop": "100%"}})


@pytest.fixture(params=["memory", "file"])
def bucket(request: pytest.FixtureRequest, home: Home, tmp_path: Path) -> Iterator[Bucket]:
    protocol = request.param
    plain: Any = {"memory": MemoryFileSystem, "file": LocalFileSystem}[protocol]
    counting: Any = {"memory": CountingMemory, "file": CountingFiles}[protocol]
    where = "memory://shop/items" if protocol == "memory" else f"file://{tmp_path}/items"
    (tmp_path / "items").mkdir()
    fsspec.register_implementation(protocol, counting, clobber=True)
    try:
        yield Bucket(home, fsspec.filesystem(protocol), where, sourced(where, "*.csv"))
    finally:
        CountingMemory.untold = ()
        fsspec.register_implementation(protocol, plain, clobber=True)
        fsspec.filesystem("memory").store.clear()


@pytest.fixture
def memory(home: Home) -> Iterator[Bucket]:
    fsspec.register_implementation("memory", CountingMemory, clobber=True)
    try:
        yield Bucket(home, fsspec.filesystem("memory"), "memory://shop/items", sourced("memory://shop/items", "*.csv"))
    finally:
        CountingMemory.untold = ()
        fsspec.register_implementation("memory", MemoryFileSystem, clobber=True)
        fsspec.filesystem("memory").store.clear()


def test_unchanged_objects_are_not_opened_again_and_changed_ones_are(bucket: Bucket) -> None:
    bucket.put("a.csv", 1, 2)
    bucket.put("b.csv", 3)
    assert bucket.refresh() == ["a.csv", "b.csv"]
    assert [bucket.refresh(), bucket.refresh()] == [[], []]
    assert len(import_history(bucket.home, bucket.website)) == 1
    bucket.put("b.csv", 4)  # as many bytes as before
    assert bucket.refresh() == ["a.csv", "b.csv"], "a full source is all of its objects together"
    assert bucket.stock() == {1: 1, 2: 1, 4: 1}
    assert bucket.refresh() == []
    bucket.store.rm(f"{bucket.where}/a.csv")
    assert bucket.refresh() == ["b.csv"]
    assert bucket.stock() == {4: 1}


def test_what_is_found_after_the_others_is_all_that_an_incremental_source_reads(bucket: Bucket) -> None:
    bucket.website = sourced(bucket.where, "*.csv", mode="incremental")
    bucket.put("2.csv", 1, 2)
    bucket.put("3.csv", 3)
    assert bucket.refresh() == ["2.csv", "3.csv"]
    bucket.put("4.csv", 2, 4, price=9)
    assert bucket.refresh() == ["4.csv"]
    assert bucket.stock() == {1: 1, 2: 9, 3: 1, 4: 9}
    assert bucket.refresh() == []
    bucket.put("1.csv", 2, price=5)  # of an item that a later file has, too
    assert bucket.refresh() == ["1.csv", "2.csv", "3.csv", "4.csv"]
    assert bucket.stock()[2] == 9
    bucket.put("3.csv", 3, price=7)
    assert bucket.refresh() == ["1.csv", "2.csv", "3.csv", "4.csv"]
    assert bucket.stock() == {1: 1, 2: 9, 3: 7, 4: 9}


def test_sources_that_follow_each_other_are_soon_left_alone(memory: Bucket) -> None:
    memory.website = sourced(memory.where, "a*.csv", "b*.csv", mode="incremental")
    memory.put("a.csv", 1)
    memory.put("b.csv", 2)
    assert memory.refresh() == ["a.csv", "b.csv"]
    assert memory.refresh() == ["a.csv"], "b might have overridden something of it"
    assert memory.refresh() == []


def test_what_changed_the_catalogue_meanwhile_is_overridden_as_ever(memory: Bucket, tmp_path: Path) -> None:
    memory.put("a.csv", 1, 2)
    memory.refresh()
    import_items(memory.home, memory.website, [write(tmp_path, "x.csv", [{"item_id": 7}])], mode="incremental")
    assert memory.refresh() == ["a.csv"]
    assert memory.stock() == {1: 1, 2: 1}
    assert memory.refresh() == []


def test_objects_are_read_again_where_the_file_of_the_website_or_a_mapping_changed(
    memory: Bucket, tmp_path: Path
) -> None:
    mapping = tmp_path / "m.yml"
    mapping.write_text("kind: items\n")
    memory.website = sourced(memory.where, "*.csv", mapping=str(mapping))
    memory.put("a.csv", 1)
    assert [memory.refresh(), memory.refresh()] == [["a.csv"], []]
    mapping.write_text("kind: items\nignore: [price]\n")
    assert memory.refresh() == ["a.csv"]
    memory.website = memory.website.model_copy(update={"time_zone": "Europe/London"})
    assert [memory.refresh(), memory.refresh()] == [["a.csv"], []]


def test_a_store_that_tells_no_version_is_read_every_time(memory: Bucket) -> None:
    CountingMemory.untold = ("created",)
    memory.put("a.csv", 1)
    assert [memory.refresh() for _ in range(3)] == [["a.csv"]] * 3
    memory.put("a.csv", 2)
    assert memory.refresh() == ["a.csv"]
    assert memory.stock() == {2: 1}


def test_a_time_in_whole_seconds_counts_only_once_it_has_passed() -> None:
    def told(moment: float) -> bool:
        found = {"name": "/shop/a.csv", "size": 1, "type": "file", "LastModified": moment}
        return object_stores._stored("memory", found).reliable

    now = float(int(datetime.now(UTC).timestamp()))
    assert not told(now)
    assert told(now - 60) and told(now + 0.25)


@pytest.mark.parametrize("name", ["ETag", "etag", "md5Hash", "generation"])
def test_a_version_of_the_content_counts_at_once(name: str) -> None:
    found = {
        "name": "b/a.csv",
        "size": 1,
        "type": "file",
        name: "1",
        "LastModified": datetime.now(UTC).replace(microsecond=0),
    }
    assert object_stores._stored("s3", found).reliable
    assert not object_stores._stored("s3", {**found, name: None}).reliable
    assert not object_stores._stored("s3", {"name": "b/a.csv", "size": 1}).reliable


def test_a_source_that_was_refused_is_read_again(memory: Bucket) -> None:
    memory.store.pipe_file(f"{memory.where}/a.csv", b"price\n1\n")
    for _ in range(2):
        with pytest.raises(ImportRefused):
            memory.refresh()
        assert memory.store.opened == ["a.csv"]


def test_what_is_remembered_may_be_damaged_or_gone(memory: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    memory.put("a.csv", 1)
    memory.refresh()
    path = imports_directory(memory.home, memory.website) / FILE
    path.write_bytes(path.read_bytes()[:-5])
    assert [memory.refresh(), memory.refresh()] == [["a.csv"], []]
    assert "every source is read again" in caplog.text
    path.unlink()
    assert memory.refresh() == ["a.csv"]
    for file in catalogue(memory.home, memory.website).directory.iterdir():
        file.unlink()
    assert memory.refresh() == ["a.csv"], "the catalogue was lost"
    assert memory.stock() == {1: 1}


def test_of_events_the_changed_and_new_objects_alone_are_opened(memory: Bucket, tmp_path: Path) -> None:
    memory.website = make_website(events={"sources": [{"files": "memory://shop/e/*.jsonl", "format": "jsonl"}]})

    def put(name: str, item: int) -> None:
        memory.store.pipe_file(f"memory://shop/e/{name}", write(tmp_path, name, [purchase(item=item)]).read_bytes())

    put("a.jsonl", 1)
    put("b.jsonl", 2)
    assert memory.refresh() == ["a.jsonl", "b.jsonl"]
    assert memory.refresh() == []
    put("0.jsonl", 3)
    put("a.jsonl", 4)
    assert memory.refresh() == ["0.jsonl", "a.jsonl"]
    assert sorted(row["item"] for row in stored_events(memory.home, memory.website)) == ["1", "2", "3", "4"]
    assert memory.refresh() == []
    manifest = memory.home.lake("shop") / EVENTS / "manifest.json"
    assert manifest.is_file()
    manifest.unlink()
    assert memory.refresh() == ["0.jsonl", "a.jsonl", "b.jsonl"], "the lake was lost"


def test_the_same_objects_are_listed_alike(bucket: Bucket) -> None:
    bucket.put("a.csv", 1)
    assert list_objects(f"{bucket.where}/*.csv") == list_objects(f"{bucket.where}/*.csv")
    if bucket.where.startswith("file"):
        path = Path(bucket.where.removeprefix("file://"), "a.csv")
        before = list_objects(f"{bucket.where}/*.csv")
        os.utime(path, ns=(1, 1))
        assert list_objects(f"{bucket.where}/*.csv")[0].version != before[0].version
