"""Feature tables as the arrays of a publication. pyarrow is imported inside: the server never comes here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.errors import Busy, CorruptData, PermanentError
from personalization_pipelines.features.stored import StoredTable
from personalization_pipelines.scenarios import learned_paths
from personalization_pipelines.scenarios.arrays import Coded, Texts
from personalization_pipelines.scenarios.columns import (
    CodedParts,
    NumberParts,
    TextParts,
    coded,
    integers,
    joined,
    rows_of,
    starts_of,
    texts,
)
from personalization_pipelines.scenarios.published_items import ALWAYS
from personalization_pipelines.scenarios.published_languages import language_arrays
from personalization_pipelines.scenarios.published_transfers import TRANSFER_COLUMNS, Row
from personalization_pipelines.scenarios.published_visitors import EVENTS
from personalization_pipelines.scenarios.tables import Arrays, item_arrays, visitor_arrays

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("items", "item_languages", "learned_categories", "visitor_history", "item_transfers")
_ITEM_COLUMNS = (
    "item_type", "item", "price_minor", "currency", "valid_from", "valid_to", "categories", "language", "attributes",
)  # fmt: skip
_LANGUAGE_COLUMNS = ("item_type", "item", "language", "attributes")
_HISTORY_COLUMNS = ("visitor", "item_type", "item", "event", "time")
_BATCH = 1_000_000
_ITEM_BATCH = 1 << 16
"""Of items, whose texts are long: the memory of a batch is used again for the next but one."""


@dataclass(frozen=True)
class ItemTable:
    """The items of a publication: their arrays, and what finds the row of an item elsewhere."""

    arrays: Arrays
    categories: tuple[str, ...]
    types: NDArray[np.int32]
    ids: Texts
    languages: Arrays
    language_names: tuple[str, ...]


def feature_fingerprints(features: Path) -> dict[str, str]:
    """Return the SHA-256 of each table that a publication is made of, as the table's builder wrote it beside it.

    Bytes, not inputs: a table built again with the same rows publishes the same. Raises PermanentError where
    a table was never built, Busy while it is being built.
    """
    return {name: _stored(features, name).state for name in TABLES}


def read_items(features: Path, currency: str, blacklist: frozenset[tuple[int, str]]) -> ItemTable:
    """Return the items of the feature table `items`, in its order, with the category paths learned from clicks.

    A price in another currency than the website's counts as unknown (spec: filters, 5). Items of
    `blacklist` (type, id) are kept but not allowed. Raises CorruptData where the table is not what it says.
    """
    parts = _ItemParts(currency)
    for batch in _batches(features, "items", _ITEM_COLUMNS, _ITEM_BATCH):
        parts.add(batch)
    types, ids = parts.types.whole(), parts.ids.whole()
    learned = _table(features, "learned_categories", learned_paths.COLUMNS).to_pylist()
    starts = starts_of(parts.path_counts.whole())
    path_starts, paths = learned_paths.add_paths(types, ids, starts, parts.paths.whole(), learned)
    arrays, categories = item_arrays(
        types,
        ids,
        price_minor=parts.prices.whole(),
        valid_from=parts.valid_from.whole(),
        valid_to=parts.valid_to.whole(),
        allowed=_allowed(types, ids, blacklist),
        path_starts=path_starts,
        paths=paths,
        attributes=parts.attributes.whole(),
    )
    return ItemTable(arrays, categories, types, ids, *_languages(features, parts.languages.whole(), types, ids))


class _ItemParts:
    """The columns of the table `items`, as they come batch by batch."""

    def __init__(self, currency: str) -> None:
        self.types, self.prices = NumberParts(np.int32), NumberParts(np.int64)
        self.valid_from, self.valid_to = NumberParts(np.int64), NumberParts(np.int64)
        self.path_counts = NumberParts(np.int64)
        self.ids, self.attributes = TextParts(), TextParts()
        self.paths, self.languages = CodedParts(), CodedParts()
        self._currency = currency

    def add(self, batch: pa.RecordBatch) -> None:
        import pyarrow.compute as pc

        self.types.add(batch.column("item_type"), 0)
        self.ids.add(batch.column("item"))
        self.prices.add(_prices(batch, self._currency), -1)
        self.valid_from.add(batch.column("valid_from"), ALWAYS.min)
        self.valid_to.add(batch.column("valid_to"), ALWAYS.max)
        self.path_counts.add(pc.list_value_length(batch.column("categories")), 0)
        self.paths.add(pc.list_flatten(batch.column("categories")))
        self.languages.add(batch.column("language"))
        self.attributes.add(batch.column("attributes"))


def _languages(features: Path, own: Coded, types: NDArray[np.int32], ids: Texts) -> tuple[Arrays, tuple[str, ...]]:
    """Return what `language_arrays` makes of the items' languages and of the table `item_languages`."""
    further = _table(features, "item_languages", _LANGUAGE_COLUMNS)
    places = _ItemPlaces(types, ids) if further.num_rows else None
    found = joined([places.of(batch) for batch in further.to_batches()] if places else [], np.int32)
    if (found < 0).any() or (np.diff(found) < 0).any():
        raise CorruptData("item_languages has rows of other items than `items`; rebuild the features")
    return language_arrays(own, found, coded(_column(further, "language")), texts(_column(further, "attributes")))


