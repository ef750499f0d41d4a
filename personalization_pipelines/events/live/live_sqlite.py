"""Reading the live store from SQLite: one read-only connection a thread, interrupted at the deadline.

The file is in WAL mode, so readers never wait for the follower. A disk that stops answering can not be
interrupted from here; nothing of a request is written to it, and what is read is nearly always cached.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from personalization_pipelines.events.live.live_file import inodes_of, is_damage, report_damage
from personalization_pipelines.foundation.errors import LiveStoreUnavailable

BUSY_SECONDS = 0.01
STEPS_BETWEEN_LOOKS = 10_000  # virtual machine steps; some 0.1 ms
LOOK_SECONDS = 1.0


class _Connection(threading.local):
    """This thread's connection: the files it belongs to, and until when the running query may take."""

    opened: sqlite3.Connection | None = None
    inodes: tuple[int, int] | None = None
    looked: float = 0.0
    until: float = 0.0


class SqliteSource:
    """Reads the SQLite file at `path`; no file means no rows."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._own = _Connection()

    def run(self, statement: str, parameters: Mapping[str, Any], until: float) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT; LiveStoreUnavailable if it takes longer than `until`."""
        own = self._own
        own.until = until
        try:
            connection = self._connection(own)
            return connection.execute(statement, parameters).fetchall() if connection else []
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error as error:
            if "no such table" in str(error):
                return []
            self.close()
            if is_damage(error):
                report_damage(self._path)
            raise LiveStoreUnavailable(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Close this thread's connection; other threads' close when the thread ends."""
        if self._own.opened:
            self._own.opened.close()
            self._own.opened = None

    def _connection(self, own: _Connection) -> sqlite3.Connection | None:
        """Return the thread's connection to the file that is there now; it may have been rebuilt."""
        now = time.monotonic()
        if own.opened and now - own.looked < LOOK_SECONDS:
            return own.opened
        inodes = inodes_of(self._path)
        if inodes is None:
            self.close()
            return None
        if own.opened is None or inodes != own.inodes:
            self.close()
            own.opened, own.inodes = self._open(own), inodes
        own.looked = now
        return own.opened

    def _open(self, own: _Connection) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        connection.set_progress_handler(lambda: time.monotonic() > own.until, STEPS_BETWEEN_LOOKS)
        return connection
