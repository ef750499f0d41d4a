"""The live store's tables and statements, the same on SQLite and PostgreSQL.

Every table is clustered by the key it is read by, so one visitor's newest events are one short range of the
file. An event has no number of its own: the same visitor doing the same to the same item in the same microsecond
is the same event, which makes storing it twice harmless.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

COUNTED_VIEWERS = 10_000
VISITOR_LETTERS = "".join(sorted("-_" + string.digits + string.ascii_letters))  # base64url, in byte order

# Ids are compared byte by byte: visitors are deleted in ranges of their first character.
ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# Without an offset SQLite's dialect would add a parameter for one to the text that the driver runs.
_NOTHING: sa.ColumnClause[int] = sa.literal_column("0")
_NO_ONE: sa.ColumnClause[str] = sa.literal_column("''")  # the rows of an INSERT are all that its driver is given
DELIVERY: sa.ColumnClause[str] = sa.literal_column("'rendered'")
CLICK: sa.ColumnClause[str] = sa.literal_column("'click'")

metadata = sa.MetaData()

visitor_events = sa.Table(
    "visitor_events",
    metadata,
    sa.Column("website", ID, primary_key=True),
    sa.Column("visitor", ID, primary_key=True),
    sa.Column("time", sa.BigInteger, primary_key=True),
    sa.Column("event", ID, primary_key=True),
    sa.Column("item_type", sa.Integer, primary_key=True),
    sa.Column("item", ID, primary_key=True),
    sa.Column("scenario", ID, nullable=False),
    # What a login copied from another visitor: from whom, when, and over how many logins; own events: '', 0, 0.
    sa.Column("via", ID, nullable=False, server_default=""),
    sa.Column("arrived", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("hops", sa.Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

item_views = sa.Table(
    "item_views",
    metadata,
    sa.Column("website", ID, primary_key=True),
    sa.Column("item_type", sa.Integer, primary_key=True),
    sa.Column("item", ID, primary_key=True),
    sa.Column("visitor", ID, primary_key=True),
    sa.Column("last_time", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

FIRST_VIEW = ("", 0, "", "")
"""A key of `item_views` before all others."""

follower_positions = sa.Table(
    "follower_positions",
    metadata,
    sa.Column("writer", ID, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


def select_history() -> sa.Select[str, int, str, int, str]:
    """Select event, item type, item, time, scenario of `:visitor` of `:website`, newest first, `:rows` of them.

    Without deliveries: every answer brings ten, and twenty pages would push out what the visitor bought or blacklisted.
    """
    return _select_newest(visitor_events.c.event != DELIVERY)


def select_lasting() -> sa.Select[str, int, str, int, str]:
    """Select what `select_history` does without clicks: what decides what the visitor may be offered, and for long."""
    return _select_newest(visitor_events.c.event.not_in((DELIVERY, CLICK)))


def select_deliveries() -> sa.Select[str, int, str, int, str]:
    """Select what `select_history` does, of the items that were shown to the visitor."""
    return _select_newest(visitor_events.c.event == DELIVERY)


def _select_newest(kind: sa.ColumnElement[bool]) -> sa.Select[str, int, str, int, str]:
    table = visitor_events.c
    return (
        sa.select(table.event, table.item_type, table.item, table.time, table.scenario)
        .where(table.website == sa.bindparam("website"), table.visitor == sa.bindparam("visitor"), kind)
        .order_by(table.time.desc(), table.event.desc(), table.item_type.desc(), table.item.desc())
        .limit(sa.bindparam("rows", type_=sa.Integer))
        .offset(_NOTHING)
    )


def select_viewers() -> sa.Select[int, str | None]:
    """Count the visitors of `:item` since `:since`, in their order, up to COUNTED_VIEWERS; and the last one counted."""
    table = item_views.c
    viewers = (
        sa.select(table.visitor)
        .where(
            table.website == sa.bindparam("website"),
            table.item_type == sa.bindparam("item_type"),
            table.item == sa.bindparam("item"),
            table.last_time >= sa.bindparam("since"),
        )
        .order_by(table.visitor)
        .limit(sa.literal_column(str(COUNTED_VIEWERS)))
        .offset(_NOTHING)
        .subquery()
    )
    return sa.select(sa.func.count(), sa.func.max(viewers.c.visitor))


def estimate_viewers(counted: int, last: str | None) -> int:
    """Return how many visitors there are, from the first `counted` ones, of which `last` is the last in order.

    Below COUNTED_VIEWERS it is the count itself. Above, counting all would take longer than a request may: but
    visitors are keyed hashes and spread evenly, so where the last one stands among all possible ones says which
    share was counted (to 1 %).
    """
    if counted < COUNTED_VIEWERS or not last:
        return counted
    share = sum(VISITOR_LETTERS.find(letter) / 64 ** (place + 1) for place, letter in enumerate(last[:8]))
    return round(counted / share) if share > 0 else counted


def view_behind(first: tuple[Any, ...], rows: int) -> sa.Select[Any]:
    """Select the key of `item_views` that so many `rows` from `first` on end before."""
    key = list(item_views.primary_key)
    return sa.select(*key).where(sa.tuple_(*key) >= first).order_by(*key).offset(rows).limit(1)


def delete_views(time: int, first: tuple[Any, ...], end: Sequence[Any] | None) -> sa.Delete:
    """Delete views from before `time` whose key is from `first` on and before `end` (None: to the last)."""
    key = sa.tuple_(*item_views.primary_key)
    part = [key >= first, *([key < tuple(end)] if end else [])]
    return sa.delete(item_views).where(*part, item_views.c.last_time < time)


def select_positions() -> sa.Select[str, int, int]:
    """Select writer, segment number and offset of what was applied."""
    table = follower_positions.c
    return sa.select(table.writer, table.number, table.offset)


def insert_events(dialect: str) -> sa.Insert:
    """Insert visitors' own rows of `visitor_events`; what is there stays, but the copy of another's becomes own."""
    insert = insert_into(dialect, visitor_events)
    return insert.on_conflict_do_update(
        index_elements=list(visitor_events.primary_key),
        set_={name: insert.excluded[name] for name in ("scenario", "via", "arrived", "hops")},
        where=visitor_events.c.via != _NO_ONE,
    )


def add_columns(connection: sa.Connection) -> None:
    """Give tables that an earlier version made the columns they lack."""
    known = sa.inspect(connection)
    for table in metadata.sorted_tables:
        present = {column["name"] for column in known.get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                described = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {described}")


def upsert_views(dialect: str) -> sa.Insert:
    """Insert rows of `item_views`, or move their last time forward."""
    insert = insert_into(dialect, item_views)
    newer = insert.excluded.last_time > item_views.c.last_time
    return insert.on_conflict_do_update(
        index_elements=list(item_views.primary_key), set_={"last_time": insert.excluded.last_time}, where=newer
    )


def upsert_positions(dialect: str) -> sa.Insert:
    """Insert or replace rows of `follower_positions`."""
    insert = insert_into(dialect, follower_positions)
    return insert.on_conflict_do_update(
        index_elements=[follower_positions.c.writer],
        set_={"number": insert.excluded.number, "offset": insert.excluded.offset},
    )


def in_share(website: str, first: str, end: Sequence[str]) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition for a website's visitors from `first` to before `end` (empty: to the last)."""
    table = visitor_events.c
    return table.website == website, table.visitor >= first, *(table.visitor < letter for letter in end)


def delete_beyond(newest: int) -> sa.Delete:
    """Delete of each kind of event all but the `newest` ones of `:one_visitor` of `:one_website`."""
    table = visitor_events.c
    mine = (table.website == sa.bindparam("one_website"), table.visitor == sa.bindparam("one_visitor"))
    order = (table.time, table.item_type, table.item)
    place = sa.func.row_number().over(partition_by=table.event, order_by=[column.desc() for column in order])
    placed = sa.select(table.event, *order, place.label("place")).where(*mine).subquery().c
    last = sa.select(placed.event, placed.time, placed.item_type, placed.item).where(placed.place == newest)
    # a row a kind, and once: without statistics PostgreSQL would number all rows again for each that may go
    kept = last.cte("kept", nesting=True).prefix_with("MATERIALIZED")
    older = sa.tuple_(*order) < sa.tuple_(kept.c.time, kept.c.item_type, kept.c.item)
    return sa.delete(visitor_events).where(*mine, sa.exists().where(kept.c.event == table.event, older))


def insert_into(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return the insert of one dialect; only the one that is used is imported, for the server starts with this."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
