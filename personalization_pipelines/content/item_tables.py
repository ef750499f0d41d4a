"""Items become rows of the catalogue: columns of many items at once, never a row at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
import pyarrow as pa

from personalization_pipelines.content.times import MICROSECONDS
from personalization_pipelines.content.xml_grammar import XmlItem

ROWS = 10_000
"""Items of one table, so that a document of any size costs the memory of these and of their columns."""

_NESTED = ("categories", "attributes")
INCOMING_SCHEMA = pa.schema(
    [
        ("item_type", pa.int32()),
        ("item", pa.string()),
        ("price_minor", pa.int64()),
        ("currency", pa.string()),
        ("valid_from", MICROSECONDS),
        ("valid_to", MICROSECONDS),
        ("categories", pa.list_(pa.string())),
        ("language", pa.string()),
        ("base_item", pa.string()),
        ("attributes", pa.string()),
    ]
)


def item_tables(items: Iterable[XmlItem]) -> Iterator[pa.Table]:
    """Yield items as rows of the catalogue (without `first_seen`), in their order."""
    columns = _Columns()
    for item in items:
        columns.add(item)
        if len(columns.cells["item"]) == ROWS:
            yield columns.table()
            columns = _Columns()
    if columns.cells["item"]:
        yield columns.table()


class _Columns:
    """Cells of items. Each item is taken apart at once: thousands of lists and dicts that wait would be looked at by
    Python's garbage collector again and again."""

    def __init__(self) -> None:
        self.cells: dict[str, list[Any]] = {name: [] for name in INCOMING_SCHEMA.names}
        self.paths: list[str] = []
        self.adds = [(name, self.cells[name].append) for name in INCOMING_SCHEMA.names if name not in _NESTED]
        self.cells["categories"].append(0)

    def add(self, item: XmlItem) -> None:
        for name, add in self.adds:
            add(getattr(item, name))
        self.paths += item.categories
        self.cells["categories"].append(len(self.paths))
        self.cells["attributes"].append(orjson.dumps(item.attributes, option=orjson.OPT_SORT_KEYS))

    def table(self) -> pa.Table:
        offsets = pa.array(self.cells.pop("categories"), pa.int32())
        categories = pa.ListArray.from_arrays(offsets, pa.array(self.paths, pa.string()))
        arrays = {name: pa.array(cells, INCOMING_SCHEMA.field(name).type) for name, cells in self.cells.items()}
        return pa.table({**arrays, "categories": categories}).select(INCOMING_SCHEMA.names).cast(INCOMING_SCHEMA)
