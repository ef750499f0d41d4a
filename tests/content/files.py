"""Writes the same rows as Parquet, CSV and JSON lines, and reads back what an import stored."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.events.lake.event_lake import event_files
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

FORMATS = ("parquet", "csv", "jsonl")
Rows = Sequence[dict[str, Any]]


def write(directory: Path, name: str, rows: Rows) -> Path:
    """Write rows in the format that the name ends with; absent keys are missing values."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    keys = list(dict.fromkeys(key for row in rows for key in row))
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{key: row.get(key) for key in keys} for row in rows]), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, keys)
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_mapping(directory: Path, text: str, name: str = "mapping.yml") -> Path:
    """Write a mapping file."""
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def stored_events(home: Home, website: Website) -> list[dict[str, Any]]:
    """Return the lake's events in order of record, without what an import makes up (ids and arrival)."""
    tables = [pq.ParquetFile(path).read() for path in event_files(home, website)]
    rows = [row for table in tables for row in table.to_pylist()]
    return [{key: value for key, value in row.items() if key not in ("record_id", "received_at")} for row in rows]


def purchase(user: str = "anna", item: Any = 1, time: Any = "2024-05-01T10:00:00Z", **more: Any) -> dict[str, Any]:
    """Return a row of canonical columns."""
    return {"time": time, "event": "buy", "user": user, "item_id": item, **more}
