"""The live store as its one writer sees it: batches of events, each applied together with the log positions.

The store is bounded: the follower forgets, every hour, what is older than the retention, and of each kind of events
of one visitor all but the newest 500 (at once, of who does much at once). It can be rebuilt from the log, so a commit
need not wait for the disk; positions and events are in one transaction and never disagree.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from personalization_pipelines.erasure.tombstones import Forgotten
from personalization_pipelines.events.event import Event
from personalization_pipelines.events.live import live_erasure
from personalization_pipelines.events.live import live_tables as tables
from personalization_pipelines.events.live.live_bulk import write_rows
from personalization_pipelines.events.live.live_busy import BusyVisitors, Visitor
from personalization_pipelines.events.live.live_file import LiveFile, is_damage
from personalization_pipelines.events.live.live_logins import LiveLogins
from personalization_pipelines.events.live.live_url import parse_live_url, with_options
from personalization_pipelines.events.log.tail import Position
from personalization_pipelines.foundation.errors import CorruptData, LiveStoreUnavailable

VIEW_EVENTS = frozenset({"click", "consume"})
VIEW_MICROSECONDS = 24 * 3600 * 1_000_000
VIEWS_AT_ONCE = 200_000  # looked at in 0.1 s; while all the millions were, every event would have to wait
NEWEST_PER_VISITOR = 500
SHARES = len(tables.VISITOR_LETTERS)  # of the visitors by their first letter, 64 of about the same size
ASK_EVERY = 0.5  # seconds between two questions whether PostgreSQL is still the server that took the last events
# A limit on statements that an administrator set for everybody would end the same batch again and again.
POSTGRES_SETTINGS = "-c synchronous_commit=off -c statement_timeout=0"
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# Checkpoints every 32 MiB: a page that many visitors share is then written once instead of many times. With 50 M events
# stored, a cache of 256 MiB makes an event a third cheaper than one of 64 MiB; memory that is not needed is not taken.
SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "cache_size=-262144",
    "busy_timeout=5000",
    "wal_autocheckpoint=8192",
)
# What the database says about the data, not about itself: such an event is skipped, nothing is retried.
_DATA_ERRORS = (sa.exc.DataError, sa.exc.IntegrityError, OverflowError, ValueError)

_log = logging.getLogger(__name__)


class LiveStore:
    """Writes the live store at `url`; one at a time. Makes the tables that do not exist yet.

    Every method raises LiveStoreUnavailable while the database is away; nothing was changed then. CorruptData
    means that the SQLite file is damaged: `discard` it and begin again.
    """

    def __init__(self, url: str) -> None:
        self._file = _file(url)
        if self._file:
            self._file.prepare()
        self._engine = _engine(parse_live_url(url))
        self._dialect = self._engine.dialect.name
        self._insert_events = tables.insert_events(self._dialect)
        self._upsert_views = tables.upsert_views(self._dialect)
        self._upsert_positions = tables.upsert_positions(self._dialect)
        self._delete_beyond = tables.delete_beyond(NEWEST_PER_VISITOR)
        self._logins = LiveLogins(self._dialect)
        self._busy = BusyVisitors()
        self._next_question = 0.0
        self._next_view: tuple[Any, ...] = tables.FIRST_VIEW
        try:
            with self._transaction() as connection:
                tables.metadata.create_all(connection)
                tables.add_columns(connection)
                self._logins.load(connection)
        except BaseException:
            self._engine.dispose()
            raise
        if self._file:
            self._file.opened()

    def check(self) -> None:
        """Look at the SQLite file: CorruptData if it is not the one that was opened, or a reader's report holds.

        PostgreSQL is asked something twice a second: if it crashed, it may have taken back what it committed last.
        """
        if not self._file:
            self._ask()
            return
        if not self._file.is_current():
            raise CorruptData(f"{self._file.path} was deleted, emptied or replaced while it was open")
        if self._file.is_suspected():
            with self._transaction() as connection:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if found != "ok":
                raise CorruptData(f"{self._file.path}: {found}")
            self._file.acquit()

    def positions(self) -> dict[str, Position]:
        """Return up to where each writer's segments have been applied."""
        with self._transaction() as connection:
            rows = connection.execute(tables.select_positions()).all()
        return {writer: Position(number, offset) for writer, number, offset in rows}

    def apply(self, batch: Sequence[Event], positions: Mapping[str, Position] | None = None) -> None:
        """Store events and, in the same transaction, the positions behind them; a repetition changes nothing.

        An event that the database can not hold (the tracker lets none through) is skipped with a warning: the
        ones after it must not wait for it.
        """
        try:
            self._apply(batch, positions or {})
        except _DATA_ERRORS as error:
            if len(batch) <= 1:
                _log.warning("the live store can not hold %r; skipped: %s", batch, error)
                self._apply([], positions or {})
                return
            middle = len(batch) // 2
            self.apply(batch[:middle])
            self.apply(batch[middle:], positions)

    def websites(self) -> list[str]:
        """Return the websites of which there are events."""
        table, found = tables.visitor_events.c.website, [""]
        with self._transaction() as connection:
            while (following := connection.scalar(sa.select(sa.func.min(table)).where(table > found[-1]))) is not None:
                found.append(following)
        return found[1:]

    def forget_before(self, time: int, website: str | None = None, share: int | None = None) -> int:
        """Delete events from before `time` (µs, UTC), and of a visitor's all but 500 of each kind; return how many.

        `share` (0 to 63) looks at one 64th of the visitors, so that no transaction takes long.
        """
        forgotten = 0
        for name in [website] if website is not None else self.websites():
            for number in range(SHARES) if share is None else [share]:
                forgotten += self._forget(name, number, time)
        return forgotten

    def forget_views(self, time: int) -> int:
        """Delete what `viewers` no longer counts, views from before `time`, in one part of them; return how many.

        The next call goes on behind that part, after the last one with the first.
        """
        with self._transaction() as connection:
            end = connection.execute(tables.view_behind(self._next_view, VIEWS_AT_ONCE)).first()
            forgotten = connection.execute(tables.delete_views(time, self._next_view, end)).rowcount
        self._next_view = tuple(end) if end else tables.FIRST_VIEW
        return forgotten

    def erase(self, website: str, forgotten: Forgotten) -> int:
        """Forget whom a website's tombstones name that were not applied yet; return how many those were.

        An SQLite file is written anew, so that no byte is left in pages that are free; only then do they count as
        applied.
        """
        with self._transaction() as connection:
            done = live_erasure.applied(connection)
            new = [stone for stone in forgotten.stones if stone.id not in done]
            if new:
                live_erasure.erase(connection, self._logins, website, forgotten.only(new))
        if new and self._file:
            live_erasure.compact(self._engine)
        with self._transaction() as connection:
            live_erasure.mark_applied(connection, new)
        return len(new)

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def _apply(self, batch: Sequence[Event], positions: Mapping[str, Position]) -> None:
        known = [event for event in batch if event.visitor and not event.quarantine]
        own = {(e.website, e.visitor, e.time, e.event, e.item_type, e.item): e for e in known if not e.source_visitor}
        rows = [(*key, event.scenario, "", 0, 0) for key, event in sorted(own.items(), key=itemgetter(0))]
        moved = [(writer, position.number, position.offset) for writer, position in positions.items()]
        with self._transaction() as connection:
            write_rows(connection, tables.visitor_events, self._insert_events, rows)
            self._logins.apply(connection, known)
            write_rows(connection, tables.item_views, self._upsert_views, _views(known))
            write_rows(connection, tables.follower_positions, self._upsert_positions, moved)
            for visitor in self._busy.add(rows):
                self._trim(connection, visitor)

    def _ask(self) -> None:
        if (now := time.monotonic()) >= self._next_question:
            self._next_question = now + ASK_EVERY
            with self._transaction() as connection:
                connection.exec_driver_sql("SELECT 1")

    def _forget(self, website: str, share: int, time: int) -> int:
        table = tables.visitor_events.c
        letters = tables.VISITOR_LETTERS
        mine = tables.in_share(website, letters[share] if share else "", letters[share + 1 : share + 2])
        with self._transaction() as connection:
            if not share:
                self._logins.forget_before(connection, website, time)
            forgotten = connection.execute(sa.delete(tables.visitor_events).where(*mine, table.time < time)).rowcount
            counts = sa.select(table.visitor).where(*mine).group_by(table.visitor)
            for visitor in connection.scalars(counts.having(sa.func.count() > NEWEST_PER_VISITOR)).all():
                forgotten += self._trim(connection, (website, visitor))
        return forgotten

    def _trim(self, connection: sa.Connection, visitor: Visitor) -> int:
        own = dict(zip(("one_website", "one_visitor"), visitor, strict=True))
        return connection.execute(self._delete_beyond, own).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (sa.exc.DataError, sa.exc.IntegrityError):
            raise
        except sa.exc.SQLAlchemyError as error:
            if is_damage(error.__cause__):
                raise CorruptData(f"the live store is damaged: {error.__cause__}") from error
            raise LiveStoreUnavailable(f"the live store can not be written: {error}") from error


def _views(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """Return rows of `item_views`: per item and visitor the last time, of the last 24 hours."""
    oldest = time.time_ns() // 1000 - VIEW_MICROSECONDS
    views: dict[tuple[str, int, str, str], int] = {}
    for event in events:
        if event.event in VIEW_EVENTS and event.item and event.time >= oldest and not event.is_bot:
            key = (event.website, event.item_type, event.item, event.visitor)
            views[key] = max(views.get(key, 0), event.time)
    return sorted((*key, last_time) for key, last_time in views.items())


def discard(url: str) -> None:
    """Throw a damaged SQLite store away, after it was closed; the follower makes it again from the log."""
    if file := _file(url):
        file.discard()


def _file(url: str) -> LiveFile | None:
    parsed = parse_live_url(url)
    return LiveFile(Path(str(parsed.database))) if parsed.get_backend_name() == "sqlite" else None


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "postgresql":
        options = {**POSTGRES_OPTIONS, "options": with_options(POSTGRES_SETTINGS, url)}
        return sa.create_engine(url, pool_size=1, max_overflow=0, connect_args=options)
    engine = sa.create_engine(url, poolclass=sa.pool.StaticPool, connect_args={"check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        for pragma in SQLITE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").close()

    return engine
