"""Events from the log into the lake and the live store, and back out of the live store."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.lake.event_lake import append_import, event_files, ingest
from personalization_pipelines.events.live.follower import Follower
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.live.live_store import LiveStore
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.events.log.segments import read_records, segments
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.website import Website
from tests.benchmarks.report import Report
from tests.conftest import make_website
from tests.postgres import PostgresServer, find_binaries

EVENTS = 1_000_000
IMPORTED = 1_500_000
VISITORS = 50_000
ITEMS = 20_000
READS = 3_000
WARM_BATCH = 1000


def run(report: Report) -> None:
    """Measure ingestion, import, catching up and reading."""
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(directory) / "home")
        home.create()
        website = make_website()
        _fill_log(home, website)
        _ingestion(report, home, website)
        _import(report, home, website)
        _live(report, home, "SQLite")
        binaries = find_binaries()
        if binaries is None:
            return
        server = PostgresServer(binaries)
        try:
            _live(report, Home(home.root, server.new_database()), "PostgreSQL")
        finally:
            server.remove()


def _fill_log(home: Home, website: Website) -> None:
    log = SegmentLog(home.log)
    for first in range(0, EVENTS, WARM_BATCH):
        log.append([encode(event) for event in _events(website.name, first)])
    log.close()


def _events(website: str, first: int) -> Iterator[Event]:
    chance = random.Random(first)
    now = time.time_ns() // 1000
    for number in range(first, first + WARM_BATCH):
        visitor = f"v{chance.randrange(VISITORS):021d}"
        item = str(int(ITEMS * chance.random() ** 3))
        kind = chance.choice(("click", "click", "click", "consume", "basket", "rendered", "buy"))
        price = {"quantity": 1, "price_minor": 1999, "currency": "EUR"} if kind == "buy" else {}
        yield Event(website, kind, now + number, now + number, visitor, 1, item, scenario="landing_page", **price)


def _ingestion(report: Report, home: Home, website: Website) -> None:
    """Interleaved, the best of three each; the lake is removed before every round."""
    ours, theirs = [], []
    lines = _json_lines(home)
    for _ in range(3):
        shutil.rmtree(home.lake(website.name), ignore_errors=True)
        ours.append(_seconds(lambda: ingest(home, website)))
        theirs.append(_seconds(lambda: _read_by_duckdb(lines)))
    report.add("lake: ingest", EVENTS / min(ours), "events/s", EVENTS / min(theirs), "DuckDB: JSON lines to Parquet")
    report.add("lake: ingest with nothing new", _seconds(lambda: ingest(home, website)) * 1000, "ms")


def _json_lines(home: Home) -> Path:
    lines = home.root / "lines.jsonl"
    with lines.open("wb") as file:
        for segment in segments(home.log):
            file.writelines(payload + b"\n" for _, payload in read_records(segment.path))
    return lines


def _read_by_duckdb(lines: Path) -> None:
    """The least that could be done: the same payloads as JSON lines, written as Parquet by DuckDB."""
    duckdb.sql(f"COPY (FROM read_json('{lines}')) TO '{lines.with_suffix('.parquet')}' (COMPRESSION zstd)")


def _import(report: Report, home: Home, website: Website) -> None:
    table = _purchases()
    ours, theirs = [], []
    for number in range(3):
        ours.append(_seconds(partial(append_import, home, website, table, f"purchases {number}")))
        theirs.append(_seconds(partial(_copy, event_files(home, website)[-1], home.root / "copy.parquet")))
    report.add("lake: import of 1.5 M rows", min(ours), "s", min(theirs), "2 s; DuckDB copies the file")


def _copy(source: Path, target: Path) -> None:
    duckdb.sql(f"COPY (FROM read_parquet('{source}')) TO '{target}' (COMPRESSION zstd)")


def _purchases() -> pa.Table:
    chance = np.random.default_rng(1)
    times = np.sort(chance.integers(1_600_000_000, 1_630_000_000, IMPORTED)) * 1_000_000
    visitors = pa.array([f"v{number:021d}" for number in range(VISITORS)])
    items = pa.array([str(number) for number in range(ITEMS)])
    return pa.table(
        {
            "time": pa.array(times).cast(pa.timestamp("us")),
            "event": pa.repeat("buy", IMPORTED),
            "visitor": visitors.take(pa.array(chance.integers(0, VISITORS, IMPORTED))),
            "item_type": pa.repeat(pa.scalar(1, pa.int32()), IMPORTED),
            "item": items.take(pa.array(chance.integers(0, ITEMS, IMPORTED))),
            "quantity": pa.array(chance.integers(1, 5, IMPORTED)),
            "price_minor": pa.array(chance.integers(100, 9999, IMPORTED)),
            "currency": pa.repeat("USD", IMPORTED),
            "order_id": pa.array(np.sort(chance.integers(0, 300_000, IMPORTED))).cast(pa.string()),
        }
    )


def _live(report: Report, home: Home, database: str) -> None:
    seconds = _seconds(lambda: _catch_up(home))
    report.add(f"live, {database}: catching up", EVENTS / seconds, "events/s", goal="50,000/s")
    reader = LiveReader(home.live_database, deadline=2.0)  # how long it takes is the question here
    visitors = [f"v{number:021d}" for number in range(READS)]
    _microseconds(lambda visitor: reader.history("shop", visitor), visitors[:200])
    history = _microseconds(lambda visitor: reader.history("shop", visitor), visitors)
    report.add(f"live, {database}: history of 20 events, p50", history, "µs", goal="25 µs on SQLite")
    viewers = _microseconds(lambda item: reader.viewers("shop", [(1, item)]), [str(item) for item in range(200)])
    report.add(f"live, {database}: viewers of an item, counted, p50", viewers, "µs")
    _popular_item(home)
    popular = _microseconds(
        lambda visitor: LiveReader(home.live_database, 2.0).viewers("shop", [(1, "hot")]), ["v"] * 9
    )
    report.add(f"live, {database}: viewers of an item with 50,000, counted, p50", popular, "µs", goal="once in 5 s")
    reader.close()


def _popular_item(home: Home) -> None:
    store, now = LiveStore(home.live_database), time.time_ns() // 1000
    store.apply(
        [Event("shop", "click", now, now, pseudonym(b"key", "1", str(number)), 1, "hot") for number in range(VISITORS)]
    )
    store.close()


def _catch_up(home: Home) -> None:
    follower = Follower(home, LiveStore(home.live_database))
    while follower.apply_unread():
        pass
    follower.close()


def _microseconds(call: Callable[[str], object], arguments: list[str]) -> float:
    times = []
    for argument in arguments:
        start = time.perf_counter_ns()
        call(argument)
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
