"""Items become rows of the catalogue: columns of many items at once, never a row at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import orjson
import pyarrow as pa

from personalization_pipelines.content.times import MICROSECONDS
from personalization_pipelines.content.xml_grammar import XmlItem

ROWS = 10_000
"""Items of one table, so that a document of any size costs the memory of these and of their columns."""

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
    waiting = iter(items)
    while batch := list(islice(waiting, ROWS)):
        columns = [[getattr(one, name) for one in batch] for name in INCOMING_SCHEMA.names[:-1]]
        columns.append([orjson.dumps(one.attributes, option=orjson.OPT_SORT_KEYS) for one in batch])
        pairs = zip(columns, INCOMING_SCHEMA.types, strict=True)
        yield pa.table([pa.array(cells, kind) for cells, kind in pairs], INCOMING_SCHEMA)
