"""What becomes of a row is the same alone and among whatever neighbours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.catalogue.read_items import read_rows
from personalization_pipelines.content.files.canonical_rows import Canonical
from personalization_pipelines.content.files.import_events import read_events
from personalization_pipelines.content.files.mapping import Mapping
from personalization_pipelines.content.files.times import MICROSECONDS
from tests.conftest import make_website

SHOP = make_website(item_ids="alphanumeric")
LATEST = pa.scalar(datetime(2026, 6, 1), MICROSECONDS)
Row = dict[str, str | None]

TIMES = [
    "2025-05-01T10:00:00Z", "2025-05-01 10:00:00", "2025-05-01", "2025-02-30", "0000-01-01", "0001-01-01 00:00:00",
    "9999-12-31 23:59:59", "2090-01-01", "1763000000", "1763000000.5", "1763000000000", "1763000000000000", "44927",
    "44927.25", "20261101", "0", "-1", "1e9", "9" * 18, "9" * 40, "soon", " 2025-05-01 ", "2025-05-01T24:00:00",
    "\u0662\u0660\u0662\u0665-\u0660\u0665-\u0660\u0661", None, "",
]  # fmt: skip
IDS = ["1", "007", "A-1", "4.00638E+12", "4,5e+10", "a/b", "", None, "x" * 129, "9" * 19, "17850.0", "1.5"]
PRICES = ["12.50", "1.299", "0", "-1", "1e400", "NaN", "", None, "9" * 40, "12,50", "0.001", "1_0"]
WORDS = [
    "",
    None,
    "A/B|C",
    '["a","b"]',
    "[",
    "Home > Kitchen",
    "x" * 129,
    "a\x00b",
    "7,11",
    "buy",
    "3.0",
    "1e999",
    "99",
]

events = st.fixed_dictionaries(
    {
        "time": st.sampled_from(TIMES),
        "event": st.sampled_from(["buy", "rate", "click", "BUY", None]),
        "user": st.sampled_from([*IDS, "not_defined", "a\\b"]),
        "item_id": st.sampled_from(IDS),
        "price": st.sampled_from(PRICES),
        "currency": st.sampled_from(["EUR", "JPY", "KWD", "eur", None]),
        **{
            name: st.sampled_from(WORDS)
            for name in ("quantity", "rating", "category", "segments", "session", "order", "event_id")
        },
    }
)
items = st.fixed_dictionaries(
    {
        "item_id": st.sampled_from(IDS),
        "price": st.sampled_from(PRICES),
        "valid_from": st.sampled_from(TIMES),
        "valid_to": st.sampled_from(TIMES),
        "seen": st.sampled_from(TIMES),
        "category": st.sampled_from(WORDS),
        "language": st.sampled_from(["eng-GB", "English", None]),
        "base_item": st.sampled_from(IDS),
        "title": st.sampled_from(WORDS),
    }
)
GOOD: Row = {"time": "2025-05-01", "event": "buy", "user": "u", "item_id": "1"}


def batch_of(rows: list[Row]) -> pa.RecordBatch:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.RecordBatch.from_pydict({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def told(batch: Canonical, table: pa.Table) -> list[Any]:
    """Return what became of each row: what is stored of it, or the reason it was rejected for."""
    stored, rejected = iter(table.to_pylist()), iter(batch.verdicts.listed(batch.rows))
    found: list[Any] = []
    for kept in batch.verdicts.kept:
        one = next(stored) if kept else next(rejected)
        found.append(one if kept else (one.column, one.value, one.reason))
    return found


def told_of_events(rows: list[Row]) -> list[Any]:
    batch = Canonical(Mapping(kind="events"), SHOP, batch_of(rows), 1)
    return told(batch, read_events(batch, b"k" * 32, LATEST))


def told_of_items(rows: list[Row]) -> list[Any]:
    batch = Canonical(Mapping(kind="items", newest_by="seen"), SHOP, batch_of(rows), 1)
    return told(batch, read_rows(batch, {"title": "title"}, LATEST, lambda _: None))


@settings(deadline=None, max_examples=15)  # each row is read twice, the work is Arrow's
@given(st.lists(events, min_size=2, max_size=8))
@example([{**GOOD, "time": time} for time in TIMES])
def test_an_event_is_judged_alone_as_among_others(rows: list[Row]) -> None:
    assert [told_of_events([row])[0] for row in rows] == told_of_events(rows)


@settings(deadline=None, max_examples=15)  # each row is read twice, the work is Arrow's
@given(st.lists(items, min_size=2, max_size=8))
def test_an_item_is_judged_alone_as_among_others(rows: list[Row]) -> None:
    assert [told_of_items([row])[0] for row in rows] == told_of_items(rows)


def test_a_row_of_each_outcome_occurs() -> None:
    good, late, number = told_of_events([{**GOOD, "time": time} for time in ("2025-05-01", "2090-01-01", "44927")])
    assert good["time"] == datetime(2025, 5, 1) - timedelta(hours=2)
    assert late == ("time", "2090-01-01", "time is in the future (or in another unit)")
    assert number[2] == "44927 looks like a spreadsheet's day number (2023-01-01); write 2023-01-01"
