"""What one more event costs once millions are stored: from the tracker's records to the log, live store and lake.

A lake and a live store of 1 M, 10 M (and, with BENCH_STORED=50000000, 50 M) events of 34 days, all with event ids,
are made directly; then batches arrive, of which one event in a hundred was sent before. CPU is compared, for the
wall clock also counts whatever else the machine does; the baseline is the smallest size, measured in the same run.

The follower is measured as it works, keeping up with what arrives (1,000 events at a time), and catching up with
20,000 at once: then many of them fall on the same pages of a small store, and each on one of its own in a large one.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec
import numpy as np
import sqlalchemy as sa

from personalization_pipelines.events.judging.batch import Batch, judge_batch
from personalization_pipelines.events.lake.duplicates import write_digests
from personalization_pipelines.events.lake.event_lake import ingest
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA
from personalization_pipelines.events.lake.lake_manifest import EVENTS, Disk, LakeFile, Manifest, commit
from personalization_pipelines.events.live import live_tables
from personalization_pipelines.events.live.follower import Follower
from personalization_pipelines.events.live.live_store import LiveStore
from personalization_pipelines.events.live.live_url import parse_live_url
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.benchmarks.report import Report
from tests.conftest import make_website

SIZES = [1_000_000, int(os.environ.get("BENCH_STORED", "10000000"))]
DAYS = 34
EVENTS_OF_A_VISITOR = 20
ROUNDS, ARRIVING, BATCH = 5, 20_000, 100
AT_A_TIME = 1_000
KEY = b"k" * 32

_ROWS = """
    select 'made-{day}:' || n as record_id, make_timestamp({start} + n) as received_at,
        make_timestamp({start} + n) as time, 'click' as event, substr(md5((n % {visitors})::varchar), 1, 22) as visitor,
        1 as item_type, (hash(n) % 50000)::varchar as item, uuid()::varchar as event_id, 'eng-GB' as language
    from range({rows}) numbers(n)
