"""Imported events are added once, as a whole, and only if they fit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalization_pipelines.events.lake.event_lake import (
    append_import,
    event_files,
    imports,
)
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.events.lakes import (
    purchases,
    read,
)


def test_an_import_is_added_once_and_shows_in_the_list_of_imports(home: Home, shop: Website) -> None:
    arrival = datetime(2026, 3, 5, 12, tzinfo=UTC)
    assert append_import(home, shop, purchases(1000), "orders.csv", arrival) == 1000
    assert append_import(home, shop, purchases(1000), "orders.csv", arrival) == 0
    assert append_import(home, shop, purchases(7), "more.csv", arrival) == 7
    assert [(record.import_id, record.rows) for record in imports(home, shop)] == [
        ("orders.csv", 1000),
        ("more.csv", 7),
    ]
    table = read(home, shop)
    assert table.schema.equals(EVENT_SCHEMA)
    assert len(set(table["record_id"].to_pylist())) == 1007
    assert {path.parent.name for path in event_files(home, shop)} == {"received_day=2026-03-05"}
    assert table["order_id"].to_pylist() == [""] * 1007


def test_a_stream_of_small_batches_becomes_one_file_with_full_row_groups(home: Home, shop: Website) -> None:
    batches = (batch for _ in range(30) for batch in purchases(10_000).to_batches())
    assert append_import(home, shop, batches, "stream") == 300_000
    (path,) = event_files(home, shop)
    groups = pq.ParquetFile(path).metadata
    assert groups.num_rows == 300_000
    assert groups.num_row_groups <= 4


def test_a_stream_that_fails_half_way_leaves_nothing(home: Home, shop: Website) -> None:
    def broken() -> Iterator[pa.Table]:
        yield purchases(200_000)
        raise ImportRefused("row 200001: no date")

    with pytest.raises(ImportRefused, match="200001"):
        append_import(home, shop, broken(), "broken")
    assert (event_files(home, shop), imports(home, shop)) == ([], [])
    assert append_import(home, shop, purchases(5), "broken") == 5


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [("colour", ["red"], "no columns of the lake"), ("quantity", ["many"], "column quantity")],
)
def test_an_import_that_does_not_fit_is_refused_with_its_column(
    home: Home, shop: Website, column: str, values: list[str], message: str
) -> None:
    names = [name for name in purchases(1).column_names if name != column]
    table = purchases(1).select(names).append_column(column, pa.array(values))
    with pytest.raises(ImportRefused, match=message):
        append_import(home, shop, table, "wrong")
    assert event_files(home, shop) == []
