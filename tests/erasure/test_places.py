"""Each place by itself: what goes, what stays, and what is left for the next refresh."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.content.users.user_tables import import_users, users_file
from personalization_pipelines.erasure.applying import apply_tombstones
from personalization_pipelines.erasure.log_cleaning import clean_log
from personalization_pipelines.erasure.receipts import EVENTS, LIVE, LOG, REBUILDS, STORED, USERS, receipts
from personalization_pipelines.erasure.tombstones import BLANK, Forgotten, Tombstone, tombstones
from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.lake.event_lake import append_import, event_files, ingest, quarantine_files
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.events.log.segments import read_everything, segments
from personalization_pipelines.events.log.tail import Tail
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.erasure.homes import bury, follow, traces, visitor, write


def rows(home: Home, site: Website) -> list[tuple[str, str]]:
    """Visitor and item of every event in the lake, in order of arrival."""
    found = [row for file in event_files(home, site) for row in pq.ParquetFile(file).read().to_pylist()]
    return [
        (row["visitor"], row["item"]) for row in sorted(found, key=lambda row: (row["received_at"], row["record_id"]))
    ]


def test_a_tombstone_names_nobody(home: Home) -> None:
    ann = visitor(home, "ann")
    (stone,) = bury(home, "shop", [ann])
    assert tombstones(home, "shop") == [stone]
    assert traces(home, ann, "ann") == []
    forgotten = Forgotten(home, "shop")
    assert (forgotten.until(ann), forgotten.until(visitor(home, "bob")), forgotten.until("")) == (stone.time, -1, -1)
    assert Forgotten(home, "other", [stone]).until(ann) == -1  # another website's tombstones are other hashes


@given(before=st.integers(-3, 3), field=st.sampled_from(["visitor", "source_visitor"]), other=st.text(max_size=20))
def test_a_record_is_forgotten_that_names_the_visitor_and_came_before(before: int, field: str, other: str) -> None:
    home = _home_of_key()
    name, now = "A" * 22, 1_700_000_000_000_000
    stone = Tombstone("1", Forgotten(home, "shop", [])._hash.digest(name.encode()).hex(), now)
    forgotten = Forgotten(home, "shop", [stone])
    record = encode(Event("shop", "login", now - before, 0, **{field: name}, scenario=other))  # type: ignore[arg-type]
    assert forgotten.holds(record) == (before >= 0)
    assert not forgotten.holds(encode(Event("shop", "click", now - before, 0, "B" * 22, scenario=other)))
    assert forgotten.holds(record.replace(b"received_at", b"gone"))  # what is unreadable came before


def _home_of_key() -> Home:
    home = Home(Path("nowhere"))
    home.__dict__["key"] = b"k" * 32
    return home


def test_what_came_before_is_dropped_at_ingestion_and_what_comes_after_stays(home: Home, shop: Website) -> None:
    write(home, ("click", "ann", "1"), ("click", "bob", "2"), ("login", "ann", "bob"))
    bury(home, "shop", [visitor(home, "ann")])
    write(home, ("click", "ann", "3"))
    report = ingest(home, shop)
    assert (report.events, report.quarantined) == (2, 0)
    assert rows(home, shop) == [(visitor(home, "bob"), "2"), (visitor(home, "ann"), "3")]


def test_the_lake_forgets_rows_of_imports_too_and_keeps_all_others(home: Home, shop: Website) -> None:
    names = [visitor(home, user) for user in ("ann", "bob")]
    table = pa.table({"visitor": names * 3, "item": [str(n) for n in range(6)], "event": ["click"] * 6,
                      "time": pa.array([0] * 6, pa.timestamp("us"))})  # fmt: skip
    append_import(home, shop, table, "one")
    write(home, ("click", "ann", "7"), ("click", "bob", "8"), raw=(f'{{"website":"shop","x":"{names[0]}"'.encode(),))
    ingest(home, shop)
    assert [pq.read_metadata(file).num_rows for file in quarantine_files(home, shop)] == [1]
    bury(home, "shop", [names[0]])
    apply_tombstones(home, shop)
    assert sorted(rows(home, shop)) == [(names[1], item) for item in ("1", "3", "5", "8")]
    assert quarantine_files(home, shop) == []
    assert traces(home, names[0]) == []
    assert ingest(home, shop).events == 0  # positions hold
    (receipt,) = receipts(home, shop)
    assert set(receipt.clean) == set(STORED)


def test_a_rewritten_segment_keeps_every_position_and_its_age(home: Home) -> None:
    write(home, ("click", "ann", "1"), ("click", "bob", "2"), ("click", "ann", "3"), ("click", "bob", "4"))
    (segment,) = segments(home.log)
    before, age = list(read_everything(segment.path)), segment.path.stat().st_mtime_ns
    bury(home, "shop", [visitor(home, "ann")])
    assert clean_log(home, Forgotten(home, "shop")) == []
    after = list(read_everything(segment.path))
    assert [one[0] for one in after] == [one[0] for one in before]  # type: ignore[index]
    assert [one[1].startswith(BLANK) for one in after] == [True, False, True, False]  # type: ignore[index]
    assert after[1::2] == before[1::2]
    assert segment.path.stat().st_mtime_ns == age
    assert sum(len(span.records) for span in Tail(home.log).unread({})) == 4


def test_an_open_segment_is_left_to_its_writer_and_done_once_it_is_sealed(home: Home, shop: Website) -> None:
    log = SegmentLog(home.log)
    ann, now = visitor(home, "ann"), time.time_ns() // 1000
    log.append([encode(Event("shop", "click", now, now, ann, 1, "1"))])
    bury(home, "shop", [ann])
    assert apply_tombstones(home, shop) == 1
    (receipt,) = receipts(home, shop)
    assert set(receipt.clean) == {LIVE, EVENTS, USERS, REBUILDS}
    log.close()
    apply_tombstones(home, shop)
    assert LOG in receipts(home, shop)[0].clean
    assert traces(home, ann) == []


def test_damaged_bytes_of_the_log_are_cleaned_too(home: Home, shop: Website) -> None:
    write(home, ("click", "ann", "1"), ("click", "bob", "2"))
    (segment,) = segments(home.log)
    data = bytearray(segment.path.read_bytes())
    data[4] ^= 1  # the first record's checksum
    segment.path.write_bytes(data)
    ann = visitor(home, "ann")
    bury(home, "shop", [ann])
    apply_tombstones(home, shop)
    assert traces(home, ann) == []
    assert ingest(home, shop).events == 1


def test_attributes_of_before_go_from_every_version_and_new_ones_stay(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    def bring(text: str) -> None:
        file = tmp_path / f"{len(text)}.csv"
        file.write_text(text)
        import_users(home, shop, [str(file)])

    bring("user,mail\nann,old@canary.example\nbob,bob@shop.example\n")
    bury(home, "shop", [visitor(home, "ann")])
    bring("user,mail\ncarl,carl@shop.example\n")  # carries ann's on: the tombstone is not applied yet
    apply_tombstones(home, shop)
    assert traces(home, visitor(home, "ann"), "old@canary.example") == []
    bring("user,mail\nann,new@shop.example\n")
    file = users_file(home, shop, datetime.now(UTC))
    assert file is not None
    assert sorted(pq.read_table(file)["visitor"].to_pylist()) == sorted(
        visitor(home, one) for one in ("ann", "bob", "carl")
    )


@pytest.fixture(params=["sqlite", "postgres"])
def live_home(request: pytest.FixtureRequest, home: Home) -> Home:
    """An installation with each kind of live store."""
    return home if request.param == "sqlite" else Home(home.root, str(request.getfixturevalue("postgres_url")))


@pytest.mark.parametrize("first", [True, False], ids=["before the log is followed", "after"])
def test_the_live_store_forgets_whatever_is_followed_first(live_home: Home, shop: Website, first: bool) -> None:
    home = live_home
    write(home, ("click", "ann", "1"), ("login", "ann", "bob"), ("click", "bob", "2"))
    if not first:
        follow(home)
    bury(home, "shop", [visitor(home, "ann")])
    apply_tombstones(home, shop)  # with no server running this is the follower
    assert LIVE in receipts(home, shop)[0].clean
    follow(home)
    reader = LiveReader(home.live_database, deadline=5.0)
    assert reader.history("shop", visitor(home, "ann")) == []
    assert [event.item for event in reader.history("shop", visitor(home, "bob"))] == ["2"]
    assert reader.viewers("shop", [(1, "1"), (1, "2")]) == [0, 1]
    reader.close()
