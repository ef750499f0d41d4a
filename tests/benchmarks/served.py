"""Servers that are measured: started on the first core, watched for their CPU, killed at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.load import SERVER_CORE, pinned
from tests.postgres import PostgresServer, find_binaries


@contextlib.contextmanager
def server(what: str, place: str | Path, port: int, module: str = "tests.benchmarks.tracking_server") -> Iterator[int]:
    """One server of a module, on the first core; gives the id of its process group."""
    command = [sys.executable, "-m", module, what, str(place), str(port)]
    process = subprocess.Popen(
        [*pinned(SERVER_CORE), *command], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the {what} server did not start on port {port}")
            time.sleep(0.05)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class DurablePostgres(PostgresServer):
    """A PostgreSQL that answers only when a row is on the disk, with its own defaults, on the first core."""

    OPTIONS = "-c listen_addresses=127.0.0.1 -c max_connections=150"

    def start(self) -> None:
        """Start it where its processes, which inherit that, stay on one core."""
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {SERVER_CORE} & cores or cores)
        try:
            super().start()
        finally:
            os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def durable_postgres() -> Iterator[str | None]:
    """The URL of an empty database of a PostgreSQL that syncs; None where none is installed."""
    binaries = find_binaries()
    if binaries is None:
        yield None
        return
    running = DurablePostgres(binaries)
    try:
        yield running.new_database()
    finally:
        running.remove()


def cpu_seconds(group: int) -> float:
    """Return the CPU seconds that the processes of a group have used so far."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = path.read_text().rpartition(")")[2].split()  # after the name: state, ppid, pgrp, …
            ticks += int(fields[11]) + int(fields[12]) if int(fields[2]) == group else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def listens(port: int) -> bool:
    """Whether somebody listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory on a real disk (here, not in /tmp, which may be in memory), removed afterwards."""
    base = Path(".bench")
    base.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="log-", dir=base))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
