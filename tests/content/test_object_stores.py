"""Files of object stores: listed, downloaded while they are read, gone afterwards; nothing else is ever opened."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.content.files import object_stores
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.files.object_stores import StoredObject, downloaded, list_objects
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.foundation.errors import ImportRefused, StoreUnavailable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.addresses import check_address
from tests.content.files import purchase, stored_events, write

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def bucket() -> Iterator[Any]:
    """A store in the memory of this process."""
    store = fsspec.filesystem("memory")
    yield store
    if store.exists("/shop"):
        store.rm("/shop", recursive=True)


def downloads(home: Home) -> list[str]:
    return [path.name for path in home.root.iterdir() if path.name.startswith(object_stores.DOWNLOADS)]


def test_objects_are_found_by_pattern_with_their_versions(bucket: Any) -> None:
    for name in ("b.csv", "a.csv", "deep/c.csv", "a.txt"):
        bucket.pipe(f"/shop/{name}", b"x")
    assert [one.address for one in list_objects("memory://shop/*.csv")] == [
        "memory://shop/a.csv",
        "memory://shop/b.csv",
    ]
    assert [str(one) for one in list_objects("memory://shop/**/*.csv")][-1] == "memory://shop/deep/c.csv"
    assert list_objects("memory://shop/*.xml") == list_objects("memory://nowhere/*") == []
    before = list_objects("memory://shop/a.csv")
    bucket.pipe("/shop/a.csv", b"y")
    after = list_objects("memory://shop/a.csv")
    assert before[0].bytes == after[0].bytes == 1
    assert before[0].version != after[0].version


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_objects_are_imported_under_their_addresses_and_their_copies_are_gone(
    home: Home, shop: Website, tmp_path: Path, bucket: Any, protocol: str
) -> None:
    first = write(tmp_path / "items", "a.csv", [{"item_id": 1}, {"item_id": 2}])
    second = write(tmp_path / "items", "b.parquet", [{"item_id": 3}])
    where = f"file://{tmp_path}/items"
    if protocol == "memory":
        where = "memory://shop/items"
        for path in (first, second):
            bucket.pipe(f"/shop/items/{path.name}", path.read_bytes())
    report = import_items(home, shop, [f"{where}/*"], now=NOW)
    assert (report.added, report.files) == (3, (f"{where}/a.csv", f"{where}/b.parquet"))
    assert import_items(home, shop, [f"{where}/*"], now=NOW).already_imported
    assert import_history(home, shop)[-1].files == report.files
    assert downloads(home) == []


def test_events_come_from_a_store_too(home: Home, shop: Website, tmp_path: Path, bucket: Any) -> None:
    bucket.pipe("/shop/e.jsonl", write(tmp_path, "e.jsonl", [purchase(), purchase(item=2)]).read_bytes())
    assert import_events(home, shop, ["memory://shop/e.jsonl"], now=NOW).added == 2
    assert len(stored_events(home, shop)) == 2
    assert import_events(home, shop, ["memory://shop/*.jsonl"], now=NOW).already_imported


def test_a_broken_object_is_named_by_its_address_and_its_copy_is_gone(home: Home, shop: Website, bucket: Any) -> None:
    bucket.pipe("/shop/a.csv", b"price,\n1,2\n")
    with pytest.raises(ImportRefused, match=r"^memory://shop/a.csv: a column has no name") as refused:
        import_items(home, shop, ["memory://shop/*.csv"], now=NOW)
    assert import_history(home, shop)[-1].error == str(refused.value)
    assert downloads(home) == []
    with pytest.raises(ImportRefused, match=r"memory://shop/\*\.xml: no such object"):
        import_items(home, shop, ["memory://shop/*.xml"], now=NOW)


@pytest.mark.parametrize(
    "key", ["/shop/..", "/shop/a/../../../../up.csv", "/shop/" + "x" * 500 + ".csv", "/shop/\n.csv"]
)
def test_no_name_of_an_object_leaves_its_directory(home: Home, bucket: Any, key: str) -> None:
    bucket.store[key] = bucket.store.get(key) or _memory_file(bucket, key)
    one = StoredObject(f"memory:/{key}", 1, "")
    try:
        with downloaded(home, [one]) as found:
            (path,) = found
            assert path.resolve().is_relative_to(home.root.resolve())
            assert path.parent.parent.name.startswith(object_stores.DOWNLOADS)
            assert path.read_bytes() == b"x"
    except ImportRefused as refused:
        assert "no such object" in str(refused) or "expected a path" in str(refused) or "protocol" in str(refused)
    finally:
        del bucket.store[key]
    assert downloads(home) == []


def _memory_file(bucket: Any, key: str) -> Any:
    from fsspec.implementations.memory import MemoryFile

    return MemoryFile(bucket, key, b"x")


def test_more_than_there_is_room_for_is_not_downloaded(
    home: Home, shop: Website, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe("/shop/a.csv", b"item_id\n1\n")
    monkeypatch.setattr(object_stores, "MAX_BYTES", 5)
    with pytest.raises(ImportRefused, match="10 bytes to download; there is room for 5"):
        import_items(home, shop, ["memory://shop/a.csv"], now=NOW)
    monkeypatch.setattr(object_stores, "MAX_OBJECTS", 0)
    with pytest.raises(ImportRefused, match="at most 0 are read"):
        list_objects("memory://shop/*")


def test_an_object_that_grows_while_it_is_read_is_left_for_later(home: Home, bucket: Any) -> None:
    bucket.pipe("/shop/a.csv", b"item_id\n1\n")
    (one,) = list_objects("memory://shop/a.csv")
    for data in (b"item_id\n1\n2\n", b"item_id\n"):
        bucket.pipe("/shop/a.csv", data)
        with pytest.raises(StoreUnavailable, match="it is being written"), downloaded(home, [one]):
            pytest.fail("it was opened")
    assert downloads(home) == []


@pytest.mark.parametrize(("failure", "kind", "sentence"), [
    (PermissionError("canary"), ImportRefused, "lets nobody in with this machine's credentials (PermissionError)"),
    (type("NoCredentialsError", (Exception,), {})("canary"), ImportRefused, "(NoCredentialsError)"),
    (TimeoutError("canary"), StoreUnavailable, "the store can not be read now (TimeoutError)"),
    (FileNotFoundError("canary"), ImportRefused, "no such object"),
])  # fmt: skip
def test_what_a_driver_says_of_a_failure_is_not_repeated(
    home: Home,
    shop: Website,
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    kind: type[Exception],
    sentence: str,
) -> None:
    bucket.pipe("/shop/a.csv", b"item_id\n1\n")

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(type(bucket), "open", fail)
    with pytest.raises(kind) as refused:
        import_items(home, shop, ["memory://shop/a.csv"], now=NOW)
    assert sentence in str(refused.value) and "canary" not in str(refused.value)
    assert refused.value.__cause__ is None and refused.value.__suppress_context__
    assert all("canary" not in row.error for row in import_history(home, shop))


@pytest.mark.parametrize(
    ("protocol", "driver", "needed"),
    [
        ("s3", "s3fs", "the extra `s3`"),
        ("gs", "gcsfs", "the package `gcsfs`"),
        ("abfs", "adlfs", "the package `adlfs`"),
    ],
)
def test_a_driver_that_is_not_installed_is_named(home: Home, protocol: str, driver: str, needed: str) -> None:
    if importlib.util.find_spec(driver):
        pytest.skip(f"{driver} is installed")
    with pytest.raises(ImportRefused, match=rf"^{protocol}://bucket/\*\.csv: reading {protocol}:// needs {needed}"):
        list_objects(f"{protocol}://bucket/*.csv")


@pytest.mark.parametrize("address", ["s3://b/a/*.csv", "gs://b/x", "abfs://container@account.dfs.core.windows.net/a"])
def test_addresses_of_stores_are_taken(address: str) -> None:
    assert check_address(address) == address.partition(":")[0]


def test_what_a_killed_import_left_is_removed_a_day_later(home: Home, bucket: Any) -> None:
    old, new = (home.root / f"{object_stores.DOWNLOADS}{name}" for name in ("old", "new"))
    for path in (old, new):
        path.mkdir()
    os.utime(old, (1, 1))
    bucket.pipe("/shop/a.csv", b"x")
    with downloaded(home, list_objects("memory://shop/a.csv")):
        assert new.exists() and not old.exists()
