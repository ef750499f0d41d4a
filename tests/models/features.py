"""Feature tables written by hand, as the features stage writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.website.one_build import Build

Did = tuple[str, str, str, date]
"""(event, visitor, item, day)"""

_ITEMS = pa.schema(
    {"item_type": pa.int32(), "item": pa.string(), "valid_from": pa.timestamp("us"), "valid_to": pa.timestamp("us"),
     "first_seen": pa.timestamp("us")}
)  # fmt: skip
_CATEGORIES = pa.schema({"item_type": pa.int32(), "item": pa.string(), "category": pa.string()})
_TRANSFERS = pa.schema(
    {"source_type": pa.int32(), "source": pa.string(), "target_type": pa.int32(), "target": pa.string(),
     "steps": pa.int32()}
)  # fmt: skip
_DAYS = pa.schema(
    {"event": pa.string(), "visitor": pa.string(), "item_type": pa.int32(), "item": pa.string(), "day": pa.date32(),
     "quantity": pa.int64(), "events": pa.int64(), "last_time": pa.timestamp("us")}
)  # fmt: skip


def write_features(
    build: Build,
    did: Iterable[Did],
    *,
    items: Sequence[str] = (),
    validity: dict[str, tuple[datetime | None, datetime | None]] | None = None,
    first_seen: dict[str, datetime] | None = None,
    categories: dict[str, Sequence[str]] | None = None,
    moved: dict[str, str] | None = None,
) -> None:
    """Write the tables that models read; all items are of type 1. Categories are given with their ancestors."""
    did = list(did)
    names = sorted(set(items) or {item for _, _, item, _ in did})
    nothing = datetime(2020, 1, 1)
    rows = [
        {"item_type": 1, "item": name, "valid_from": (validity or {}).get(name, (None, None))[0],
         "valid_to": (validity or {}).get(name, (None, None))[1],
         "first_seen": (first_seen or {}).get(name, nothing)}
        for name in names
    ]  # fmt: skip
    _write(build.features, "items", pa.Table.from_pylist(rows, _ITEMS))
    paths = sorted((item, path) for item, own in (categories or {}).items() for path in own)
    rows = [{"item_type": 1, "item": item, "category": path} for item, path in paths]
    _write(build.features, "item_categories", pa.Table.from_pylist(rows, _CATEGORIES))
    rows = [
        {"source_type": 1, "source": old, "target_type": 1, "target": new, "steps": 1}
        for old, new in sorted((moved or {}).items())
    ]
    _write(build.features, "item_transfers", pa.Table.from_pylist(rows, _TRANSFERS))
    _write(build.features, "visitor_item_days", pa.Table.from_pylist(_days(did), _DAYS))


def _days(did: Sequence[Did]) -> list[dict[str, object]]:
    counts: dict[Did, int] = {}
    for one in did:
        counts[one] = counts.get(one, 0) + 1
    return [
        {"event": event, "visitor": visitor, "item_type": 1, "item": item, "day": day, "quantity": count,
         "events": count, "last_time": datetime(day.year, day.month, day.day) + timedelta(hours=12)}
        for (event, visitor, item, day), count in sorted(counts.items())
    ]  # fmt: skip


def _write(directory: Path, name: str, table: pa.Table) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, directory / f"{name}.parquet")
    made_of = fingerprint(rows=table.to_pylist())
    (directory / f"{name}.json").write_text(json.dumps({"fingerprint": made_of}))
