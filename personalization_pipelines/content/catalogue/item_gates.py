"""The gates of an item import, judged before anything is stored: does this look like the catalogue of before?

Each rule says what is allowed, what was found, and a few rows that show it. Where one is broken the import is
refused as a whole: half a catalogue, or prices in cents that were in euros, would be on the website within the hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb

from personalization_pipelines.content.catalogue.merging import KEY, Changes
from personalization_pipelines.content.catalogue.read_items import Incoming
from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.files.mapping import Mapping
from personalization_pipelines.content.report import GateRow
from personalization_pipelines.foundation.errors import QualityGateFailed
from personalization_pipelines.website import Website
from personalization_pipelines.website.values import ItemQuality

SHOWN = 5
ADVICE = "nothing was changed. If that is right, force it (--force), or change the limit"
DROP = "item drop"
FEW_PRICES = 10
"""So many prices may always jump: a person corrects a handful by hand, a broken feed breaks them all."""
FREE_TEXT = frozenset(
    ("title", "subtitle", "name", "headline", "description", "summary", "abstract", "intro", "text", "body", "content",
     "uri", "url", "link", "image", "images", "imageurl", "imageurls", "deeplink", "deeplinkurl")
)  # fmt: skip
"""Names of attributes that are text, not nominal, without a mapping that says so."""

# The catalogue of after, which is not stored yet.
_AFTER = """
create temp view catalogue as
select item_type, item, attributes from changed
union all
select item_type, item, attributes from ({state}) b
where not exists (select 1 from (from changed select item_type, item, language union all from gone) c
                  where c.item_type = b.item_type and c.item = b.item and c.language = b.language)
"""
_KEYS = """
select key, min(item_type || '/' || item) as one, count(*) over () as names
from (select item_type, item, unnest(json_keys(attributes)) as key from catalogue)
group by key order by count(*), key limit 5
"""
# Attribute names are the outer keys, values the texts in their lists; numbers are no nominal values. Slashes and
# tildes of a name are written as JSON pointers want them.
_FOUND = """
with found as (
    select item_type || '/' || item as one, key, unnest(from_json(json_extract(attributes, '/' || place), '["JSON"]')) v
    from (select item_type, item, attributes, key, replace(replace(key, '~', '~0'), '/', '~1') as place
          from (select item_type, item, attributes, unnest(json_keys(attributes)) as key from catalogue)
          where {which})
)
"""
# Half the time at a million items: sketches (2 % off, usually) say which attributes are worth counting.
_CANDIDATES = (
    _FOUND.format(which="not list_contains($text, lower(key))")
    + """
select key from found group by key
having approx_count_distinct(v) > 0.8 * $limit and 1.6 * approx_count_distinct(v) <= count(*)
"""
)
_VALUES = (
    _FOUND.format(which="list_contains($names, key)")
    + """
