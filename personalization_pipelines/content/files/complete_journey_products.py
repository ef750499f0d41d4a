"""The products of Complete Journey as a shop would name them, in a file for the import of `personalization demo`."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.content.files.complete_journey_names import (
    product_name,
    readable_brand,
    readable_name,
    readable_size,
)

_CRATE = re.compile(r"([0-9.]+) (LB|CT)")
_CRATES_FROM = {"LB": 15, "CT": 18}
LEVELS = ("department", "product_category", "product_type")


def write_readable_products(source: Path, target: Path) -> None:
    """Write the products of `source` with readable names and a title to `target`; the same bytes each time."""
    pq.write_table(readable_products(pq.read_table(source)), target)


def readable_products(products: pa.Table) -> pa.Table:
    """Return the table with readable levels, sizes and brands, and a column `title`; rows and ids stay as they are."""
    levels = [products.column(name).to_pylist() for name in LEVELS]
    codes_of_sizes = products.column("package_size").to_pylist()
    sizes = [customers_size(*pair) for pair in zip(levels[0], codes_of_sizes, strict=True)]
    named = dict.fromkeys(zip(*levels, strict=True))
    names = {codes: product_name(*codes) for codes in named}
    titles = [
        ", ".join(filter(None, (names[codes], size)))
        for codes, size in zip(zip(*levels, strict=True), sizes, strict=True)
    ]
    readable = {
        name: [readable_name(code) if code else None for code in codes]
        for name, codes in zip(LEVELS, levels, strict=True)
    }
    readable["package_size"] = [size or None for size in sizes]
    readable["brand"] = [readable_brand(brand) or None for brand in products.column("brand").to_pylist()]
    for name, values in readable.items():
        products = products.set_column(products.schema.get_field_index(name), name, pa.array(values, pa.string()))
    return products.append_column("title", pa.array(titles, pa.string()))


def customers_size(department: str | None, size: str | None) -> str:
    """Return a package size to read, "" for fresh produce in the crate that the shop was sent: it is sold loose."""
    found = _CRATE.fullmatch(size or "") if department == "PRODUCE" else None
    if found and float(found[1]) >= _CRATES_FROM[found[2]]:
        return ""
    return readable_size(size)
