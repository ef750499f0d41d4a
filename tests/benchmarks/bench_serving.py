"""Recommendations against a bare Flask view that returns the same bytes: same server, same core, rounds in turns.

100,000 items with 100 neighbours each, 20,000 visitors with 16 published and 10 live events. Every request names
another visitor and a context item, after a warm-up, and none comes twice; the items are as unevenly visited as
products are (half of the requests name one of the first 2,500). Both servers run on the first core (granian, one
worker), the load comes from the second.

- `product page`: neighbours of the context item, then popularity; what the visitor bought is out, also live.
- `with the visitor's own`: beside them item_knn, scored online from the visitor's 26 newest items.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np

from serving.server import THREADS
from tests.benchmarks.load import SERVER_CORE, Load, pinned, run_load
from tests.benchmarks.report import Report
from tests.benchmarks.served import listens, scratch
from tests.benchmarks.serving_home import ITEMS, VISITORS, make_home

ROUNDS, SECONDS, WARM_SECONDS = 9, 1.0, 5.0
PORT, BARE_PORT = 18111, 18112
REQUESTS, A_ROUND = 400_000, 10_000
SCENARIOS = {"similar": "product page", "product_page": "product page with the visitor's own"}
SERVE = """
import sys
from pathlib import Path
from personalization_pipelines.foundation.home import Home
from serving.server import serve
serve(Home(Path(sys.argv[1])), port=int(sys.argv[2]))
"""


def run(report: Report) -> None:
    """Measure both scenarios at 16 connections and at one, and how long the server needs to be ready."""
    with scratch() as directory:
        home = make_home(directory / "home").root
        with served(home, PORT, pinned(SERVER_CORE)) as process:
            for scenario, name in SCENARIOS.items():
                compare(report, directory, scenario, name, process)
        starts = [start_seconds(home) for _ in range(ROUNDS)]
        report.add("server ready after", median(starts), "s", goal="< 1")


def compare(report: Report, directory: Path, scenario: str, name: str, process: subprocess.Popen[bytes]) -> None:
    """Add answers/s and answers a CPU-second against the bare view, and the latency at one connection."""
    paths = requests(scenario)
    body = directory / f"{scenario}.json"
    body.write_bytes(urllib.request.urlopen(f"http://127.0.0.1:{PORT}{paths[0]}", timeout=5).read())
    with bare(body) as bare_process:
        run_load(PORT, 16, WARM_SECONDS, paths)
        turns = batched(reversed(paths), A_ROUND)  # no round asks what another or the warm-up asked
        for connections in (16, 1):
            ours, theirs, cost, bare_cost = [], [], [], []
            for asked in islice(turns, ROUNDS):
                ours.append(measured(PORT, connections, asked, process, cost))
                theirs.append(measured(BARE_PORT, connections, asked, bare_process, bare_cost))
            if connections > 1:
                rate, bare_rate = (median(one.per_second for one in loads) for loads in (ours, theirs))
                goal = ">= 0.40" if scenario == "similar" else ""
                report.add(f"{name}: answers", rate, "answers/s", bare_rate, goal=goal)
                report.add(f"{name}: answers a CPU-second", 1 / median(cost), "answers/s", 1 / median(bare_cost))
            p50, bare_p50 = (median(one.p50 for one in loads) for loads in (ours, theirs))
            goal = "< 1 ms" if connections == 1 else ""
            report.add(f"{name}: p50, {connections} connections", p50, "ms", bare_p50, goal=goal)


def measured(
    port: int, connections: int, paths: Sequence[str], process: subprocess.Popen[bytes], cost: list[float]
) -> Load:
    """Return one round's load; the worker's CPU seconds an answer go to `cost`: other load disturbs them least."""
    worker = worker_of(process.pid)
    before = cpu_seconds(worker)
    load = checked(run_load(port, connections, SECONDS, paths))
    cost.append((cpu_seconds(worker) - before) / load.statuses["200"])
    return load


def worker_of(server: int) -> int:
    """Return the pid of a server's one worker (its other child is the follower)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(entry.read_text().rsplit(") ", 1)[1].split()[1]) == server:
                found.append(entry.parent)
    return next(int(one.name) for one in found if b"live.follower" not in (one / "cmdline").read_bytes())


def cpu_seconds(process: int) -> float:
    """Return the processor time a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def requests(scenario: str) -> list[str]:
    """Return the paths of many visitors with context items, some of them far more visited than others."""
    random = np.random.default_rng(7)
    users = random.integers(0, VISITORS, REQUESTS).tolist()
    items = ((random.pareto(1.0, REQUESTS) * 2_500) % ITEMS).astype(int).tolist()
    return [
        f"/api/v2/00001/u{user}/{scenario}?contextitems={100_000 + item}&numrecs=10"
        for user, item in zip(users, items, strict=True)
    ]


def batched(paths: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the paths in lists of `size` (itertools has this from Python 3.12 on)."""
    rest = iter(paths)
    while part := list(islice(rest, size)):
        yield part


def checked(load: Load) -> Load:
    """Refuse to measure errors."""
    if set(load.statuses) != {"200"}:
        raise RuntimeError(f"the server answered {load.statuses}; only 200 can be measured")
    return load


def start_seconds(home: Path) -> float:
    """Return how long after the start of the interpreter the server says that it is ready."""
    began = time.perf_counter()
    with served(home, PORT, []):
        return time.perf_counter() - began


@contextlib.contextmanager
def served(home: Path, port: int, prefix: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real server of a home until it has become ready, and end it afterwards."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(home.parent / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a start without any bytecode measures the compiler
    process = subprocess.Popen([*prefix, sys.executable, "-c", SERVE, str(home), str(port)], env=environment)
    try:
        until_ready(process, port)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait for `/readyz`."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not become ready") from None
            time.sleep(0.005)


@contextlib.contextmanager
def bare(body: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the bare view on the first core."""
    command = [sys.executable, "-m", "tests.benchmarks.serving_home", "bare", str(BARE_PORT), str(body), str(THREADS)]
    process = subprocess.Popen([*pinned(SERVER_CORE), *command], start_new_session=True)
    try:
        while not listens(BARE_PORT):
            if process.poll() is not None:
                raise RuntimeError("the bare server did not start")
            time.sleep(0.05)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
