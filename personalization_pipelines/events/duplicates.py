"""Events that a client sent again under the same event id: stored once per visitor within 35 days of arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from personalization_pipelines.events.manifest import LakeFile, Manifest

WINDOW = timedelta(days=35)


def drop_duplicates(lake: Path, manifest: Manifest, events: pa.Table) -> pa.Table:
    """Return `events` without those whose visitor and event id came before, in the lake or in `events` itself.

    Events without an event id all stay. Of several with the same id the first one stays. Only files of the
    last 35 days that hold event ids are looked into, and of them two columns.
    """
    has_id = pc.not_equal(events["event_id"], "")
    if not pc.any(has_id).as_py():
        return events
    keys = _keys(events)
    repeated = pc.or_(pc.invert(_first_of_its_key(keys)), pc.is_in(keys, _stored_keys(lake, manifest, events)))
    return events.filter(pc.invert(pc.and_(has_id, repeated)))


def _keys(events: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(events["visitor"], events["event_id"], "\0")


def _first_of_its_key(keys: pa.ChunkedArray) -> pa.Array:
    rows = pa.table({"key": keys, "row": pa.array(np.arange(len(keys)))})
    firsts = rows.group_by("key").aggregate([("row", "min")])["row_min"].to_numpy()
    mask = np.zeros(len(keys), bool)
    mask[firsts] = True
    return pa.array(mask)


def _stored_keys(lake: Path, manifest: Manifest, events: pa.Table) -> pa.Array:
    """Return the keys in the lake's recent files whose event id occurs in `events`."""
    files = [lake / file.path for file in _recent(manifest, events)]
    if not files:
        return pa.array([], pa.string())
    wanted = pc.field("event_id").isin(pc.unique(events["event_id"])) & (pc.field("event_id") != "")
    stored = pq.read_table(files, columns=["visitor", "event_id"], filters=wanted, partitioning=None)
    return _keys(stored).combine_chunks()


def _recent(manifest: Manifest, events: pa.Table) -> list[LakeFile]:
    oldest = datetime.fromtimestamp(pc.min(events["received_at"]).cast(pa.int64()).as_py() / 1e6, UTC) - WINDOW
    return [file for file in manifest.files if file.event_ids and file.day >= f"{oldest:%Y-%m-%d}"]
