"""Forgetting visitors in the live store: their rows, what logins copied from them, and the bytes of both.

Whom a tombstone means is found by looking at every visitor of the website once; the tombstones that were applied
are kept by their ids, so a store that is made again from the log begins without them and applies them again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from personalization_pipelines.erasure.tombstones import Forgotten, Tombstone
from personalization_pipelines.events.live import live_login_tables as logins
from personalization_pipelines.events.live import live_tables as tables
from personalization_pipelines.events.live.live_logins import LiveLogins
from personalization_pipelines.events.live.live_url import parse_live_url
from personalization_pipelines.foundation.errors import LiveStoreUnavailable

AHEAD = 5 * 60 * 1_000_000
"""How far (microseconds) an event's own time may lie behind its arrival; the store knows only the first."""
CHECKPOINT_SECONDS = 5.0

applied_erasures = sa.Table(
    "applied_erasures", tables.metadata, sa.Column("id", tables.ID, primary_key=True), sqlite_with_rowid=False
)

_NAMED: tuple[tuple[sa.Table, tuple[str, ...], str], ...] = (
    (tables.visitor_events, ("visitor", "via"), "time"),
    (tables.item_views, ("visitor",), "last_time"),
    (logins.logins, ("source", "target"), "time"),
    (logins.ignored_logins, ("source", "target"), "time"),
    (logins.login_sources, ("source", "target"), "first_time"),
    (logins.undone_logins, ("source", "target"), ""),
)
"""Every column that holds visitors, and the time of its row ("": it has none)."""


def erase(connection: sa.Connection, moves: LiveLogins, website: str, forgotten: Forgotten) -> None:
    """Delete what a website's visitors to forget did, and what logins gave others of it."""
    found: dict[str, int] = {}
    for visitor in _visitors(connection, website):
        found |= forgotten.among([visitor])
    for visitor, until in found.items():
        own = tables.visitor_events.c
        mine = (own.website == website, own.visitor == visitor, own.time <= until + AHEAD)
        connection.execute(sa.delete(tables.visitor_events).where(*mine))  # first, or logins would carry it on
        moves.forget_visitor(connection, website, visitor, until + AHEAD)
        for table, names, clock in _NAMED:
            named = sa.or_(*(table.c[name] == visitor for name in names))
            old = [table.c[clock] <= until + AHEAD] if clock else []
            connection.execute(sa.delete(table).where(table.c.website == website, named, *old))


def compact(engine: sa.Engine) -> None:
    """Write an SQLite file anew, its free pages and its write-ahead log gone."""
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")
            until = time.monotonic() + CHECKPOINT_SECONDS
            while connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:  # a reader is in the way
                if time.monotonic() > until:
                    raise LiveStoreUnavailable("the live store's write-ahead log is in use by a reader; next try soon")
                time.sleep(0.01)
    except sa.exc.SQLAlchemyError as error:
        raise LiveStoreUnavailable(f"the live store can not be written anew: {error}") from error


def applied(connection: sa.Connection) -> set[str]:
    """Return the ids of the tombstones that were applied."""
    return set(connection.scalars(sa.select(applied_erasures.c.id)))


def mark_applied(connection: sa.Connection, stones: Iterable[Tombstone]) -> None:
    """Remember that tombstones were applied."""
    if rows := [{"id": stone.id} for stone in stones]:
        connection.execute(sa.insert(applied_erasures), rows)


def applied_in(url: str) -> set[str]:
    """Return the ids of the tombstones that the store at `url` says were applied, as any process may ask.

    Raises LiveStoreUnavailable where it can not be asked.
    """
    engine = sa.create_engine(parse_live_url(url), poolclass=sa.pool.NullPool)
    try:
        with engine.connect() as connection:
            return applied(connection)
    except sa.exc.SQLAlchemyError as error:
        raise LiveStoreUnavailable(f"the live store can not be asked what it forgot: {error}") from error


def _visitors(connection: sa.Connection, website: str) -> Iterator[str]:
    """Yield every visitor that a table names, some more than once."""
    for table, names, _ in _NAMED:
        for name in names:
            query = sa.select(table.c[name]).where(table.c.website == website).distinct()
            yield from connection.scalars(query.execution_options(yield_per=10_000))
