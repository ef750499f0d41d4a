"""DuckDB as the feature stage uses it: one in-memory connection a build, fixed inputs, reproducible Parquet.

What it protects: a SELECT sees the sources the program registered and nothing else (after `open_engine` the
connection can touch no other file and no network, and its settings are locked), and the bytes it writes depend
on its rows alone: not on threads, memory or the order of input files (tests/features/test_engine.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from personalization_pipelines.content.catalogue.items import ITEM_SCHEMA, catalogue_state
from personalization_pipelines.content.catalogue.merging import KEY
from personalization_pipelines.content.catalogue.price_history import PRICE_SCHEMA, price_files
from personalization_pipelines.content.catalogue.states import State, state_sql
from personalization_pipelines.content.catalogue.transfers import TRANSFER_SCHEMA, transfers_file
from personalization_pipelines.content.users.user_tables import USER_SCHEMA, users_file
from personalization_pipelines.events.lake.event_lake import event_files, lake_fingerprint
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA, TIME
from personalization_pipelines.features.utc_days import DAY_SCHEMA, EPOCH, naive, utc_days
from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.sql_names import quoted
from personalization_pipelines.website.one_build import Build

ROW_GROUP = 122_880  # rows; DuckDB's own vector multiple, so that groups fill evenly
DICTIONARY = 10_000  # distinct values; a larger dictionary in a row group costs more than it saves
OPTIONS = f"format parquet, compression zstd, row_group_size {ROW_GROUP}, dictionary_size_limit {DICTIONARY}"
MEMORY_VARIABLE = "PERSONALIZATION_MEMORY_LIMIT"
DEFAULT_MEMORY = 1024**3

BUILD_SCHEMA = pa.schema(
    [
        ("as_of", TIME),
        ("as_of_day", pa.date32()),
        ("time_zone", pa.string()),
        ("max_events_per_minute", pa.int32()),  # null: no limit
        ("first_language", pa.string()),  # '' where the website names none
        ("category_from_clicks", pa.bool_()),
    ]
)
SOURCES = {
    "lake_events": EVENT_SCHEMA,
    "lake_items": ITEM_SCHEMA,
    "lake_prices": PRICE_SCHEMA,
    "lake_transfers": TRANSFER_SCHEMA,
    "lake_users": USER_SCHEMA,
    "build": BUILD_SCHEMA,
    "utc_days": DAY_SCHEMA,
}


@dataclass(frozen=True)
class Inputs:
    """The files a build reads. A file listed twice is read once. Equal `lake` texts mean equal event rows."""

    events: tuple[Path, ...]
    items: Path | None
    users: Path | None
    lake: str
    prices: tuple[Path, ...] = ()
    item_changes: tuple[Path, ...] = ()
    """What changed in `items` since, oldest first (content/catalogue/versions.py)."""
    transfers: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", tuple(sorted(set(self.events))))

    @classmethod
    def of(cls, build: Build) -> Inputs:
        """Return what the lake holds for this build now."""
        home, website = build.home, build.website
        # The text first: events that arrive in between are then read too early, never taken for already read.
        lake = lake_fingerprint(home, website)
        state, users = catalogue_state(home, website, build.as_of), users_file(home, website, build.as_of)
        items, changes = (state.whole, state.changes) if state else (None, ())
        prices = price_files(home, website, build.as_of)
        transfers = transfers_file(home, website, build.as_of)
        return cls(tuple(event_files(home, website)), items, users, lake, prices, changes, transfers)

    @property
    def catalogue(self) -> tuple[Path, ...]:
        """Return the files of the catalogue, the whole one first."""
        return (self.items, *self.item_changes) if self.items else ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return every file that a build reads."""
        single = (self.users, self.transfers)
        return (*self.events, *self.catalogue, *self.prices, *(path for path in single if path))


