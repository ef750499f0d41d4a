"""The live store's tables and statements about logins (what a login means: events/live/logins.py).

Logins that count are found by their source, in order of time; those of a day beyond its first five sources wait in a
table of their own, because a login that arrives late may still change who was among the first five.
"""

from __future__ import annotations

import sqlalchemy as sa

from personalization_pipelines.events.live.live_tables import ID, insert_into, metadata, visitor_events
from personalization_pipelines.events.live.logins import MAX_HOPS, MAX_SOURCES

NEWEST_MOVED = 200  # events of each kind that a login moves: as many as a request reads; a call must not cost more

logins = sa.Table(
    "logins",
    metadata,
    sa.Column("website", ID, primary_key=True),
    sa.Column("source", ID, primary_key=True),
    sa.Column("time", sa.BigInteger, primary_key=True),
    sa.Column("target", ID, primary_key=True),
    sqlite_with_rowid=False,
)

ignored_logins = sa.Table(
    "ignored_logins",
    metadata,
    sa.Column("website", ID, primary_key=True),
    sa.Column("source", ID, primary_key=True),
    sa.Column("target", ID, primary_key=True),
    sa.Column("time", sa.BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)

login_sources = sa.Table(
    "login_sources",
    metadata,
    sa.Column("website", ID, primary_key=True),
    sa.Column("target", ID, primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True),
    sa.Column("source", ID, primary_key=True),
    sa.Column("first_time", sa.BigInteger, nullable=False),
    sa.Index("login_sources_in_order", "website", "target", "day", "first_time", "source"),
    sqlite_with_rowid=False,
)

undone_logins = sa.Table(
    "undone_logins",
    metadata,
    sa.Column("website", ID, primary_key=True),
    sa.Column("source", ID, primary_key=True),
    sa.Column("target", ID, primary_key=True),
    sqlite_with_rowid=False,
)

_website, _source, _target = (sa.bindparam(f"a_{name}", type_=sa.Text) for name in ("website", "source", "target"))
_time, _until = (sa.bindparam(f"a_{name}", type_=sa.BigInteger) for name in ("time", "until"))
_day = sa.bindparam("a_day", type_=sa.Integer)


def first_sources() -> sa.Select[str]:
    """Select the sources of `:a_target` on `:a_day` that count, the first one first."""
    table = login_sources.c
    mine = (table.website == _website, table.target == _target, table.day == _day)
    return sa.select(table.source).where(*mine).order_by(table.first_time, table.source).limit(MAX_SOURCES)


def upsert_source(dialect: str) -> sa.Insert:
    """Insert a row of `login_sources`, or move its first time back."""
    insert = insert_into(dialect, login_sources)
    earlier = insert.excluded.first_time < login_sources.c.first_time
    return insert.on_conflict_do_update(
        index_elements=list(login_sources.primary_key), set_={"first_time": insert.excluded.first_time}, where=earlier
    )


def next_login() -> sa.Select[int, str]:
    """Select time and target of the first login of `:a_source` at or after `:a_time`."""
    table = logins.c
    mine = (table.website == _website, table.source == _source, table.time >= _time)
    return sa.select(table.time, table.target).where(*mine).order_by(table.time, table.target).limit(1)


def login_before() -> sa.Select[int]:
    """Select the time of the login of `:a_source` before the one at `:a_time` to `:a_target`."""
    table = logins.c
    tied = sa.and_(table.time == _time, table.target < _target)
    mine = (table.website == _website, table.source == _source, table.time <= _time, (table.time < _time) | tied)
    return sa.select(table.time).where(*mine).order_by(table.time.desc(), table.target.desc()).limit(1)


def login_after() -> sa.Select[int, str]:
    """Select time and target of the login of `:a_source` after the one at `:a_time` to `:a_target`."""
    table = logins.c
    tied = sa.and_(table.time == _time, table.target > _target)
    mine = (table.website == _website, table.source == _source, table.time >= _time, (table.time > _time) | tied)
    return sa.select(table.time, table.target).where(*mine).order_by(table.time, table.target).limit(1)


def of_pair(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition for logins of `:a_source` to `:a_target` from `:a_time` to before `:a_until`."""
    mine = (table.c.website == _website, table.c.source == _source, table.c.target == _target)
    return *mine, table.c.time >= _time, table.c.time < _until


def is_undone() -> sa.Select[int]:
    """Select 1 if the pair was undone."""
    table = undone_logins.c
    mine = (table.website == _website, table.source == _source, table.target == _target)
    return sa.select(sa.literal_column("1", sa.Integer)).where(*mine)


def move_events(dialect: str) -> sa.Insert:
    """Give `:a_target` what came to `:a_source` after `:after` and up to `:a_time`; what is there stays.

    Of an event that comes on two ways the earlier one is kept: it decides which login carries it on.
    """
    table = visitor_events.c
    arrived = sa.case((table.via == "", table.time), else_=table.arrived)
    came = (arrived > sa.bindparam("after", type_=sa.BigInteger), arrived <= _time, table.hops < MAX_HOPS)
    place = sa.func.row_number().over(partition_by=table.event, order_by=table.time.desc())
    newest = (
        sa.select(*visitor_events.columns, place.label("place"))
        .where(table.website == _website, table.visitor == _source, table.time <= _time, *came)
        .subquery()
    )
    one = newest.c
    rows = sa.select(
        one.website, _target, one.time, one.event, one.item_type, one.item, one.scenario, _source, _time, one.hops + 1
    ).where(one.place <= NEWEST_MOVED)
    insert = insert_into(dialect, visitor_events).from_select(table.keys(), rows)
    return insert.on_conflict_do_update(
        index_elements=list(visitor_events.primary_key),
        set_={name: insert.excluded[name] for name in ("via", "arrived", "hops", "scenario")},
        where=sa.and_(table.via != "", table.arrived > insert.excluded.arrived),
    )


def take_back() -> sa.Delete:
    """Delete what the login of `:a_source` at `:a_time` gave `:a_target`."""
    table = visitor_events.c
    mine = (table.website == _website, table.visitor == _target, table.via == _source, table.arrived == _time)
    return sa.delete(visitor_events).where(*mine)


def newest_logins() -> sa.Select[str, int]:
    """Select the time of each website's newest login that counts."""
    return sa.select(logins.c.website, sa.func.max(logins.c.time)).group_by(logins.c.website)


def sources_among() -> sa.Select[str]:
    """Select those of `:visitors` from whom a login moved something."""
    table = logins.c
    among = table.source.in_(sa.bindparam("visitors", expanding=True))
    return sa.select(table.source).where(table.website == _website, among).distinct()
