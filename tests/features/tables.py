"""Small lakes for tests: events and items with plain defaults, written as the stage reads them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.content.catalogue.items import ITEM_SCHEMA
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA
from personalization_pipelines.features.engine import Inputs

NOON = datetime(2026, 3, 1, 12)
EVENT = {
    "received_at": NOON,
    "time": NOON,
    "event": "click",
    "visitor": "ann",
    "item_type": 1,
    "item": "1",
    "categories": [],
    "segments": [],
}
ITEM = {"item_type": 1, "categories": [], "first_seen": NOON, "attributes": "{}"}


def table(schema: pa.Schema, defaults: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table of `schema`; texts that are not given are ''."""
    plain = {field.name: "" for field in schema if pa.types.is_string(field.type)}
    return pa.Table.from_pylist([{**plain, **defaults, **row} for row in rows], schema=schema)


def events_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return events; a record id that is not given is the row's number."""
    return table(EVENT_SCHEMA, EVENT, [{"record_id": f"r{number:04d}", **row} for number, row in enumerate(rows)])


def items_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return catalogue rows."""
    return table(ITEM_SCHEMA, ITEM, rows)


def write_lake(directory: Path, events: Sequence[pa.Table], items: pa.Table | None = None) -> Inputs:
    """Write event files (and a catalogue) and return them as a build's inputs."""
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for number, part in enumerate(events):
        files.append(directory / f"part-{number}.parquet")
        pq.write_table(part, files[-1])
    catalogue = None
    if items is not None:
        catalogue = directory / "items.parquet"
        pq.write_table(items, catalogue)
    return Inputs(tuple(files), catalogue, None, f"lake of {sum(len(part) for part in events)}")


def random_events(count: int, seed: int) -> list[dict[str, Any]]:
    """Return events with everything that makes engines differ: ties, nulls, repeats, nobody, odd texts."""
    chance = random.Random(seed)
    names = ["", "ann", "bob", "Zoë", "žofie", "_-Ab", "日本"]
    return [
        {
            "time": NOON + timedelta(minutes=chance.randrange(60 * 24 * 40), microseconds=chance.randrange(3)),
            "event": chance.choice(["click", "click", "buy", "rate", "rendered", "clickrecommended"]),
            "visitor": chance.choice(names),
            "item": chance.choice(["", "1", "2", "10", "é", "Z", "a b"]),
            "quantity": chance.choice([None, None, 1, 2, 3]),
            "price_minor": chance.choice([None, 0, 999]),
            "rating": chance.choice([None, 80]),
            "categories": chance.choice([[], ["/A/B"]]),
            "event_id": chance.choice(["", "", "", "e1", "e2"]),
        }
        for _ in range(count)
    ]


def random_logins(count: int, seed: int) -> list[dict[str, Any]]:
    """Return logins among the visitors of `random_events`, many to one, in chains and circles, some undone."""
    chance = random.Random(seed)
    names = ["ann", "bob", "Zoë", "žofie", "_-Ab", "日本", *map(str, range(7))]
    pairs = [chance.sample(names, 2) for _ in range(count)] + [[name, "ann"] for name in names[1:]]
    return [
        {
            "time": NOON + timedelta(minutes=chance.randrange(60 * 24 * 40) if number < count else number),
            "event": "login" if chance.random() < 0.9 else "undologin",
            "source_visitor": source,
            "visitor": target,
            "item_type": 0,
            "item": "",
        }
        for number, (source, target) in enumerate(pairs)
    ]
