"""10,000 poisonous records among good ones: each is put aside with its reason, and no good event is late or lost."""

from __future__ import annotations

import random
import time
from collections import Counter

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.events.event import Event, decode, encode
from personalization_pipelines.events.judging.bounds import find_fault
from personalization_pipelines.events.lake.event_lake import ingest
from personalization_pipelines.events.lake.record_columns import Columns
from personalization_pipelines.events.live import live_tables
from personalization_pipelines.events.live.follower import Follower
from personalization_pipelines.events.live.live_history import LiveReader, LiveStore
from personalization_pipelines.events.live.live_url import parse_live_url
from personalization_pipelines.foundation.errors import LiveStoreUnavailable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.events.lakes import MONDAY, click, quarantined, stored, write_log
from tests.events.poison import KINDS, poison

GOOD, BAD = 30_000, 10_000


@pytest.fixture(scope="module")
def records() -> list[bytes]:
    """All of them, shuffled; the good ones are each of another visitor."""
    mixed = [click(number, visitor=f"v{number}") for number in range(GOOD)] + poison(BAD)
    random.Random(9).shuffle(mixed)
    return mixed


def test_every_good_event_is_in_the_lake_and_every_bad_record_in_quarantine_with_a_reason(
    home: Home, shop: Website, records: list[bytes]
) -> None:
    write_log(home, records)
    report = ingest(home, shop)
    assert (report.events, report.quarantined) == (GOOD, BAD)
    assert sorted(map(int, stored(home, shop))) == list(range(GOOD))
    rows = quarantined(home, shop)
    assert Counter(row["payload"] for row in rows) == Counter(poison(BAD))
    assert all(row["reason"] for row in rows)
    again = ingest(home, shop)
    assert (again.events, again.quarantined) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_put_aside_alone(home: Home, shop: Website, kind: str) -> None:
    chance = random.Random(kind)
    bad = [KINDS[kind](chance) for _ in range(40)]
    write_log(home, [click(1), *bad, click(2)])
    report = ingest(home, shop)
    assert (report.events, report.quarantined) == (2, 40)
    assert {row["reason"].partition(":")[0] for row in quarantined(home, shop)} <= {"unreadable", "out of bounds"}


def test_a_record_of_a_website_that_can_not_be_is_in_the_quarantine_of_every_website(home: Home) -> None:
    chance = random.Random(4)
    write_log(home, [KINDS["wrong website"](chance) for _ in range(50)])
    for website in (make_website(), make_website(website="forum", customer_id="2")):
        assert ingest(home, website).quarantined == 50


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_every_good_event_is_in_the_live_store_and_no_bad_one(
    request: pytest.FixtureRequest, home: Home, database: str, records: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    here = home if database == "sqlite" else Home(home.root, request.getfixturevalue("postgres_url"))
    write_log(here, records)
    follower, applied = Follower(here, LiveStore(here.live_database)), 0
    while found := follower.apply_unread():
        applied += found
    follower.close()
    assert applied == GOOD + BAD
    reader = LiveReader(here.live_database, deadline=5.0)
    histories = [[event.item for event in reader.history("shop", f"v{number}")] for number in range(0, GOOD, 10)]
    assert histories == [[str(number)] for number in range(0, GOOD, 10)]
    reader.close()
    engine = sa.create_engine(parse_live_url(here.live_database), poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(live_tables.visitor_events)) == GOOD
    assert len(caplog.records) < 20  # a flood of poison is no flood of the log


def test_poison_costs_no_more_than_its_share(records: list[bytes]) -> None:
    """A quarter of the records, nine times the bytes: looking at them one by one cost 70 times as much."""
    good = [click(number) for number in range(GOOD + BAD)]
    clean, poisoned = (min(collecting(batch) for _ in range(3)) for batch in (good, records))
    assert poisoned < 5 * clean


def collecting(records: list[bytes]) -> float:
    """CPU seconds to turn records into columns, 10,000 at a time as an ingestion does."""
    numbered = list(enumerate(records))
    columns, began = Columns("shop", MONDAY), time.process_time()
    for start in range(0, len(numbered), 10_000):
        columns.add("segment", numbered[start : start + 10_000])
    columns.take()
    return time.process_time() - began


integers = st.integers() | st.sampled_from([2**15, 2**31, 2**63, -(2**63)])
events = st.builds(
    Event,
    website=st.just("shop"),
    event=st.text(),
    received_at=integers,
    time=integers,
    visitor=st.text(),
    item_type=integers,
    item=st.text(),
    quantity=st.none() | integers,
    price_minor=st.none() | integers,
    rating=st.none() | integers,
    percentage=st.none() | integers,
    categories=st.lists(st.text()).map(tuple),
    segments=st.lists(integers).map(tuple),
)


@settings(max_examples=200, deadline=None)
@given(events)
def test_what_has_no_fault_fits_into_the_lake_and_into_both_databases(found: Event) -> None:
    try:
        payload = encode(found)
    except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError):
        return  # can not come out of a record
    fault = ""
    try:
        fault = find_fault(decode(payload), payload)
    except msgspec.MsgspecError:
        fault = "unreadable"
    columns = Columns("shop", MONDAY)
    columns.add("segment", [(0, payload)])
    stored_events, rejected = columns.take()
    assert (stored_events.num_rows, rejected.num_rows) == ((0, 1) if fault or found.quarantine else (1, 0))


def test_a_long_text_does_not_stop_postgresql(home: Home, postgres_url: str) -> None:
    """PostgreSQL refuses a key of 2,704 bytes with an error that looks as if the server had failed."""
    store = LiveStore(postgres_url)
    chance = random.Random(2)
    item = "".join(chr(chance.randrange(33, 0x2FFF)) for _ in range(3000))
    with pytest.raises(LiveStoreUnavailable):
        store.apply([Event("shop", "click", MONDAY, MONDAY, "v", 1, item)])
    store.close()
    long = encode(Event("shop", "click", MONDAY, MONDAY, "v", 1, item))
    assert find_fault(decode(long), long).startswith("item of 3000 characters")
