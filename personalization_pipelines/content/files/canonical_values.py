"""Foreign cells become canonical values, whole columns at a time, whatever file they came from.

Every reader returns a column in which what was missing *or could not be read* is null; `Verdicts.unreadable`
tells the two apart. Rules that live in Python elsewhere (identifiers, money) are applied once per distinct
value, so there is one rule and no second implementation of it in Arrow.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.content.files.formats.row_format import JSON_CELL
from personalization_pipelines.events.judging.rules import (
    MAX_CATEGORIES,
    MAX_CATEGORY_CHARACTERS,
    MAX_INT32,
    MAX_SEGMENTS,
    rounded,
)
from personalization_pipelines.foundation.currency import to_minor
from personalization_pipelines.foundation.identifiers import parse_item_id, parse_item_type, parse_user_id, pseudonym
from personalization_pipelines.website import Website

EXACT_FLOAT = 2**53
MAX_LABEL = 128
"""Characters of a session, order or event id."""

CANONICAL_ID = re.compile("[1-9][0-9]{0,17}")
"""Ids that are their own canonical form, on whichever website: no Python is needed to see it."""
_WHOLE_TEXT = r"^(-?[0-9]+)\.0+$"
_MANGLED = r"^-?[0-9]([.,][0-9]+)?[eE]\+[0-9]{2,3}$"


def each_distinct(cells: pa.Array, convert: Callable[[Any], Any], kind: pa.DataType) -> pa.Array:
    """Return `convert` of every cell, computed once a distinct value; None, and what it can not take, make null."""

    def converted(value: Any) -> Any:
        try:
            return convert(value)
        except (ValueError, ArithmeticError):  # InvalidIdentifier and OverflowError, too
            return None

    encoded = cells if pa.types.is_dictionary(cells.type) else pc.dictionary_encode(cells)
    values = pa.array([None if one is None else converted(one) for one in encoded.dictionary.to_pylist()], kind)
    return values.take(encoded.indices)


def except_where(
    fine: pa.Array, values: pa.Array, cells: pa.Array, convert: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """Return `values` where they are fine, and what `convert` makes of `cells` in the few other rows."""
    odd = pc.invert(pc.fill_null(fine, False))
    if not pc.any(odd).as_py():
        return values
    return pc.replace_with_mask(values, odd, convert(cells.filter(odd)))


def as_text(cells: pa.Array) -> pa.Array:
    """Return any column as text; the empty text, NaN and null are missing.

    A float without fraction becomes the digits of its whole number (17850.0 is `17850`), lists become JSON.
    """
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return as_text(cells.dictionary_decode())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = cells.cast(pa.string())
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    if pa.types.is_integer(kind):
        return cells.cast(pa.string())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return each_distinct(cells, _number_text, pa.string())
    if pa.types.is_null(kind):
        return cells.cast(pa.string())
    return pa.array([None if value is None else _json_text(value) for value in cells.to_pylist()], pa.string())


def missing(cells: pa.Array) -> pa.Array:
    """Return where a cell holds nothing: null, NaN or the empty text."""
    kind = cells.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.fill_null(pc.equal(cells, ""), True)
    if pa.types.is_dictionary(kind) or pa.types.is_decimal(kind):
        return as_text(cells).is_null()
    return pc.is_null(cells, nan_is_null=True)


def whole_number_text(cells: pa.Array) -> pa.Array:
    """Return text in which `17850.0` is `17850`: ids that some tool has taken for decimal numbers."""
    return pc.replace_substring_regex(as_text(cells), _WHOLE_TEXT, r"\1")


def inexact_ids(cells: pa.Array) -> pa.Array:
    """Return where a float column cannot hold an id: with a fraction, or too large to be exact."""
    if not pa.types.is_floating(cells.type):
        return pa.repeat(pa.scalar(False), len(cells))
    number = cells.cast(pa.float64())
    wrong = pc.or_(pc.not_equal(pc.floor(number), number), pc.greater_equal(pc.abs(number), float(EXACT_FLOAT)))
    return pc.and_(pc.fill_null(wrong, False), pc.fill_null(pc.invert(pc.is_nan(number)), False))


def mangled_ids(text: pa.Array) -> pa.Array:
    """Return where a spreadsheet has cut an id: `4.00638E+12` was 4006380000001 or any other."""
    return pc.match_substring_regex(text, _MANGLED)


def inexact_json_ids(cells: pa.Array) -> pa.Array:
    """Return the same of JSON cells."""
    decimal = pc.fill_null(pc.match_substring_regex(cells, r"^-?[0-9]+[.eE]"), False)
    if not pc.any(decimal).as_py():
        return decimal
    return inexact_ids(each_distinct(pc.if_else(decimal, cells, None), float, pa.float64()))


def no_single_values(cells: pa.Array, json_cells: bool) -> pa.Array:
    """Return where a cell is true or false, a list or an object: nothing that an id could be."""
    if json_cells:
        return pc.match_substring_regex(cells, r"^[\[{tf]")
    odd = pa.types.is_nested(cells.type) or pa.types.is_boolean(cells.type)
    return cells.is_valid() if odd else pa.repeat(pa.scalar(False), len(cells))


def item_ids(text: pa.Array, alphanumeric: bool) -> pa.Array:
    """Return item ids in the website's canonical form."""
    return except_where(
        pc.match_substring_regex(text, f"^{CANONICAL_ID.pattern}$"),
        text,
        text,
        lambda odd: each_distinct(odd, lambda value: parse_item_id(value, alphanumeric=alphanumeric), pa.string()),
    )


