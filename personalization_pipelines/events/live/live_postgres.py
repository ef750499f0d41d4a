"""Reading the live store from PostgreSQL with a deadline that holds even if the server is stopped.

psycopg2's asynchronous connections never block: this side waits for the socket, for as long as there is time.
A thread pool with `future.result(timeout)` would keep the deadline too, but its threads stay blocked in the
driver until the server comes back, and every read pays for two thread switches.
"""

from __future__ import annotations

import contextlib
import math
import select
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg2  # type: ignore[import-untyped]
import sqlalchemy as sa
from psycopg2 import errorcodes
from psycopg2.extensions import POLL_OK, POLL_READ  # type: ignore[import-untyped]
from psycopg2.extensions import connection as PgConnection
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from personalization_pipelines.events.live.live_url import with_options
from personalization_pipelines.foundation.errors import LiveStoreUnavailable

HANDSHAKE_SECONDS = 10.0
SERVER_OPTIONS = "-c statement_timeout=1000"  # an abandoned query shall not run on


class _Pending(NamedTuple):
    """A connection whose handshake was not over at a deadline; the next request goes on with it."""

    connection: PgConnection
    since: float


class PostgresSource:
    """A pool of asynchronous connections: as many as requests run at once."""

    def __init__(self, url: sa.URL) -> None:
        arguments, options = PGDialect_psycopg2().create_connect_args(url)  # type: ignore[no-untyped-call]
        self._arguments = arguments
        own = {"options": with_options(SERVER_OPTIONS, url)}
        self._options: dict[str, Any] = {"connect_timeout": 2, **options, **own}
        self._idle: deque[PgConnection] = deque()
        self._pending: deque[_Pending] = deque()

    def run(self, statement: str, parameters: Mapping[str, Any], until: float) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT; LiveStoreUnavailable if that takes longer than `until`."""
        with contextlib.suppress(IndexError):
            connection = self._idle.popleft()
            try:
                return self._query(connection, statement, parameters, until)
            except psycopg2.Error:
                self.close()  # the server was restarted: the other idle connections are dead as well
        try:
            return self._query(self._connect(until), statement, parameters, until)
        except psycopg2.Error as error:
            raise LiveStoreUnavailable(f"the live store's PostgreSQL: {str(error).strip()}") from error

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.popleft().close()

    def _query(
        self, connection: PgConnection, statement: str, parameters: Mapping[str, Any], until: float
    ) -> list[tuple[Any, ...]]:
        try:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            _wait(connection, until)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        except psycopg2.Error as error:
            if error.pgcode != errorcodes.UNDEFINED_TABLE:
                connection.close()
                raise
            rows = []
        except LiveStoreUnavailable:
            connection.close()
            self.close()
            raise
        self._idle.append(connection)
        return rows

    def _connect(self, until: float) -> PgConnection:
        try:
            pending = self._pending.popleft()
        except IndexError:
            opened = psycopg2.connect(*self._arguments, **self._options, async_=True)
            pending = _Pending(opened, time.monotonic())
        try:
            _wait(pending.connection, until)
        except LiveStoreUnavailable:
            if time.monotonic() - pending.since < HANDSHAKE_SECONDS:
                self._pending.append(pending)
            else:
                pending.connection.close()
            raise
        return pending.connection


def _wait(connection: PgConnection, until: float) -> None:
    """Return when the connection has finished what it does; LiveStoreUnavailable after `until`."""
    while (state := connection.poll()) != POLL_OK:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(math.ceil(left * 1000)):
            raise LiveStoreUnavailable("the live store's PostgreSQL did not answer within the deadline")
