"""Rows of files become items: one row an item and language, the later row of two counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.content.catalogue.item_tables import INCOMING_SCHEMA
from personalization_pipelines.content.exports.export_items import TYPE_FIELD
from personalization_pipelines.content.files.attributes import attribute_columns, attribute_sources, read_attributes
from personalization_pipelines.content.files.canonical_rows import CATEGORY_REASON, Canonical, id_columns, read_columns
from personalization_pipelines.content.files.canonical_values import (
    as_text,
    category_paths,
    each_distinct,
    item_ids,
    prices,
    unit_prices,
)
from personalization_pipelines.content.files.formats.row_format import PROBLEM, SourceFile
from personalization_pipelines.content.files.item_documents import ItemDocument
from personalization_pipelines.content.files.looks import Looks, add_examples
from personalization_pipelines.content.files.mapping import PriceFrom
from personalization_pipelines.content.files.opening import Job
from personalization_pipelines.content.files.read_files import digest, open_file
from personalization_pipelines.content.files.times import MICROSECONDS, read_times
from personalization_pipelines.content.files.verdicts import Reject, RejectsFile
from personalization_pipelines.content.report import rows
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.identifiers import parse_item_type

ITEM_SCHEMA = INCOMING_SCHEMA.insert(len(INCOMING_SCHEMA) - 1, pa.field("first_seen", MICROSECONDS))
KEY = ["item_type", "item", "language"]
SHOWN_ROWS = 5
_ORDER = "newest_by"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")


@dataclass
class Incoming:
    """The items of an import (ITEM_SCHEMA without first_seen), and what happened to the rows."""

    items: pa.Table
    rows: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    unknown_types: Counter[str] = field(default_factory=Counter)
    """Item types that the website does not declare, with their rows; `unknown_rows` are the first few."""
    unknown_rows: list[str] = field(default_factory=list)

    def unknown_type(self, number: str, place: str, count: int = 1) -> None:
        """Count rows of an item type that the website does not declare, and keep the place of the first few."""
        self.unknown_types[number] += count
        if len(self.unknown_rows) < SHOWN_ROWS:
            self.unknown_rows.append(f"{place}: item type {number}")

    def why(self) -> str:
        """Return the most frequent reasons."""
        most = self.reasons.most_common(3)
        return "; ".join(f"{rows(count)}: {reason}" for reason, count in most) or "the files have no row"


def read_items(job: Job, rejects: RejectsFile) -> Incoming:
    """Return the items of all files of an import; rejected rows go to `rejects`."""
    found = Incoming(INCOMING_SCHEMA.append(pa.field(_ORDER, MICROSECONDS)).empty_table())
    found.items = _newest(_rows(job, found, rejects), found, job.mapping.rules.newest_by)
    if job.mapping.rules.price_from:
        found.items = _priced(job, found)
    return found


def _rows(job: Job, found: Incoming, rejects: RejectsFile) -> pa.Table:
    """Return the rows of all files in their order; the files' own tables are not held beside them."""
    tables = [found.items]
    for source in job.sources:
        if isinstance(source, ItemDocument):
            tables += _read_document(job, source, found, rejects)
        else:
            tables += _read_file(job, source, found, rejects)
    return pa.concat_tables(tables).combine_chunks()


def _read_file(job: Job, source: SourceFile, found: Incoming, rejects: RejectsFile) -> list[pa.Table]:
    rules, row, tables = job.mapping.rules, 1, []
    looks, examples = Looks(), dict[str, str]()
    chosen, typed = attribute_columns(rules, source.columns), attribute_sources(rules, source.columns)
    extra = [*typed, *([rules.newest_by] if rules.newest_by else [])]
    job.progress.begin(source.path.name, source.rows)
    typed += id_columns(rules, source.columns)
    for batch in source.batches(read_columns(rules, source.columns, extra), typed):
        read = Canonical(rules, job.website, batch, row)
        table = read_rows(read, chosen, _latest(job), partial(_unknown_types, found, source.path.name))
        tables.append(table)
        rejects.add(source.path.name, read.verdicts)
        looks.look(source.path.name, read)
        add_examples(examples, source.path.name, read.verdicts)
        row += batch.num_rows
        found.rows += batch.num_rows
        found.rejected += batch.num_rows - table.num_rows
        found.reasons += read.verdicts.reasons()
        job.progress.advance(batch.num_rows)
    job.progress.end()
    found.notes += [*examples.values(), *looks.lines()]
    return tables


