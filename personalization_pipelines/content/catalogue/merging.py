"""What an import changes: the catalogue of before and the items that came, as the catalogue of after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from personalization_pipelines.content.catalogue.read_items import ITEM_SCHEMA
from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.foundation.sql_names import column_list

KEY = ("item_type", "item", "language")
COMPARED = tuple(name for name in ITEM_SCHEMA.names if name not in (*KEY, "first_seen"))
"""What makes an item another one than before."""
_DIGEST = f"hash({column_list(COMPARED)})"
"""What stands for the compared columns: a catalogue's long texts are read, and not kept in memory."""

# State per key: 0 kept as it was, 1 added, 2 changed, 3 removed. Only a scope, else the item types that came can lose
# items, and an import that is not full changes only what it brings: nothing else of the catalogue is looked at.
_CAME = f"""
create temp table came as
select item_type, item, language, {_DIGEST} as digest, price_minor, currency, place from incoming
"""  # noqa: S608 - column names are ours
_EXISTING = f"""
create temp table existing as
select item_type, item, language, {_DIGEST} as digest, first_seen, price_minor, currency
from ({{state}}) e where {{which}}
"""  # noqa: S608 - column names are ours
_OF_TYPES = "e.item_type in (select item_type from came)"
_IN_SCOPE = "e.item_type = $item_type and e.language = coalesce($language, e.language)"
_SCOPED = f"""
(({_IN_SCOPE})
 or exists (select 1 from came i where i.item_type = e.item_type and i.item = e.item and i.language = e.language))
"""  # noqa: S608 - column names are ours
_STATES = """
create temp table merged as
select item_type, item, language,
       case when n.place is null then 3
            when o.digest is null then 1
            when n.digest <> o.digest then 2
            else 0 end as state,
       n.place, n.price_minor, n.currency, o.first_seen,
       o.price_minor as price_before, o.currency as currency_before
from came n full join existing o using (item_type, item, language)
"""
_SEEN = """
create temp table seen as
select item_type, item, min(first_seen) as first_seen from read_parquet($versions)
where (item_type, item) in (select (item_type, item) from merged where state = 1) group by item_type, item
"""
_NOT_SEEN = "create temp table seen (item_type int, item text, first_seen timestamp)"
_RESULT = """
select m.place, coalesce(m.first_seen, s.first_seen, $now) as first_seen
from merged m left join seen s using (item_type, item)
where m.state in (1, 2) order by m.item_type, m.item, m.language
"""
_GONE = "select item_type, item, language from merged where state = 3 order by item_type, item, language"


# A price that is lost, is ten times what it was or a tenth, or has another currency: rather a mistake than a sale.
_JUMPS = """
select item_type || '/' || item || ': ' || price_before || ' ' || currency_before || ' → '
       || coalesce(price_minor || ' ' || currency, 'none'), count(*) over ()
from merged
where state = 2 and price_before > 0
  and (price_minor is null or currency <> currency_before
       or price_minor / 10 >= price_before or price_minor <= price_before / 10)
order by item_type, item, language limit 5
"""
_REMOVED = "select item_type || '/' || item from merged where state = 3 order by item_type, item, language limit 5"
_BEFORE = "select count(*), count(*) filter (price_minor > 0) from ({state}) e where {which}"


@dataclass(frozen=True)
class Changes:
    """What differs in the catalogue of after: rows that are new or other, and the keys of those that go.

    `rows` is how many it then has, `before` counts the rows that could have been removed, `priced` those of them with
    a price (both 0 where nobody judges), `jumps` the prices among them that changed too much; `…_rows` are the first
    few, for a person.
    """

    table: pa.Table
    gone: pa.Table
    rows: int
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

    def store(self, catalogue: VersionedTable, import_id: str, imported_at: datetime) -> None:
        """Make the catalogue of after its newest version; the caller holds the lock."""
        catalogue.add_changes(self.table, self.gone, import_id, imported_at, self.rows)


class Scope(NamedTuple):
    """Items that an import replaces as a whole: those of a type, in one language or (None) in all."""

    item_type: int
    language: str | None = None


def merge_items(
    catalogue: VersionedTable,
    incoming: pa.Table,
    full: bool,
    now: datetime,
    scope: Scope | None = None,
    *,
    judged: bool = True,
) -> Changes:
    """Return what `incoming` changes; `full` removes what the scope, else its item types, do not bring any more.

    Unless it is `judged`, `before` and `priced`, which gates compare with, are 0: counting them reads the catalogue.
    An item was first seen when any earlier version had it first, also if it was gone in between.
    """
    versions = catalogue.versions()
    newest = versions[-1] if versions else None
    with duckdb.connect() as connection:
        connection.register("incoming", incoming.append_column("place", pa.array(np.arange(len(incoming)))))
        connection.execute(_CAME)
        named = scope._asdict() if scope else {}
        existing = catalogue.sql(newest, among="" if full or scope else "came")
        which = _SCOPED if scope else _OF_TYPES
        connection.execute(_EXISTING.format(state=existing, which=which), named)
        connection.execute(_STATES)
        counts = dict(connection.execute("select state, count(*) from merged group by state").fetchall())
        added, changed, removed = (counts.get(state, 0) for state in (1, 2, 3))
        files = [str(catalogue.directory / one.file) for one in versions]
        connection.execute(*((_SEEN, {"versions": files}) if added and files else (_NOT_SEEN,)))
        result = connection.sql(_RESULT, params={"now": now}).to_arrow_table()
        gone = connection.sql(_GONE).to_arrow_table()
        state = catalogue.sql(newest, ("item_type", "language", "price_minor"))
        asked = _BEFORE.format(state=state, which=_IN_SCOPE if scope else _OF_TYPES)
        before, priced = connection.execute(asked, named).fetchall()[0] if judged else (0, 0)
        removed_rows, jumps = connection.execute(_REMOVED).fetchall(), connection.execute(_JUMPS).fetchall()
    rows = (newest.rows if newest else 0) + added - removed
    jumped = jumps[0][1] if jumps else 0
    cells = _first_cells(removed_rows), _first_cells(jumps)
    return Changes(_brought(incoming, result), gone, rows, before, added, changed, removed, priced, jumped, *cells)


def _brought(incoming: pa.Table, result: pa.Table) -> pa.Table:
    """Return the rows of an import at the places of `result`, with its `first_seen`, as rows of the catalogue."""
    places = result["place"].to_numpy()
    if not np.array_equal(places, np.arange(len(incoming))):
        incoming = incoming.take(pa.array(places))
    columns = {**dict(zip(incoming.column_names, incoming.columns, strict=True)), "first_seen": result["first_seen"]}
    return pa.table(columns).select(ITEM_SCHEMA.names).cast(ITEM_SCHEMA)


def remove_items(catalogue: VersionedTable, gone: pa.Table) -> Changes:
    """Return what goes with the keys of `gone`; one without a language means every language of its item."""
    newest = catalogue.newest()
    before = newest.rows if newest else 0
    with duckdb.connect() as connection:
        connection.register("gone", gone)
        query = f"""
            select * from ({catalogue.sql(newest, KEY)}) e where exists (
                select 1 from gone g
                where g.item_type = e.item_type and g.item = e.item
                    and (g.language is null or g.language = e.language))
            order by item_type, item, language
        """  # noqa: S608 - our own names and paths
        found = connection.sql(query).to_arrow_table()
    left = before - found.num_rows
    return Changes(ITEM_SCHEMA.empty_table(), found, left, before, 0, 0, found.num_rows)


def _first_cells(rows: list[tuple[Any, ...]]) -> tuple[str, ...]:
    return tuple(row[0] for row in rows)
