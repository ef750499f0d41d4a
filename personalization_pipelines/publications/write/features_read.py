"""Visitors' histories and transfers of items as a publication has them. pyarrow is imported inside: the server never
comes here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.publications.format.publication_arrays import Arrays, visitor_arrays
from personalization_pipelines.publications.read.published_transfers import TRANSFER_COLUMNS, Row
from personalization_pipelines.publications.read.published_visitors import EVENTS
from personalization_pipelines.publications.write.feature_tables import read_batches, read_table
from personalization_pipelines.publications.write.item_places import ItemPlaces
from personalization_pipelines.publications.write.item_table import ItemTable
from personalization_pipelines.publications.write.parquet_columns import integers, joined

if TYPE_CHECKING:
    import pyarrow as pa

_HISTORY_COLUMNS = ("visitor", "item_type", "item", "event", "time")
_BATCH = 1_000_000


def read_visitors(features: Path, items: ItemTable) -> Arrays:
    """Return the histories of the feature table `visitor_history`, with the rows of `items`.

    Events on items that the publication does not know are left out. Raises CorruptData where an event
    has no code or the table is not sorted by visitor.
    """
    visitors: list[str] = []
    owners, rows, events, times = [], [], [], []
    places = ItemPlaces(items.arrays)
    for batch in read_batches(features, "visitor_history", _HISTORY_COLUMNS, _BATCH):
        owner = _owners(batch, visitors)
        row = places.of(batch.column("item_type"), batch.column("item"))
        known = row >= 0
        owners.append(owner[known])
        rows.append(row[known])
        events.append(_event_codes(batch)[known])
        times.append(integers(batch.column("time"), 0)[known])
    owner = joined(owners, np.int64)
    starts = np.zeros(len(visitors) + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=len(visitors)), out=starts[1:])
    keep = np.flatnonzero(np.diff(starts))
    return visitor_arrays(
        [visitors[place] for place in keep],
        np.append(starts[keep], starts[-1]),
        joined(rows, np.int32),
        joined(events, np.uint8),
        joined(times, np.int64),
    )


def read_transfers(features: Path) -> list[Row]:
    """Return the rows of the feature table `item_transfers`: type and id of each old item and of its new one."""
    return [tuple(row.values()) for row in read_table(features, "item_transfers", TRANSFER_COLUMNS).to_pylist()]


def _owners(batch: pa.RecordBatch, visitors: list[str]) -> NDArray[np.int64]:
    """Number the visitors of a batch, going on from those already seen, and add the new ones to `visitors`."""
    encoded = batch.column("visitor").dictionary_encode()
    codes = integers(encoded.indices, -1)
    if (codes < 0).any():
        raise CorruptData("visitor_history has rows without a visitor; rebuild the features")
    first = np.ones(len(codes), bool)
    first[1:] = codes[1:] != codes[:-1]
    names = encoded.dictionary.take(encoded.indices.filter(_as_mask(first))).to_pylist()
    goes_on = bool(visitors and names and names[0] == visitors[-1])
    owners: NDArray[np.int64] = np.cumsum(first) - 1 + len(visitors) - int(goes_on)
    visitors.extend(names[int(goes_on) :])
    return owners


def _event_codes(batch: pa.RecordBatch) -> NDArray[np.uint8]:
    import pyarrow as pa

    codes = _codes_in(batch.column("event").cast("large_string"), pa.array(EVENTS, pa.large_string()))
    if (codes < 0).any():
        event = batch.column("event")[int(np.argmin(codes))].as_py()
        raise CorruptData(f"visitor_history holds event {event!r}, which publications have no code for")
    return codes.astype(np.uint8)


def _codes_in(values: Any, value_set: Any) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    return integers(pc.index_in(values, value_set=value_set), -1)


def _as_mask(flags: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(flags)
