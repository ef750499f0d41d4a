"""From an acknowledged event to the recommendation of another process, and how long ten minutes away take to make up.

Two servers of one home, one of them with two workers, on SQLite and on a PostgreSQL that is started for it: a buy is
sent to one worker, and another is asked (every 2 ms) until it no longer recommends what was bought. Once with
nothing else going on, once beside eight clients that track as well. Then a follower finds 600,000 events (ten
minutes at 1,000 a second) that it has not seen.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from personalization_pipelines.foundation.home import Home
from tests.benchmarks.report import Report
from tests.benchmarks.served import scratch
from tests.faults.server import Clients
from tests.postgres import PostgresServer, find_binaries
from tests.serving.backlog import seconds_to_catch_up, write_backlog
from tests.serving.live_site import Worker, seconds_until, serving_site

EVENTS = 300
BACKLOG, VISITORS = 600_000, 60_000
PATIENCE = 10.0


def run(report: Report) -> None:
    """Measure both databases; PostgreSQL only where its binaries are installed."""
    with databases() as urls:
        for name, url in urls.items():
            with scratch() as directory:
                measure_delay(report, name, directory, url())
            with scratch() as directory:
                measure_backlog(report, name, directory, url())


@contextlib.contextmanager
def databases() -> Iterator[dict[str, Callable[[], str]]]:
    """Give, by name, how to get a fresh live store."""
    binaries = find_binaries()
    if binaries is None:
        print("PostgreSQL is not installed: only SQLite is measured", file=sys.stderr)
        yield {"SQLite": str}
        return
    server = PostgresServer(binaries)
    try:
        yield {"SQLite": str, "PostgreSQL": server.new_database}
    finally:
        server.remove()


def measure_delay(report: Report, name: str, directory: Path, database: str) -> None:
    """Add p50 and p99 from tracker to recommendation, alone and beside other events."""
    with serving_site(directory / "home", database) as workers:
        add_delay(report, f"live history, {name}", delays(workers, "a"))
        with Clients(workers[0].port, pause=0.01) as clients:
            found = delays(workers, "b")
        add_delay(report, f"live history, {name}, beside other events", found)
    if clients.refused or clients.unknown:
        raise RuntimeError(f"{len(clients.refused)} events refused, {len(clients.unknown)} unanswered")


def delays(workers: list[Worker], prefix: str) -> list[float]:
    """Return the sorted seconds of so many events, each of a new visitor, from one process to another."""
    found = []
    for number in range(EVENTS):
        user, told, asked = f"{prefix}{number}", workers[number % 3], workers[(number + 1) % 3]
        acknowledged = told.send("buy", user, "6")
        holds = lambda asked=asked, user=user: 6 not in asked.recommended(user)  # noqa: E731
        found.append(seconds_until(holds, acknowledged, PATIENCE))
    return sorted(found)


def add_delay(report: Report, name: str, found: list[float]) -> None:
    """Add the two rows."""
    report.add(f"{name}: tracker to recommendation, p50", median(found), "s")
    report.add(f"{name}: tracker to recommendation, p99", found[int(len(found) * 0.99)], "s", goal="< 1")


def measure_backlog(report: Report, name: str, directory: Path, database: str) -> None:
    """Add how long a follower that was away for ten minutes needs."""
    home = Home(directory / "home", database)
    home.create()
    write_backlog(home, BACKLOG, VISITORS)
    seconds = seconds_to_catch_up(home)
    report.add(f"live history, {name}: catching up {BACKLOG:,} events (10 minutes at 1,000/s)", seconds, "s")
    report.add(f"live history, {name}: applied", BACKLOG / seconds, "events/s")
