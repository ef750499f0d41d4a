"""The columns of a publication's items, one element a row, read from the feature table. pyarrow is imported inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.publications.format.arrays import Coded, Texts
from personalization_pipelines.publications.read.published_items import ALWAYS
from personalization_pipelines.publications.write import learned_paths
from personalization_pipelines.publications.write.feature_tables import read_batches, read_table
from personalization_pipelines.publications.write.parquet_columns import CodedParts, NumberParts, TextParts, starts_of

if TYPE_CHECKING:
    import pyarrow as pa

ITEM_COLUMNS = (
    "item_type", "item", "price_minor", "currency", "valid_from", "valid_to", "categories", "language", "attributes",
)  # fmt: skip
_ROWS = 1 << 16
"""Of items, whose texts are long: the memory of a batch is used again for the next but one."""


@dataclass(frozen=True)
class ItemColumns:
    """Items in order of type and id. `paths[path_starts[row]:path_starts[row + 1]]` are an item's category paths,
    one of which may be there twice; `attributes` are JSON objects; times and prices are as `Items` has them.
    """

    types: NDArray[np.int32]
    ids: Texts
    price_minor: NDArray[np.int64]
    valid_from: NDArray[np.int64]
    valid_to: NDArray[np.int64]
    path_starts: NDArray[np.int64]
    paths: Coded
    languages: Coded
    attributes: Texts


def read_columns(features: Path, currency: str) -> ItemColumns:
    """Return the feature table `items`, in its order, without what clicks gave to them.

    A price in another currency than the website's counts as unknown (spec: filters, 5). Raises CorruptData where the
    table is not what it says.
    """
    parts = _ItemParts(currency)
    for batch in read_batches(features, "items", ITEM_COLUMNS, _ROWS):
        parts.add(batch)
    return parts.whole()


def with_learned_paths(columns: ItemColumns, features: Path) -> ItemColumns:
    """Return items with the category paths that clicks gave to them beside their own."""
    learned = read_table(features, "learned_categories", learned_paths.COLUMNS).to_pylist()
    starts, paths = learned_paths.add_paths(columns.types, columns.ids, columns.path_starts, columns.paths, learned)
    return replace(columns, path_starts=starts, paths=paths)


class _ItemParts:
    """The columns, as they come batch by batch."""

    def __init__(self, currency: str) -> None:
        self._types, self._prices = NumberParts(np.int32), NumberParts(np.int64)
        self._valid_from, self._valid_to = NumberParts(np.int64), NumberParts(np.int64)
        self._path_counts = NumberParts(np.int64)
        self._ids, self._attributes = TextParts(), TextParts()
        self._paths, self._languages = CodedParts(), CodedParts()
        self._currency = currency

    def add(self, batch: pa.RecordBatch) -> None:
        import pyarrow.compute as pc

        self._types.add(batch.column("item_type"), 0)
        self._ids.add(batch.column("item"))
        self._prices.add(_prices(batch, self._currency), -1)
        self._valid_from.add(batch.column("valid_from"), ALWAYS.min)
        self._valid_to.add(batch.column("valid_to"), ALWAYS.max)
        self._path_counts.add(pc.list_value_length(batch.column("categories")), 0)
        self._paths.add(pc.list_flatten(batch.column("categories")))
        self._languages.add(batch.column("language"))
        self._attributes.add(batch.column("attributes"))

    def whole(self) -> ItemColumns:
        return ItemColumns(
            self._types.whole(),
            self._ids.whole(),
            self._prices.whole(),
            self._valid_from.whole(),
            self._valid_to.whole(),
            starts_of(self._path_counts.whole()),
            self._paths.whole(),
            self._languages.whole(),
            self._attributes.whole(),
        )


def _prices(batch: pa.RecordBatch, currency: str) -> pa.Array:
    """Return the prices (int64) of a batch in the website's currency, null where they are unknown."""
    import pyarrow as pa
    import pyarrow.compute as pc

    prices = batch.column("price_minor").cast(pa.int64())
    stated = pc.fill_null(batch.column("currency"), "").cast("string")
    known = pc.and_kleene(pc.is_in(stated, value_set=pa.array(["", currency])), pc.greater_equal(prices, 0))
    return pc.if_else(known, prices, pa.scalar(None, pa.int64()))
