"""A reloaded thank-you page buys nothing a second time; two equal lines of one order are two purchases."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from personalization_pipelines.events.event import Event, decode, encode
from personalization_pipelines.events.judging.batch import Batch, judge_batch
from personalization_pipelines.events.judging.judge import Accept, Call, Refuse, judge
from personalization_pipelines.events.judging.orders import DAY, MARK
from personalization_pipelines.events.judging.rules import MAX_ORDER_CHARACTERS
from personalization_pipelines.events.lake.compaction import compact
from personalization_pipelines.events.lake.event_lake import ingest
from personalization_pipelines.events.lake.lake_manifest import Disk, locked, read_manifest
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.live.repeats import RecentIds
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.events.lakes import apply_all, click, read, stored, write_log

KEY = b"k" * 32
NOON = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = DAY // 24
UUID = "4f6f0c0e-6f0b-4e0e-9a57-0d6f5c1b2a33"
LINE = {"event": "buy", "user": "ann", "item_type": 1, "item": 11, "order": "A/17", "fullprice": "19.99EUR"}


def bought(shop: Website, user: str = "ann", item: str = "11", at: int = NOON, **parameters: str) -> Event:
    """What one call of the thank-you page is stored as."""
    given = {"order": "A/17", "fullprice": "19.99EUR", **parameters}
    call = Call("buy", (user, "1", item), {name: [text] for name, text in given.items() if text})
    decision = judge(call, shop, at, KEY)
    assert isinstance(decision, Accept)
    return decision.events[0]


def batch(shop: Website, *lines: dict[str, object], at: int = NOON) -> list[Event]:
    """What a batch is stored as."""
    made = judge_batch(json.dumps(lines).encode(), shop, at, KEY)
    assert isinstance(made, Batch)
    return [decode(record) for record in made.records]


def told(home: Home, shop: Website, *events: Event) -> int:
    """Acknowledge events in one process that ends, and ingest them; return how many the lake took."""
    write_log(home, [encode(event) for event in events])
    return ingest(home, shop).events


def test_a_line_is_known_by_order_visitor_item_quantity_and_price(shop: Website) -> None:
    line = bought(shop)
    assert (line.order_id, line.quantity, line.event_id[: len(MARK)]) == ("A/17", 1, MARK)
    assert bought(shop, at=NOON + HOUR, quantity="1", lang="eng-GB").event_id == line.event_id
    others = [
        bought(shop, user="bob"),
        bought(shop, item="12"),
        bought(shop, order="A/18"),
        bought(shop, quantity="2"),
        bought(shop, fullprice="19.98EUR"),
        bought(shop, fullprice="19.99USD"),
        bought(shop, fullprice=""),
    ]
    assert len({(event.visitor, event.event_id) for event in [line, *others]}) == 8


def test_a_buy_without_an_order_is_always_a_new_one(home: Home, shop: Website) -> None:
    plain = bought(shop, order="")
    assert (plain.order_id, plain.event_id) == ("", "")
    assert told(home, shop, plain, plain) == 2


def test_the_senders_own_event_id_goes_before_the_order(shop: Website) -> None:
    (event,) = batch(shop, {**LINE, "event_id": UUID})
    assert (event.event_id, event.order_id) == (UUID, "A/17")


def test_an_order_belongs_to_a_buy_and_has_128_characters_at_most(shop: Website) -> None:
    assert bought(shop, order="ä" * MAX_ORDER_CHARACTERS).order_id == "ä" * 128
    refused = judge(Call("buy", ("ann", "1", "11"), {"order": ["x" * 129]}), shop, NOON, KEY)
    assert isinstance(refused, Refuse)
    assert (refused.status, "at most 128 characters" in refused.detail) == (400, True)
    clicked = judge(Call("click", ("ann", "1", "11"), {"order": ["x" * 129]}), shop, NOON, KEY)
    assert isinstance(clicked, Accept)
    assert clicked.events[0].order_id == ""


@pytest.mark.parametrize("hours", [0, 1, 11, 13, 24], ids=lambda hours: f"{hours} h")
def test_a_reload_within_a_day_is_the_same_purchase_also_over_midnight(home: Home, shop: Website, hours: int) -> None:
    assert told(home, shop, bought(shop)) == 1
    assert told(home, shop, bought(shop, at=NOON + hours * HOUR)) == 0
    assert stored(home, shop) == ["11"]


def test_the_same_order_a_day_later_is_another_purchase(home: Home, shop: Website) -> None:
    times = [0, 20 * HOUR, DAY + 1, DAY + 2, 2 * DAY + 1, 2 * DAY + 2]
    assert [told(home, shop, bought(shop, at=NOON + time)) for time in times] == [1, 0, 1, 0, 0, 1]


def test_one_ingestion_of_several_days_finds_the_same(home: Home, shop: Website) -> None:
    times = [2 * DAY + 2, DAY + 2, 0, DAY + 1, 20 * HOUR]  # as the segments of several workers are read
    assert told(home, shop, *(bought(shop, at=NOON + time) for time in times), bought(shop, user="bob")) == 4


def test_what_arrived_first_may_be_ingested_last(home: Home, shop: Website) -> None:
    assert told(home, shop, bought(shop, at=NOON + HOUR)) == 1
    assert told(home, shop, bought(shop)) == 0


def test_a_reload_is_found_in_files_that_were_merged(home: Home, shop: Website) -> None:
    for day in range(2):
        for number in range(3):
            at = NOON + day * DAY + number
            write_log(home, [click(number, received_at=at), encode(bought(shop, order=str(number), at=at))])
            ingest(home, shop)
    with locked(home.lake("shop"), Disk(), 1):
        compact(home.lake("shop"), read_manifest(home.lake("shop")), Disk())
    assert told(home, shop, *(bought(shop, order=str(number), at=NOON + HOUR) for number in range(4))) == 1


def test_two_equal_lines_of_one_batch_stay_two_and_the_batch_again_adds_none(home: Home, shop: Website) -> None:
    lines = [LINE, {**LINE, "item": 12}, LINE, {**LINE, "user": "bob"}]
    assert told(home, shop, *batch(shop, *lines)) == 4
    assert told(home, shop, *batch(shop, *lines, at=NOON + HOUR)) == 0
    assert told(home, shop, *batch(shop, *lines, LINE, at=NOON + HOUR)) == 1
    assert told(home, shop, bought(shop, at=NOON + 2 * HOUR)) == 0
    assert sorted(stored(home, shop)) == ["11", "11", "11", "11", "12"]
    assert read(home, shop)["order_id"].to_pylist() == ["A/17"] * 5


def test_whoever_it_was_that_nobody_knows_buys_an_order_once(home: Home, shop: Website) -> None:
    assert told(home, shop, bought(shop, user="not_defined")) == 1
    assert told(home, shop, bought(shop, user=""), bought(shop, user="not_defined", order="A/18")) == 1


def test_ids_of_orders_hold_a_day_and_ids_of_senders_35(home: Home, shop: Website) -> None:
    (own,) = batch(shop, {**LINE, "event_id": UUID})
    (again,) = batch(shop, {**LINE, "event_id": UUID}, at=NOON + 3 * DAY)
    assert told(home, shop, own, bought(shop)) == 2
    assert told(home, shop, again, bought(shop, at=NOON + 3 * DAY)) == 1
    assert read(home, shop)["event_id"].to_pylist().count(UUID) == 1


def test_the_live_history_has_a_reloaded_purchase_once(home: Home, shop: Website) -> None:
    write_log(home, [encode(event) for event in (*batch(shop, LINE, LINE), bought(shop, at=NOON + HOUR))])
    write_log(home, [encode(bought(shop, at=NOON + 2 * HOUR)), encode(bought(shop, at=NOON + DAY + 1))])
    apply_all(home)
    history = LiveReader(home.live_database, deadline=1.0).history("shop", bought(shop).visitor)
    assert [(event.event, event.time - NOON) for event in history] == [("buy", DAY + 1), ("buy", 0)]


def test_the_follower_remembers_a_line_for_a_day_and_an_id_for_longer(shop: Website) -> None:
    recent = RecentIds()
    line, later, other_day = (bought(shop, at=NOON + time) for time in (0, DAY, DAY + 1))
    (own,), (again,) = (batch(shop, {**LINE, "event_id": UUID}, at=NOON + time) for time in (0, 9 * DAY))
    assert recent.unseen([line, own]) == [line, own]
    recent.remember([line, own])
    assert recent.unseen([later, again]) == []
    assert recent.unseen([later, other_day]) == [other_day]
    recent.remember([other_day])
    assert recent.unseen([bought(shop, at=NOON + 2 * DAY)]) == []
