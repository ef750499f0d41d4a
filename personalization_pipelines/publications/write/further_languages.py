"""What items say in further languages than their own, a row each, as `language_arrays` wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.publications.format.arrays import Coded, Texts
from personalization_pipelines.publications.write.feature_tables import column_of, read_changes, read_table
from personalization_pipelines.publications.write.item_places import ItemPlaces
from personalization_pipelines.publications.write.parquet_columns import coded, texts
from personalization_pipelines.publications.write.splicing import Splice

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
        found = _places(places, table) if table.num_rows else np.empty(0, np.int32)
        if (np.diff(found) < 0).any():
            raise CorruptData("item_languages is not in the order of `items`; rebuild the features")
        return cls._of(table, found)

    @classmethod
    def _of(cls, table: Any, rows: NDArray[np.int32]) -> FurtherLanguages:
        if (rows < 0).any():
            raise CorruptData("item_languages has rows of other items than `items`; rebuild the features")
        return cls(rows, coded(column_of(table, "language")), texts(column_of(table, "attributes")))

    def patched(
        self, features: Path, state: str, places: ItemPlaces, moved: NDArray[np.int32]
    ) -> FurtherLanguages | None:
        """Return the table as it is now, made from what it was in `state`; None where it was written whole since.

        `moved` is the row that each item of before has now, -1 where it went.
        """
        changes = read_changes(features, "item_languages", state, _COLUMNS)
        if changes is None:
            return None
        touched, languages = _places(places, changes.touched), coded(column_of(changes.touched, "language"))
        fresh = self._of(changes.came, touched[~changes.gone])
        rows = moved[self.rows]
        names = sorted({*self.languages.names, *languages.names})
        old_keys, touched_keys = _keys(rows, self.languages, names), _keys(touched, languages, names)
        stays = (rows >= 0) & ~np.isin(old_keys, touched_keys)
        kept = np.flatnonzero(stays)
        found = np.searchsorted(old_keys[kept], _keys(fresh.rows, fresh.languages, names))
        splice = Splice(stays, np.append(kept, len(stays))[found])
        return FurtherLanguages(
            splice.numbers(rows, fresh.rows),
            splice.coded(self.languages, fresh.languages),
            splice.texts(self.attributes, fresh.attributes),
        )


def _places(places: ItemPlaces, table: Any) -> NDArray[np.int32]:
    """Return the row of each row's item, -1 where it is unknown."""
    return places.of(column_of(table, "item_type"), column_of(table, "item"))


def _keys(rows: NDArray[np.int32], languages: Coded, names: Sequence[str]) -> NDArray[np.int64]:
    """Return a number for each row and language, in their order."""
    codes = {name: code for code, name in enumerate(names)}
    keys: NDArray[np.int64] = rows.astype(np.int64) * len(names) + languages.recoded(codes, np.int64)
    return keys
