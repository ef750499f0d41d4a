"""Who does much: what keeps an item out of the answers still counts, and nobody's rows make reading slow for others."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.live import live_tables
from personalization_pipelines.events.live.live_busy import TRIMMED_AFTER
from personalization_pipelines.events.live.live_history import LiveReader, LiveStore
from personalization_pipelines.events.live.live_url import parse_live_url

NOW = time.time_ns() // 1000
DAY = 86_400_000_000
LASTING = ["blacklist", "buy", "owns", "consume", "basket", "wishlist", "rate"]


def event(kind: str, item: str, at: int, visitor: str = "v", source: str = "") -> Event:
    return Event("shop", kind, NOW + at, NOW + at, visitor, 1, item, source_visitor=source)


def clicks(first: int, end: int) -> list[Event]:
    return [event("click", str(n), n) for n in range(first, end)]


@pytest.mark.parametrize("kind", LASTING)
def test_many_clicks_push_nothing_out_that_lasts(store: LiveStore, reader: LiveReader, kind: str) -> None:
    store.apply([event(kind, "6", 0), *clicks(1, 1000)])
    history = reader.history("shop", "v")
    assert [one.event for one in history] == ["click"] * 200 + [kind]
    assert [one.time for one in history] == sorted((one.time for one in history), reverse=True)


def test_what_lasts_and_is_among_the_newest_is_there_once(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event("buy", "6", 0), *clicks(1, 300), event("buy", "7", 300)])
    assert [one.item for one in reader.history("shop", "v") if one.event == "buy"] == ["7", "6"]


def test_forgetting_what_a_visitor_has_too_much_of_leaves_the_rest(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event(kind, "6", at) for at, kind in enumerate(LASTING)] + clicks(100, 2100))
    assert store.forget_before(NOW - DAY) == 1500
    assert [one.event for one in reader.history("shop", "v")][200:] == LASTING[::-1]


def test_a_login_moves_what_lasts_from_behind_many_clicks(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event("blacklist", "6", 0), *clicks(1, 300), event("login", "", 1000, "ann", source="v")])
    assert [(one.event, one.item) for one in reader.history("shop", "ann")][200:] == [("blacklist", "6")]


@pytest.mark.parametrize("kind", ["rendered", "click"])
def test_one_visitors_flood_leaves_few_rows_to_read(store: LiveStore, url: str, kind: str) -> None:
    store.apply([event("blacklist", "6", 0)])
    for start in range(1, 30_000, 1000):
        store.apply([event(kind, str(n), n) for n in range(start, start + 1000)])
    engine = sa.create_engine(parse_live_url(url))
    with engine.connect() as connection:
        rows = connection.execute(sa.select(live_tables.visitor_events.c.event)).scalars().all()
    engine.dispose()
    assert len(rows) < TRIMMED_AFTER + 1000
    assert "blacklist" in rows
