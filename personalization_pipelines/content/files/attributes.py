"""Attributes of items and users: every column that is no canonical one, as one JSON object a row.

`{"brand":["National"],"width":[12.5]}`: lists of texts or numbers. What the file types as a number is one (Parquet,
JSON lines); text is text, unless the mapping names the attribute under `numbers`, and the other way round under `text`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.content.files.canonical_rows import Canonical
from personalization_pipelines.content.files.canonical_values import (
    EXACT_FLOAT,
    as_text,
    compact_json,
    each_distinct,
    except_where,
    is_json,
    join_present,
)
from personalization_pipelines.content.files.mapping import CANONICAL, Joined, Mapping
from personalization_pipelines.foundation.errors import ImportRefused

MAX_ATTRIBUTES = 200
MAX_TEXT = 65_536
"""Characters of one attribute's values as JSON; a longer one rejects the row."""

_ESCAPED = r'["\\\x00-\x1f]'
"""What JSON does not write as it is."""
_NAME = re.compile(r"[^\x00-\x1f\x7f,&=]{1,64}")


def attribute_columns(rules: Mapping, found: list[str]) -> dict[str, str]:
    """Return attribute name → file column: those the mapping lists, else every column without another purpose.

    Raises ImportRefused for more than 200, and for a name that no request could ask for.
    """
    if rules.attributes is not None:
        chosen = dict(rules.attributes)
    else:
        used = {rules.foreign(name, found) for name in CANONICAL[rules.kind]} | {*rules.ignore, *rules.category}
        chosen = {name: name for name in found if name not in used}
    names = [*chosen, *rules.joined]
    if len(names) > MAX_ATTRIBUTES:
        raise ImportRefused(f"{len(names)} attributes; at most {MAX_ATTRIBUTES} are kept: choose them in a mapping")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ImportRefused(
                f"column {name[:80]!r} cannot name an attribute (1 to 64 characters without ',', '&', '='); "
                "rename or ignore it in a mapping"
            )
    return chosen


def attribute_sources(rules: Mapping, found: list[str]) -> list[str]:
    """Return the file's columns that attributes are made of."""
    joined = [name for text in rules.joined.values() for part in text.columns for name in _listed(part)]
    return [*attribute_columns(rules, found).values(), *joined]


def read_attributes(batch: Canonical, chosen: dict[str, str]) -> pa.Array:
    """Return a JSON object a row, attributes by name in order; missing ones are left out."""
    members = []
    for name in sorted({*chosen, *batch.rules.joined}):
        column = chosen.get(name, name)
        if name in batch.rules.joined:
            values = each_distinct(
                _joined(batch, batch.rules.joined[name]), value_reader(batch.rules, name), pa.string()
            )
        else:
            values = _values(batch, column, name)
        long = pc.greater(pc.utf8_length(values), MAX_TEXT)
        batch.verdicts.reject(long, column, f"attribute {name} is longer than {MAX_TEXT:,} characters", values)
        members.append(pc.binary_join_element_wise(orjson.dumps(name).decode(), values, ":"))
    if not members:
        return pa.repeat(pa.scalar("{}"), batch.rows)
    inside = pc.fill_null(join_present(members, ","), "")
    return pc.binary_join_element_wise("{", inside, "}", "")


def _values(batch: Canonical, column: str, name: str) -> pa.Array:
    """Return each row's values as a JSON list, null where there is none."""
    cells, read = batch.batch.column(column), value_reader(batch.rules, name)
    if is_json(batch.batch.schema.field(column)):
        return each_distinct(cells, lambda text: read(json.loads(text)), pa.string())
    if not _has_rule(batch.rules, name) and (tokens := column_tokens(cells)) is not None:
        return tokens
    if pa.types.is_nested(cells.type):
        return pa.array([read(value) for value in cells.to_pylist()], pa.string())
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        cells = as_text(cells)
    return each_distinct(cells, read, pa.string())


def _has_rule(rules: Mapping, name: str) -> bool:
    return name in rules.numbers or name in rules.text or name in rules.split


def column_tokens(cells: pa.Array) -> pa.Array | None:
    """Return what `value_reader` would, without Python for each value; None where a type needs it."""
    kind = cells.type
    if pa.types.is_list(kind):
        return _list_tokens(cells)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = as_text(cells)
        plain = pc.invert(pc.match_substring_regex(text, _ESCAPED))
        quoted = pc.binary_join_element_wise('["', text, '"]', "")
        return except_where(pc.fill_null(plain, True), quoted, text, _escaped)
    if pa.types.is_integer(kind) and _all_exact(cells):
        return pc.binary_join_element_wise("[", cells.cast(pa.string()), "]", "")
    return None


def _escaped(text: pa.Array) -> pa.Array:
    return each_distinct(text, lambda one: orjson.dumps([one]).decode(), pa.string())


def _all_exact(numbers: pa.Array) -> bool:
    found = pc.min_max(numbers).as_py()
    return bool(max(abs(one or 0) for one in found.values()) < EXACT_FLOAT)


def _list_tokens(cells: pa.Array) -> pa.Array | None:
    """Return the same of lists, whose every value has to be there and have a type that needs no Python."""
    inside = cells.flatten()
    if inside.null_count or pa.types.is_nested(inside.type):
        return None
    tokens = column_tokens(inside)
    if tokens is None or tokens.null_count:
        return None
    bare = pc.utf8_slice_codeunits(tokens, 1, -1)
    lengths = pc.fill_null(pc.list_value_length(cells), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, bare), ",")
    present = pc.if_else(pa.array(lengths > 0), joined, pa.scalar(None, pa.string()))
    return pc.binary_join_element_wise("[", present, "]", "")


def value_reader(rules: Mapping, name: str) -> Callable[[Any], str | None]:
    """Return what makes a JSON list of an attribute's cell, None of one that holds nothing."""
    numeric, text, separator = name in rules.numbers, name in rules.text, rules.split.get(name)

    def read(value: Any) -> str | None:
        if separator and isinstance(value, str):
            value = [part for part in value.split(separator) if part]
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        found = [one for one in (_value(value, numeric, text) for value in values) if one is not None]
        return orjson.dumps(found).decode() if found else None

    return read


def _value(value: Any, numeric: bool, text: bool) -> str | int | float | None:
    """Return one value as JSON has it; None for what is missing (null, NaN, an empty text)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and numeric:
        try:
            value = float(value)
        except ValueError:
            return value or None
    if isinstance(value, (int, float, Decimal)):
        number = _number(value)
        return None if number is None else str(number) if text or abs(number) >= EXACT_FLOAT else number
    if value is None or isinstance(value, str):
        return value or None
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return compact_json(value)


def _number(value: int | float | Decimal) -> int | float | None:
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else float(value)


def _joined(batch: Canonical, rule: Joined) -> pa.Array:
    """Return the text that a mapping joins from columns; a missing part leaves its separator out."""
    parts = [pc.coalesce(*[as_text(batch.column(name)) for name in _listed(part)]) for part in rule.columns]
    if rule.letters == "sentence":
        parts[0] = pc.utf8_capitalize(parts[0])
    return join_present(parts, rule.separator)


def _listed(part: str | list[str]) -> list[str]:
    return [part] if isinstance(part, str) else part
