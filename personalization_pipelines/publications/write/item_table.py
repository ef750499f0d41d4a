"""The items of a publication, read from the feature tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.publications.format.arrays import Texts
from personalization_pipelines.publications.format.publication_arrays import Arrays, item_arrays
from personalization_pipelines.publications.read.published_languages import language_arrays
from personalization_pipelines.publications.write.further_languages import FurtherLanguages
from personalization_pipelines.publications.write.item_columns import ItemColumns, read_columns, with_learned_paths
from personalization_pipelines.publications.write.item_places import ItemPlaces
from personalization_pipelines.publications.write.parquet_columns import rows_of

Blacklist = frozenset[tuple[int, str]]
"""Type and id of items."""


@dataclass(frozen=True)
class ItemTable:
    """The items of a publication: their arrays, and what finds the row of an item elsewhere."""

    arrays: Arrays
    categories: tuple[str, ...]
    types: NDArray[np.int32]
    ids: Texts
    languages: Arrays
    language_names: tuple[str, ...]


def read_items(features: Path, currency: str, blacklist: Blacklist) -> ItemTable:
    """Return the items of the feature table `items`, in its order, with the category paths learned from clicks.

    A price in another currency than the website's counts as unknown (spec: filters, 5). Items of
    `blacklist` (type, id) are kept but not allowed. Raises CorruptData where a table is not what it says.
    """
    columns = with_learned_paths(read_columns(features, currency), features)
    arrays, categories = item_arrays(
        columns.types,
        columns.ids,
        price_minor=columns.price_minor,
        valid_from=columns.valid_from,
        valid_to=columns.valid_to,
        allowed=_allowed(columns, blacklist),
        path_starts=columns.path_starts,
        paths=columns.paths,
        attributes=columns.attributes,
    )
    further = FurtherLanguages.read(features, ItemPlaces(arrays))
    languages = language_arrays(columns.languages, further.rows, further.languages, further.attributes)
    return ItemTable(arrays, categories, columns.types, columns.ids, *languages)


def _allowed(columns: ItemColumns, blacklist: Blacklist) -> NDArray[np.bool_]:
    allowed = np.ones(len(columns.types), bool)
    allowed[[row for row, _ in rows_of(columns.types, columns.ids, blacklist)]] = False
    return allowed
