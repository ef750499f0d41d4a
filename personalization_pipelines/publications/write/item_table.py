"""The items of a publication: made from those of the publication before, or read whole from the feature tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.publications.format.arrays import Texts
from personalization_pipelines.publications.format.publication_arrays import Arrays, ItemArrays, item_arrays
from personalization_pipelines.publications.read.published_languages import language_arrays
from personalization_pipelines.publications.write.further_languages import FurtherLanguages
from personalization_pipelines.publications.write.item_columns import ItemColumns, read_columns, with_learned_paths
from personalization_pipelines.publications.write.item_patches import ItemsBefore, Patched, patched_items
from personalization_pipelines.publications.write.item_places import ItemPlaces
from personalization_pipelines.publications.write.parquet_columns import rows_of

Blacklist = frozenset[tuple[int, str]]
"""Type and id of items."""


@dataclass(frozen=True)
class ItemTable:
    """The items of a publication: their arrays, and what finds the row of an item elsewhere."""

    arrays: ItemArrays
    categories: tuple[str, ...]
    types: NDArray[np.int32]
    ids: Texts
    languages: Arrays
    language_names: tuple[str, ...]


def read_items(features: Path, currency: str, blacklist: Blacklist, before: ItemsBefore | None = None) -> ItemTable:
    """Return the items of the feature table `items`, in its order, with the category paths learned from clicks.

    A price in another currency than the website's counts as unknown (spec: filters, 5). Items of
    `blacklist` (type, id) are kept but not allowed. Where the tables only changed since the publication `before`,
    its items are taken and what changed is read. Raises CorruptData where a table is not what it says.
    """
    patched = patched_items(before, features, currency) if before else None
    if patched is None:
        columns, keys = with_learned_paths(read_columns(features, currency), features), None
    else:
        columns, keys = patched.columns, patched.keys
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
        keys=keys,
    )
    further = _further(features, ItemPlaces(arrays), before, patched)
    languages = language_arrays(columns.languages, further.rows, further.languages, further.attributes)
    return ItemTable(arrays, categories, columns.types, columns.ids, *languages)


def _further(
    features: Path, places: ItemPlaces, before: ItemsBefore | None, patched: Patched | None
) -> FurtherLanguages:
    found = None
    if before and patched:
        found = before.further.patched(features, before.features.get("item_languages", ""), places, patched.moved)
    return found or FurtherLanguages.read(features, places)


def _allowed(columns: ItemColumns, blacklist: Blacklist) -> NDArray[np.bool_]:
    allowed = np.ones(len(columns.types), bool)
    allowed[[row for row, _ in rows_of(columns.types, columns.ids, blacklist)]] = False
    return allowed
