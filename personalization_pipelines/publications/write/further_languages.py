"""What items say in further languages than their own, a row each, as `language_arrays` wants it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.publications.format.arrays import Coded, Texts
from personalization_pipelines.publications.write.feature_tables import column_of, read_table
from personalization_pipelines.publications.write.item_places import ItemPlaces
from personalization_pipelines.publications.write.parquet_columns import coded, texts

_COLUMNS = ("item_type", "item", "language", "attributes")


@dataclass(frozen=True)
class FurtherLanguages:
    """The rows of the items, ascending; their further languages and what they say there, in order of language."""

    rows: NDArray[np.int32]
    languages: Coded
    attributes: Texts

    @classmethod
    def read(cls, features: Path, places: ItemPlaces) -> FurtherLanguages:
        """Return the feature table `item_languages`. Raises CorruptData where it is about other items."""
        table = read_table(features, "item_languages", _COLUMNS)
        rows = places.of(column_of(table, "item_type"), column_of(table, "item"))
        if (rows < 0).any():
            raise CorruptData("item_languages has rows of other items than `items`; rebuild the features")
        if (np.diff(rows) < 0).any():
            raise CorruptData("item_languages is not in the order of `items`; rebuild the features")
        return cls(rows, coded(column_of(table, "language")), texts(column_of(table, "attributes")))
