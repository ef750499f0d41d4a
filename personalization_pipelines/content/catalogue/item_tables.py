"""Items become rows of the catalogue: columns of many items at once, never a row at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

import orjson
import pyarrow as pa

from personalization_pipelines.content.files.times import MICROSECONDS
from personalization_pipelines.content.xml.xml_grammar import XmlItem

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
_FLAT = tuple(name for name in INCOMING_SCHEMA.names if name not in _NESTED)
_FLAT_OF = attrgetter(*_FLAT)


def item_tables(items: Iterable[XmlItem]) -> Iterator[pa.Table]:
    """Yield items as rows of the catalogue (without `first_seen`), in their order."""
    columns = _Columns()
    for item in items:
        columns.add(item)
        if len(columns.rows) == ROWS:
            yield columns.table()
            columns = _Columns()
    if columns.rows:
        yield columns.table()


class _Columns:
    """Cells of items. Each item is taken apart at once: thousands of lists and dicts that wait would be looked at by
    Python's garbage collector again and again."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.paths: list[str] = []
        self.ends = [0]
        self.attributes: list[bytes] = []

    def add(self, item: XmlItem) -> None:
        self.rows.append(_FLAT_OF(item))
        self.paths += item.categories
        self.ends.append(len(self.paths))
        self.attributes.append(orjson.dumps(item.attributes, option=orjson.OPT_SORT_KEYS))

    def table(self) -> pa.Table:
        offsets, paths = pa.array(self.ends, pa.int32()), pa.array(self.paths, pa.string())
        cells = dict(zip(_FLAT, zip(*self.rows, strict=True), strict=True))
        arrays = {name: pa.array(column, INCOMING_SCHEMA.field(name).type) for name, column in cells.items()}
        arrays |= {"categories": pa.ListArray.from_arrays(offsets, paths), "attributes": pa.array(self.attributes)}
        return pa.table(arrays).select(INCOMING_SCHEMA.names).cast(INCOMING_SCHEMA)
