"""The items of a publication made from those of the one before, and the rows that changed since.

Reading a million items whole takes seconds, whatever changed; copying the arrays of before takes a tenth of that. What
comes of it is, byte by byte, what reading whole gives (tests/scenarios/test_item_patches.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines import __version__
from personalization_pipelines.publications.format.arrays import Array, Coded, Texts, decode_json, map_arrays
from personalization_pipelines.publications.format.publication_manifest import Manifest, check_file, read_manifest
from personalization_pipelines.publications.read.published import PLAN
from personalization_pipelines.publications.read.published_items import CATEGORIES, ITEMS, ITEMS_SCHEMA, item_keys
from personalization_pipelines.publications.read.published_languages import LANGUAGE_NAMES, LANGUAGES, LANGUAGES_SCHEMA
from personalization_pipelines.publications.write.feature_tables import column_of, read_changes, stored_table
from personalization_pipelines.publications.write.further_languages import FurtherLanguages
from personalization_pipelines.publications.write.item_columns import (
    ITEM_COLUMNS,
    ItemColumns,
    columns_of,
    read_paths,
    with_learned_paths,
)
from personalization_pipelines.publications.write.item_places import ItemPlaces
from personalization_pipelines.publications.write.splicing import Splice
from personalization_pipelines.scenarios.plan import read_plan


@dataclass(frozen=True, eq=False)
class ItemsBefore:
    """The items of a publication as they lie on the disk, and the state of the tables that they were made of."""

    arrays: Mapping[str, Array]
    categories: tuple[str, ...]
    own_languages: Coded
    further: FurtherLanguages
    currency: str
    features: Mapping[str, str]

    @classmethod
    def of(cls, directory: Path) -> ItemsBefore | None:
        """Return the items of a publication, None where another version of this program wrote it.

        Raises CorruptData where a byte of what is taken is not the one that was written.
        """
        manifest = read_manifest(directory)
        if manifest.code != __version__:
            return None
        for name in {ITEMS, CATEGORIES, LANGUAGES, LANGUAGE_NAMES, PLAN} & manifest.files.keys():
            check_file(directory, manifest, name)
        arrays = map_arrays(directory / ITEMS, manifest.files[ITEMS].arrays, ITEMS_SCHEMA)
        return cls(
            arrays,
            _names(directory, CATEGORIES),
            *_languages(directory, manifest, len(arrays["types"])),
            read_plan((directory / PLAN).read_bytes()).currency,
            manifest.features,
        )


@dataclass(frozen=True, eq=False)
class Patched:
    """The columns of the items as they are now, their keys, and the row that each item of before has (-1: none)."""

    columns: ItemColumns
    keys: NDArray[np.int64]
    moved: NDArray[np.int32]


def patched_items(before: ItemsBefore, features: Path, currency: str) -> Patched | None:
    """Return the feature table `items`, with what clicks gave to them; None where it was written whole since `before`.

    Raises CorruptData where what changed is not what was written.
    """
    changes = read_changes(features, "items", before.features.get("items", ""), ITEM_COLUMNS)
    if changes is None or before.currency != currency:
        return None
    touched, gone = changes.touched, changes.gone
    rows = ItemPlaces(before.arrays).of(column_of(touched, "item_type"), column_of(touched, "item"))
    fresh = with_learned_paths(columns_of(changes.came.to_batches(), currency), features)
    stays = np.ones(len(before.arrays["types"]), np.bool_)
    stays[rows[rows >= 0]] = False
    splice = Splice(stays, _standing(before.arrays, fresh, rows[~gone]))
    columns = _spliced(splice, before, fresh, features)
    keys = np.empty(len(stays), np.int64)
    keys[before.arrays["key_rows"]] = before.arrays["keys"]
    moved, now = splice.rows()
    changed = (rows >= 0) & ~gone
    moved[rows[changed]] = now[(rows >= 0)[~gone]]
    return Patched(columns, splice.numbers(keys, item_keys(fresh.types, fresh.ids)), moved)


def _spliced(splice: Splice, before: ItemsBefore, fresh: ItemColumns, features: Path) -> ItemColumns:
    """Return the columns of old items and fresh ones. Where clicks gave other category paths than before, no item's
    paths are taken from before: which of them clicks had given is not known any more.
    """
    old = before.arrays
    learned_alike = stored_table(features, "learned_categories").state == before.features.get("learned_categories")
    own = old["category_starts"], Coded(old["category_codes"], before.categories)
    assert isinstance(fresh.attributes, Texts)  # noqa: S101 - they were just read
    types = splice.numbers(old["types"], fresh.types)
    ids = splice.texts(Texts(old["id_starts"], old["id_text"]), fresh.ids)
    columns = ItemColumns(
        types,
        ids,
        splice.numbers(old["price_minor"], fresh.price_minor),
        splice.numbers(old["valid_from"], fresh.valid_from),
        splice.numbers(old["valid_to"], fresh.valid_to),
        *(splice.coded_lists(own, (fresh.path_starts, fresh.paths)) if learned_alike else read_paths(features)),
        splice.coded(before.own_languages, fresh.languages),
        splice.long_texts(Texts(old["attribute_starts"], old["attribute_text"]), fresh.attributes),
    )
    return columns if learned_alike else with_learned_paths(columns, features)


def _standing(old: Mapping[str, Array], fresh: ItemColumns, rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return for each fresh item the old row that it replaces (`rows`), or the one before which it belongs."""
    types, ids = old["types"], Texts(old["id_starts"], old["id_text"])
    standing = rows.astype(np.int64)
    for place in np.flatnonzero(rows < 0).tolist():
        key = int(fresh.types[place]), bytes(fresh.ids.raw(place))
        standing[place] = bisect_left(range(len(types)), key, key=lambda row: (int(types[row]), bytes(ids.raw(row))))
    return standing


def _languages(directory: Path, manifest: Manifest, items: int) -> tuple[Coded, FurtherLanguages]:
    """Return each item's own language and what there is in further ones."""
    if LANGUAGES not in manifest.files:
        nothing = np.zeros(1, np.int64), np.empty(0, np.uint8)
        own = Coded(np.zeros(items, np.int32), ("",))
        return own, FurtherLanguages(np.empty(0, np.int32), Coded(np.empty(0, np.int32), ()), Texts(*nothing))
    arrays = map_arrays(directory / LANGUAGES, manifest.files[LANGUAGES].arrays, LANGUAGES_SCHEMA)
    names = _names(directory, LANGUAGE_NAMES)
    own, further = (Coded(arrays[name].astype(np.int32), names) for name in ("own", "codes"))
    return own, FurtherLanguages(arrays["rows"], further, Texts(arrays["starts"], arrays["text"]))


def _names(directory: Path, name: str) -> tuple[str, ...]:
    names: tuple[str, ...] = decode_json(directory / name, (directory / name).read_bytes(), tuple[str, ...])
    return names
