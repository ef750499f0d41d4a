"""The same rows in, the same rows out, in the same order: DuckDB and PostgreSQL on a few hundred awkward events."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest

from personalization_pipelines.features.sql_models import feature_names
from tests.features.engines import SqlEngine, duckdb_engine, postgres_engine, translated
from tests.features.tables import events_table, items_table, random_events, random_logins

ITEMS = [
    {"item": "1", "language": "de", "categories": ["/A/B/C", "/A"], "price_minor": 5},
    {"item": "1", "language": "en", "categories": ["/A/X"]},
    {"item": "2", "categories": ["/Große Töpfe/é"], "valid_from": datetime(2026, 1, 1)},
    {"item": "Z", "categories": []},
    {"item": "a b", "item_type": 2, "categories": None},
]
BUILD = """
insert into build (as_of, as_of_day, time_zone, max_events_per_minute, category_from_clicks)
values ('2026-04-05 11:00', '2026-04-05', 'America/New_York', 1, true)"""

AS_IT_HAPPENED = [
    {
        "record_id": f"now{number:02d}",
        "time": (moment := datetime(2026, 3, 20, 10, 0, number // 2)),
        "received_at": moment,
        "visitor": ("ann", "bob", "fast")[min(number % 4, 2)] if number % 7 else "",
        "is_bot": (None, False, True)[number % 3],
        "categories": [["/A/B"], ["/learned", "/A"]][number % 2],
        "item": str(number % 3),
        "origin": ("here", "there", "", None)[number % 4],
    }
    for number in range(60)
]


def literal(value: Any) -> str:
    """Return a value as both engines read it."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"cast(array[{', '.join(map(literal, value))}] as text[])" if value else "null"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def load(engine: SqlEngine, name: str, rows: pa.Table) -> None:
    values = ", ".join(
        "(" + ", ".join(literal(row[column]) for column in rows.column_names) + ")" for row in rows.to_pylist()
    )
    engine.run(f"insert into {name} ({', '.join(rows.column_names)}) values {values}")


def built(engine: SqlEngine, catalogue: bool) -> dict[str, list[tuple[Any, ...]]]:
    events = [*random_events(400, seed=7), *AS_IT_HAPPENED, *random_logins(20, seed=7)]
    load(engine, "lake_events", events_table(events).drop_columns(["segments"]))
    if catalogue:
        load(engine, "lake_items", items_table(ITEMS))
        engine.run("insert into lake_prices (item, price_minor, currency) values ('1', 500, 'EUR'), ('2', null, '')")
        engine.run("insert into lake_transfers (position, source, target) values (1, '10', '2'), (2, 'é', '10')")
    engine.run("insert into lake_users values ('ann', 'shop', '{}')")
    engine.run(BUILD)
    engine.fill_calendar()
    rows = {}
    for name in feature_names():
        rows[name] = engine.run(translated(name, engine.dialect))
        engine.run(f"create temporary table {name} as {translated(name, engine.dialect)}")
    return rows


@pytest.mark.parametrize("catalogue", [True, False], ids=["with a catalogue", "from events alone"])
def test_both_engines_give_the_same_rows_in_the_same_order(catalogue: bool, byte_ordered_url: str) -> None:
    with duckdb_engine() as one, postgres_engine(byte_ordered_url) as other:
        here, there = built(one, catalogue), built(other, catalogue)
    assert all(isinstance(row[0], date) for row in here["event_days"])
    for name in feature_names():
        assert here[name] == there[name], name
    empty = {"event_items"} if catalogue else {"stg_items", "item_languages", "price_changes", "item_transfers"}
    assert {name for name, rows in here.items() if not rows} == empty
