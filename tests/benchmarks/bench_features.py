"""The feature stage on synthetic events: rows per second, peak memory, the second build, and the checks.

The baseline is one bare DuckDB statement over the same files (per item the distinct visitors, each weighted by
the age of the last event): what any stage that looks at every event must at least cost. Each side runs in a
process of its own, in turn, and the better of two rounds counts. `BENCH_EVENTS` sets the size (default 2,000,000).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.content.catalogue.items import ITEM_SCHEMA
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA
from personalization_pipelines.features.building import check_feature, run_all
from personalization_pipelines.features.engine import Inputs
from personalization_pipelines.features.sql_models import feature_names
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.one_build import Build
from tests.benchmarks.report import Report
from tests.conftest import make_website

EVENTS = int(os.environ.get("BENCH_EVENTS", "2000000"))
VISITORS, ITEMS, DAYS, FILES, ROUNDS = EVENTS // 14, 100_000, 90, 8, 2
LAST = datetime(2026, 6, 1, tzinfo=UTC)
BARE = """
select item, count(*) as visitors, sum(exp(-epoch(timestamp '2026-06-01' - newest) / 86400 / 14)) as weight
from (select item, visitor, max(time) as newest from read_parquet('{files}') group by item, visitor)
group by item order by weight desc
"""


def run(report: Report) -> None:
    """Measure the stage, the baseline, the build that finds nothing new, and the checks."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _write_events(directory)
        rounds = [{part: _measured(part, directory) for part in ("bare", "stage")} for _ in range(ROUNDS)]
        again, checks = _measured("again", directory), _measured("checks", directory)
    bare = min(one["bare"]["seconds"] for one in rounds)
    stage = min((one["stage"] for one in rounds), key=lambda one: one["seconds"])
    report.add("features: whole stage", EVENTS / stage["seconds"], "events/s", EVENTS / bare)
    report.add("features: whole stage", stage["seconds"], "s", bare, goal="at most 6 s for 1.5 M events")
    report.add("features: processor time", stage["processor"], "s")
    report.add("features: peak memory", stage["memory"] / 1e9, "GB", goal="under 1.2")
    report.add("features: second build, nothing new", again["seconds"], "s")
    report.add("features: all contract checks", checks["seconds"], "s", goal="at most 5 with the GX import")
    report.add("features: processor time of the checks", checks["processor"], "s")
    report.add("features: peak memory of the checks", checks["memory"] / 1e9, "GB")


def _write_events(directory: Path) -> None:
    """Write Zipf-like events over 90 days, and a catalogue with three levels of categories."""
    chance = np.random.default_rng(1)
    names = pa.array([f"{number:022x}" for number in chance.permutation(VISITORS)])
    moments = np.sort(chance.integers(0, DAYS * 86_400_000_000, EVENTS))
    start = int((LAST - timedelta(days=DAYS)).timestamp() * 1e6)
    empty = {field.name: "" for field in EVENT_SCHEMA if pa.types.is_string(field.type)}
    for number in range(FILES):
        part = moments[number * EVENTS // FILES : (number + 1) * EVENTS // FILES]
        count = len(part)
        times = pa.array(part + start, pa.timestamp("us"))
        chosen = np.minimum((chance.pareto(1.0, count) * ITEMS / 200).astype(int), ITEMS - 1)
        columns: dict[str, pa.Array] = {name: pa.array([value] * count) for name, value in empty.items()}
        columns |= {
            "record_id": pa.array([f"import-{number}:{row:012d}" for row in range(count)]),
            "received_at": times,
            "time": times,
            "event": pa.array(np.where(chance.random(count) < 0.8, "click", "buy")),
            "visitor": names.take(pa.array(chance.integers(0, VISITORS, count))),
            "item_type": pa.array(np.ones(count, np.int32)),
            "item": pa.array(chosen.astype(str)),
            "quantity": pa.array(chance.integers(1, 4, count).astype(np.int32)),
            "price_minor": pa.array(chance.integers(100, 9999, count)),
        }
        for name in set(EVENT_SCHEMA.names) - columns.keys():
            columns[name] = pa.nulls(count, EVENT_SCHEMA.field(name).type)
        table = pa.table([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)
        pq.write_table(table, directory / f"events-{number}.parquet")
    pq.write_table(_items(), directory / "items.parquet")


def _items() -> pa.Table:
    plain = {field.name: "" for field in ITEM_SCHEMA if pa.types.is_string(field.type)}
    rows = [
        {
            **plain,
            "item_type": 1,
            "item": str(number),
            "categories": [f"/A{number % 30}/B{number % 300}/C{number % 3000}"],
            "attributes": "{}",
        }
        for number in range(ITEMS)
    ]
    return pa.Table.from_pylist(rows, schema=ITEM_SCHEMA)


def _measured(part: str, directory: Path) -> dict[str, float]:
    """Run one part in its own process; return wall and processor seconds, and peak memory in bytes."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_features", part, str(directory)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _bare(directory: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(BARE.format(files=directory / "events-*.parquet")).fetchall()


def _build(directory: Path) -> Build:
    home = Home(directory / "home")
    home.create()
    return Build(home, make_website(), LAST)


def _inputs(directory: Path) -> Inputs:
    return Inputs(tuple(directory.glob("events-*.parquet")), directory / "items.parquet", None, "synthetic")


def _stage(directory: Path) -> None:
    build = _build(directory)
    for path in build.features.glob("*.json"):
        path.unlink()
    run_all(build, inputs=_inputs(directory))


def _again(directory: Path) -> None:
    reports = run_all(_build(directory), inputs=_inputs(directory))
    if not all(report.unchanged for report in reports):
        raise SystemExit("the second build built something again")


def _checks(directory: Path) -> None:
    build = _build(directory)
    for name in feature_names():
        report = check_feature(build, name)
        if not report.passed:
            raise SystemExit(report.summary)


PARTS: dict[str, Callable[[Path], None]] = {"bare": _bare, "stage": _stage, "again": _again, "checks": _checks}


if __name__ == "__main__":
    begin, before = time.perf_counter(), time.process_time()
    PARTS[sys.argv[1]](Path(sys.argv[2]))
    spent = {"seconds": time.perf_counter() - begin, "processor": time.process_time() - before}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(json.dumps({**spent, "memory": peak}))
