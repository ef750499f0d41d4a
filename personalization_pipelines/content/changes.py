"""Applies the changes of the catalogue that came over HTTP, oldest first, each exactly once.

Neighbours of one kind in the queue are one import: one version of the catalogue and one row of the history. What
is about to be applied is written down first (`changes/applying.json`, with its row), so that after a crash the next
refresh knows whether the catalogue has it: then only the row and the removal from the queue are caught up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from personalization_pipelines.content.import_history import ImportRow, is_recorded, record_import
from personalization_pipelines.content.items import catalogue
from personalization_pipelines.content.merging import KEY, Changes, merge_items, remove_items
from personalization_pipelines.content.queue import DELETE_ITEM, ITEMS_XML, Change, Deletion, done, pending, reject
from personalization_pipelines.content.read_items import ITEM_SCHEMA
from personalization_pipelines.content.xml_grammar import XmlItem
from personalization_pipelines.content.xml_items import read_xml_items
from personalization_pipelines.durable import write_durably
from personalization_pipelines.errors import CorruptData, PermanentError
from personalization_pipelines.fingerprint import fingerprint
from personalization_pipelines.home import Home
from personalization_pipelines.website import Website

JOURNAL = "applying.json"
MAX_BYTES = 256 << 20
"""Bytes of the documents of one import."""
ROWS = 10_000

_INCOMING = pa.schema([field for field in ITEM_SCHEMA if field.name != "first_seen"])
_KEY = pa.schema([(name, ITEM_SCHEMA.field(name).type) for name in KEY])


def apply_changes(home: Home, website: Website, *, now: datetime | None = None) -> list[ImportRow]:
    """Apply what waits for the catalogue and return the rows of the import history that it made.

    A change that the website's configuration of today refuses (an item type that is gone) is moved to `rejected/`
    with its reason, and the others are applied. Raises Busy while another import writes the catalogue.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    waiting = [one for one in pending(home, website) if one.kind in (ITEMS_XML, DELETE_ITEM)]
    journal = home.lake(website.name) / "changes" / JOURNAL
    if not waiting and not journal.exists():
        return []
    with catalogue(home, website).locked():
        caught_up = _catch_up(home, website, journal, waiting)
        waiting = [one for one in waiting if one.id not in caught_up]
        return [row for batch in _batches(waiting) for row in _apply(home, website, batch, journal, moment)]


def _batches(waiting: Sequence[Change]) -> Iterator[list[Change]]:
    for _, run in groupby(waiting, key=lambda one: one.kind):
        batch: list[Change] = []
        size = 0
        for change in run:
            batch.append(change)
            size += change.path.stat().st_size
            if size > MAX_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


def _apply(home: Home, website: Website, batch: list[Change], journal: Path, moment: datetime) -> Iterator[ImportRow]:
    """Apply changes of one kind as one import; the refused ones first."""
    began, good, tables = time.monotonic(), [], []
    for change in batch:
        try:
            tables.append(_read(change, website))
            good.append(change)
        except PermanentError as error:
            row = ImportRow(moment, "items", (change.name,), transaction=change.id, error=str(error)[:2000])
            record_import(home, website, row)
            reject(change, str(error))
            yield row
    if not good:
        return
    table = catalogue(home, website)
    incoming = _last(pa.concat_tables(tables))
    if good[0].kind == ITEMS_XML:
        changes = merge_items(table, incoming, False, moment.replace(tzinfo=None))
    else:
        changes = remove_items(table, incoming)
    row = _row(good, incoming, changes, moment, began)
    _write_journal(journal, row)
    if changes.any:
        changes.store(table, row.transaction, moment)
    record_import(home, website, row)
    _finish(good, journal)
    yield row


def _catch_up(home: Home, website: Website, journal: Path, waiting: Sequence[Change]) -> set[str]:
    """Complete what a crash interrupted after it was applied; return the ids of its changes."""
    try:
        row = msgspec.json.decode(journal.read_bytes(), type=ImportRow)
    except FileNotFoundError:
        return set()
    except msgspec.DecodeError as error:
        raise CorruptData(f"{journal}: {error}; remove it, and its changes are applied again") from error
    recorded = is_recorded(home, website, row.transaction)
    if not recorded and all(one.import_id != row.transaction for one in catalogue(home, website).versions()):
        journal.unlink()  # nothing was applied: its changes wait as all others do
        return set()
    if not recorded:
        record_import(home, website, row)
    _finish([one for one in waiting if one.id in row.parts], journal)
    return set(row.parts)


def _finish(changes: Sequence[Change], journal: Path) -> None:
    for change in changes:
        done(change)
    journal.unlink()


def _write_journal(journal: Path, row: ImportRow) -> None:
    write_durably(journal, msgspec.json.encode(row))


def _row(good: Sequence[Change], incoming: pa.Table, changes: Changes, moment: datetime, began: float) -> ImportRow:
    transaction = fingerprint(changes=[one.id for one in good])
    return ImportRow(
        moment,
        "items",
        tuple(dict.fromkeys(one.name for one in good)),
        transaction=transaction,
        mode="incremental" if good[0].kind == ITEMS_XML else "delete",
        item_types=tuple(sorted(incoming["item_type"].unique().to_pylist())),
        languages=tuple(sorted(filter(None, incoming["language"].unique().to_pylist()))),
        rows=incoming.num_rows,
        added=changes.added,
        changed=changes.changed,
        removed=changes.removed,
        seconds=time.monotonic() - began,
        parts=dict.fromkeys((one.id for one in good), transaction),
    )


def _read(change: Change, website: Website) -> pa.Table:
    """Return the rows of one change: items, or the keys of those that go."""
    if change.kind == DELETE_ITEM:
        try:
            gone = msgspec.json.decode(change.body(), type=Deletion)
        except msgspec.DecodeError as error:
            raise CorruptData(f"change {change.id}: no deletion of an item ({error})") from error
        return pa.Table.from_pylist([msgspec.structs.asdict(gone)], _KEY)
    with change.open() as file:
        return xml_table(read_xml_items(file, website))


def xml_table(items: Iterator[XmlItem]) -> pa.Table:
    """Return items as rows of the catalogue (ITEM_SCHEMA without first_seen), in their order."""
    tables = [_INCOMING.empty_table()]
    while rows := [_cells(one) for one in islice(items, ROWS)]:
        tables.append(pa.Table.from_pylist(rows, _INCOMING))
    return pa.concat_tables(tables)


def _cells(item: XmlItem) -> dict[str, object]:
    attributes = {key: item.attributes[key] for key in sorted(item.attributes)}
    return {**msgspec.structs.asdict(item), "base_item": "", "attributes": msgspec.json.encode(attributes).decode()}


def _last(table: pa.Table) -> pa.Table:
    """Return the last row of every type, id and language."""
    numbered = table.append_column("position", pa.array(range(table.num_rows), pa.int64()))
    with duckdb.connect() as connection:
        connection.register("numbered", numbered)
        query = """
            select * exclude (position) from numbered
            qualify row_number() over (partition by item_type, item, language order by position desc) = 1
            order by item_type, item, language
        """
        return connection.sql(query).to_arrow_table().cast(table.schema)
