"""A catalogue of any size as XML, Parquet and the JSON that a CMS exports: the same items and bytes every time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.content.xml.write_xml import write_xml_items
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.website import Website

BRANDS, CATEGORIES, SIZES = 500, 800, ("XS", "S", "M", "L", "XL")
AT_ONCE = 50_000


def make_files(directory: Path, website: Website, count: int) -> dict[str, Path]:
    """Write `count` items in every format; return the files by format."""
    found = {form: directory / f"items.{form}" for form in ("xml", "parquet", "json")}
    with found["xml"].open("wb") as xml, found["json"].open("wb") as export:
        xml.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<items version="1">\n')
        export.write(b'{"contentList":{"content":[')
        writer = None
        for items in _items(count):
            document = write_xml_items(items, website)
            xml.write(document[document.index(b'<items version="1">') + 20 : document.rindex(b"</items>")])
            first = b"" if items[0].item == "1" else b",\n"
            export.write(first + b",\n".join(json.dumps(_exported(one)).encode() for one in items))
            table = pa.Table.from_pylist([_row(one) for one in items])
            writer = writer or pq.ParquetWriter(found["parquet"], table.schema, compression="zstd")
            writer.write_table(table)
        xml.write(b"</items>\n")
        export.write(b"]}}")
        if writer is not None:
            writer.close()
    return found


def _items(count: int) -> Iterator[list[XmlItem]]:
    for start in range(1, count + 1, AT_ONCE):
        yield [_item(number) for number in range(start, min(start + AT_ONCE, count + 1))]


def _item(number: int) -> XmlItem:
    category = number * 7919 % CATEGORIES
    return XmlItem(
        1,
        str(number),
        "eng-GB",
        199 + number * 31 % 20_000,
        "EUR",
        categories=[f"/Shop/Department {category % 20}/Shelf {category}"],
        attributes={
            "title": [f"Article {number} of brand {number % BRANDS}"],
            "description": [f"Soft & washable, made in batch {number * 104_729 % 1_000_003} for every day"],
            "deeplinkurl": [f"https://shop.example.org/article/{number}"],
            "brand": [f"Brand {number % BRANDS}"],
            "size": [SIZES[number % 5], SIZES[(number + 1) % 5]],
            "width": [number % 300 / 4],
            "stock": [number % 97],
        },
    )


def _exported(one: XmlItem) -> dict[str, object]:
    given = {key: values if len(values) > 1 else values[0] for key, values in one.attributes.items()}
    given["description"] = f"<p>{str(given['description']).replace('&', '&amp;')}</p>"
    return {
        "_media-type": "application/vnd.ibexa.api.Content+json",
        "contentId": int(one.item),
        "contentTypeId": one.item_type,
        "language": one.language,
        "categoryPath": one.categories[0],
        "price": (one.price_minor or 0) / 100,
        "currency": one.currency,
        **given,
    }


def _row(one: XmlItem) -> dict[str, object]:
    given = {key: values if key == "size" else values[0] for key, values in one.attributes.items()}
    return {
        "item_id": int(one.item),
        "item_type": one.item_type,
        "language": one.language,
        "category": one.categories[0],
        "price": (one.price_minor or 0) / 100,
        "currency": one.currency,
        **given,
    }
