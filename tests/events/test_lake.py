"""The lake holds every acknowledged event exactly once, whatever is sent, repeated or damaged."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.lake import lake_manifest as manifests
from personalization_pipelines.events.lake.event_lake import (
    append_import,
    event_files,
    ingest,
    lake_fingerprint,
    remove_ingested_segments,
)
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA
from personalization_pipelines.events.log.event_log import SegmentLog, repair, segments
from personalization_pipelines.foundation.errors import Busy
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.events.lakes import (
    DAY,
    MONDAY,
    POISON,
    age,
    apply_all,
    click,
    purchases,
    quarantined,
    stored,
    write_log,
)


def test_an_event_acknowledged_in_an_open_segment_is_in_the_lake_at_once_and_only_once(
    home: Home, shop: Website
) -> None:
    log = SegmentLog(home.log)
    log.append([click(1), click(2)])
    first = ingest(home, shop)
    log.append([click(3)])
    second = ingest(home, shop)
    log.close()
    third = ingest(home, shop)
    assert (first.events, second.events, third.events) == (2, 1, 0)
    assert third.segments == 1
    assert stored(home, shop) == ["1", "2", "3"]


def test_open_segments_may_be_left_for_later(home: Home, shop: Website) -> None:
    log = SegmentLog(home.log)
    log.append([click(1)])
    assert ingest(home, shop, include_open=False).events == 0
    log.close()
    assert ingest(home, shop, include_open=False).events == 1


def test_every_column_arrives_as_it_was_sent(home: Home, shop: Website) -> None:
    event = Event(
        "shop", "buy", MONDAY + 5, MONDAY, "v", 1, "4711", 2, 1999, "EUR", 80, 55, ("/A/B", "/C"), (7, 11),
        "session", "order", "e-1", "landing_page", "also_bought", "uuid", "en",
    )  # fmt: skip
    write_log(home, [encode(event)])
    ingest(home, shop)
    (path,) = event_files(home, shop)
    assert path.parent.name == "received_day=2026-03-02"
    table = pq.read_table(path, partitioning=None)
    assert table.schema.equals(EVENT_SCHEMA)
    (row,) = table.to_pylist()
    assert row["received_at"] - row["time"] == timedelta(microseconds=5)
    for name in set(EVENT_SCHEMA.names) - {"record_id", "received_at", "time", "categories", "segments"}:
        assert row[name] == getattr(event, name)
    assert (row["categories"], row["segments"]) == (["/A/B", "/C"], [7, 11])


def test_random_appends_ingestions_and_rotations_store_each_event_once(home: Home, shop: Website) -> None:
    chance = random.Random(7)
    numbers = iter(range(10_000))
    sent: list[str] = []
    logs = [SegmentLog(home.log, max_bytes=4000) for _ in range(3)]
    for _ in range(40):
        batch = [next(numbers) for _ in range(chance.randrange(1, 30))]
        chance.choice(logs).append([click(number) for number in batch])
        sent += map(str, batch)
        if chance.random() < 0.4:
            ingest(home, shop, include_open=chance.random() < 0.5)
    for log in logs:
        log.close()
    ingest(home, shop)
    assert sorted(stored(home, shop)) == sorted(sent)
    assert len(segments(home.log)) > 3


def test_stored_and_quarantined_events_add_up_to_the_acknowledged_ones(home: Home, shop: Website) -> None:
    chance = random.Random(3)
    records = [click(number) for number in range(9_900)] + [POISON[n % len(POISON)] for n in range(100)]
    chance.shuffle(records)
    write_log(home, records)
    report = ingest(home, shop)
    assert (report.events, report.quarantined) == (9_900, 100)
    assert sorted(stored(home, shop), key=int) == [str(number) for number in range(9_900)]
    rows = quarantined(home, shop)
    assert sorted(row["payload"] for row in rows) == sorted(POISON[n % len(POISON)] for n in range(100))
    assert all(row["reason"] for row in rows)


@pytest.mark.parametrize("payload", POISON, ids=range(len(POISON)))
def test_a_poison_record_is_kept_with_its_bytes_and_costs_no_neighbour(
    home: Home, shop: Website, payload: bytes
) -> None:
    write_log(home, [click(1), payload, click(2)])
    report = ingest(home, shop)
    assert (report.events, report.quarantined) == (2, 1)
    (row,) = quarantined(home, shop)
    assert row["payload"] == payload
    assert row["record_id"].rpartition(":")[0] == segments(home.log)[0].path.stem


def test_two_websites_with_the_same_ids_never_see_each_other(home: Home) -> None:
    odd, even = make_website(website="odd"), make_website(website="even", customer_id="2")
    write_log(home, [click(number, website=("even", "odd")[number % 2]) for number in range(100)])
    assert ingest(home, odd).events == ingest(home, even).events == 50
    assert {int(item) % 2 for item in stored(home, odd)} == {1}
    assert {int(item) % 2 for item in stored(home, even)} == {0}
    assert quarantined(home, odd) == quarantined(home, even) == []


def test_a_repeated_event_id_is_stored_once_per_visitor_in_any_order_and_across_ingestions(
    home: Home, shop: Website
) -> None:
    records = [click(n, visitor=f"v{n % 3}", event_id=f"id{n // 3}") for n in range(90)]
    for seed in range(4):
        shuffled = records * 2
        random.Random(seed).shuffle(shuffled)
        write_log(home, [*shuffled, click(1000 + seed)])
        report = ingest(home, shop)
        assert report.events + report.duplicates == 181
    assert sorted(map(int, stored(home, shop))) == [*range(90), *range(1000, 1004)]


def test_an_event_id_may_come_again_after_35_days(home: Home, shop: Website) -> None:
    for day, expected in ((0, 1), (35, 0), (71, 1)):
        write_log(home, [click(day, received_at=MONDAY + day * DAY, event_id="same")])
        assert ingest(home, shop).events == expected


def test_records_around_a_damaged_stretch_are_kept_and_the_damage_is_reported_once(home: Home, shop: Website) -> None:
    write_log(home, [click(number) for number in range(10)])
    (segment,) = segments(home.log)
    data = bytearray(segment.path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.path.write_bytes(data)
    report = ingest(home, shop)
    assert report.events == 9
    assert report.damaged == (segment.path.stem,)
    assert ingest(home, shop).damaged == ()


def test_a_torn_tail_waits_for_its_rest(home: Home, shop: Website) -> None:
    log = SegmentLog(home.log)
    log.append([click(1)])
    path = segments(home.log)[0].path
    size = path.stat().st_size
    log.append([click(2)])
    whole = path.read_bytes()
    for cut in range(size, len(whole), 7):
        os.truncate(path, cut)
        ingest(home, shop)
        assert stored(home, shop) == ["1"]
        path.write_bytes(whole)
    ingest(home, shop)
    assert stored(home, shop) == ["1", "2"]
    log.close()


def test_only_one_ingestion_at_a_time_writes_a_website(home: Home, shop: Website) -> None:
    write_log(home, [click(1)])
    with manifests.locked(home.lake("shop"), manifests.Disk()), pytest.raises(Busy, match="another process"):
        ingest(home, shop, patience=0)
    assert ingest(home, shop, patience=0).events == 1


def test_small_files_are_merged_and_readers_of_the_old_ones_are_not_disturbed(home: Home, shop: Website) -> None:
    log = SegmentLog(home.log)
    prints = set()
    for number in range(60):
        log.append([click(number)])
        listed = event_files(home, shop)
        ingest(home, shop)
        assert all(path.exists() for path in listed)
        prints.add(lake_fingerprint(home, shop))
    assert len(event_files(home, shop)) < 15
    assert len(prints) == 60
    unmerged = lake_fingerprint(home, shop)
    log.append([click(60, received_at=MONDAY + DAY)])
    log.close()
    ingest(home, shop)
    assert [path.parent.name for path in event_files(home, shop)] == [
        "received_day=2026-03-02",
        "received_day=2026-03-03",
    ]
    assert lake_fingerprint(home, shop) != unmerged
    assert stored(home, shop) == [str(number) for number in range(61)]


def test_merging_files_leaves_the_fingerprint_as_it_was(home: Home, shop: Website) -> None:
    for number in range(60):
        append_import(home, shop, purchases(2), f"import {number}", datetime(2026, 3, 2, tzinfo=UTC))
    before, files = lake_fingerprint(home, shop), len(event_files(home, shop))
    ingest(home, shop)
    assert (files, len(event_files(home, shop))) == (60, 1)
    assert lake_fingerprint(home, shop) == before
    assert len(stored(home, shop)) == 120


def test_a_segment_is_deleted_only_when_every_lake_and_the_live_store_have_it(home: Home, shop: Website) -> None:
    other = make_website(website="other", customer_id="2")
    write_log(home, [click(1)])
    age(home, days=3)
    write_log(home, [click(2)])

    def removed() -> int:
        return len(remove_ingested_segments(home, [shop, other]))

    assert removed() == 0
    ingest(home, shop)
    ingest(home, other)
    assert removed() == 0
    apply_all(home)
    assert removed() == 1
    assert len(segments(home.log)) == 1
    assert ingest(home, shop).events == 0


def test_a_damaged_segment_is_kept_for_the_operator(home: Home, shop: Website) -> None:
    write_log(home, [click(1), click(2)])
    path = segments(home.log)[0].path
    path.write_bytes(path.read_bytes()[:-3])
    assert ingest(home, shop).damaged
    apply_all(home)
    age(home, days=3)
    assert remove_ingested_segments(home, [shop]) == []


def test_the_segments_of_a_dead_writer_are_ingested_before_and_after_its_repair(home: Home, shop: Website) -> None:
    program = (
        "import os, sys; from pathlib import Path; from tests.events.lakes import *\n"
        "SegmentLog(Path(sys.argv[1])).append([click(1), click(2)]); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(home.log)], check=False)
    assert ingest(home, shop).events == 2
    assert len(repair(home.log)) == 1
    assert ingest(home, shop).events == 0
    assert stored(home, shop) == ["1", "2"]


def test_files_from_before_a_column_existed_are_merged_with_newer_ones(home: Home, shop: Website) -> None:
    write_log(home, [click(0)])
    ingest(home, shop)
    (old,) = event_files(home, shop)
    pq.write_table(
        pq.read_table(old, partitioning=None).drop_columns(
            ["trigger", "verified", "source_visitor", "is_bot", "origin"]
        ),
        old,
    )
    for number, days in ((1, 0), (2, 1)):  # an older day's small files are merged
        write_log(home, [click(number, received_at=MONDAY + days * 86_400_000_000)])
        ingest(home, shop)
    paths = event_files(home, shop)
    assert [path.name.partition("-")[0] for path in paths] == ["merged", "part"]
    tables = [pq.read_table(path, partitioning=None) for path in paths]
    assert all(table.schema.equals(EVENT_SCHEMA) for table in tables)
    rows = [row for table in tables for row in table.to_pylist()]
    assert [(row["item"], row["trigger"] or "", row["verified"], row["is_bot"]) for row in rows] == [
        ("0", "", None, None),
        ("1", "", None, False),
        ("2", "", None, False),
    ]
