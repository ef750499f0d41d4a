"""What the event log is compared with: an INSERT and its COMMIT in the request, into SQLite or PostgreSQL.

Both take the place of the log behind the same tracker, so parsing, judging and answering cost the same; both
answer only when the rows are on the disk. One table of texts without an index: the least that could be stored.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from personalization_pipelines.foundation.errors import LogUnavailable


class SqliteInserts:
    """Write-ahead log, `synchronous=FULL`, one connection for all threads: none of them has to wait for a busy file."""

    failure: LogUnavailable | None = None

    def __init__(self, directory: Path) -> None:
        self._mutex = threading.Lock()
        path = directory / "events.sqlite"
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("pragma journal_mode=wal")
        self._connection.execute("pragma synchronous=full")
        self._connection.execute("create table if not exists events (id integer primary key, event blob not null)")

    def append(self, records: Sequence[bytes]) -> None:
        """Insert and commit."""
        with self._mutex:
            self._connection.execute("begin immediate")
            self._connection.executemany("insert into events (event) values (?)", [(record,) for record in records])
            self._connection.execute("commit")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class PostgresInserts:
    """`synchronous_commit=on`, one connection a thread, all rows of a call in one statement."""

    failure: LogUnavailable | None = None

    def __init__(self, url: str) -> None:
        self._url = url
        self._own = threading.local()
        self._cursor().execute("create table if not exists events (id bigserial primary key, event text not null)")

    def append(self, records: Sequence[bytes]) -> None:
        """Insert; each statement is its own transaction."""
        texts = [record.decode() for record in records]
        if len(texts) == 1:
            self._cursor().execute("insert into events (event) values (%s)", texts)
        else:
            self._cursor().execute("insert into events (event) select unnest(%s::text[])", (texts,))

    def close(self) -> None:
        """Close this thread's connection."""
        self._cursor().connection.close()

    def _cursor(self) -> Any:
        if not hasattr(self._own, "cursor"):
            import psycopg2

            connection = psycopg2.connect(self._url)
            connection.autocommit = True
            self._own.cursor = connection.cursor()
        return self._own.cursor