select key, count(distinct v) as different, arg_min(v, one) as value, min(one) as one
from found where json_type(v) = 'VARCHAR' group by key
having count(distinct v) > $limit and 2 * count(distinct v) <= count(*) order by different desc, key
"""
)


def judge_items(
    website: Website, rules: Mapping, incoming: Incoming, changes: Changes, before: VersionedTable
) -> tuple[GateRow, ...]:
    """Return every rule of `quality: items` with what this import would do to the catalogue."""
    gates = [_drop(website, changes), _unknown_types(website, incoming), _prices(website, changes)]
    if changes.added or changes.changed:
        gates += _cardinality(website, rules, changes, before)
    return tuple(gates)


def require(website: Website, gates: Iterable[GateRow], advice: str = ADVICE, first: str = "") -> None:
    """Raise QualityGateFailed with a line for every broken rule, and what to do; nothing was stored by then.

    `first` is said before the lines.
    """
    broken = [gate for gate in gates if not gate.ok]
    if broken:
        raise gate_failure(website, broken, advice, first)


def gate_failure(
    website: Website, broken: Sequence[GateRow], advice: str = ADVICE, first: str = ""
) -> QualityGateFailed:
    """Return the failure of broken rules: a line for each, and what to do."""
    lines = [f"{gate.sentence} ({gate.key} of website {website.name})" for gate in broken]
    return QualityGateFailed(first + "\n".join(lines) + f"; {advice}", [gate.cells for gate in broken])


def _drop(website: Website, changes: Changes) -> GateRow:
    most = website.quality.items.max_drop
    return GateRow(
        DROP,
        f"more than {most:.0%} may not go",
        f"the import would remove {changes.removed:,} of {changes.before:,} items",
        changes.removed <= most * changes.before,
        changes.removed_rows,
        "quality: items: max_drop",
    )


def _unknown_types(website: Website, incoming: Incoming) -> GateRow:
    declared = ", ".join(map(str, sorted(website.item_types)))
    rows = sum(incoming.unknown_types.values())
    types = ", ".join(sorted(incoming.unknown_types))
    found = f"{rows:,} rows of item type {types}" if rows else "none"
    return GateRow(
        "unknown types", f"declared are {declared}", found, not rows, tuple(incoming.unknown_rows), "item_types"
    )


def _prices(website: Website, changes: Changes) -> GateRow:
    most = website.quality.items.max_price_jumps
    return GateRow(
        "price jumps",
        f"at most {most:.0%} (or {FEW_PRICES}) may be lost, change ten times over or change their currency",
        f"{changes.jumps:,} of {changes.priced:,} prices",
        changes.jumps <= max(FEW_PRICES, most * changes.priced),
        changes.jump_rows,
        "quality: items: max_price_jumps",
    )


def _cardinality(website: Website, rules: Mapping, changes: Changes, before: VersionedTable) -> list[GateRow]:
    """Return the gates on names of attributes, and on different values of nominal ones."""
    limits = website.quality.items
    text = sorted({*FREE_TEXT, *(name.lower() for name in (*rules.text, *rules.joined))})
    with duckdb.connect() as connection:
        connection.register("changed", changes.table)
        connection.register("gone", changes.gone)
        connection.execute(_AFTER.format(state=before.sql(before.newest(), (*KEY, "attributes"))))
        keys = connection.execute(_KEYS).fetchall()
        names = keys[0][2] if keys else 0
        few = names <= limits.max_attributes
        values = _many_values(connection, text, limits.max_values) if few else []
    shown = tuple(f"{key} (item {one})" for key, one, _ in keys[:SHOWN])
    examples = tuple(f"{key} {value} (item {one})" for key, _, value, one in values[:SHOWN])
    return [
        attributes_gate(limits, names, () if few else shown),
        values_gate(limits, {key: different for key, different, _, _ in values}, examples),
    ]


def attributes_gate(limits: ItemQuality, names: int, shown: tuple[str, ...]) -> GateRow:
    """Return the rule on names of attributes, of which the catalogue of after has so many."""
    return GateRow(
        "attributes",
        f"at most {limits.max_attributes:,}",
        f"{names:,} names of attributes",
        names <= limits.max_attributes,
        shown,
        "quality: items: max_attributes",
    )


def values_gate(limits: ItemQuality, many: dict[str, int], shown: tuple[str, ...]) -> GateRow:
    """Return the rule on nominal values; `many` are the attributes that have too many, and how many."""
    return GateRow(
        "nominal values",
        f"at most {limits.max_values:,} different ones an attribute",
        ", ".join(f"{key} has {different:,}" for key, different in list(many.items())[:SHOWN])
        or "no attribute has more",
        not many,
        shown,
        "quality: items: max_values; `text` of a mapping names attributes that are no nominal ones",
    )


def _many_values(connection: duckdb.DuckDBPyConnection, text: list[str], limit: int) -> list[tuple[str, int, str, str]]:
    """Return key, number of different values, one of them and its item, of nominal attributes above the limit.

    An attribute most of whose values occur once (an article number) names single items and is no nominal one.
    """
    candidates = connection.execute(_CANDIDATES, {"text": text, "limit": limit}).fetchall()
    if not candidates:
        return []
    return connection.execute(_VALUES, {"names": [name for (name,) in candidates], "limit": limit}).fetchall()
