from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalization_pipelines.commands.demo import ITEMS_MAPPING, readable_items
from personalization_pipelines.content.files.complete_journey import PACKAGE, complete_journey_files
from personalization_pipelines.content.files.complete_journey_names import (
    product_name,
    readable_brand,
    readable_name,
    readable_size,
)
from personalization_pipelines.content.files.complete_journey_products import LEVELS, customers_size, readable_products
from personalization_pipelines.content.files.mapping import load_mapping


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("DRUG GM", "Drugstore & home"),
        ("MEAT-PCKGD", "Packaged meat"),
        ("FLUID MILK WHITE ONLY", "White milk"),
        ("SFT DRNK 2 LITER BTL CARB INCL", "Soft drink 2 liter bottle"),
        ("APPLES GRANNY SMITH (BULK&BAG)", "Granny Smith apples"),
        ("APPLES GOLD DELICIOUS (BULK&BA", "Gold Delicious apples"),
        ("EGGS - LARGE", "Large eggs"),
        ("WAFFLES/PANCAKES/FRENCH TOAST", "Waffles, pancakes, French toast"),
        ("TORTILLA/NACHO CHIPS", "Tortilla & nacho chips"),
        ("MEAT: TURKEY BULK", "Deli turkey"),
        ("SW GDS:DONUTS", "Donuts"),
        ("BBQ SAUCE", "BBQ sauce"),
        ("VEGETABLES - SHELF STABLE", "Vegetables, shelf stable"),
        ("SANDWICH SAUCE HORSERADISH SA", "Sandwich sauce horseradish"),
        ("INSTANT COFFEE FLAVORED NO SWE", "Flavored instant coffee, unsweetened"),
    ],
)
def test_a_register_code_becomes_a_name(code: str, name: str) -> None:
    assert readable_name(code) == name


def test_a_type_that_says_nothing_alone_stands_with_its_category() -> None:
    assert product_name("MEAT", "BEEF", "LEAN") == "Lean beef"
    assert product_name("MEAT", "BEEF", "ANGUS BEEF") == "Angus beef"
    assert product_name("MEAT", "PORK", "RIBS") == "Pork, ribs"
    assert product_name("GROCERY", "EGGS", None) == "Eggs"
    assert product_name("SPIRITS", None, None) == "Spirits"
    assert product_name("PRODUCE", "ONIONS", "ONIONS OTHER") == "Onions"


@pytest.mark.parametrize(
    ("size", "readable"),
    [
        ("16 OZ", "16 oz"),
        ("12 PK/12 OZ", "12 pack, 12 oz"),
        (".5 L", "0.5 l"),
        ("90  CT", "90 count"),
        ("L 8 OZ", "8 oz"),
        ("GAL", "1 gal"),
        ("CTN", "carton"),
        (None, ""),
    ],
)
def test_sizes_have_units_to_read(size: str | None, readable: str) -> None:
    assert readable_size(size) == readable


def test_the_crate_that_fresh_produce_comes_in_is_no_size_to_buy() -> None:
    assert [customers_size("PRODUCE", size) for size in ("40 LB", "5 LB", "48 CT")] == ["", "5 lb", ""]
    assert customers_size("GROCERY", "40 LB") == "40 lb"
    assert readable_brand("Private") == "Store brand"


def products(**columns: list[str | None]) -> pa.Table:
    levels: dict[str, list[str | None]] = dict(zip(LEVELS, (["GROCERY"], ["EGGS"], ["EGGS - LARGE"]), strict=True))
    return pa.table({"product_id": [7], **levels, "brand": ["Private"], "package_size": ["12 CT"], **columns})


def test_products_keep_their_ids_and_get_a_title() -> None:
    assert readable_products(products()).to_pylist() == [
        {
            "product_id": 7,
            "department": "Grocery",
            "product_category": "Eggs",
            "product_type": "Large eggs",
            "brand": "Store brand",
            "package_size": "12 count",
            "title": "Large eggs, 12 count",
        }
    ]


def test_a_product_without_size_and_type_has_a_title_still() -> None:
    nothing: list[str | None] = [None]
    bare = products(product_type=nothing, package_size=nothing, brand=nothing)
    (row,) = readable_products(bare).to_pylist()
    assert (row["title"], row["product_type"], row["package_size"], row["brand"]) == ("Eggs", None, None, None)


def test_all_names_of_the_data_set_are_words_and_the_file_is_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip(PACKAGE, reason="the demo's data is not installed")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    files = complete_journey_files()
    items = readable_items(files, first)
    assert items.read_bytes() == readable_items(files, second).read_bytes()
    assert (first / "transactions.parquet").samefile(files["events"])
    found = pq.read_table(items)
    assert set(load_mapping("items", ITEMS_MAPPING).rules.needed()) <= set(found.column_names)
    shouted = re.compile(r"[A-Z]{4,}|[/|(]|  |^[a-z]|[,&-]$|^$")
    for column in ("title", *LEVELS):
        names = found.column(column).unique().drop_null().to_pylist()
        assert not [name for name in names if column != "title" and shouted.search(name)]
        assert not [name for name in names if re.search(r"[A-Z]{4,}|  |^$", name)]
