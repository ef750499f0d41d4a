"""Both engines that the feature SQL must mean the same on, fed by the same statements.

Each gives a `run(sql)` for shared SQL and a `feature(name)` that evaluates a file of dbt_like_sql, transpiled
where the engine is not DuckDB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import psycopg2
import sqlglot

from personalization_pipelines.features.sql_models import dependencies, feature_names, feature_sql
from personalization_pipelines.features.utc_days import utc_days

Row = tuple[Any, ...]

SOURCES = """
create temporary table lake_events (
    record_id text, received_at timestamp default '2026-03-01 00:00', time timestamp, event text default 'click',
    visitor text default 'ann', item_type integer default 1, item text default '1', quantity integer,
    price_minor bigint, currency text default '',
    rating smallint, percentage smallint, categories text[], segments integer[],
    session text default '', order_id text default '', event_id text default '', scenario text default '',
    model text default '', request_uuid text default '', language text default '', trigger text default '',
    verified boolean, source_visitor text default '', is_bot boolean, origin text);
create temporary table lake_items (
    item_type integer default 1, item text, price_minor bigint, currency text default '', valid_from timestamp,
    valid_to timestamp, categories text[], language text default '', base_item text default '',
    first_seen timestamp default '2026-01-01 00:00', attributes text default '{}');
create temporary table lake_prices (
    item_type integer default 1, item text, language text default '', price_minor bigint, currency text default '',
    valid_from timestamp default '2026-01-01 00:00', import_id text default 'import');
create temporary table lake_transfers (
    position bigint, source_type integer default 1, source text, target_type integer default 1, target text,
    time timestamp default '2026-01-01 00:00', change text default 'change');
create temporary table lake_users (visitor text, source text, attributes text default '{}');
create temporary table build (
    as_of timestamp, as_of_day date, time_zone text, max_events_per_minute integer,
    first_language text default '', category_from_clicks boolean default false);
create temporary table utc_days (utc_day date, changes_at timestamp, seconds_before integer, seconds_after integer)
"""
DEFAULT_BUILD = "insert into build (as_of, as_of_day, time_zone) values ('2026-12-31 00:00', '2026-12-31', 'UTC')"


@dataclass(frozen=True)
class SqlEngine:
    """One engine: how it runs a statement, and how it wants to hear DuckDB's SQL."""

    name: str
    run: Callable[[str], list[Row]]
    dialect: str

    def feature(self, name: str) -> list[Row]:
        """Return a feature's rows in order; the tables it reads are made first."""
        for needed in closure(name):
            self.run(f"create temporary table {needed} as {translated(needed, self.dialect)}")
        return self.run(translated(name, self.dialect))

    def fill_calendar(self) -> None:
        """Give the case a build row where it has none, and the calendar of its time zone."""
        if not self.run("select 1 from build"):
            self.run(DEFAULT_BUILD)
        ((zone,),) = self.run("select time_zone from build")
        self.run(f"insert into utc_days values {calendar(zone)}")


@cache
def calendar(zone: str) -> str:
    """Return the days of a time zone as SQL."""
    days = utc_days(ZoneInfo(zone), date(2026, 12, 31)).slice(20_000).to_pylist()
    return ", ".join("('{utc_day}', '{changes_at}', {seconds_before}, {seconds_after})".format(**day) for day in days)


@cache
def translated(name: str, dialect: str) -> str:
    """Return a feature's SQL as an engine reads it."""
    sql = feature_sql(name)
    return sql if dialect == "duckdb" else sqlglot.transpile(sql, read="duckdb", write=dialect)[0]


@cache
def closure(name: str) -> tuple[str, ...]:
    """Return the features a feature reads, directly or not, in the order to build them."""
    reads = dependencies(name) & set(feature_names())
    for table in list(reads):
        reads |= set(closure(table))
    return tuple(table for table in feature_names() if table in reads)


@cache
def duckdb_database() -> duckdb.DuckDBPyConnection:
    """A DuckDB for all sessions: to start one takes longer than what most of them ask."""
    return duckdb.connect()


@contextmanager
def duckdb_engine() -> Iterator[SqlEngine]:
    """A session of DuckDB with empty sources; its tables are temporary and go with it."""
    with duckdb_database().cursor() as connection:
        engine = SqlEngine("duckdb", lambda sql: connection.execute(sql).fetchall(), "duckdb")
        for statement in SOURCES.split(";"):
            engine.run(statement)
        yield engine


@contextmanager
def postgres_engine(url: str) -> Iterator[SqlEngine]:
    """A session of a PostgreSQL database (sorted by bytes) with empty sources; it leaves nothing behind."""
    connection = psycopg2.connect(url.replace("postgresql+psycopg2://", "postgresql://"))
    try:
        with connection.cursor() as cursor:

            def run(sql: str) -> list[Row]:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []

            for statement in SOURCES.split(";"):
                run(statement)
            yield SqlEngine("postgres", run, "postgres")
    finally:
        connection.rollback()
        connection.close()
