"""Updates into a large catalogue: from changes in the queue to the item table of the next publication.

The catalogue is made up: a dozen attributes, one or two category paths and a price an item. Each round enqueues
updates as documents of XML, as the content API does, and measures every stage in wall-clock and processor seconds
in this process, the steps of a build in their order: import (read, merge, write), price history, the feature tables
of items with their contract checks, and the arrays of the publication. Writing and verifying those is a row of its
own. `BENCH_CATALOGUE` sets the items (default 1,000,000); the updates are 0, 0.1, 1 and 10 per cent of them. The first
build, of the catalogue alone, is the baseline.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.content.catalogue.items import catalogue
from personalization_pipelines.content.catalogue.price_history import price_files
from personalization_pipelines.content.catalogue.read_items import ITEM_SCHEMA
from personalization_pipelines.content.change_queue import ITEMS_XML, enqueue
from personalization_pipelines.content.xml.write_xml import write_xml_items
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.features.building import check_feature, run_feature
from personalization_pipelines.features.sql_models import dependencies, feature_names
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.format.publication_arrays import Content, visitor_arrays
from personalization_pipelines.publications.format.publication_manifest import publication_id
from personalization_pipelines.publications.read.published import verify
from personalization_pipelines.publications.write.item_table import ItemTable, read_items
from personalization_pipelines.publications.write.writing import write_publication
from personalization_pipelines.scenarios.plan import make_plan
from personalization_pipelines.website.one_build import Build
from tests.benchmarks.report import Report
from tests.conftest import make_website

ITEMS = int(os.environ.get("BENCH_CATALOGUE", "1000000"))
DOCUMENT = 1_000
"""Items of one document, as a shop sends them."""
START = datetime(2026, 6, 1, tzinfo=UTC)
TABLES = (
    "stg_items",
    "event_items",
    "items",
    "learned_categories",
    "item_categories",
    "item_languages",
    "price_changes",
)
ITEM_TABLE, WRITTEN = "publication item table", "publication written and verified (not in the sum)"
Seconds = dict[str, tuple[float, float]]


def run(report: Report) -> None:
    """Measure the first build, then rounds of updates, the largest last."""
    with tempfile.TemporaryDirectory() as scratch:
        home, website = Home(Path(scratch) / "home"), make_website()
        home.create()
        with catalogue(home, website).locked():
            catalogue(home, website).add(_catalogue(ITEMS), "first", START)
        first = _round(Build(home, website, START), Path(scratch))
        _tell(report, f"first build of {ITEMS:,} items", first, first)
        for number, updates in enumerate((ITEMS // 100, 0, ITEMS // 1000, ITEMS // 100, ITEMS // 10), 1):
            moment = START + timedelta(hours=number)
            before = _stored(home.lake(website.name))
            _send(home, website, updates, number)
            taken = _round(Build(home, website, moment), Path(scratch))
            name = f"{updates:,} updates into {ITEMS:,} items" + (" (warm-up)" if number == 1 else "")
            _tell(report, name, taken, first)
            grown = _stored(home.lake(website.name)) - before
            if updates:
                report.add(f"{name}: bytes in the lake an update", grown / updates, "B")


def _publish(build: Build, items: ItemTable, directory: Path) -> None:
    """Write a publication that holds items alone, and verify it."""
    none = np.zeros(0, np.int64)
    nobody = visitor_arrays([], np.zeros(1, np.int64), none.astype(np.int32), none.astype(np.uint8), none)
    languages = items.languages, items.language_names
    content = Content(make_plan(build.website), items.arrays, items.categories, nobody, [], *languages)
    written = directory / publication_id(build.as_of, "0" * 16)
    write_publication(written, content, publication=written.name, as_of=build.as_of)
    verify(written)
    shutil.rmtree(written)


def _round(build: Build, scratch: Path) -> Seconds:
    """Do what a refresh does with the catalogue; return wall-clock and processor seconds of each stage."""
    taken: Seconds = {}
    home, website = build.home, build.website
    with _timed(taken, "import"):
        apply_changes(home, website, now=build.as_of)
    with _timed(taken, "price history"):
        price_files(home, website, build.as_of)
    for table in _read_by(TABLES):
        run_feature(build, table)
    for table in TABLES:
        with _timed(taken, table):
            run_feature(build, table)
        with _timed(taken, f"{table}, contract"):
            assert check_feature(build, table).passed
    gc.collect()
    with _timed(taken, ITEM_TABLE):
        items = read_items(build.features, website.currency, frozenset())
    assert len(items.ids) == ITEMS
    with _timed(taken, WRITTEN):
        _publish(build, items, scratch)
    return taken


def _read_by(tables: Sequence[str]) -> list[str]:
    """Return the other features that these read, each after those it reads itself."""
    read = {name for table in tables for name in dependencies(table)}
    while further := {name for one in read & set(feature_names()) for name in dependencies(one)} - read:
        read |= further
    return [name for name in feature_names() if name in read and name not in tables]


def _tell(report: Report, name: str, taken: Seconds, first: Seconds) -> None:
    total, spent, at_first = (
        sum(one[part] for stage, one in seconds.items() if stage != WRITTEN)
        for seconds, part in ((taken, 0), (taken, 1), (first, 0))
    )
    for stage, (wall, processor) in taken.items():
        report.add(f"{name}: {stage}", wall, "s", first[stage][0])
        report.add(f"{name}: {stage}, processor", processor, "s")
    report.add(f"{name}: in all", total, "s", at_first, goal="under 30 s")
    report.add(f"{name}: in all, processor", spent, "s")


@contextmanager
def _timed(taken: Seconds, name: str) -> Iterator[None]:
    began, spent = time.perf_counter(), time.process_time()
    yield
    taken[name] = time.perf_counter() - began, time.process_time() - spent


def _stored(lake: Path) -> int:
    kept = (path for folder in ("items", "prices") for path in (lake / folder).glob("*.parquet"))
    return sum(path.stat().st_size for path in kept)


def _catalogue(count: int) -> pa.Table:
    random = np.random.default_rng(7)
    prices = random.integers(100, 100_000, count)
    rows = [_item(number, int(prices[number]), 0) for number in range(count)]
    columns: dict[str, Any] = {
        "item_type": [1] * count,
        "item": [one.item for one in rows],
        "price_minor": [one.price_minor for one in rows],
        "currency": ["EUR"] * count,
        "categories": [one.categories for one in rows],
        "language": [""] * count,
        "base_item": [""] * count,
        "first_seen": [START.replace(tzinfo=None)] * count,
        "attributes": [msgspec.json.encode(dict(sorted(one.attributes.items()))).decode() for one in rows],
    }
    arrays = [pa.array(columns.get(field.name, [None] * count), field.type) for field in ITEM_SCHEMA]
    return pa.table(arrays, ITEM_SCHEMA)


def _item(number: int, price: int, edition: int) -> XmlItem:
    named: dict[str, list[Any]] = {
        "title": [f"Item {number} of edition {edition}"],
        "description": [f"What is to be said about article {number * 7919 % 1_000_003}, in a sentence or so."],
        "brand": [f"Brand {number % 997}"],
        "colour": [("red", "green", "blue", "black")[number % 4]],
        "width": [number % 300 / 2],
        "deeplinkurl": [f"https://shop.example/p/{number}"],
    }
    named |= {f"feature{place}": [f"value {(number * place) % 90}"] for place in range(1, 7)}
    paths = [f"/D{number % 20}/C{number % 1000}", f"/Sale/S{number % 10}"][: 1 + number % 2]
    return XmlItem(1, f"{number + 10_000_000}", price_minor=price, currency="EUR", categories=paths, attributes=named)


def _send(home: Home, website: Any, updates: int, edition: int) -> None:
    """Enqueue updated items from everywhere in the catalogue; half of them have another price."""
    random = np.random.default_rng(edition)
    chosen = np.sort(random.choice(ITEMS, updates, replace=False)).tolist()
    for start in range(0, updates, DOCUMENT):
        part = chosen[start : start + DOCUMENT]
        items = [_item(number, 50_000 + number % 7 + edition, edition) for number in part]
        enqueue(home, website, ITEMS_XML, write_xml_items(items, website), name=f"POST of {len(part)} items")
