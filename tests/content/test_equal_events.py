"""A file that holds what is stored already: it is said before anything counts twice, and only what is new is stored."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.files.source_imports import refresh_events
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.events.lake.equal_rows import equal_to_stored, row_keys
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.values import Source
from tests.content.files import Rows, purchase, stored_events, write, write_mapping

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
OLD = [purchase("anna", n, price="1.50", category="/A", segments="7,11") for n in range(10)]


def numbers(home: Home, shop: Website) -> list[int]:
    return sorted(int(row["item"]) for row in stored_events(home, shop))


@pytest.fixture
def filled(home: Home, shop: Website, tmp_path: Path) -> Home:
    import_events(home, shop, [write(tmp_path, "old.csv", OLD)], now=NOW)
    return home


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_file_that_has_grown_is_refused_with_the_way_out_and_then_adds_its_new_row(
    filled: Home, shop: Website, tmp_path: Path, form: str
) -> None:
    grown = write(tmp_path, f"grown.{form}", [*OLD, purchase("anna", 99)])
    with pytest.raises(ImportRefused, match=r"10 of 11 rows equal events that are stored already .*--skip-equal"):
        import_events(filled, shop, [grown], now=NOW + timedelta(days=1))
    assert numbers(filled, shop) == [*range(10)]
    report = import_events(filled, shop, [grown], skip_equal=True, now=NOW + timedelta(days=1))
    assert numbers(filled, shop) == [*range(10), 99]
    assert (report.added, report.rejected) == (1, 0)
    assert "10 of 11 rows equal events that were stored already; they were left out" in report.notes
    assert import_history(filled, shop)[-1].notes == report.notes
    assert import_events(filled, shop, [grown], now=NOW + timedelta(days=2)).already_imported


def test_a_source_whose_file_grows_brings_its_new_rows(home: Home, shop: Website) -> None:
    source = Source(files="in/*.csv", format="csv")
    for rows in (OLD, [*OLD, purchase("anna", 98)], [*OLD, purchase("anna", 98), purchase("anna", 99)]):
        refresh_events(home, shop, source, [write(home.root / "in", "events.csv", rows)])
    assert numbers(home, shop) == [*range(10), 98, 99]
    few = write(home.root / "in", "few.csv", [OLD[0], *(purchase("ben", n) for n in (50, 51))])
    refresh_events(home, shop, source, [few])
    assert numbers(home, shop) == [0, *range(10), 50, 51, 98, 99], "a row of a new file may well have happened twice"


def test_with_force_it_counts_twice(filled: Home, shop: Website, tmp_path: Path) -> None:
    grown = write(tmp_path, "grown.csv", [*OLD, purchase("anna", 99)])
    assert import_events(filled, shop, [grown], force=True, now=NOW).added == 11


def test_the_same_content_compressed_is_the_same_file(filled: Home, shop: Website, tmp_path: Path) -> None:
    packed = tmp_path / "old.csv.gz"
    packed.write_bytes(gzip.compress((tmp_path / "old.csv").read_bytes()))
    assert import_events(filled, shop, [packed], now=NOW).already_imported
    mapping = write_mapping(tmp_path, "kind: events\nconstants: {currency: USD}\n")
    with pytest.raises(ImportRefused, match="the same events were imported on 2024-06-01"):
        import_events(filled, shop, [packed], mapping=mapping, now=NOW)
    assert len(stored_events(filled, shop)) == 10


def test_a_few_equal_rows_are_stored_and_said(filled: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "more.csv", [*OLD[:2], *(purchase("ben", n) for n in range(3))])
    report = import_events(filled, shop, [path], now=NOW)
    assert report.added == 5
    assert "2 of 5 rows equal events that were stored already; they count twice (--skip-equal leaves them out)" in (
        report.notes
    )


def test_each_stored_event_stands_for_one_row_across_files(filled: Home, shop: Website, tmp_path: Path) -> None:
    one = write(tmp_path, "one.csv", [OLD[3], OLD[3], purchase("ben", 50)])
    other = write(tmp_path, "other.csv", [OLD[3], OLD[4], purchase("ben", 51)])
    report = import_events(filled, shop, [one, other], skip_equal=True, now=NOW)
    assert numbers(filled, shop) == sorted([*range(10), 3, 50, 3, 51])
    assert "2 of 6 rows equal events that were stored already; they were left out" in report.notes


DIFFERENT: Rows = [
    {"time": "2024-05-01T10:00:00.000001Z"},
    {"user": "ben"},
    {"item_id": 77},
    {"price": "1.51"},
    {"currency": "USD"},
    {"quantity": "2"},
    {"category": "/B"},
    {"segments": "7"},
    {"order": "A-1"},
    {"session": "s"},
    {"event_id": "e"},
    {"item_type": "2"},
    {"event": "click"},
]


def test_rows_that_differ_in_anything_are_new(filled: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "other.csv", [{**OLD[0], **change} for change in DIFFERENT])
    report = import_events(filled, shop, [path], skip_equal=True, now=NOW)
    assert report.added + report.rejected == len(DIFFERENT)
    assert not any("equal" in note for note in report.notes)


def test_shifted_times_are_compared_as_they_are_stored(home: Home, shop: Website, tmp_path: Path) -> None:
    old = [purchase(item=n, time=f"2017-01-0{n}T10:00:00Z") for n in range(1, 6)]
    import_events(home, shop, [write(tmp_path, "old.csv", old)], shift_to_now=True, now=NOW)
    grown = write(tmp_path, "grown.csv", [*old, purchase(item=9, time="2017-01-05T09:00:00Z")])
    report = import_events(home, shop, [grown], shift_to_now=True, skip_equal=True, now=NOW)
    assert (report.added, numbers(home, shop)) == (1, [1, 2, 3, 4, 5, 9])


def test_files_that_arrived_before_the_first_time_are_not_read(filled: Home, shop: Website) -> None:
    events = stored_events(filled, shop)
    for path in filled.lake(shop.name).rglob("*.parquet"):
        path.write_bytes(b"not read")
    late = [{**row, "time": row["time"] + timedelta(days=40)} for row in events]
    schema = pa.schema([one for one in EVENT_SCHEMA if one.name in late[0]])
    assert not equal_to_stored(filled, shop, row_keys(pa.Table.from_pylist(late, schema))).any()
