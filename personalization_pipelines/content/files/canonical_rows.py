"""A batch of a file, seen through its mapping: cells by canonical name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.content.files.canonical_values import (
    as_text,
    each_distinct,
    inexact_ids,
    inexact_json_ids,
    is_json,
    item_ids,
    item_types,
    joined_path,
    json_text,
    mangled_ids,
    missing,
    no_single_values,
    prices,
    unit_prices,
    visitors,
    whole_number_text,
)
from personalization_pipelines.content.files.epoch_numbers import explain
from personalization_pipelines.content.files.formats.row_format import PROBLEM
from personalization_pipelines.content.files.mapping import CANONICAL, TOTAL, Mapping
from personalization_pipelines.content.files.times import MICROSECONDS, misread_times, read_times
from personalization_pipelines.content.files.verdicts import Verdicts
from personalization_pipelines.foundation.currency import fraction_digits
from personalization_pipelines.website import Website

CATEGORY_REASON = "category is no path like /A/B (printable, at most 1,024 characters, at most 20 paths)"


class Canonical:
    """One batch and what its rows are rejected for; readers of events, items and users share it."""

    def __init__(self, rules: Mapping, website: Website, batch: pa.RecordBatch, first: int) -> None:
        self.rules = rules
        self.website = website
        self.batch = batch
        self.rows = batch.num_rows
        self.names = [name for name in batch.schema.names if name != PROBLEM.name]
        self.verdicts = Verdicts(self.rows, first, rules.foreign("user", self.names))
        self._reject_problems()
        self.verdicts.apply(rules.drop, self.column, listed=False)
        self.verdicts.apply(rules.reject, self.column, listed=True)

    def _reject_problems(self) -> None:
        """Reject the rows that the reader of the file could not read."""
        if PROBLEM.name not in self.batch.schema.names:
            return
        found = self.batch.column(PROBLEM.name)
        columns, places, reasons = found.flatten()
        kinds = {(one["column"], one["reason"]) for one in found.drop_null().to_pylist()}
        for column, reason in sorted(kinds):
            where = pc.and_(pc.equal(columns, column), pc.equal(reasons, reason))
            self.verdicts.reject(where, column, reason, places)

    def column(self, name: str) -> pa.Array:
        """Return a column of the file; JSON cells as the text they hold."""
        cells = self.batch.column(name)
        if is_json(self.batch.schema.field(name)):
            return each_distinct(cells, json_text, pa.string())
        return cells

    def name(self, canonical: str) -> str:
        """Return the file's name of a canonical column, for a person who looks at the file."""
        return self.rules.foreign(canonical, self.names) or canonical

    def cells(self, canonical: str) -> pa.Array | None:
        """Return the cells of a canonical column: the file's, translated, or a constant."""
        if canonical in self.rules.constants:
            return pa.repeat(pa.scalar(str(self.rules.constants[canonical])), self.rows)
        name = self.rules.foreign(canonical, self.names)
        if name is None:
            return None
        cells = self.column(name)
        if name in self.rules.whole_numbers:
            cells = whole_number_text(cells)
        if translated := self.rules.values.get(canonical):
            cells = each_distinct(as_text(cells), lambda value: translated.get(value, value), pa.string())
        return cells

    def text(self, canonical: str) -> pa.Array:
        """Return the cells of a canonical column as text, all missing where there is none."""
        cells = self.cells(canonical)
        return pa.nulls(self.rows, pa.string()) if cells is None else as_text(cells)

    def required(self, canonical: str, values: pa.Array, reason: str) -> None:
        """Reject rows whose value is missing (in the file) or could not be read."""
        cells = self.cells(canonical)
        absent = pa.repeat(pa.scalar(True), self.rows) if cells is None else missing(cells)
        self.verdicts.reject(absent, self.name(canonical), f"{canonical} is missing", None)
        self.verdicts.reject(values.is_null(), self.name(canonical), reason, cells)

    def optional(self, canonical: str, values: pa.Array, reason: str) -> None:
        """Reject rows whose cell is given and could not be read."""
        self.verdicts.unreadable(values, self.cells(canonical), self.name(canonical), reason)

    def times(self, canonical: str) -> pa.Array:
        """Return times in UTC; the caller says whether missing ones are allowed."""
        cells = self.cells(canonical)
        if cells is None:
            return pa.nulls(self.rows, MICROSECONDS)
        return self.plausible_times(cells, canonical, self.name(canonical))

    def plausible_times(self, cells: pa.Array, what: str, column: str) -> pa.Array:
        """Return times in UTC; a number that is no plausible time rejects its row, saying what it looks like."""
        zone: ZoneInfo = self.website.zone
        rules = self.rules.time
        times = read_times(cells, rules, zone)
        for reason, where in misread_times(cells, times, rules).items():
            self.verdicts.reject(where, column, f"{what} {reason}", cells, explain=partial(explain, unit=rules.unit))
        return times

    def item_types(self) -> pa.Array:
        """Return item types, 1 where the file names none; undeclared ones reject the row."""
        declared = set(self.website.item_types)
        text = pc.fill_null(self.text("item_type"), "1")
        types = item_types(text, declared)
        self.verdicts.reject(
            types.is_null(),
            self.name("item_type"),
            f"item type is none of the website's ({', '.join(map(str, sorted(declared)))})",
            text,
        )
        return types

    def item_ids(self, canonical: str = "item_id") -> pa.Array:
        """Return item ids in canonical form, null where missing or invalid."""
        alphanumeric = self.website.item_ids == "alphanumeric"
        self.whole_ids(canonical)
        ids = item_ids(self.text(canonical), alphanumeric)
        expected = "1 to 128 characters without '/' and ','" if alphanumeric else "a whole number (item_ids: numeric)"
        (self.required if canonical == "item_id" else self.optional)(canonical, ids, f"{canonical} is not {expected}")
        self._exact(canonical)
        return ids

    def visitors(self, key: bytes) -> pa.Array:
        """Return pseudonyms, "" for nobody; malformed user ids reject the row."""
        self.whole_ids("user")
        found = visitors(self.text("user"), key, self.website)
        reason = "user is no user id (control characters, '\\', broken text, or more than 512 bytes)"
        self.verdicts.reject(found.is_null(), self.name("user"), reason, None)
        self._exact("user")
        return found

    def money(self) -> tuple[pa.Array, pa.Array]:
        """Return price of one piece in the smallest unit, and currency ("" where there is no price)."""
        given = pc.fill_null(self.text("currency"), self.website.currency)
        codes = each_distinct(given, lambda code: code if fraction_digits(code) >= 0 else None, pa.string())
        self.verdicts.reject(codes.is_null(), self.name("currency"), "currency is no ISO 4217 code like EUR", given)
        total, price = self.cells(TOTAL), self.cells("price")
        canonical, cells = ("price", price) if total is None else (TOTAL, self._per_piece(total))
        if cells is None:
            return pa.nulls(self.rows, pa.int64()), pa.repeat(pa.scalar(""), self.rows)
        minor = prices(cells, codes)
        reason = f"{canonical} is no amount of 0 or more"
        self.verdicts.unreadable(minor, self.cells(canonical), self.name(canonical), reason)
        return minor, pc.if_else(minor.is_valid(), codes, "")

    def category(self) -> pa.Array | None:
        """Return the cells of categories: a path joined from columns, or the file's own."""
        if self.rules.category:
            return joined_path([self.column(name) for name in self.rules.category])
        several = self.cells("categories")
        return self.cells("category") if several is None else several

    def _per_piece(self, total: pa.Array) -> pa.Array:
        quantity = self.cells("quantity")
        return total if quantity is None else unit_prices(total, quantity)

    def _exact(self, canonical: str) -> None:
        name = self.rules.foreign(canonical, self.names)
        if name is not None:
            cells, json_cells = self.batch.column(name), is_json(self.batch.schema.field(name))
            inexact = inexact_json_ids(cells) if json_cells else inexact_ids(cells)
            reason = f"{canonical} is a number with a fraction, or too large to be exact in it; store ids as text"
            self.verdicts.reject(inexact, name, reason, cells)
            reason = f"{canonical} is true or false, a list or an object; expected a text or a number"
            self.verdicts.reject(no_single_values(cells, json_cells), name, reason, cells)

    def whole_ids(self, canonical: str) -> None:
        """Reject rows whose id a spreadsheet has cut, for several things would become one."""
        name = self.name(canonical)
        reason = f"{canonical} lost digits in a spreadsheet (like 4.00638E+12); export the column as text"
        self.verdicts.reject(mangled_ids(self.text(canonical)), name, reason, self.cells(canonical))


def id_columns(rules: Mapping, found: list[str]) -> list[str]:
    """Return the file's columns of ids, whose JSON type matters: the number 17850.0 is the id `17850`."""
    names = [rules.foreign(name, found) for name in ("user", "item_id", "base_item")]
    return [name for name in names if name is not None]


def read_columns(
    rules: Mapping, found: list[str], extra: Iterable[str] = (), canonical: Iterable[str] | None = None
) -> list[str]:
    """Return the file's columns that have to be read for canonical ones (default: all), in the file's order."""
    names = (*CANONICAL[rules.kind], TOTAL) if canonical is None else canonical
    wanted = {rules.foreign(name, found) for name in names} | {*rules.category, *extra}
    wanted |= {condition.column for condition in (*rules.drop, *rules.reject)}
    return [name for name in found if name in wanted]
