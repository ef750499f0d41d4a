"""Rows are compared by digests: the same items change as if every column were compared, whoever made the digests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.catalogue import digests, versions
from personalization_pipelines.content.catalogue.digests import DIGEST, with_digests
from personalization_pipelines.content.catalogue.item_tables import INCOMING_SCHEMA
from personalization_pipelines.content.catalogue.items import catalogue
from personalization_pipelines.content.catalogue.merging import COMPARED, merge_items
from personalization_pipelines.content.catalogue.versions import MANIFEST, Version, VersionedTable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

MONDAY = datetime(2024, 6, 3, tzinfo=UTC)
NAIVE = MONDAY.replace(tzinfo=None)
TEXT = st.sampled_from(["", "a", "b", "ab", "a" * 13])
ROW = st.fixed_dictionaries(
    {
        "price_minor": st.sampled_from([None, 0, 1, 2]),
        "currency": TEXT,
        "valid_from": st.sampled_from([None, NAIVE, NAIVE + timedelta(microseconds=1)]),
        "valid_to": st.sampled_from([None, NAIVE]),
        "categories": st.lists(TEXT, max_size=2),
        "base_item": TEXT,
        "attributes": TEXT,
    }
)
ITEMS = st.dictionaries(st.tuples(st.integers(1, 4).map(str), st.sampled_from(["", "de"])), ROW, min_size=1)
Items = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(autouse=True)
def small_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small catalogue be kept as large ones are: with digests, and as changes to a whole version."""
    monkeypatch.setattr(versions, "WHOLE_ROWS", 1)
    monkeypatch.setattr(versions, "CHANGED_SHARE", 100.0)


def table_of(items: Items) -> pa.Table:
    rows = [{"item_type": 1, "item": item, "language": code, **row} for (item, code), row in sorted(items.items())]
    return pa.Table.from_pylist(rows, INCOMING_SCHEMA)


def stored(table: VersionedTable, items: Items, number: int, full: bool) -> tuple[int, int, int]:
    """Import items; return how many were added, changed, removed."""
    changes = merge_items(table, table_of(items), full, NAIVE)
    if changes.any:
        changes.store(table, f"import{number}", MONDAY + timedelta(hours=number))
    return changes.added, changes.changed, changes.removed


def of_another_engine(table: VersionedTable, numbers: list[int]) -> None:
    """Let the digests of some versions be those of a release that computes others."""
    listed = table.versions()
    for number in numbers:
        path = table.directory / listed[number].file
        whole = pq.read_table(path)
        place = whole.schema.get_field_index(DIGEST)
        pq.write_table(whole.set_column(place, DIGEST, pa.nulls(len(whole), pa.uint64())), path)
        listed[number] = msgspec.structs.replace(listed[number], digest="duckdb 0.1")
    (table.directory / MANIFEST).write_bytes(msgspec.json.encode(listed))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(ITEMS, st.booleans()), min_size=1, max_size=5), st.sets(st.integers(0, 3)))
def test_imports_change_what_differs_in_any_column_whoever_made_the_digests(
    tmp_path_factory: pytest.TempPathFactory, imports: list[tuple[Items, bool]], foreign: set[int]
) -> None:
    directory, known = tmp_path_factory.mktemp("items"), dict[tuple[str, str], dict[str, Any]]()
    table = VersionedTable(directory, catalogue_schema(), ("item_type", "item", "language"), COMPARED)
    for number, (items, full) in enumerate(imports):
        gone = known.keys() - items.keys() if full else set()
        changed = [key for key in items if key in known and known[key] != items[key]]
        expected = len(items.keys() - known.keys()), len(changed), len(gone)
        assert stored(table, items, number, full) == expected
        known = {key: row for key, row in (known | items).items() if key not in gone}
        rows = {(row["item"], row["language"]): row for row in table.current().to_pylist()}
        assert {key: {name: row[name] for name in COMPARED} for key, row in rows.items()} == known
        if number in foreign:
            of_another_engine(table, [len(table.versions()) - 1])


def catalogue_schema() -> pa.Schema:
    return catalogue(Home(Path("/nowhere")), Website(website="shop", customer_id="1", license_key="1111-2222")).schema


@given(st.lists(ROW, min_size=1, max_size=20))
def test_rows_have_the_same_digest_exactly_if_all_compared_columns_are_equal(rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows, pa.schema([INCOMING_SCHEMA.field(name) for name in COMPARED]))
    found = with_digests(table, COMPARED)[DIGEST].to_pylist()
    assert [[one == other for other in found] for one in found] == [[a == b for b in rows] for a in rows]


def test_a_file_without_digests_is_compared_by_its_columns(home: Home, shop: Website) -> None:
    row = {"price_minor": 1, "currency": "EUR", "categories": [], "base_item": "", "attributes": "{}"}
    items: Items = {(str(number), ""): row for number in range(9)}
    table = catalogue(home, shop)
    with table.locked(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(VersionedTable, "_digested", lambda _, rows: rows)
        stored(table, items, 0, True)
    assert DIGEST not in pq.read_schema(table.directory / table.versions()[0].file).names
    assert stored(table, items | {("3", ""): {**row, "price_minor": 2}}, 1, True) == (0, 1, 0)
    assert [one.digest for one in table.versions()] == ["", digests.ENGINE]


def test_manifests_of_before_are_read_as_of_files_without_digests() -> None:
    old = b'[{"file":"a.parquet","imported_at":"2024-06-03T00:00:00Z","import_id":"a","rows":1}]'
    assert msgspec.json.decode(old, type=list[Version]) == [Version("a.parquet", MONDAY, "a", 1)]


def test_a_small_catalogue_has_no_digests(home: Home, shop: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "WHOLE_ROWS", 20)
    with catalogue(home, shop).locked():
        stored(catalogue(home, shop), {("1", ""): {"attributes": "{}"}}, 0, True)
    (version,) = catalogue(home, shop).versions()
    assert version.digest == "" and "digest" not in (catalogue(home, shop).directory / MANIFEST).read_text()
