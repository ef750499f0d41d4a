"""Dagster's own history on SQLite, with connections that are kept.

Dagster 1.13 makes a new SQLAlchemy engine, with an empty cache of compiled statements and a new connection, for
every event it stores: that was 3 of the 20 seconds of a build. The files, their layout and what is in them stay
Dagster's: an installation may go back to `storage: sqlite` at any time. PostgreSQL has a pool of its own.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from personalization_pipelines.errors import HistoryUnavailable
from personalization_pipelines.home import Home

KEPT = 4
"""Files with open connections: runs, the index of events, and the newest runs' events."""
BUSY_SECONDS = 60
STORAGE = {"module": "personalization_pipelines.graph.history", "class": "KeptSqliteStorage"}
"""How `dagster.yaml` names the storage (below `storage: custom`)."""


_FULL = "the disk is full: free some space there, then run it again; what is published keeps serving"
_AWAY = (
    "stop what uses it, move its directory `history` away and run it again: Dagster begins a new one, "
    "nothing else is lost"
)
_SQLITE_SAYS = {
    "is full": _FULL,
    "disk i/o error": "the disk fails or is full: look at its space and at the system's log, then run it again",
    "readonly": "this user may not write there: give it the right to, then run it again",
    "unable to open": "this user may not write there, or the disk is full: look at both, then run it again",
    "malformed": f"the file is damaged: {_AWAY}",
    "not a database": f"the file is damaged: {_AWAY}",
    "no such": f"the file is damaged: {_AWAY}",
    "locked": "another process holds it: wait until that is done, then run it again",
}
"""What SQLite says, and what to do about it."""


@contextmanager
def history_failures(home: Home) -> Iterator[None]:
    """Turn what goes wrong with Dagster's own storage into a sentence that names its directory."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        raise HistoryUnavailable(history_sentence(home, error)) from error


def history_sentence(home: Home, error: Exception) -> str:
    """Return where Dagster's storage is, what is wrong with it, and what to do."""
    said = str(getattr(error, "orig", None) or error).lower()
    if home.database.startswith("postgresql"):
        return (
            "Dagster's history: PostgreSQL (PERSONALIZATION_DATABASE) refused it; start that server or look at its "
            "log, then run it again"
        )
    advice = next((advice for words, advice in _SQLITE_SAYS.items() if words in said), f"it can not be used: {_AWAY}")
    return f"{home.dagster}: Dagster's history: {advice}"


class KeptEngines:
    """The engines of a few SQLite files; one that was deleted is forgotten."""

    def __init__(self) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, url: str) -> sa.Engine:
        """Return the engine of a database."""
        with self._lock:
            engine = self._engines.pop(url, None)
            if engine is not None and not Path(str(sa.make_url(url).database)).exists():
                engine.dispose()
                engine = None
            self._engines[url] = engine = engine or _engine(url)
            while len(self._engines) > KEPT:
                self._engines.popitem(last=False)[1].dispose()
            return engine

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()


def _engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # In WAL mode a power failure may cost the last rows of the history, never the file.
        connection.execute("PRAGMA synchronous=NORMAL").close()

    return engine


class KeptEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log, a file a run and an index; one connection at a time, as there."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines = KeptEngines()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            engine = self._engines.get(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs or not Path(self.path_for_shard(shard)).exists():
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def dispose(self) -> None:
        """Close all connections."""
        super().dispose()
        self._engines.close()


class KeptRunStorage(SqliteRunStorage):
    """Dagster's runs."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines = KeptEngines()
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction."""
        with self._engines.get(self._conn_string).begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close all connections."""
        super().dispose()
        self._engines.close()


class KeptSqliteStorage(DagsterSqliteStorage):
    """Dagster's storage below one directory, in the layout of `storage: sqlite`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)  # makes the files where there are none
        root = Path(base_dir)
        self._run_storage = KeptRunStorage(self._run_storage._conn_string)
        self._event_log_storage = KeptEventLogStorage(f"{root / 'history' / 'runs'}/")

    @classmethod
    def from_config_value(  # type: ignore[override]  # as Dagster's own
        cls, inst_data: ConfigurableClassData, config_value: dict[str, str]
    ) -> KeptSqliteStorage:
        """Return the storage that `dagster.yaml` describes."""
        return cls.from_local(inst_data=inst_data, **config_value)