def _read_document(job: Job, document: ItemDocument, found: Incoming, rejects: RejectsFile) -> list[pa.Table]:
    name, tables = document.path.name, []

    def reject(one: Reject) -> None:
        rejects.write(name, one)
        found.rows += 1
        found.rejected += 1
        found.reasons[one.reason] += 1
        if one.column == TYPE_FIELD and one.value.isdecimal():
            found.unknown_type(one.value, f"{name} row {one.row}")

    job.progress.begin(name, None)
    for table in document.tables(reject):
        tables.append(table.append_column(_ORDER, pa.nulls(table.num_rows, MICROSECONDS)))
        found.rows += table.num_rows
        job.progress.advance(table.num_rows)
    job.progress.end()
    return tables


def read_rows(
    batch: Canonical, chosen: dict[str, str], latest: pa.Scalar, unknown: Callable[[Canonical], None]
) -> pa.Table:
    """Return the rows of a batch that are items; the others get a verdict. `unknown` is told of undeclared types."""
    types = batch.item_types()
    if types.null_count:
        unknown(batch)
    ids = batch.item_ids()
    price_minor, currency = batch.money()
    valid_from, valid_to = _validity(batch)
    base = batch.item_ids("base_item")
    columns = [types, ids, price_minor, currency, valid_from, valid_to, _categories(batch), _language(batch)]
    columns += [pc.fill_null(base, ""), read_attributes(batch, chosen), _order(batch, latest)]
    return pa.table(columns, [*INCOMING_SCHEMA.names, _ORDER]).filter(pa.array(batch.verdicts.kept))


def _unknown_types(found: Incoming, file: str, batch: Canonical) -> None:
    """Count the rows of item types that are numbers, but none of the website's; called before any other verdict."""
    text, known = batch.text("item_type"), set(batch.website.item_types)
    numbers = each_distinct(text, lambda value: str(parse_item_type(value)), pa.string())
    declared = pa.array([str(number) for number in sorted(known)])
    wanted = pc.and_(numbers.is_valid(), pc.invert(pc.is_in(numbers, value_set=declared)))
    wanted = pc.and_(wanted, pa.array(batch.verdicts.codes == len(batch.verdicts.findings)))
    for pair in numbers.filter(wanted).value_counts().to_pylist():
        found.unknown_types[pair["values"]] += pair["counts"]
    for row in np.flatnonzero(wanted.to_numpy(zero_copy_only=False))[: SHOWN_ROWS - len(found.unknown_rows)]:
        number = batch.verdicts.first + int(row)
        found.unknown_rows.append(f"{file} row {number}: item type {numbers[row].as_py()}")


def _validity(batch: Canonical) -> tuple[pa.Array, pa.Array]:
    valid_from, valid_to = batch.times("valid_from"), batch.times("valid_to")
    for name, values in (("valid_from", valid_from), ("valid_to", valid_to)):
        batch.optional(name, values, f"{name} is no time that can be read")
    ended = pc.less(valid_to, valid_from)
    batch.verdicts.reject(ended, batch.name("valid_to"), "valid_to is before valid_from", batch.cells("valid_to"))
    return valid_from, valid_to


def _categories(batch: Canonical) -> pa.Array:
    cells = batch.category()
    if cells is None:
        return pa.array([[]] * batch.rows, pa.list_(pa.string()))
    paths = category_paths(cells, batch.rules.category_separator)
    batch.verdicts.unreadable(paths, cells, batch.name("category"), CATEGORY_REASON)
    return pc.fill_null(paths, [])


def _language(batch: Canonical) -> pa.Array:
    codes = each_distinct(batch.text("language"), lambda code: code if _LANGUAGE.fullmatch(code) else None, pa.string())
    batch.optional("language", codes, "language is no code like eng-GB")
    return pc.fill_null(codes, "")


def _order(batch: Canonical, latest: pa.Scalar) -> pa.Array:
    """Return the times that decide which of several rows of an item is the newest; a wrong one rejects its row, lest it
    decide for the others.
    """
    name = batch.rules.newest_by
    if name is None:
        return pa.nulls(batch.rows, MICROSECONDS)
    cells = batch.column(name)
    times = batch.plausible_times(cells, name, name)
    batch.verdicts.unreadable(times, cells, name, f"{name} is no time that can be read")
    batch.verdicts.reject(pc.greater(times, latest), name, f"{name} is more than a day in the future", cells)
    return pc.fill_null(times, pa.scalar(0, MICROSECONDS))


def _latest(job: Job) -> pa.Scalar:
    """Return the latest time that a file can say of something that was: clocks without a zone differ by hours."""
    return pa.scalar((job.now + timedelta(days=1)).replace(tzinfo=None), MICROSECONDS)