def item_types(text: pa.Array, declared: set[int]) -> pa.Array:
    """Return item types; those that the website does not declare are null."""

    def read(value: str) -> int | None:
        number = parse_item_type(value)
        return number if number in declared else None

    return each_distinct(text, read, pa.int32())


def visitors(text: pa.Array, key: bytes, website: Website) -> pa.Array:
    """Return the pseudonym of every user id, and "" for nobody (missing, or one of the placeholders)."""

    def read(value: str) -> str:
        user = parse_user_id(value, website.placeholder_users)
        return "" if user is None else pseudonym(key, website.customer_id, user)

    return pc.if_else(pc.is_null(text), pa.scalar(""), each_distinct(text, read, pa.string()))


def whole_numbers(cells: pa.Array, lowest: int, highest: int, kind: pa.DataType) -> pa.Array:
    """Return whole numbers between two bounds, rounded as the tracker rounds them."""
    return each_distinct(as_text(cells), lambda value: rounded(value, lowest, highest), kind)


def prices(cells: pa.Array, currencies: pa.Array) -> pa.Array:
    """Return amounts in the smallest unit of each row's currency (a valid ISO 4217 code, or null)."""
    text = as_text(cells)
    minor = pa.nulls(len(text), pa.int64())
    for code in pc.unique(currencies).to_pylist():
        if code is not None:
            rows = pc.fill_null(pc.equal(currencies, code), False)
            own = pc.if_else(rows, text, pa.scalar(None, pa.string()))
            amounts = each_distinct(own, partial(to_minor, code=code), pa.int64())
            minor = pc.if_else(rows, amounts, minor)
    return minor


def unit_prices(totals: pa.Array, quantities: pa.Array) -> pa.Array:
    """Return the price of one piece as a float: a line's total divided by its quantity."""
    total, quantity = as_number(totals), as_number(quantities)
    return pc.divide(total, pc.if_else(pc.equal(quantity, 0.0), pa.scalar(None, pa.float64()), quantity))


def as_number(cells: pa.Array) -> pa.Array:
    """Return a column as float64; what is no finite number is null."""
    if pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type):
        number = cells.cast(pa.float64(), safe=False)
        return pc.if_else(pc.fill_null(pc.is_finite(number), False), number, pa.scalar(None, pa.float64()))
    return each_distinct(as_text(cells), _finite, pa.float64())


def category_paths(cells: pa.Array, separator: str = "") -> pa.Array:
    """Return lists of normalised paths (`/A/B`) from `/A/B|/C`, a JSON list or a list; at most 20 a row.

    Where levels have another `separator`, a slash inside a level becomes a dash.
    """
    return each_distinct(as_text(cells), partial(_paths, separator=separator.strip()), pa.list_(pa.string()))


