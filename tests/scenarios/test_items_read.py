"""The item table of a publication against a slow reading of the same rows in plain Python, array by array."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.publications.format.publication_arrays import _stable_order
from personalization_pipelines.publications.read.published_items import ALWAYS, ITEMS_SCHEMA, item_key
from personalization_pipelines.publications.read.published_languages import LANGUAGES_SCHEMA as LANGUAGES_ARRAYS
from personalization_pipelines.publications.write import item_columns
from personalization_pipelines.publications.write.item_table import ItemTable, read_items
from tests.scenarios.built import ITEM_SCHEMA, LANGUAGES_SCHEMA, LEARNED_SCHEMA, write_table

Row = dict[str, Any]
NOBODY: frozenset[tuple[int, str]] = frozenset()


@dataclass
class Tables:
    """Rows of the three tables that items are read of, in their order."""

    items: list[Row]
    further: list[Row]
    learned: list[Row]

    def write(self, features: Path) -> Path:
        named = (("items", self.items, ITEM_SCHEMA), ("item_languages", self.further, LANGUAGES_SCHEMA))
        for name, rows, schema in (*named, ("learned_categories", self.learned, LEARNED_SCHEMA)):
            write_table(features / f"{name}.parquet", pa.Table.from_pylist(rows, schema))
        return features


def slow_reading(tables: Tables, currency: str, blacklist: frozenset[tuple[int, str]]) -> dict[str, list[Any]]:
    """Return what `items.bin` and `languages.bin` must hold, and the names of categories and languages."""
    rows, learned = tables.items, tables.learned
    own = [
        {tidied(path) for path in (row["categories"] or [])}
        | {tidied(one["category"]) for one in learned if same(one, row)}
        for row in rows
    ]
    own = [paths - {"/"} for paths in own]
    known = {"/".join(path.split("/")[:depth]) for paths in own for path in paths for depth in range(2, 50)}
    categories = sorted(known, key=lambda path: path.split("/"))
    codes = [sorted(map(categories.index, paths)) for paths in own]
    keys = sorted((item_key(row["item_type"], row["item"].encode()), place) for place, row in enumerate(rows))
    ids = [row["item"].encode() for row in rows]
    attributes = [(row["attributes"] or "").encode() for row in rows]
    return {
        "keys": [key for key, _ in keys],
        "key_rows": [place for _, place in keys],
        "types": [row["item_type"] for row in rows],
        "id_starts": starts(ids),
        "id_text": list(b"".join(ids)),
        "price_minor": [price(row, currency) for row in rows],
        "valid_from": [ALWAYS.min if row["valid_from"] is None else row["valid_from"] for row in rows],
        "valid_to": [ALWAYS.max if row["valid_to"] is None else row["valid_to"] for row in rows],
        "allowed": [(row["item_type"], row["item"]) not in blacklist for row in rows],
        "category_starts": starts(codes),
        "category_codes": [code for one in codes for code in one],
        "category_ends": [sum(one == path or one[: len(path) + 1] == path + "/" for one in categories) + place
                          for place, path in enumerate(categories)],
        "attribute_starts": starts(attributes),
        "attribute_text": list(b"".join(attributes)),
        "categories": categories,
        **slow_languages(tables),
    }  # fmt: skip


def slow_languages(tables: Tables) -> dict[str, list[Any]]:
    names = sorted({row["language"] for row in (*tables.items, *tables.further)})
    if names in ([], [""]):
        return {"language_names": []}
    found = [row["attributes"].encode() for row in tables.further]
    return {
        "own": [names.index(row["language"]) for row in tables.items],
        "rows": [next(n for n, row in enumerate(tables.items) if same(one, row)) for one in tables.further],
        "codes": [names.index(row["language"]) for row in tables.further],
        "starts": starts(found),
        "text": list(b"".join(found)),
        "language_names": names,
    }


def same(one: Row, row: Row) -> bool:
    return bool(one["item_type"] == row["item_type"] and one["item"] == row["item"])


def price(row: Row, currency: str) -> int:
    stated = row["currency"] or ""
    known = row["price_minor"] is not None and row["price_minor"] >= 0 and stated in ("", currency)
    return int(row["price_minor"]) if known else -1


def tidied(path: str | None) -> str:
    return "/" + (path or "").strip("/")


def starts(lists: Sequence[Sequence[Any]]) -> list[int]:
    return [sum(map(len, lists[:place])) for place in range(len(lists) + 1)]


def plain(table: ItemTable) -> dict[str, list[Any]]:
    arrays = {name: array.tolist() for name, array in (*table.arrays.items(), *table.languages.items())}
    return {**arrays, "categories": list(table.categories), "language_names": list(table.language_names)}


def item(kind: int, name: str, **given: Any) -> Row:
    nothing = dict.fromkeys(ITEM_SCHEMA.names)
    return {**nothing, "item_type": kind, "item": name, "language": "", "attributes": "{}", **given}


def further(kind: int, name: str, language: str) -> Row:
    attributes = json.dumps({"title": [f"{name} på {language}"]}, ensure_ascii=False)
    return {"item_type": kind, "item": name, "language": language, "attributes": attributes}


def learned(kind: int, name: str, category: str) -> Row:
    return {"item_type": kind, "item": name, "category": category, "visitors": 3}


ODD = [
    item(1, "1", categories=["/B", "/A/x", "A/x/", "/B"], price_minor=5, currency="EUR", attributes='{"a":[1]}'),
    item(1, "10", categories=[], price_minor=7, currency="USD", attributes=None),
    item(1, "2", categories=["/", "", None, "/A-b", "/A/x"], price_minor=0, currency=""),
    item(1, "zebra/ü€𝄞\0", price_minor=9, valid_from=-5, valid_to=7, attributes='{"title":["ü€𝄞"]}', language="de"),
    item(1, "é", categories=["/A"], price_minor=-3, currency="EUR", language="en"),
    item(2, "1", categories=["/é/ü"], price_minor=2**53, currency=None),
    item(2, "i" * 300, currency="EUR", attributes=""),
    item(7, "1", categories=["/A/x/y"], language="en"),
]
CASES = {
    "nothing at all": Tables([], [], []),
    "one item without anything": Tables([item(1, "1")], [], []),
    "no categories": Tables([item(1, str(n), price_minor=n) for n in range(20)], [], []),
    "only the root as category": Tables([item(1, str(n), categories=["/"]) for n in range(3)], [], []),
    "no language, written as such": Tables([item(1, "1"), item(1, "2")], [], []),
    "odd rows of several types": Tables(ODD, [], []),
    "further languages": Tables(
        ODD, [further(1, "1", "da"), further(1, "1", "en"), further(1, "é", ""), further(7, "1", "da")], []
    ),
    "learned paths": Tables(
        ODD,
        [],
        [
            learned(1, "1", "/B"), learned(1, "1", "/new/one"), learned(1, "gone", "/gone"), learned(7, "1", "/A"),
            learned(2, "1", "/A"), learned(1, "10", "/A/x"), learned(1, "10", "/A"), learned(3, "1", "/three"),
        ],
    ),
    "paths in order but for one row": Tables(
        [item(1, str(n), categories=["/b", "/a"] if n == 5 else ["/a", "/b"]) for n in range(9)], [], []
    ),
    "more rows than are hashed at once": Tables(
        [item(1 + n // 200, f"{n:0{1 + n % 30}d}", categories=[f"/{n % 7}", f"/{n % 5}/s"]) for n in range(400)], [], []
    ),
}  # fmt: skip


@pytest.mark.parametrize("rows", [1, 3, 1 << 16])
@pytest.mark.parametrize("case", CASES)
def test_the_arrays_are_those_of_a_slow_reading_however_the_table_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, rows: int
) -> None:
    monkeypatch.setattr(item_columns, "_ROWS", rows)
    blacklist = frozenset({(1, "1"), (1, "zebra/ü€𝄞\0"), (2, "nowhere"), (9, "1"), (1, "\ud800")})
    found = read_items(CASES[case].write(tmp_path), "EUR", blacklist)
    assert plain(found) == slow_reading(CASES[case], "EUR", blacklist)


@pytest.mark.parametrize("case", CASES)
def test_arrays_have_the_types_that_a_publication_writes(tmp_path: Path, case: str) -> None:
    found = read_items(CASES[case].write(tmp_path), "EUR", NOBODY)
    assert list(found.arrays) == list(ITEMS_SCHEMA)
    wanted = ITEMS_SCHEMA | LANGUAGES_ARRAYS
    for name, array in (*found.arrays.items(), *found.languages.items()):
        assert array.dtype.newbyteorder("<").str == wanted[name], name


def test_an_item_that_is_there_twice_is_refused_by_name(tmp_path: Path) -> None:
    rows = [item(1, str(n)) for n in range(200)]
    with pytest.raises(CorruptData, match="item '77' of type 1 is there twice"):
        read_items(Tables([*rows, item(1, "77")], [], []).write(tmp_path), "EUR", NOBODY)


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [5],
        [3, 3, 3],
        [2**63 - 1, -(2**63), 0, -1, 1],
        [8, 7, 6, 5, 4, 3, 2, 1],  # the keys differ only where the rows stand while they are sorted
        [1 << 40, -(1 << 40), 1 << 40, 7, -(1 << 40), 6],
    ],
)
def test_keys_are_ordered_as_by_a_stable_sort(keys: list[int]) -> None:
    found = _stable_order(np.array(keys, np.int64))
    assert found.tolist() == sorted(range(len(keys)), key=keys.__getitem__)