def _newest(table: pa.Table, found: Incoming, by: str | None) -> pa.Table:
    """Return one row a key: the newest by a column of the file, or the last one. Sorted by key."""
    table = table.append_column("position", pa.array(np.arange(table.num_rows)))
    keys = [(name, "ascending") for name in KEY]
    order = pc.sort_indices(table, [*keys, (_ORDER, "ascending"), ("position", "ascending")])
    table = table.take(order)
    last = _last_of_key(table)
    again = table.num_rows - int(last.sum())
    if again:
        chosen = f"the newest by {by}" if by else "the last one"
        found.notes.append(f"{rows(again)} of items that occur more than once; {chosen} counts")
        table = table.filter(pa.array(last))
    return table.drop_columns([_ORDER, "position"])


def _last_of_key(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    last = np.ones(table.num_rows, dtype=np.bool_)
    if table.num_rows > 1:
        same = np.ones(table.num_rows - 1, dtype=np.bool_)
        for name in KEY:
            column = table[name].combine_chunks()
            same &= pc.equal(column[:-1], column[1:]).to_numpy(zero_copy_only=False)
        last[:-1] = ~same
    return last


def price_digests(job: Job) -> list[str]:
    """Return the digests of the sales files that prices come from: part of what an import is made of."""
    return [digest(source.path.parent / rule.file) for source, rule in _sales(job)]


def _sales(job: Job) -> list[tuple[SourceFile, PriceFrom]]:
    rule = job.mapping.rules.price_from
    if rule is None:
        return []
    for source in job.files:
        if not (source.path.parent / rule.file).is_file():
            raise ImportRefused(
                f"{source.path}: mapping {job.mapping.name} takes prices from {rule.file}, which is not beside it"
            )
    folders = {source.path.parent: source for source in job.files}
    return [(source, rule) for source in folders.values()]


def _priced(job: Job, found: Incoming) -> pa.Table:
    """Return the items with prices of their newest sale, where they have none themselves."""
    items = found.items
    sales = pa.concat_tables([_newest_prices(job, source, rule) for source, rule in _sales(job)])
    where = pc.index_in(items["item"].combine_chunks(), sales["item"].combine_chunks())
    price = pc.coalesce(items["price_minor"].combine_chunks(), sales["price_minor"].combine_chunks().take(where))
    code = str(job.mapping.rules.constants.get("currency", job.website.currency))
    currency = pc.if_else(price.is_valid(), pc.if_else(pc.equal(items["currency"], ""), code, items["currency"]), "")
    found.notes.append(f"{len(price) - price.null_count:,} of {len(price):,} items have a price (of their newest sale)")
    items = items.set_column(items.schema.get_field_index("price_minor"), "price_minor", price)
    return items.set_column(items.schema.get_field_index("currency"), "currency", currency)


def _newest_prices(job: Job, source: SourceFile, rule: PriceFrom) -> pa.Table:
    """Return item and price_minor, one row an item: of the last row among those of the newest time."""
    sold = open_file(source.path.parent / rule.file, job.mapping.rules.csv)
    wanted = [rule.item_id, rule.time, rule.total, rule.quantity]
    if absent := [name for name in wanted if name not in sold.columns]:
        raise ImportRefused(f"{sold.path}: prices need the columns {', '.join(absent)}, which it does not have")
    code = str(job.mapping.rules.constants.get("currency", job.website.currency))
    tables = [_sale_prices(batch, rule, job, code) for batch in sold.batches(wanted)]
    sales = pa.concat_tables(tables).combine_chunks()
    sales = sales.append_column("position", pa.array(np.arange(sales.num_rows)))
    sales = sales.take(pc.sort_indices(sales, [("time", "descending"), ("position", "descending")]))
    first = np.unique(sales["item"].combine_chunks().dictionary_encode().indices.to_numpy(), return_index=True)[1]
    return sales.take(pa.array(first)).select(["item", "price_minor"])


def _sale_prices(batch: pa.RecordBatch, rule: PriceFrom, job: Job, code: str) -> pa.Table:
    alphanumeric = job.website.item_ids == "alphanumeric"
    each = unit_prices(batch.column(rule.total), batch.column(rule.quantity))
    table = pa.table(
        {
            "item": item_ids(as_text(batch.column(rule.item_id)), alphanumeric),
            "time": read_times(batch.column(rule.time), job.mapping.rules.time, job.website.zone),
            "price_minor": prices(each, pa.repeat(pa.scalar(code), batch.num_rows)),
        }
    )
    known = pc.and_(table["item"].is_valid(), pc.less_equal(table["time"], _latest(job)))
    sold = pc.and_(pc.greater(table["price_minor"], 0), known)
    if PROBLEM.name in batch.schema.names:
        sold = pc.and_(sold, batch.column(PROBLEM.name).is_null())
    return table.filter(pc.fill_null(sold, False))
