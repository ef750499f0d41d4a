"""Tracking against a view that does nothing: same Flask, same server, same core, rounds in turns.

Both servers run on the first core (granian, WSGI, one worker, 32 threads), the load comes from the second.
Every event is judged, pseudonymised, written and synced before it counts. Also batches of 100 events, each of
100 visitors, and the bare log, without HTTP.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from personalization_pipelines.events.log import SegmentLog
from tests.benchmarks.load import SERVER_CORE, Load, pinned, run_load
from tests.benchmarks.report import Report

ROUNDS, SECONDS = 3, 2.0
TRACKING_PORT, NOOP_PORT = 18101, 18102
EVENTS = [f"/api/00001/click/visitor{number % 500}/1/{number % 997}?lang=eng-GB" for number in range(2000)]
BATCH = 100
MANY = [
    {"event": "click", "user": f"visitor{number * 7 % 500}", "item_type": 1, "item": number % 997, "lang": "eng-GB"}
    for number in range(10_000)
]
BATCHES = [
    "/api/00001/events\t" + json.dumps(MANY[start : start + BATCH], separators=(",", ":"))
    for start in range(0, len(MANY), BATCH)
]


def run(report: Report) -> None:
    """Measure tracking at 1, 8, 32 and 128 connections, and the log alone."""
    with (
        scratch() as directory,
        server("tracking", directory, TRACKING_PORT) as tracking,
        server("noop", directory, NOOP_PORT),
    ):
        compare(report, 32, goal=">= 0.70")
        for connections in (1, 8, 128):
            compare(report, connections)
        for connections, goal in ((8, ">= 200000"), (1, "")):
            compare_batches(report, directory, tracking, connections, goal)
    for threads in (1, 32):
        with scratch() as directory:
            report.add(f"event log alone, {threads} threads", bare_log(directory, threads), "records/s")


def compare(report: Report, connections: int, goal: str = "") -> None:
    """Add acknowledged events/s against the view that does nothing, and both p99."""
    tracking, noop = [], []
    for _ in range(ROUNDS):
        tracking.append(checked(run_load(TRACKING_PORT, connections, SECONDS, EVENTS)))
        noop.append(checked(run_load(NOOP_PORT, connections, SECONDS, ["/noop"])))
    name = f"tracking, {connections} connections"
    report.add(f"{name}: acknowledged", median(tracking, "per_second"), "events/s", median(noop, "per_second"), goal)
    report.add(f"{name}: p50", median(tracking, "p50"), "ms", median(noop, "p50"))
    report.add(f"{name}: p99", median(tracking, "p99"), "ms", median(noop, "p99"))


def compare_batches(report: Report, directory: Path, server: int, connections: int, goal: str) -> None:
    """Add acknowledged events/s in batches against the bare log, answers/s against the view that does nothing, and
    the CPU an event costs the server (which others on the machine change less than the rate).
    """
    batches, noop, log, cpu = [], [], [], []
    for number in range(ROUNDS):
        before = cpu_seconds(server)
        batches.append(checked(run_load(TRACKING_PORT, connections, SECONDS, BATCHES)))
        events = batches[-1].statuses["204"] * BATCH
        cpu.append((cpu_seconds(server) - before) / events)
        noop.append(checked(run_load(NOOP_PORT, connections, SECONDS, ["/noop"])))
        log.append(bare_log(directory / f"bare-{connections}-{number}", connections, BATCH))
    name = f"tracking, batches of {BATCH}, {connections} connections"
    report.add(f"{name}: acknowledged", median(batches, "per_second") * BATCH, "events/s", statistics.median(log), goal)
    report.add(f"{name}: CPU of an event", statistics.median(cpu) * 1e6, "us", goal="<= 5" if goal else "")
    report.add(f"{name}: answers", median(batches, "per_second"), "answers/s", median(noop, "per_second"))
    report.add(f"{name}: p99", median(batches, "p99"), "ms", median(noop, "p99"))


def checked(load: Load) -> Load:
    """Refuse to measure errors."""
    if set(load.statuses) != {"204"}:
        raise RuntimeError(f"the server answered {load.statuses}; only 204 can be measured")
    return load


def median(loads: Sequence[Load], name: str) -> float:
    """The median of one figure over the rounds."""
    return statistics.median(getattr(load, name) for load in loads)


def bare_log(directory: Path, threads: int, records: int = 1) -> float:
    """Return records/s of `SegmentLog.append`, each of 150 bytes, `records` synced together, from so many threads."""
    directory.mkdir(exist_ok=True)
    log = SegmentLog(directory)
    together = [b"x" * 150] * records
    end = time.perf_counter() + SECONDS
    counts = [0] * threads

    def append(thread: int) -> None:
        while time.perf_counter() < end:
            log.append(together)
            counts[thread] += records

    running = [threading.Thread(target=append, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    log.close()
    return sum(counts) / SECONDS


@contextlib.contextmanager
def server(what: str, directory: Path, port: int) -> Iterator[int]:
    """One server of `tracking_server`, on the first core; gives the id of its process group."""
    command = [sys.executable, "-m", "tests.benchmarks.tracking_server", what, str(directory), str(port)]
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
