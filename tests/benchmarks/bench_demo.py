"""The demo as a user runs it: import and build from nothing, then a build after 1,000 new events."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from personalization_pipelines.commands.demo import NAME
from personalization_pipelines.content.catalogue.items import read_catalogue
from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.website.load import load_website
from tests.benchmarks.report import Report

NEW_EVENTS = 1_000


def run(report: Report) -> None:
    """Measure `personalization demo --build-only` in an empty home, and `personalization build` after it."""
    with tempfile.TemporaryDirectory(prefix="demo-bench-") as directory:
        home = Home(Path(directory) / "home")
        seconds, megabytes = measured(home, "demo", "--build-only")
        report.add("demo/import and build", seconds, "s", goal="≤ 60 s")
        report.add("demo/peak memory", megabytes, "MB", goal="< 2,000 MB")
        track(home)
        again, megabytes = measured(home, "build")
        report.add(f"demo/build after {NEW_EVENTS:,} events", again, "s", baseline=seconds, goal="< 15 s")
        report.add("demo/peak memory of that build", megabytes, "MB", goal="< 2,000 MB")
        idle, _ = measured(home, "build")
        report.add("demo/build without new events", idle, "s", baseline=seconds)


def measured(home: Home, *arguments: str) -> tuple[float, float]:
    """Run a command as a user does, who keeps what Python compiled; return wall seconds and its peak memory in MB."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "personalization_pipelines", *arguments],
        env={**kept, "PERSONALIZATION_HOME": str(home.root)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"personalization {' '.join(arguments)} ended with {process.returncode}"
    return time.perf_counter() - began, usage.ru_maxrss / 1000


def track(home: Home) -> None:
    """Append new purchases and clicks of known households to the event log, as the tracker does."""
    website = load_website(home.websites / f"{NAME}.yaml")
    items = read_catalogue(home, website, datetime.now(UTC))["item"].to_pylist()
    now, chance, log = time.time_ns() // 1000, random.Random(1), SegmentLog(home.log)
    events = [
        Event(
            website=NAME,
            event=chance.choice(["click", "click", "buy"]),
            received_at=now + number,
            time=now + number,
            visitor=pseudonym(home.key, website.customer_id, str(chance.randint(1, 2500))),
            item_type=1,
            item=chance.choice(items),
            quantity=1,
        )
        for number in range(NEW_EVENTS)
    ]
    log.append([encode(event) for event in events])
    log.close()