def read_visitors(features: Path, items: ItemTable) -> Arrays:
    """Return the histories of the feature table `visitor_history`, with the rows of `items`.

    Events on items that the publication does not know are left out. Raises CorruptData where an event
    has no code or the table is not sorted by visitor.
    """
    visitors: list[str] = []
    owners, rows, events, times = [], [], [], []
    places = _ItemPlaces(items.types, items.ids)
    for batch in _batches(features, "visitor_history", _HISTORY_COLUMNS):
        owner = _owners(batch, visitors)
        row = places.of(batch)
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
    return [tuple(row.values()) for row in _table(features, "item_transfers", TRANSFER_COLUMNS).to_pylist()]


class _ItemPlaces:
    """Finds the rows of many items at once: a number for each id text, combined with the type, looked up sorted."""

    def __init__(self, types: NDArray[np.int32], ids: Texts) -> None:
        import pyarrow as pa

        texts = pa.LargeStringArray.from_buffers(len(ids), pa.py_buffer(ids.starts), pa.py_buffer(ids.blob))
        self._texts = texts.unique()
        codes = _codes_in(texts, self._texts)
        combined = types.astype(np.int64) * (len(self._texts) + 1) + codes
        self._order = np.argsort(combined, kind="stable").astype(np.int32)
        self._combined = combined[self._order]

    def of(self, batch: pa.RecordBatch) -> NDArray[np.int32]:
        """Return the row of each (item_type, item) of a batch, -1 where it is unknown."""
        codes = _codes_in(batch.column("item").cast("large_string"), self._texts)
        if not len(self._combined):
            return np.full(len(codes), -1, np.int32)
        combined = integers(batch.column("item_type"), 0) * (len(self._texts) + 1) + codes
        place = np.minimum(self._combined.searchsorted(combined), len(self._combined) - 1)
        found = (self._combined[place] == combined) & (codes >= 0)
        return np.where(found, self._order[place], -1).astype(np.int32)


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


def _sidecar(features: Path, name: str) -> dict[str, Any]:
    """Return what the table's builder wrote beside its file, its SHA-256 above all."""
    path = features / f"{name}.json"
    try:
        sidecar: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        if path.with_suffix(".parquet").exists():
            raise Busy(f"{path}: the feature table {name!r} is being built; publish again when it is done") from None
        raise PermanentError(
            f"{path}: the feature table {name!r} was never built; run `personalization build`"
        ) from None
    except ValueError as error:
        raise CorruptData(f"{path}: cannot be read ({error}); delete it and build again") from error
    if not isinstance(sidecar.get("sha256"), str):
        raise CorruptData(f"{path}: names no sha256; delete it and build again")
    return sidecar


def _stored(features: Path, name: str) -> StoredTable:
    _sidecar(features, name)
    path = features / f"{name}.parquet"
    stored = StoredTable.of(path)
    if stored is None:
        raise CorruptData(f"{path}: is not what the sidecar beside it describes; delete it and build again")
    return stored


def _whole(features: Path, name: str, columns: tuple[str, ...]) -> StoredTable:
    """Return a table after looking that each of its files is what was built and has the columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stored = _stored(features, name)
    try:
        for file, digest in stored.digests.items():
            _check_bytes(file, digest)
        missing = set(columns) - set(pq.read_schema(stored.path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise CorruptData(f"{stored.path}: cannot be read ({error}); delete it and build again") from error
    if missing:
        raise CorruptData(f"{stored.path}: lacks the columns {sorted(missing)}; delete it and build again")
    return stored


def _check_bytes(path: Path, expected: str) -> None:
    """Raise CorruptData unless a table is, byte by byte, what was built: Parquet pages carry no checksum."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != expected:
            raise CorruptData(f"{path}: does not match the SHA-256 beside it; delete it and build again")


def _table(features: Path, name: str, columns: tuple[str, ...]) -> pa.Table:
    import pyarrow.parquet as pq

    stored = _whole(features, name, columns)
    if stored.changes:
        return stored.read(columns).combine_chunks()
    with pq.ParquetFile(stored.path) as file:
        return file.read(columns=list(columns), use_threads=False).combine_chunks()


def _batches(features: Path, name: str, columns: tuple[str, ...], rows: int | None = None) -> Iterator[pa.RecordBatch]:
    yield from _whole(features, name, columns).batches(columns, rows or _BATCH)


def _column(table: pa.Table, name: str) -> Any:
    import pyarrow as pa

    chunks = table.column(name).chunks
    return (
        chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], table.column(name).type)
    )


def _prices(batch: pa.RecordBatch, currency: str) -> pa.Array:
    """Return the prices (int64) of a batch in the website's currency, null where they are unknown."""
    import pyarrow as pa
    import pyarrow.compute as pc

    prices = batch.column("price_minor").cast(pa.int64())
    stated = pc.fill_null(batch.column("currency"), "").cast("string")
    known = pc.and_kleene(pc.is_in(stated, value_set=pa.array(["", currency])), pc.greater_equal(prices, 0))
    return pc.if_else(known, prices, pa.scalar(None, pa.int64()))


def _allowed(types: NDArray[np.int32], ids: Texts, blacklist: frozenset[tuple[int, str]]) -> NDArray[np.bool_]:
    allowed = np.ones(len(types), bool)
    allowed[[row for row, _ in rows_of(types, ids, blacklist)]] = False
    return allowed
