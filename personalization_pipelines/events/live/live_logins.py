"""Logins in the live store: what the source has is copied to the target, so that reading a history stays one range.

A copy knows through whom and when it came (`via`, `arrived`), so it can be taken back, and so every event, login and
undoing leads to the same rows in whatever order they arrive from the logs of several servers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.live import live_login_tables as tables
from personalization_pipelines.events.live.live_tables import insert_into
from personalization_pipelines.events.live.logins import DAY_MICROSECONDS, LOGIN, MAX_HOPS, Login, login_of

VISITORS_AT_ONCE = 1000
_ALWAYS = (-1, 2**62)


class LiveLogins:
    """Applies logins in the transactions of the live store's one writer."""

    def __init__(self, dialect: str) -> None:
        self._insert_login = insert_into(dialect, tables.logins).on_conflict_do_nothing()
        self._insert_ignored = insert_into(dialect, tables.ignored_logins).on_conflict_do_nothing()
        self._insert_undone = insert_into(dialect, tables.undone_logins).on_conflict_do_nothing()
        self._upsert_source = tables.upsert_source(dialect)
        self._move = tables.move_events(dialect)
        self._take_back = tables.take_back()
        self._first_sources, self._is_undone = tables.first_sources(), tables.is_undone()
        self._select_next, self._select_after = tables.next_login(), tables.login_after()
        self._select_before = tables.login_before()
        self._select_sources = tables.sources_among()
        self._newest: dict[str, int] = {}

    def load(self, connection: sa.Connection) -> None:
        """Remember how far each website's logins reach: later events can be nobody's late ones."""
        self._newest = {website: newest for website, newest in connection.execute(tables.newest_logins())}  # noqa: C416 - rows, not pairs

    def apply(self, connection: sa.Connection, batch: Sequence[Event]) -> None:
        """Apply the logins of a batch whose other events are stored already, and carry its late events on.

        If the transaction fails, what is remembered is no more than too careful.
        """
        newest = self._newest
        late = [one for one in batch if not one.source_visitor and one.time <= newest.get(one.website, -1)]
        told = [(event.event, login) for event in batch if (login := login_of(event))]
        for name, login in sorted(told, key=lambda one: (one[1].time, one[1])):
            if name == LOGIN:
                self._log_in(connection, login)
            else:
                self._undo(connection, login)
        if late:
            self._carry_late(connection, late)

    def forget_before(self, connection: sa.Connection, website: str, time: int) -> None:
        """Forget logins of days before `time`: what they could move is forgotten too."""
        day = time // DAY_MICROSECONDS
        for table in (tables.logins, tables.ignored_logins):
            old = (table.c.website == website, table.c.time < day * DAY_MICROSECONDS)
            connection.execute(sa.delete(table).where(*old))
        sources = tables.login_sources
        connection.execute(sa.delete(sources).where(sources.c.website == website, sources.c.day < day))

    def forget_visitor(self, connection: sa.Connection, website: str, visitor: str, until: int) -> None:
        """Let no login from or to a visitor up to `until` count; what it gave, and passed on, is taken back."""
        table = tables.logins
        named = (table.c.website == website, sa.or_(table.c.source == visitor, table.c.target == visitor))
        for row in connection.execute(sa.select(table).where(*named, table.c.time <= until)).all():
            self._remove(connection, Login(*row))

    def _log_in(self, connection: sa.Connection, login: Login) -> None:
        own, day = _own(login), {"a_website": login.website, "a_target": login.target, "a_day": login.day}
        before = list(connection.scalars(self._first_sources, day))
        first = {"website": login.website, "target": login.target, "day": login.day, "source": login.source}
        connection.execute(self._upsert_source, {**first, "first_time": login.time})
        counting = list(connection.scalars(self._first_sources, day))
        for source in set(before) - set(counting):
            for one in self._of_day(connection, tables.logins, login._replace(source=source)):
                self._remove(connection, one)
                connection.execute(self._insert_ignored, one._asdict())
        if login.source not in counting or connection.scalar(self._is_undone, own):
            connection.execute(self._insert_ignored, login._asdict())
            return
        waiting = [] if login.source in before else self._of_day(connection, tables.ignored_logins, login)
        for one in [*waiting, login]:
            self._add(connection, one)

    def _of_day(self, connection: sa.Connection, table: sa.Table, login: Login) -> list[Login]:
        start = login.day * DAY_MICROSECONDS
        return self._of_pair(connection, table, login, (start, start + DAY_MICROSECONDS))

    def _of_pair(
        self, connection: sa.Connection, table: sa.Table, login: Login, span: tuple[int, int] = _ALWAYS
    ) -> list[Login]:
        found = sa.select(table.c.time).where(*tables.of_pair(table)).order_by(table.c.time)
        times = connection.scalars(found, {**_own(login), "a_time": span[0], "a_until": span[1]}).all()
        return [login._replace(time=time) for time in times]

    def _undo(self, connection: sa.Connection, login: Login) -> None:
        pair = {"website": login.website, "source": login.source, "target": login.target}
        connection.execute(self._insert_undone, pair)
        for one in self._of_pair(connection, tables.logins, login):
            self._remove(connection, one)

    def _add(self, connection: sa.Connection, login: Login) -> None:
        """Let a login count: it takes its part from the one after it, and gives it to its target."""
        following = self._after(connection, login)
        rerouted = self._way(connection, following)
        for one in rerouted:
            connection.execute(self._take_back, _own(one))
        connection.execute(self._insert_login, login._asdict())
        self._newest[login.website] = max(login.time, self._newest.get(login.website, -1))
        self._carry(connection, [*self._way(connection, login), *rerouted])

    def _remove(self, connection: sa.Connection, login: Login) -> None:
        """Let a login no longer count: what it gave is taken back and goes with the one after it."""
        way = self._way(connection, login)
        for one in way:
            connection.execute(self._take_back, _own(one))
        connection.execute(sa.delete(tables.logins).where(*tables.of_pair(tables.logins)), _exactly(login))
        others = [one for one in way if one != login]  # in a circle of one moment its own way leads back to it
        self._carry(connection, [*others, *self._way(connection, self._after(connection, login))])

    def _carry_late(self, connection: sa.Connection, late: Iterable[Event]) -> None:
        """Carry on what happened before a login that was applied already."""
        times: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for event in late:
            times[event.website][event.visitor].append(event.time)
        for website, visitors in times.items():
            for source in self._sources_among(connection, website, list(visitors)):
                found = {self._next(connection, website, source, time) for time in visitors[source]}
                for login in sorted(one for one in found if one):
                    self._carry(connection, self._way(connection, login))

    def _sources_among(self, connection: sa.Connection, website: str, visitors: Sequence[str]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(visitors), VISITORS_AT_ONCE):
            chosen = {"a_website": website, "visitors": visitors[start : start + VISITORS_AT_ONCE]}
            found += connection.scalars(self._select_sources, chosen)
        return found

    def _way(self, connection: sa.Connection, login: Login | None) -> list[Login]:
        """Return the login and those that carry on what it gives: all of it arrives at one moment, so goes one way."""
        way: list[Login] = []
        while login and len(way) < MAX_HOPS:
            way.append(login)
            login = self._next(connection, login.website, login.target, login.time)
        return way

    def _carry(self, connection: sa.Connection, ways: Iterable[Login]) -> None:
        """Copy what each login moves. Logins of one moment may feed each other, so until nothing is left to copy."""
        edges = sorted(set(ways), key=lambda one: (one.time, one))
        copied = True
        while copied:
            copied = False
            for one in edges:
                before = connection.scalar(self._select_before, _own(one))
                moved = connection.execute(self._move, {**_own(one), "after": -1 if before is None else before})
                copied |= moved.rowcount > 0 and len(edges) > 1

    def _next(self, connection: sa.Connection, website: str, source: str, time: int) -> Login | None:
        found = connection.execute(
            self._select_next, {"a_website": website, "a_source": source, "a_time": time}
        ).first()
        return Login(website, source, *found) if found else None

    def _after(self, connection: sa.Connection, login: Login) -> Login | None:
        found = connection.execute(self._select_after, _own(login)).first()
        return login._replace(time=found[0], target=found[1]) if found else None


def _own(login: Login) -> dict[str, object]:
    return {f"a_{name}": value for name, value in login._asdict().items()}


def _exactly(login: Login) -> dict[str, object]:
    return {**_own(login), "a_until": login.time + 1}
