"""What every item cost when: `lake/<website>/prices/`, one file a version of the catalogue, made from the versions.

A file holds every change up to its version: the file of the version before, and what differs between the two. So it is
made when a build first asks for it, reads each version once in its life, can be deleted at any time, and needs nothing
of the imports, whichever way they came. A build without an import in between looks at names alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.content.items import catalogue_versions
from personalization_pipelines.content.times import MICROSECONDS
from personalization_pipelines.content.versions import Version
from personalization_pipelines.home import Home
from personalization_pipelines.website import Website

PRICE_SCHEMA = pa.schema(
    [
        ("item_type", pa.int32()),
        ("item", pa.string()),
        ("language", pa.string()),
        ("price_minor", pa.int64()),
        ("currency", pa.string()),
        ("valid_from", MICROSECONDS),
        ("import_id", pa.string()),
    ]
)
KEPT_SECONDS = 86_400
"""Files of earlier versions that no build can still be reading are deleted."""

# A price that ends (the item is gone, or has none any more) is a change to none.
_CHANGES = """
select coalesce(n.item_type, o.item_type) as item_type, coalesce(n.item, o.item) as item,
       coalesce(n.language, o.language) as language, n.price_minor as price_minor,
       coalesce(n.currency, '') as currency, $moment as valid_from, $import_id as import_id
from (select * from after where price_minor is not null) n
full join (select * from before where price_minor is not null) o
  on n.item_type = o.item_type and n.item = o.item and n.language = o.language
where n.price_minor is distinct from o.price_minor or n.currency is distinct from o.currency
"""
_ALL = "select * from known union all select * from changes order by item_type, item, language, valid_from"
_READ = ["item_type", "item", "language", "price_minor", "currency"]


def price_file(home: Home, website: Website, as_of: datetime) -> Path | None:
    """Return all changes of prices up to the catalogue of a moment (columns PRICE_SCHEMA, sorted); None without any.

    Makes the file where it is missing. The first price an item has is a change, too.
    """
    directory, versions = catalogue_versions(home, website, as_of)
    if not versions:
        return None
    prices = home.lake(website.name) / "prices"
    path = prices / versions[-1].file
    if not path.exists():
        prices.mkdir(parents=True, exist_ok=True)
        _write(path, _history(directory, prices, versions))
        _remove_old(prices, path)
    return path


def _history(directory: Path, prices: Path, versions: Sequence[Version]) -> pa.Table:
    """Return the changes of all versions, beginning with the newest one whose file is there."""
    done = max((n for n, one in enumerate(versions) if (prices / one.file).exists()), default=-1)
    known = pq.read_table(prices / versions[done].file) if done >= 0 else PRICE_SCHEMA.empty_table()
    before = pq.read_table(directory / versions[done].file, columns=_READ) if done >= 0 else None
    for version in versions[done + 1 :]:
        after = pq.read_table(directory / version.file, columns=_READ)
        known = _added(known, before if before is not None else after.slice(0, 0), after, version)
        before = after
    return known


def _added(known: pa.Table, before: pa.Table, after: pa.Table, version: Version) -> pa.Table:
    """Return the known changes and those between two catalogues."""
    with duckdb.connect() as connection:
        for name, table in (("known", known), ("before", before), ("after", after)):
            connection.register(name, table)
        moment = version.imported_at.replace(tzinfo=None)
        connection.execute(
            f"create temp table changes as {_CHANGES}", {"moment": moment, "import_id": version.import_id}
        )
        return connection.sql(_ALL).to_arrow_table().cast(PRICE_SCHEMA)


def _write(path: Path, table: pa.Table) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, temporary, compression="zstd")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_old(prices: Path, path: Path) -> None:
    for other in prices.iterdir():
        if other.name < path.name and other.stat().st_mtime < time.time() - KEPT_SECONDS:  # names begin with the time
            other.unlink(missing_ok=True)
