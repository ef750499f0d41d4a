"""What an import changes is what differs in any column; files of 0.1 with a digest of each row are read as before."""

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

from personalization_pipelines.content.catalogue import versions
from personalization_pipelines.content.catalogue.item_tables import INCOMING_SCHEMA
from personalization_pipelines.content.catalogue.items import catalogue
from personalization_pipelines.content.catalogue.merging import COMPARED, KEY, merge_items
from personalization_pipelines.content.catalogue.versions import MANIFEST, VersionedTable
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
    """Let a small catalogue be kept as large ones are: as changes to a whole version."""
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


def with_digests_of_before(table: VersionedTable) -> None:
    """Let the newest version be as 0.1 wrote it: a digest in each row, and in the manifest who made them."""
    listed = [msgspec.to_builtins(one) for one in table.versions()]
    path = table.directory / listed[-1]["file"]
    whole = pq.read_table(path)
    if "digest" in whole.column_names:
        return  # the import changed nothing and made no version: the newest has been through here
    pq.write_table(whole.append_column("digest", pa.nulls(len(whole), pa.uint64())), path)
    listed[-1]["digest"] = "duckdb 0.1"
    (table.directory / MANIFEST).write_bytes(msgspec.json.encode(listed))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(ITEMS, st.booleans()), min_size=1, max_size=5), st.sets(st.integers(0, 3)))
def test_imports_change_what_differs_in_any_column_also_in_files_of_before(
    tmp_path_factory: pytest.TempPathFactory, imports: list[tuple[Items, bool]], before: set[int]
) -> None:
    directory, known = tmp_path_factory.mktemp("items"), dict[tuple[str, str], dict[str, Any]]()
    table = VersionedTable(directory, catalogue_schema(), KEY)
    for number, (items, full) in enumerate(imports):
        gone = known.keys() - items.keys() if full else set()
        changed = [key for key in items if key in known and known[key] != items[key]]
        expected = len(items.keys() - known.keys()), len(changed), len(gone)
        assert stored(table, items, number, full) == expected
        known = {key: row for key, row in (known | items).items() if key not in gone}
        rows = {(row["item"], row["language"]): row for row in table.current().to_pylist()}
        assert {key: {name: row[name] for name in COMPARED} for key, row in rows.items()} == known
        if number in before:
            with_digests_of_before(table)


def catalogue_schema() -> pa.Schema:
    return catalogue(Home(Path("/nowhere")), Website(website="shop", customer_id="1", license_key="1111-2222")).schema
