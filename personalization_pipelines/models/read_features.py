"""From the feature tables (Parquet) to `TrainingData`: texts become codes, times become numbers.

Only the events a model learns from are read, texts as dictionaries; an entry costs about 40 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from personalization_pipelines.build import Build
from personalization_pipelines.errors import CorruptData
from personalization_pipelines.models.base import ItemIndex
from personalization_pipelines.models.editorial import blacklisted
from personalization_pipelines.models.training_data import (
    EVENT_NAMES,
    FIRST,
    LAST,
    NOBODY,
    Categories,
    Interactions,
    TrainingData,
)
from personalization_pipelines.timespans import BuildSchedule

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = date(1970, 1, 1)


def read_training_data(build: Build, events: Sequence[str], schedule: BuildSchedule) -> TrainingData:
    """Return what models of a build learn from; `events` may be empty, for models that need items only.

    A model built by `schedule` serves for its interval, or longer by what freshness allows.
    """
    items = _table(build, "items", ["item_type", "item", "valid_from", "valid_to", "first_seen"])
    index = ItemIndex(_numbers(items["item_type"], pa.int32()), tuple(items["item"].to_pylist()))
    places = _Places(index)
    interactions, visitors = _interactions(build, events, places)
    valid_from = _times(items["valid_from"], FIRST)
    return TrainingData(
        index=index,
        interactions=interactions,
        visitors=visitors,
        day=(build.day - _EPOCH).days,
        day_start=_microseconds(datetime.combine(build.day, datetime.min.time(), build.website.zone)),
        hour=_microseconds(build.as_of.replace(minute=0, second=0, microsecond=0)),
        life=max(schedule.interval, build.website.freshness.models) // _MICROSECOND,
        blacklisted=blacklisted(build.website, index),
        valid_from=valid_from,
        valid_to=_times(items["valid_to"], LAST),
        added=np.where(valid_from != FIRST, valid_from, _times(items["first_seen"], FIRST)),
        categories=_categories(build, places) if events else Categories(),
        weights=build.website.event_weights,
    )


def feature_fingerprint(build: Build, name: str) -> str:
    """Return the fingerprint in a feature table's sidecar."""
    path = build.features / f"{name}.json"
    try:
        return str(json.loads(path.read_text())["fingerprint"])
    except (OSError, ValueError, KeyError) as error:
        raise CorruptData(f"{path}: no fingerprint of the feature table {name}; run the features again") from error


class _Places:
    """Finds rows of items by type and id."""

    def __init__(self, index: ItemIndex) -> None:
        self._types, starts = np.unique(index.types, return_index=True)
        self._starts = np.append(starts, len(index)).tolist()
        self._ids = pa.array(index.ids, pa.string())

    def rows(self, types: NDArray[np.int32], items: pa.DictionaryArray) -> NDArray[np.int32]:
        """Return a row an entry, -1 where the website has no such item."""
        codes = items.indices.to_numpy()
        rows = np.full(len(codes), -1, np.int32)
        for number, kind in enumerate(self._types):
            first, last = self._starts[number], self._starts[number + 1]
            found = pc.index_in(items.dictionary.cast(pa.string()), value_set=self._ids[first:last])
            by_code = pc.fill_null(pc.add(found, pa.scalar(first, pa.int32())), -1).to_numpy(zero_copy_only=False)
            chosen = types == kind
            rows[chosen] = by_code[codes[chosen]]
        return rows


def _interactions(build: Build, events: Sequence[str], places: _Places) -> tuple[Interactions, int]:
    if not events:
        return Interactions.empty(), 0
    columns = ["event", "visitor", "item_type", "item", "day", "quantity", "events", "last_time"]
    last_day = pc.field("day") <= pa.scalar(build.day, pa.date32())
    table = _table(build, "visitor_item_days", columns, pc.field("event").isin(list(events)) & last_day)
    rows = places.rows(_numbers(table["item_type"], pa.int32()), _dictionary(table["item"]))
    visitor, visitors = _visitor_codes(_dictionary(table["visitor"]))
    found = Interactions(
        event=_event_codes(_dictionary(table["event"])),
        visitor=visitor,
        row=rows,
        day=_numbers(table["day"].cast(pa.int32()), pa.int32()),
        quantity=_numbers(table["quantity"], pa.int64()),
        events=_numbers(table["events"], pa.int64()),
        last_time=_times(table["last_time"], FIRST),
    )
    known = rows >= 0
    return (found if known.all() else found.select(known)), visitors


def _event_codes(events: pa.DictionaryArray) -> NDArray[np.int8]:
    names = events.dictionary.to_pylist()
    codes: NDArray[np.int8] = np.array([EVENT_NAMES.index(name) for name in names] or [0], np.int8)
    return np.asarray(codes[events.indices.to_numpy()], np.int8)


def _visitor_codes(visitors: pa.DictionaryArray) -> tuple[NDArray[np.int32], int]:
    """Return each entry's position in the sorted distinct visitors, NOBODY for "", and how many there are."""
    texts = visitors.dictionary.cast(pa.string())
    order = pc.sort_indices(texts).to_numpy()
    nobody = int(pc.sum(pc.equal(texts, "")).as_py() or 0)
    codes = np.empty(len(texts), np.int32)
    codes[order] = np.arange(len(texts)) + (NOBODY if nobody else 0)
    return codes[visitors.indices.to_numpy()], len(texts) - nobody


def _categories(build: Build, places: _Places) -> Categories:
    table = _table(build, "item_categories", ["item_type", "item", "category"])
    rows = places.rows(_numbers(table["item_type"], pa.int32()), _dictionary(table["item"]))
    category = _dictionary(table["category"])
    names = category.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    codes = np.empty(len(names), np.int32)
    codes[order] = np.arange(len(names))
    codes = codes[category.indices.to_numpy()]
    known = rows >= 0
    rows, codes = rows[known], codes[known]
    order_of_pairs = np.lexsort((rows, codes))
    return Categories(tuple(names[place] for place in order), rows[order_of_pairs], codes[order_of_pairs])


def _table(build: Build, name: str, columns: list[str], chosen: pc.Expression | None = None) -> pa.Table:
    path: Path = build.features / f"{name}.parquet"
    try:
        return pq.read_table(path, columns=columns, filters=chosen)
    except FileNotFoundError:
        raise CorruptData(f"{path}: the feature table {name} is not there; run the features first") from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise CorruptData(
            f"{path}: the feature table {name} cannot be read ({error}); run the features again"
        ) from error


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return encoded.unify_dictionaries().combine_chunks() if encoded.num_chunks != 1 else encoded.chunk(0)


def _numbers(column: pa.ChunkedArray, kind: pa.DataType) -> NDArray[Any]:
    values = column.cast(kind).fill_null(0).to_numpy()
    return np.asarray(values, kind.to_pandas_dtype())


def _times(column: pa.ChunkedArray, missing: int) -> NDArray[np.int64]:
    numbers = column.cast(pa.timestamp("us")).cast(pa.int64()).fill_null(missing)
    return np.asarray(numbers.to_numpy(), np.int64)


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)) // _MICROSECOND
