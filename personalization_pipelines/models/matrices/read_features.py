"""From the feature tables (Parquet) to `TrainingData`: texts become codes, times become numbers.

Tables are read once for all models of a build, texts as dictionaries; an entry costs about 40 bytes. Very large ones
are read model by model, and only the events that the model learns from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.timespans import BuildSchedule
from personalization_pipelines.models.forms.form import ItemIndex
from personalization_pipelines.models.matrices.latest import Latest
from personalization_pipelines.models.matrices.training_data import (
    EVENT_NAMES,
    FIRST,
    LAST,
    NOBODY,
    Categories,
    Interactions,
    TrainingData,
)
from personalization_pipelines.models.named_items import banned_items, marked, moved_items
from personalization_pipelines.website.one_build import Build

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = date(1970, 1, 1)
_TEXTS = ("event", "visitor", "category", "item")

LARGEST_SHARED = 5_000_000
"""Tables of more rows (about 40 bytes each) are read model by model, and only the events that the model needs."""


def read_training_data(build: Build, events: Sequence[str], schedule: BuildSchedule) -> TrainingData:
    """Return what models of a build learn from; `events` may be empty, for models that need items only.

    A model built by `schedule` serves for its interval, or longer by what freshness allows. The arrays are
    shared with the next model of the build, and cannot be written to.
    """
    items = _items.get(_state(build, "items"), lambda: _read_items(build))
    found, visitors = _entries(build, events, items)
    website, moved = build.website, moved_items(build.features)
    return TrainingData(
        index=items.index,
        interactions=found,
        visitors=visitors,
        day=(build.day - _EPOCH).days,
        day_start=_microseconds(datetime.combine(build.day, datetime.min.time(), build.website.zone)),
        hour=_microseconds(build.as_of.replace(minute=0, second=0, microsecond=0)),
        life=max(schedule.interval, build.website.freshness.models) // _MICROSECOND,
        blacklisted=marked(banned_items(website.models.values(), website, moved), items.index),
        valid_from=items.valid_from,
        valid_to=items.valid_to,
        added=items.added,
        categories=_categories_of(build, items) if events else Categories(),
        weights=website.event_weights,
        moved=moved,
    )


def feature_fingerprint(build: Build, name: str) -> str:
    """Return the fingerprint in a feature table's sidecar."""
    path = build.features / f"{name}.json"
    try:
        return str(json.loads(path.read_text())["fingerprint"])
    except (OSError, ValueError, KeyError) as error:
        raise CorruptData(f"{path}: no fingerprint of the feature table {name}; run the features again") from error


@dataclass(frozen=True)
class _Items:
    """The table `items` as arrays."""

    index: ItemIndex
    places: _Places
    valid_from: NDArray[np.int64]
    valid_to: NDArray[np.int64]
    added: NDArray[np.int64]


class _Entries:
    """The table `visitor_item_days` as arrays, and the part of some event types, the same object every time."""

    def __init__(self, found: Interactions, visitors: int) -> None:
        self.visitors = visitors
        self._found = found
        self._parts: dict[tuple[str, ...], Interactions] = {}
        for column in fields(found):
            getattr(found, column.name).flags.writeable = False

    def of(self, events: Sequence[str]) -> Interactions:
        """Return the entries of these event types."""
        asked = tuple(sorted(events))
        if asked not in self._parts:
            codes = np.array([EVENT_NAMES.index(name) for name in asked], np.int8)
            self._parts[asked] = self._found.where(np.isin(self._found.event, codes))
        return self._parts[asked]


_items: Latest[_Items] = Latest()
_all_entries: Latest[_Entries] = Latest()
_all_categories: Latest[Categories] = Latest()


def _state(build: Build, *names: str) -> tuple[object, ...]:
    """Return what tells one version of these tables from another: file, size, time and fingerprint."""
    found: list[object] = []
    for name in names:
        path = build.features / f"{name}.parquet"
        try:
            stat = path.stat()
            made_of = path.with_suffix(".json").read_bytes()
        except FileNotFoundError:
            raise CorruptData(f"{path}: the feature table {name} is not there; run the features first") from None
        found += [path, stat.st_ino, stat.st_mtime_ns, stat.st_size, made_of]
    return tuple(found)


def _entries(build: Build, events: Sequence[str], items: _Items) -> tuple[Interactions, int]:
    """Return the entries of some event types up to the build's day, and the number of visitors they are coded for."""
    if not events:
        return Interactions.empty(), 0
    if _rows(build, "visitor_item_days") > LARGEST_SHARED:
        return _read_entries(build, events, items.places)
    key = (*_state(build, "items", "visitor_item_days"), build.day)
    held = _all_entries.get(key, lambda: _Entries(*_read_entries(build, EVENT_NAMES, items.places)))
    return held.of(events), held.visitors


def _categories_of(build: Build, items: _Items) -> Categories:
    return _all_categories.get(_state(build, "items", "item_categories"), lambda: _categories(build, items.places))


def _read_items(build: Build) -> _Items:
    table = _table(build, "items", ["item_type", "item", "valid_from", "valid_to", "first_seen"])
    index = ItemIndex(_numbers(table["item_type"], pa.int32()), tuple(table["item"].cast(pa.string()).to_pylist()))
    valid_from = _times(table["valid_from"], FIRST)
    added = np.where(valid_from != FIRST, valid_from, _times(table["first_seen"], FIRST))
    return _Items(index, _Places(index), valid_from, _times(table["valid_to"], LAST), added)


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


def _read_entries(build: Build, events: Sequence[str], places: _Places) -> tuple[Interactions, int]:
    columns = ["event", "visitor", "item_type", "item", "day", "quantity", "events", "last_time"]
    every = set(events) == set(EVENT_NAMES)
    table = _table(build, "visitor_item_days", columns, None if every else pc.field("event").isin(list(events)))
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
    return found.where((rows >= 0) & (found.event >= 0) & (found.day <= (build.day - _EPOCH).days)), visitors


def _event_codes(events: pa.DictionaryArray) -> NDArray[np.int8]:
    names = events.dictionary.to_pylist()
    known = [EVENT_NAMES.index(name) if name in EVENT_NAMES else -1 for name in names]
    codes: NDArray[np.int8] = np.array(known or [0], np.int8)
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


def _rows(build: Build, name: str) -> int:
    path = build.features / f"{name}.parquet"
    try:
        return int(pq.read_metadata(path).num_rows)
    except FileNotFoundError:
        raise CorruptData(f"{path}: the feature table {name} is not there; run the features first") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(path, name, error) from error


def _unreadable(path: Path, name: str, error: Exception) -> CorruptData:
    return CorruptData(f"{path}: the feature table {name} cannot be read ({error}); run the features again")


def _table(build: Build, name: str, columns: list[str], chosen: pc.Expression | None = None) -> pa.Table:
    path: Path = build.features / f"{name}.parquet"
    try:
        texts = [name for name in columns if name in _TEXTS]
        if chosen is None:  # read_table would load pandas first
            with pq.ParquetFile(path, read_dictionary=texts) as file:
                whole: pa.Table = file.read(columns)
                return whole
        return pq.read_table(path, columns=columns, filters=chosen, read_dictionary=texts)
    except FileNotFoundError:
        raise CorruptData(f"{path}: the feature table {name} is not there; run the features first") from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise _unreadable(path, name, error) from error


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
