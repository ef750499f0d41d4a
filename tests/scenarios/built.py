"""Features and models as a build leaves them, made by hand: what publishing reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.features.stored import StoredTable
from personalization_pipelines.features.table_columns import sha256
from personalization_pipelines.models.artifact import ModelArtifact, save_model
from personalization_pipelines.models.forms.form import MAIN
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.website.one_build import Build
from tests.scenarios.publishing import ALWAYS, Item, visitor

ITEM_SCHEMA = pa.schema(
    [
        ("item_type", pa.int32()),
        ("item", pa.string()),
        ("price_minor", pa.int64()),
        ("currency", pa.string()),
        ("valid_from", pa.timestamp("us")),
        ("valid_to", pa.timestamp("us")),
        ("categories", pa.list_(pa.string())),
        ("language", pa.string()),
        ("base_item", pa.string()),
        ("first_seen", pa.timestamp("us")),
        ("attributes", pa.string()),
    ]
)
HISTORY_SCHEMA = pa.schema(
    [
        ("visitor", pa.string()),
        ("item_type", pa.int32()),
        ("item", pa.string()),
        ("event", pa.string()),
        ("time", pa.timestamp("us")),
    ]
)
LANGUAGES_SCHEMA = pa.schema(
    [("item_type", pa.int32()), ("item", pa.string()), ("language", pa.string()), ("attributes", pa.string())]
)
TRANSFERS_SCHEMA = pa.schema(
    [
        ("source_type", pa.int32()),
        ("source", pa.string()),
        ("target_type", pa.int32()),
        ("target", pa.string()),
        ("steps", pa.int32()),
    ]
)
LEARNED_SCHEMA = pa.schema(
    [("item_type", pa.int32()), ("item", pa.string()), ("category", pa.string()), ("visitors", pa.int64())]
)

History = Sequence[tuple[int, str, str, int]]
"""Item type, item, event, time in µs; newest first."""


def write_features(build: Build, items: Sequence[Item], histories: dict[str, History], currency: str = "EUR") -> None:
    """Write the feature tables of items, `visitor_history` and two empty ones with their sidecars."""
    rows = [
        {
            "item_type": item.type,
            "item": item.id,
            "price_minor": None if item.price_minor < 0 else item.price_minor,
            "currency": "" if item.price_minor < 0 else currency,
            "valid_from": None if item.valid_from == ALWAYS.min else item.valid_from,
            "valid_to": None if item.valid_to == ALWAYS.max else item.valid_to,
            "categories": list(item.categories),
            "language": item.language,
            "base_item": "",
            "first_seen": None,
            "attributes": json.dumps(item.attributes),
        }
        for item in items
    ]
    write_table(build.features / "items.parquet", pa.Table.from_pylist(rows, ITEM_SCHEMA))
    further = [
        {"item_type": item.type, "item": item.id, "language": name, "attributes": json.dumps(texts)}
        for item in items
        for name, texts in sorted(item.further.items())
    ]
    write_table(build.features / "item_languages.parquet", pa.Table.from_pylist(further, LANGUAGES_SCHEMA))
    write_table(build.features / "learned_categories.parquet", LEARNED_SCHEMA.empty_table())
    write_table(build.features / "item_transfers.parquet", TRANSFERS_SCHEMA.empty_table())
    events = [
        dict(zip(HISTORY_SCHEMA.names, (visitor(user), *event), strict=True))
        for user, history in histories.items()
        for event in history
    ]
    events.sort(key=lambda row: str(row["visitor"]))
    write_table(build.features / "visitor_history.parquet", pa.Table.from_pylist(events, HISTORY_SCHEMA))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a feature table and its sidecar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    StoredTable.describe(path, sha256(path)[:16], {}, len(table))


def write_model(
    build: Build,
    name: str,
    items: Sequence[tuple[int, str]],
    learned: Ranking | Neighbours,
    build_id: str = "build-1",
) -> None:
    """Write a model build and make it the current one."""
    artifact = ModelArtifact(
        name=name,
        type=build.website.models[name].type,
        build_id=build_id,
        fingerprint=build_id,
        as_of=build.as_of.isoformat(),
        item_types=np.array([kind for kind, _ in items], np.int32),
        items=tuple(item for _, item in items),
        parts={MAIN: learned},
        parameters={"recency": 2.0},
    )
    save_model(build.models / name, artifact)


def at(hour: int) -> datetime:
    """Return an hour of the test day."""
    return datetime(2026, 3, 1, hour, tzinfo=UTC)
