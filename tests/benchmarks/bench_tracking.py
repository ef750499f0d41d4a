"""Tracking against a view that does nothing, the bare log, and an insert in the request; rounds in turns.

All servers are the same Flask on the same server (granian, WSGI, one worker, 32 threads) on the first core,
PostgreSQL's processes too; the load comes from a process on the second. Every event is judged, pseudonymised,
written and synced before it counts. Batches are of 100 events of 100 visitors, in two kinds: of visitors that were
seen within the last minute, and of visitors of whom nothing is known.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from personalization_pipelines.events.judging.batch_usual import MAX_VISITORS
from personalization_pipelines.events.log.event_log import SegmentLog
from tests.benchmarks.load import Load, run_load
from tests.benchmarks.report import Report
from tests.benchmarks.served import cpu_seconds, durable_postgres, scratch, server

ROUNDS, SECONDS = 3, 1.5
FIRST_PORT = 18101
NAMES = {"noop": "no-op view", "sqlite": "SQLite insert", "postgres": "PostgreSQL insert", "log": "bare log"}
SINGLES = [f"/api/00001/click/visitor{number % 500}/1/{number % 997}?lang=eng-GB" for number in range(2000)]
BATCH = 100


def batches(visitors: int, events: int) -> list[str]:
    """Requests of 100 events each, as `load` wants them."""
    many = [
        {"event": "click", "user": f"visitor{n * 7 % visitors}", "item_type": 1, "item": n % 997, "lang": "eng-GB"}
        for n in range(events)
    ]
    bodies = (json.dumps(many[start : start + BATCH], separators=(",", ":")) for start in range(0, events, BATCH))
    return [f"/api/00001/events\t{body}" for body in bodies]


class Setting(NamedTuple):
    """One comparison: its name, the requests, events in each, the goal of tracking against the no-op view and alone."""

    name: str
    requests: list[str]
    events: int
    connections: int
    share: str = ""
    goal: str = ""


class Measured(NamedTuple):
    """What came of one contender in one round: events/s, milliseconds, CPU microseconds an event."""

    per_second: float
    p50: float
    p99: float
    cpu: float


def settings() -> list[Setting]:
    """What is measured."""
    many = {
        "known visitors": batches(500, 10_000),
        "new visitors": batches(2 * MAX_VISITORS, 2 * MAX_VISITORS),
    }
    singles = [
        Setting("single events", SINGLES, 1, connections, share=">= 0.70" if connections == 32 else "")
        for connections in (1, 8, 32, 128)
    ]
    return singles + [
        Setting(f"batches, {kind}", requests, BATCH, connections, goal=">= 200000" if connections == 8 else "")
        for kind, requests in many.items()
        for connections in (1, 8)
    ]


def run(report: Report) -> None:
    """Measure every setting with every contender."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        places: dict[str, str | Path | None] = dict.fromkeys(("tracking", "noop", "sqlite"), directory)
        places["postgres"] = stack.enter_context(durable_postgres())
        servers = {
            what: (FIRST_PORT + number, stack.enter_context(server(what, place, FIRST_PORT + number)))
            for number, (what, place) in enumerate(places.items())
            if place is not None
        }
        for number, setting in enumerate(settings()):
            compare(report, setting, servers, directory / f"bare-{number}")


def compare(report: Report, setting: Setting, servers: dict[str, tuple[int, int]], bare: Path) -> None:
    """Measure one setting, all contenders in turns, and add the medians of tracking against each of the others."""
    found: dict[str, list[Measured]] = defaultdict(list)
    for number in range(ROUNDS):
        for what, (port, group) in servers.items():
            found[what].append(measured(setting, what, port, group))
        found["log"].append(bare_log(bare / str(number), setting.connections, setting.events))
    medians = {what: Measured(*map(statistics.median, zip(*rows, strict=True))) for what, rows in found.items()}
    own, name = medians.pop("tracking"), f"{setting.name}, {setting.connections} connections"
    noop = medians["noop"]
    report.add(f"{name}: acknowledged", own.per_second, "events/s", goal=setting.goal)
    report.add(f"{name}: CPU of an event", own.cpu, "us", goal="<= 4" if setting.goal else "")
    report.add(f"{name}: answers against a no-op view", own.per_second / setting.events, "answers/s",
               noop.per_second, setting.share)  # fmt: skip
    report.add(f"{name}: CPU, no-op view", own.cpu * setting.events, "us a request", noop.cpu)
    report.add(f"{name}: p50, no-op view", own.p50, "ms", noop.p50)
    for what, other in medians.items():
        if what != "noop":
            report.add(f"{name}: acknowledged, {NAMES[what]}", own.per_second, "events/s", other.per_second)
        report.add(f"{name}: p99, {NAMES[what]}", own.p99, "ms", other.p99)


def measured(setting: Setting, what: str, port: int, group: int) -> Measured:
    """Send one round to one server."""
    events = 1 if what == "noop" else setting.events
    before = cpu_seconds(group)
    load = checked(run_load(port, setting.connections, SECONDS, ["/noop"] if what == "noop" else setting.requests))
    cpu = (cpu_seconds(group) - before) / (load.statuses["204"] * events)
    return Measured(load.per_second * events, load.p50, load.p99, cpu * 1e6)


def checked(load: Load) -> Load:
    """Refuse to measure errors."""
    if set(load.statuses) != {"204"}:
        raise RuntimeError(f"the server answered {load.statuses}; only 204 can be measured")
    return load


def bare_log(directory: Path, threads: int, records: int) -> Measured:
    """Append records of 150 bytes without HTTP, `records` in a call, from so many threads."""
    directory.mkdir(parents=True)
    log = SegmentLog(directory)
    together = [b"x" * 150] * records
    taken: list[float] = []

    def append() -> None:
        while (start := time.perf_counter()) < end:
            log.append(together)
            taken.append(time.perf_counter() - start)

    running = [threading.Thread(target=append) for _ in range(threads)]
    cpu, end = time.process_time(), time.perf_counter() + SECONDS
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    cpu = time.process_time() - cpu
    log.close()
    taken.sort()
    p50, p99 = (taken[int(len(taken) * share)] * 1000 for share in (0.5, 0.99))
    return Measured(len(taken) * records / SECONDS, p50, p99, cpu * 1e6 / (len(taken) * records))
