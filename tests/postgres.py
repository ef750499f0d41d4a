"""A throw-away PostgreSQL for tests: started once a session from the installed binaries, a fresh database a test."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.memory import temporary_root
from tests.ports import free_port

_FAST = "-c fsync=off -c full_page_writes=off -c listen_addresses=127.0.0.1 -c max_connections=50"


class PostgresServer:
    """A running server in a directory of its own; it can be frozen, stopped at once, and started again."""

    OPTIONS = _FAST

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.directory = Path(tempfile.mkdtemp(prefix="pg", dir=temporary_root()))
        self._as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as_postgres:
            shutil.chown(self.directory, "postgres")
        self.port = free_port()
        self._names = itertools.count()
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "postgres", "--no-sync")
        self.start()

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases, as a person would write it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"test{next(self._names)}"
        engine = sa.create_engine(self.url().replace("postgresql:", "postgresql+psycopg2:"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self.url(name)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -k {self.directory} {self.OPTIONS}"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self.directory / "log"), "-o", options, "start")

    def stop(self) -> None:
        """End it at once, without a checkpoint, as a crash does."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")

    def kill(self) -> None:
        """Kill -9 the server and all its processes."""
        processes = self._processes()
        for process in processes:
            os.kill(process, signal.SIGKILL)
        while any(_lives(process) for process in processes):
            time.sleep(0.01)

    def freeze(self) -> None:
        """SIGSTOP the server and all its backends: connections stay open and nothing answers."""
        server, *_ = self._processes()
        os.kill(server, signal.SIGSTOP)
        for backend in self._processes()[1:]:
            os.kill(backend, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT what was frozen."""
        for process in reversed(self._processes()):
            os.kill(process, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and delete its directory."""
        self.thaw()
        self.stop()
        shutil.rmtree(self.directory)

    @property
    def _data(self) -> str:
        return str(self.directory / "data")

    def _processes(self) -> list[int]:
        server = int((self.directory / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        return [server, *map(int, children)]

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_postgres, str(self._binaries / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def find_binaries() -> Path | None:
    """Return the directory of the newest installed PostgreSQL server, or None."""
    places = [Path(os.environ["PG_BIN"])] if "PG_BIN" in os.environ else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("initdb"):
        places.append(Path(found).parent)
    return next((place for place in places if (place / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's server; the test is skipped where PostgreSQL is not installed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (looked in $PG_BIN, /usr/lib/postgresql and PATH)")
    server = PostgresServer(binaries)
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The URL of a database of this test's own."""
    return postgres_server.new_database()