def join_present(parts: list[pa.Array], separator: str) -> pa.Array:
    """Return the parts that are present, joined; null where none is.

    Not Arrow's own `null_handling="skip"`: it returns fewer rows than it got where every part of a row is null.
    """
    joined = parts[0]
    for part in parts[1:]:
        joined = pc.coalesce(pc.binary_join_element_wise(joined, part, separator), joined, part)
    return joined


def joined_path(parts: list[pa.Array]) -> pa.Array:
    """Return one path from columns, general to special; it ends before the first part that is missing.

    A slash or bar inside a part would cut it in two, so it becomes a dash.
    """
    path: pa.Array = pa.nulls(len(parts[0]), pa.string())
    whole: pa.Array = pa.repeat(pa.scalar(""), len(parts[0]))
    for cells in parts:
        part = pc.utf8_trim_whitespace(pc.replace_substring_regex(as_text(cells), r"\s*[/|]\s*", "-"))
        whole = pc.binary_join_element_wise(
            whole, pc.if_else(pc.equal(part, ""), pa.scalar(None, pa.string()), part), "/"
        )
        path = pc.coalesce(whole, path)
    return path


def segment_ids(cells: pa.Array) -> pa.Array:
    """Return lists of segment ids from `7,11`, a JSON list or a list."""
    return each_distinct(as_text(cells), _segments, pa.list_(pa.int32()))


def labels(cells: pa.Array) -> pa.Array:
    """Return session, order and event ids: up to 128 characters without controls."""
    text = as_text(cells)
    fine = pc.and_(
        pc.less_equal(pc.utf8_length(text), MAX_LABEL),
        pc.invert(pc.match_substring_regex(text, r"[\x00-\x1f\x7f]")),
    )
    return pc.if_else(fine, text, pa.scalar(None, pa.string()))


def json_text(cell: str) -> str | None:
    """Return a JSON cell as the text that the same value would be in a CSV."""
    value = json.loads(cell)
    if value is None or isinstance(value, str):
        return value or None
    return _number_text(value) if isinstance(value, float) else _json_text(value)


def is_json(field: pa.Field) -> bool:
    """Say whether a column's cells are JSON text (attributes of JSON lines)."""
    return bool(field.metadata) and field.metadata.get(b"cell") == JSON_CELL[b"cell"]


def _number_text(value: Any) -> str | None:
    if not math.isfinite(value):
        return None
    return str(int(value)) if value == int(value) and abs(value) < EXACT_FLOAT else str(value)


def _json_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return compact_json(value)


def compact_json(value: Any) -> str:
    """Return any value as JSON without blanks; what JSON has no type for becomes text."""
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # whole numbers of more than 64 bits
        return msgspec.json.encode(value, enc_hook=str).decode()


def _finite(value: str) -> float | None:
    number = float(value) if len(value) < 40 and "_" not in value else math.nan
    return number if math.isfinite(number) else None


def _paths(value: str, separator: str) -> list[str] | None:
    parts = _json_list(value) or ([value] if separator == "|" else value.split("|"))
    if separator not in ("", "/"):
        parts = [re.sub(r"\s*/\s*", "-", part).replace(separator, "/") for part in parts]
    if len(parts) > MAX_CATEGORIES or len(value) > MAX_CATEGORIES * MAX_CATEGORY_CHARACTERS:
        return None
    paths = ["/".join(part.strip() for part in text.split("/") if part.strip()) for text in parts]
    if any(len(path) > MAX_CATEGORY_CHARACTERS or not path.isprintable() for path in paths):
        return None
    return list(dict.fromkeys(f"/{path}" for path in paths if path))


def _segments(value: str) -> list[int] | None:
    texts = _json_list(value) or [text for text in value.split(",") if text]
    numbers: list[int] = [int(text) for text in texts if len(text) <= 10 and text.isascii() and text.isdigit()]
    fine = len(numbers) == len(texts) and len(texts) <= MAX_SEGMENTS and max(numbers, default=0) <= MAX_INT32
    return numbers if fine else None


def _json_list(value: str) -> list[str]:
    """Return the texts of a JSON list, or an empty list where the text is none."""
    if not value.startswith("["):
        return []
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return []
    return [str(one) for one in found]