class Engine:
    """One build's connection, made when the first query asks for it; `open_engine` closes it. Not for two threads."""

    def __init__(self, build: Build, inputs: Inputs, threads: int) -> None:
        self.inputs = inputs
        self.as_of = self._effective_as_of(build.as_of)
        self.values: dict[str, object] = {
            "as_of": self.as_of.isoformat(),
            "as_of_day": build.day.isoformat(),
            "time_zone": build.website.time_zone,
            "max_events_per_minute": build.website.events.bots.max_events_per_minute,
            "first_language": (build.website.languages or [""])[0],
            "category_from_clicks": build.website.category_from_clicks,
        }
        self.days = utc_days(build.website.zone, naive(self.as_of).date())
        self._build, self._threads = build, threads
        self._connected: duckdb.DuckDBPyConnection | None = None

    def close(self) -> None:
        """Close the connection, where one was made."""
        if self._connected:
            self._connected.close()

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        """The connection: sees the sources and nothing else, its settings locked."""
        if self._connected is None:
            self._connected = duckdb.connect(":memory:")
            _limit(self._connected, self._threads)
            self._register_sources()
            _lock(self._connected, self._build.features, self.inputs)
        return self._connected

    def _register_sources(self) -> None:
        inputs = self.inputs
        self._register("lake_events", inputs.events)
        self._register_items()
        self._register("lake_prices", inputs.prices)
        self._register("lake_users", [inputs.users] if inputs.users else [])
        self._register("lake_transfers", [inputs.transfers] if inputs.transfers else [])
        row = {**self.values, "as_of": naive(self.as_of), "as_of_day": self._build.day}
        self._connection.register("build", pa.Table.from_pylist([row], schema=BUILD_SCHEMA))
        self._connection.register("utc_days", self.days)

    def clock(self) -> str:
        """Return what a table that reads `utc_days` depends on: the zone's offsets up to `as_of`, as a fingerprint."""
        rows = zip(*(self.days[name].to_pylist() for name in DAY_SCHEMA.names[1:]), strict=True)
        until = naive(self.as_of)
        changes = [(at, before, after) for at, before, after in rows if before != after and at <= until]
        return fingerprint(first=self.days["seconds_before"][0].as_py(), changes=changes)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self._connection.execute(sql).fetchall()

    def add_table(self, name: str, sql: str) -> None:
        """Let later queries read what a query over files of the features directory gives, under `name`."""
        self.rows(f'create or replace view "{name}" as {sql}')

    def write(self, sql: str, path: Path) -> int:
        """Write a query's rows to `path` as Parquet, complete or not at all; return how many."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            written = self.rows(f"copy (\n{sql}\n) to {quoted(temporary)} ({OPTIONS})")
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return int(written[0][0])

    def _register(self, name: str, files: Sequence[Path]) -> None:
        schema = SOURCES[name]
        if not files:
            self._connection.register(name, schema.empty_table())
            return
        present = {column for path in files for column in _columns(path, path.stat().st_mtime_ns)}
        columns = ", ".join(_column(field, field.name in present) for field in schema)
        paths = ", ".join(quoted(path) for path in files)
        self.add_table(name, f"select {columns} from read_parquet([{paths}], union_by_name = true)")  # noqa: S608 - ours

    def _register_items(self) -> None:
        whole, changes = self.inputs.items, self.inputs.item_changes
        if whole and changes:
            self.add_table("lake_items", state_sql(State(whole, changes), ITEM_SCHEMA.names, KEY))
        else:
            self._register("lake_items", [whole] if whole else [])

    def _effective_as_of(self, as_of: datetime) -> datetime:
        """The build's `as_of`, but no later than the newest event: a build later in the day that has seen
        nothing new is the same build, and needs no work.
        """
        found = [_newest_event(path, path.stat().st_size, path.stat().st_mtime_ns) for path in self.inputs.events]
        newest = max((one for one in found if one), default=None)
        return min(as_of, newest.replace(tzinfo=UTC)) if newest else EPOCH


@contextmanager
def open_engine(build: Build, inputs: Inputs | None = None, *, threads: int | None = None) -> Iterator[Engine]:
    """Return this build's connection; it can read its inputs, and write only its features directory.

    Memory is bounded by `PERSONALIZATION_MEMORY_LIMIT` (like `800MB`; default 1 GiB or a quarter of the
    machine's, whichever is less); what does not fit goes to a directory beside the features for a while.
    """
    build.features.mkdir(parents=True, exist_ok=True)
    engine = Engine(build, inputs or Inputs.of(build), threads or len(os.sched_getaffinity(0)))
    try:
        yield engine
    finally:
        engine.close()


@lru_cache(maxsize=10_000)
def _columns(path: Path, changed: int) -> frozenset[str]:
    return frozenset(pq.read_schema(path).names)


def _column(field: pa.Field, present: bool) -> str:
    """Return a column of a source view; one that only newer files know is empty or null in older ones."""
    if not present:
        return f"""cast(null as {"boolean" if pa.types.is_boolean(field.type) else "varchar"}) as "{field.name}\""""
    return f'"{field.name}"'


@lru_cache(maxsize=1024)
def _newest_event(path: Path, size: int, changed: int) -> datetime | None:
    """Return the greatest time in a file of events. Remembered: a build opens one engine a table, over equal files."""
    newest: datetime | None = pc.max(pq.read_table(path, columns=["time"], partitioning=None)["time"]).as_py()
    return newest


def _limit(connection: duckdb.DuckDBPyConnection, threads: int) -> None:
    connection.execute(f"set threads = {threads}").fetchall()
    connection.execute("set TimeZone = 'UTC'").fetchall()
    # What DuckDB infers about nulls decides how it writes a column; it knows less of two files than of one.
    # And without statistics it guesses the larger side of a join to be the smaller one, and builds its hash table of
    # that (measured: 2.5 times the time and 1.6 times the memory): so the right side is it, as the SQL is written.
    disabled = "statistics_propagation,build_side_probe_side"
    connection.execute(f"set disabled_optimizers = '{disabled}'").fetchall()
    limit = os.environ.get(MEMORY_VARIABLE) or f"{memory_limit() // 1024**2}MiB"
    try:
        connection.execute("set memory_limit = ?", [limit]).fetchall()
    except duckdb.Error as error:
        raise ConfigurationError(f"{MEMORY_VARIABLE}={limit!r} is not an amount of memory like 800MB") from error


def memory_limit() -> int:
    """Return the bytes DuckDB may use by default: 1 GiB, or a quarter of a smaller machine's memory."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(DEFAULT_MEMORY, machine // 4)


def _lock(connection: duckdb.DuckDBPyConnection, directory: Path, inputs: Inputs) -> None:
    spill = directory / ".spill"
    for setting, value in (
        ("temp_directory", quoted(spill)),
        ("allowed_directories", f"[{quoted(directory)}]"),
        ("allowed_paths", "[" + ", ".join(quoted(path) for path in inputs.files) + "]"),
        ("enable_external_access", "false"),
        ("lock_configuration", "true"),
    ):
        connection.execute(f"set {setting} = {value}").fetchall()
