"""What an import changes: the catalogue of before and the items that came, as the catalogue of after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from personalization_pipelines.content.read_items import ITEM_SCHEMA
from personalization_pipelines.content.versions import VersionedTable

_COMPARED = [name for name in ITEM_SCHEMA.names if name not in ("item_type", "item", "language", "first_seen")]

# The items that can be lost: those of a scope, else of the item types that came. At most one row an item type.
_SCOPE = """
create temp table scope as
select unnest($types)::int as item_type, $language::text as language
union all select distinct item_type, null from incoming where len($types) = 0
"""
# State per key: 0 kept as it was, 1 added, 2 changed, 3 removed.
_STATES = f"""
create temp table merged as
select item_type, item, language,
       case when n.came is null
            then (case when $full and t.item_type is not null and language = coalesce(t.within, language)
                       then 3 else 0 end)
            when o.was is null then 1
            when ({" or ".join(f"n.{name} is distinct from o.{name}" for name in _COMPARED)}) then 2
            else 0 end as state,
       {", ".join(f"case when n.came is null then o.{name} else n.{name} end as {name}" for name in _COMPARED)},
       o.first_seen as first_seen
from (select *, true as came from incoming) n
full join (select *, true as was from existing) o using (item_type, item, language)
left join (select item_type, language as within from scope) t using (item_type)
"""  # noqa: S608 - column names are ours
_SEEN = """
select item_type, item, min(first_seen) as first_seen from read_parquet($versions)
where (item_type, item) in (select (item_type, item) from merged where state = 1) group by item_type, item
"""
_RESULT = f"""
select {
    ", ".join(
        f"m.{n}" if n != "first_seen" else "coalesce(m.first_seen, s.first_seen, $now) as first_seen"
        for n in ITEM_SCHEMA.names
    )
}
from merged m left join seen s using (item_type, item)
where m.state <> 3 order by m.item_type, m.item, m.language
"""  # noqa: S608 - column names are ours


# A price that is lost, is ten times what it was or a tenth, or has another currency: rather a mistake than a sale.
_JUMPS = """
select item_type || '/' || item || ': ' || o.price_minor || ' ' || o.currency || ' → '
       || coalesce(n.price_minor || ' ' || n.currency, 'none'), count(*) over ()
from merged n join existing o using (item_type, item, language)
where n.state = 2 and o.price_minor > 0
  and (n.price_minor is null or n.currency <> o.currency
       or n.price_minor / 10 >= o.price_minor or n.price_minor <= o.price_minor / 10)
order by item_type, item, language limit 5
"""
_REMOVED = "select item_type || '/' || item from merged where state = 3 order by item_type, item, language limit 5"
_BEFORE = """
select count(*), count(*) filter (e.price_minor > 0) from existing e join scope s
on e.item_type = s.item_type and e.language = coalesce(s.language, e.language)
"""


@dataclass(frozen=True)
class Changes:
    """The catalogue of after, and how it differs.

    `before` counts the rows that could have been removed, `priced` those of them with a price, `jumps` the prices
    among them that changed too much; `…_rows` are the first few, for a person.
    """

    table: pa.Table
    before: int
    added: int
    changed: int
    removed: int
    priced: int = 0
    jumps: int = 0
    removed_rows: tuple[str, ...] = ()
    jump_rows: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether the catalogue of after differs."""
        return bool(self.added or self.changed or self.removed)


class Scope(NamedTuple):
    """Items that an import replaces as a whole: those of a type, in one language or (None) in all."""

    item_type: int
    language: str | None = None


def merge_items(
    catalogue: VersionedTable, incoming: pa.Table, full: bool, now: datetime, scope: Scope | None = None
) -> Changes:
    """Return the catalogue with `incoming`; `full` removes what the scope, else its item types, bring no more.

    An item was first seen when any earlier version had it first, also if it was gone in between.
    """
    versions = [str(catalogue.directory / one.file) for one in catalogue.versions()]
    with duckdb.connect() as connection:
        connection.register("incoming", incoming)
        connection.register("existing", catalogue.current())
        types, language = ([scope.item_type], scope.language) if scope else ([], None)
        connection.execute(_SCOPE, {"types": types, "language": language})
        connection.execute(_STATES, {"full": full})
        if versions:
            connection.execute(f"create temp table seen as {_SEEN}", {"versions": versions})
        else:
            connection.execute("create temp table seen (item_type int, item text, first_seen timestamp)")
        counts = dict(connection.execute("select state, count(*) from merged group by state").fetchall())
        before, priced = connection.execute(_BEFORE).fetchall()[0]
        removed_rows, jumps = connection.execute(_REMOVED).fetchall(), connection.execute(_JUMPS).fetchall()
        table = connection.sql(_RESULT, params={"now": now}).to_arrow_table().cast(ITEM_SCHEMA)
    added, changed, removed = (counts.get(state, 0) for state in (1, 2, 3))
    jumped = jumps[0][1] if jumps else 0
    cells = _first_cells(removed_rows), _first_cells(jumps)
    return Changes(table, before, added, changed, removed, priced, jumped, *cells)


def _first_cells(rows: list[tuple[Any, ...]]) -> tuple[str, ...]:
    return tuple(row[0] for row in rows)
