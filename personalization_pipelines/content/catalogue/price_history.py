"""What every item cost when: `lake/<website>/prices/`, one file a version of the catalogue, made from the versions.

The file of a whole version holds every change up to it: what was known before, and what differs between the two
catalogues. That of a version of changes (`…changes.parquet`) holds only what it changed itself, and the history is the
newest file of the first kind with those after it. So files are made when a build first asks for them, cost what the
version cost, can be deleted at any time, and need nothing of the imports, whichever way they came. A build without an
import in between looks at names alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.content.catalogue.items import catalogue
from personalization_pipelines.content.catalogue.merging import KEY
from personalization_pipelines.content.catalogue.states import REMOVED, read_sql
from personalization_pipelines.content.catalogue.versions import Version, VersionedTable
from personalization_pipelines.content.files.times import MICROSECONDS
from personalization_pipelines.foundation.home import Home
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
_ORDER = "order by item_type, item, language, valid_from"
_READ = (*KEY, "price_minor", "currency")


def price_files(home: Home, website: Website, as_of: datetime) -> tuple[Path, ...]:
    """Return the files (columns PRICE_SCHEMA) that hold all changes of prices up to the catalogue of a moment.

    Each is sorted; together they are not. Makes what is missing. The first price an item has is a change, too.
    """
    table = catalogue(home, website)
    versions, prices = table.known(as_of), home.lake(website.name) / "prices"
    files = _files(table, prices, versions)
    whole = [number for number, (_, apart) in enumerate(files) if not apart]
    done = next((number for number in reversed(whole) if files[number][0].exists()), 0)
    missing = [number for number in range(done, len(files)) if not files[number][0].exists()]
    if missing:
        prices.mkdir(parents=True, exist_ok=True)
    for number in missing:
        before, known = versions[max(number - 1, 0) : number], _history(files[:number])
        apart = files[number][1]
        changes = _difference(table, before, versions[number], () if apart else known, touched=apart)
        _write(files[number][0], changes)
    wanted = _history(files)
    if missing:
        _remove_old(prices, wanted[0])
    return wanted


def _files(table: VersionedTable, prices: Path, versions: Sequence[Version]) -> list[tuple[Path, bool]]:
    """Return each version's file, and whether it holds only what that version changed of the one before."""
    following = set(pairwise(one.file for one in table.versions()))
    found: list[tuple[Path, bool]] = []
    for before, version in zip((None, *versions), versions, strict=False):
        apart = version.changes is not None and before is not None and (before.file, version.file) in following
        name = f"{version.file.removesuffix('.parquet')}.changes.parquet" if apart else version.file
        found.append((prices / name, apart))
    return found


def _history(files: Sequence[tuple[Path, bool]]) -> tuple[Path, ...]:
    """Return the files that hold what all of these do: the last that knows all, and those after it."""
    start = max((number for number, (_, apart) in enumerate(files) if not apart), default=0)
    return tuple(path for path, _ in files[start:])


def _difference(
    table: VersionedTable, before: Sequence[Version], after: Version, known: Sequence[Path], *, touched: bool
) -> pa.Table:
    """Return the known changes and those between two versions; `touched`: the file of `after` names all keys of them.

    `before` is empty where there is none.
    """
    with duckdb.connect() as connection:
        file = table.directory / after.file
        if touched:
            connection.register("touched", pq.read_table(file, columns=list(KEY)))
        then = table.sql(next(iter(before), None), _READ, among="touched" if touched else "")
        now = f"select * from {read_sql(file)} where not {REMOVED}" if touched else table.sql(after, _READ)  # noqa: S608
        for name, rows in (("before", then), ("after", now)):
            connection.execute(f"create temp table {name} as {rows}")
        moment = {"moment": after.imported_at.replace(tzinfo=None), "import_id": after.import_id}
        connection.execute(f"create temp table changes as {_CHANGES}", moment)
        earlier = [PRICE_SCHEMA.empty_table(), *(pq.read_table(path) for path in known)]
        connection.register("known", pa.concat_tables(earlier))
        query = f"select * from known union all select * from changes {_ORDER}"  # noqa: S608 - ours
        return connection.sql(query).to_arrow_table().cast(PRICE_SCHEMA)


def _write(path: Path, table: pa.Table) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, temporary, compression="zstd")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_old(prices: Path, oldest: Path) -> None:
    for other in prices.iterdir():
        if other.name < oldest.name and other.stat().st_mtime < time.time() - KEPT_SECONDS:  # names begin with the time
            other.unlink(missing_ok=True)