"""


class Cost(NamedTuple):
    """Microseconds an event."""

    cpu: float
    wall: float


class Costs(NamedTuple):
    """What an event costs in each step."""

    tracker: Cost
    follower: Cost
    catching_up: Cost
    ingestion: Cost


def run(report: Report) -> None:
    """Make every size, then measure every step at each of them in turns: a busy minute then falls on all."""
    with ExitStack() as stack:
        measured: dict[int, _Measured] = {}
        for size in SIZES:
            home = Home(Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_on_disk()))) / "home")
            home.create()
            seconds = _taken(partial(_fill, home, make_website(), size), 1).wall / 1e6
            report.add(f"{size / 1e6:g} M stored: made in", seconds, "s")
            measured[size] = stack.enter_context(closing(_Measured(home, make_website())))
        for number in range(ROUNDS + 1):
            for one in measured.values():
                one.round(number)
        smallest = next(iter(measured.values())).costs()
        for size, one in measured.items():
            _tell(report, f"{size / 1e6:g} M stored", one.costs(), smallest)


def _tell(report: Report, what: str, costs: Costs, smallest: Costs) -> None:
    for step, cost, first in zip(Costs._fields, costs, smallest, strict=True):
        name = f"{what}: {step.replace('_', ' ')}, an event"
        report.add(f"{name}, CPU", cost.cpu, "us", first.cpu, goal="flat")
        report.add(f"{name}, wall", cost.wall, "us", first.wall)


class _Measured:
    """One size: its log, follower and lake, and what each round cost."""

    def __init__(self, home: Home, website: Website) -> None:
        self._home, self._website = home, website
        self._log, self._follower = SegmentLog(home.log), Follower(home, LiveStore(home.live_database))
        self._again: list[dict[str, object]] = []
        self._rounds: list[Costs] = []

    def round(self, number: int) -> None:
        """Track and follow 1,000 events at a time; then as many as that in all at once; then ingest both."""
        bodies, self._again = _bodies(2 * number, self._again)
        apart = [bodies[start : start + AT_A_TIME // BATCH] for start in range(0, len(bodies), AT_A_TIME // BATCH)]
        live = [(_taken(partial(self._track, part), AT_A_TIME), self._followed(AT_A_TIME)) for part in apart]
        tracker, follow = (Cost(*map(statistics.mean, zip(*costs, strict=True))) for costs in zip(*live, strict=True))
        bodies, self._again = _bodies(2 * number + 1, self._again)
        self._track(bodies)
        catching_up = self._followed(ARRIVING)
        ingestion = _taken(lambda: ingest(self._home, self._website), 2 * ARRIVING)
        self._rounds.append(Costs(tracker, follow, catching_up, ingestion))

    def costs(self) -> Costs:
        """Return the medians of the rounds; the first one, which opens files that the others find in memory, apart."""
        steps = zip(*self._rounds[1:], strict=True)
        return Costs(*(Cost(*map(statistics.median, zip(*costs, strict=True))) for costs in steps))

    def close(self) -> None:
        """Close log and store."""
        self._log.close()
        self._follower.close()

    def _track(self, bodies: list[bytes]) -> None:
        for body in bodies:
            batch = judge_batch(body, self._website, time.time_ns() // 1000, KEY)
            assert isinstance(batch, Batch), batch
            self._log.append(batch.records)

    def _followed(self, events: int) -> Cost:
        """Apply so many events, all that are unread."""

        def follow() -> None:
            while self._follower.apply_unread():
                pass

        return _taken(follow, events)


def _bodies(number: int, again: list[dict[str, object]]) -> tuple[list[bytes], list[dict[str, object]]]:
    """Batches of one round, and those of its events that the next one sends again."""
    chance = random.Random(number)
    made: list[dict[str, object]] = [
        {"event": "click", "user": f"u{chance.randrange(10**7)}", "item_type": 1, "item": chance.randrange(50_000)}
        | {"event_id": str(uuid.UUID(int=chance.getrandbits(128)))}
        for _ in range(ARRIVING - len(again))
    ]
    sent = [*made, *again]
    batches = [msgspec.json.encode(sent[start : start + BATCH]) for start in range(0, ARRIVING, BATCH)]
    return batches, made[: ARRIVING // 100]


def _fill(home: Home, website: Website, size: int) -> None:
    lake = home.lake(website.name)
    files = tuple(_day(lake, day, size // DAYS) for day in range(DAYS))
    commit(lake, Manifest(files=files), Disk())
    LiveStore(home.live_database).close()  # makes the tables
    engine = sa.create_engine(parse_live_url(home.live_database))
    table = live_tables.visitor_events
    names = ["website", "visitor", "time", "event", "item_type", "item", "scenario"]
    others = [one for one in table.columns if one.name not in names and not one.nullable]
    names += [one.name for one in others]
    blank = tuple("" if isinstance(one.type, sa.Text) else 0 for one in others)
    insert = f"insert into {table.name} ({', '.join(names)}) values ({', '.join('?' for _ in names)})"
    with engine.begin() as connection:
        connection.exec_driver_sql("pragma synchronous=off")
        for rows in _live_rows(website.name, size, blank):
            connection.exec_driver_sql(insert, rows)
    engine.dispose()


def _day(lake: Path, day: int, rows: int) -> LakeFile:
    """One merged file of a day before today."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=day + 1)
    path = lake / EVENTS / f"received_day={midnight:%Y-%m-%d}" / "merged-00000001.parquet"
    path.parent.mkdir(parents=True)
    start = int(midnight.timestamp()) * 1_000_000
    visitors = max(1, rows * DAYS // EVENTS_OF_A_VISITOR)
    made = _ROWS.format(day=day, start=start, rows=rows, visitors=visitors)
    columns = ", ".join(_column(name) for name in EVENT_SCHEMA.names)
    duckdb.execute(f"copy (select {columns} from ({made})) to '{path}' (compression zstd, compression_level 1)")
    made_up = np.random.default_rng(day).integers(0, 2**64, (2, rows), np.uint64)  # none of these ids comes again
    write_digests(path.with_suffix(".ids"), made_up, Disk())
    return LakeFile(path.relative_to(lake).as_posix(), f"{midnight:%Y-%m-%d}", rows, f"{day:016x}", rows)


def _column(name: str) -> str:
    """A column of the lake in DuckDB's SQL: what `_ROWS` makes, in its own type, or nothing."""
    kind = str(EVENT_SCHEMA.field(name).type)
    kinds = {"string": "varchar", "bool": "boolean", "timestamp[us]": "timestamp"}
    kinds |= {"int16": "smallint", "int32": "integer", "int64": "bigint"}
    made = f" as {name}" in _ROWS
    return f"{name if made else repr('') if kind == 'string' else 'null'}::{kinds.get(kind, 'varchar[]')} as {name}"


def _live_rows(website: str, size: int, blank: tuple[object, ...]) -> Iterator[list[tuple[object, ...]]]:
    """Rows of `visitor_events` in the order of its key, a visitor's twenty together, as pseudonyms are spread."""
    now = time.time_ns() // 1000
    visitors = size // EVENTS_OF_A_VISITOR
    letters = live_tables.VISITOR_LETTERS
    for first in range(0, visitors, 10_000):
        rows: list[tuple[object, ...]] = []
        for number in range(first, min(first + 10_000, visitors)):
            spread = number * 64**5 // visitors
            visitor = "".join(letters[spread // 64**place % 64] for place in (4, 3, 2, 1, 0)) + "0" * 17
            rows += [
                (website, visitor, now - n * 10**9, "click", 1, str(n), "", *blank)
                for n in range(EVENTS_OF_A_VISITOR, 0, -1)
            ]
        yield rows


def _taken(call: Callable[[], object], events: int) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return Cost((time.process_time() - cpu) * 1e6 / events, (time.perf_counter() - wall) * 1e6 / events)


def _on_disk() -> Path:
    """Where files are on a real disk, which /tmp may not be."""
    base = Path(".bench")
    base.mkdir(exist_ok=True)
    return base
