"""What logins move: live store and features agree with a model that follows every event by itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.live.live_login_tables import NEWEST_MOVED, logins
from personalization_pipelines.events.live.live_store import LiveStore
from personalization_pipelines.events.live.live_tables import visitor_events
from personalization_pipelines.events.live.logins import DAY_MICROSECONDS, MAX_HOPS, MAX_SOURCES
from tests.features.engines import duckdb_engine
from tests.features.tables import events_table
from tests.features.test_conformance import load

MONDAY = 1_772_409_600_000_000  # 2026-03-02 00:00 UTC
HOUR = DAY_MICROSECONDS // 24
Told = Sequence[Event]


def click(visitor: str, at: int, item: str, event: str = "click") -> Event:
    return Event("shop", event, MONDAY + at, MONDAY + at, visitor, 1, item)


def login(source: str, target: str, at: int, event: str = "login") -> Event:
    return Event("shop", event, MONDAY + at, MONDAY + at, target, source_visitor=source)


def items(reader: LiveReader, visitor: str) -> list[str]:
    return [event.item for event in reader.history("shop", visitor)]


def test_what_the_source_did_is_the_targets_too_and_never_the_other_way_round(
    store: LiveStore, reader: LiveReader
) -> None:
    store.apply([click("anon", 1, "1"), click("ann", 2, "2"), click("anon", 3, "3"), click("other", 3, "4")])
    store.apply([login("anon", "ann", 4)])
    assert items(reader, "ann") == ["3", "2", "1"]
    assert items(reader, "anon") == ["3", "1"]
    assert items(reader, "other") == ["4"]


def test_what_the_source_does_after_the_login_is_its_own_until_its_next_login(
    store: LiveStore, reader: LiveReader
) -> None:
    store.apply([click("anon", 1, "1"), login("anon", "ann", 2), click("anon", 3, "3")])
    assert items(reader, "ann") == ["1"]
    store.apply([login("anon", "bob", 4), click("anon", 5, "5")])
    assert (items(reader, "ann"), items(reader, "bob")) == (["1"], ["3"])


def test_an_event_of_the_moment_of_the_login_is_moved(store: LiveStore, reader: LiveReader) -> None:
    store.apply([login("anon", "ann", 2), click("anon", 2, "2")])
    assert items(reader, "ann") == ["2"]


def test_an_event_that_comes_after_its_login_from_another_log_is_moved_too(
    store: LiveStore, reader: LiveReader
) -> None:
    store.apply([login("anon", "ann", 5), login("anon", "bob", 9), login("ann", "account", 7)])
    store.apply([click("anon", 4, "4"), click("anon", 6, "6")])
    assert items(reader, "ann") == items(reader, "account") == ["4"]
    assert items(reader, "bob") == ["6"]


def test_a_login_that_comes_late_takes_its_part_from_the_one_after_it(store: LiveStore, reader: LiveReader) -> None:
    store.apply([click("anon", 1, "1"), click("anon", 5, "5"), login("anon", "bob", 6), login("bob", "carl", 7)])
    assert items(reader, "bob") == items(reader, "carl") == ["5", "1"]
    store.apply([login("anon", "ann", 3)])
    assert items(reader, "ann") == ["1"]
    assert items(reader, "bob") == items(reader, "carl") == ["5"]


def test_a_chain_carries_on_and_a_circle_ends(store: LiveStore, reader: LiveReader) -> None:
    store.apply([click("a", 1, "1"), click("b", 1, "2"), click("c", 1, "3")])
    store.apply([login("a", "b", 2), login("b", "c", 3), login("c", "a", 4), login("a", "b", 5)])
    assert sorted(items(reader, "a")) == sorted(items(reader, "c")) == ["1", "2", "3"]
    assert sorted(items(reader, "b")) == ["1", "2", "3"]  # what c gave to a went on to b


def test_logins_of_one_moment_end_too(store: LiveStore, reader: LiveReader) -> None:
    store.apply([click("a", 1, "1"), login("a", "b", 2), login("b", "c", 2), login("c", "a", 2), login("a", "c", 2)])
    assert items(reader, "a") == items(reader, "b") == items(reader, "c") == ["1"]


def test_logins_of_one_moment_carry_on_in_any_order(store: LiveStore, reader: LiveReader) -> None:
    store.apply([login("z", "m", 2), login("m", "a", 2), login("a", "y", 2)])
    store.apply([click("z", 1, "1")])
    assert items(reader, "m") == items(reader, "a") == items(reader, "y") == ["1"]


def test_an_undone_login_in_a_circle_of_one_moment_stays_undone(store: LiveStore, reader: LiveReader) -> None:
    store.apply([click("a", 0, "1"), login("a", "b", 0), login("b", "a", 0), login("a", "b", 0, "undologin")])
    assert (items(reader, "a"), items(reader, "b")) == (["1"], [])


def test_an_event_goes_on_five_times_at_most(store: LiveStore, reader: LiveReader) -> None:
    store.apply([click("v0", 0, "1"), *(login(f"v{n}", f"v{n + 1}", n + 1) for n in range(MAX_HOPS + 2))])
    assert [items(reader, f"v{n}") for n in range(MAX_HOPS + 3)] == [["1"]] * (MAX_HOPS + 1) + [[], []]


def test_the_sixth_source_of_a_day_moves_nothing(store: LiveStore, reader: LiveReader) -> None:
    sources = [f"s{n}" for n in range(MAX_SOURCES + 2)]
    store.apply([click(source, 0, source) for source in sources])
    store.apply([login(source, "ann", 1 + n) for n, source in enumerate(sources)])
    store.apply([login("s0", "ann", 100)])
    assert items(reader, "ann") == sorted(sources[:MAX_SOURCES], reverse=True)
    store.apply([login("s6", "ann", DAY_MICROSECONDS)])
    assert "s6" in items(reader, "ann")


def test_the_first_five_of_a_day_are_the_first_by_time_not_by_arrival(store: LiveStore, reader: LiveReader) -> None:
    sources = [f"s{n}" for n in range(MAX_SOURCES + 1)]
    store.apply([click(source, 0, source) for source in sources])
    for n, source in reversed(list(enumerate(sources))):
        store.apply([login(source, "ann", 1 + n)])
    assert items(reader, "ann") == sorted(sources[:MAX_SOURCES], reverse=True)
    store.apply([login("s5", "ann", 0)])
    assert items(reader, "ann") == ["s5", "s3", "s2", "s1", "s0"]


def test_logins_that_were_ignored_count_when_an_earlier_one_of_their_source_arrives(
    store: LiveStore, reader: LiveReader
) -> None:
    store.apply([login(f"s{n}", "ann", 1 + n) for n in range(MAX_SOURCES)])
    store.apply([click("late", 10, "1"), login("late", "ann", 20)])
    assert items(reader, "ann") == []
    store.apply([login("late", "ann", 0)])
    assert items(reader, "ann") == ["1"]


def test_an_undone_pair_moves_nothing_before_and_after(store: LiveStore, reader: LiveReader) -> None:
    store.apply([click("anon", 1, "1"), click("ann", 1, "own"), login("anon", "ann", 2), login("ann", "account", 3)])
    store.apply([login("anon", "ann", 4, "undologin")])
    assert items(reader, "ann") == items(reader, "account") == ["own"]
    store.apply([click("anon", 5, "5"), login("anon", "ann", 6), login("anon", "bob", 7)])
    assert items(reader, "ann") == ["own"]
    assert items(reader, "bob") == ["5", "1"]


def test_what_an_undone_login_had_moved_goes_with_the_next_one(store: LiveStore, reader: LiveReader) -> None:
    store.apply([click("anon", 1, "1"), login("anon", "ann", 2), login("anon", "bob", 3), login("bob", "carl", 4)])
    assert items(reader, "carl") == []
    store.apply([login("anon", "ann", 5, "undologin")])
    assert items(reader, "bob") == items(reader, "carl") == ["1"]


def test_a_source_that_was_pushed_out_of_the_first_five_goes_with_its_next_login(
    store: LiveStore, reader: LiveReader
) -> None:
    store.apply([click("s0", 0, "1"), login("s0", "ann", 100), login("s0", "bob", 200)])
    assert (items(reader, "ann"), items(reader, "bob")) == (["1"], [])
    store.apply([login(f"s{n}", "ann", n) for n in range(1, 1 + MAX_SOURCES)])
    assert (items(reader, "ann"), items(reader, "bob")) == ([], ["1"])


def test_a_robots_login_moves_nothing(store: LiveStore, reader: LiveReader) -> None:
    robot = Event("shop", "login", MONDAY + 2, MONDAY + 2, "ann", source_visitor="anon", is_bot=True)
    store.apply([click("anon", 1, "1"), robot])
    assert items(reader, "ann") == []


def test_websites_do_not_share_logins(store: LiveStore, reader: LiveReader) -> None:
    other = Event("other", "login", MONDAY + 2, MONDAY + 2, "ann", source_visitor="anon")
    store.apply([click("anon", 1, "1"), other])
    assert reader.history("other", "ann") == reader.history("shop", "ann") == []


def test_an_own_event_stays_when_the_copy_of_the_same_is_taken_back(store: LiveStore, reader: LiveReader) -> None:
    store.apply([click("anon", 1, "1"), login("anon", "ann", 2)])
    store.apply([click("ann", 1, "1")])
    store.apply([login("anon", "ann", 3, "undologin")])
    assert items(reader, "ann") == ["1"]


def test_a_login_copies_no_more_than_a_request_reads(store: LiveStore, reader: LiveReader) -> None:
    store.apply([click("anon", n, str(n)) for n in range(NEWEST_MOVED + 50)])
    store.apply([click("anon", 1000 + n, "shown", "rendered") for n in range(50)])
    store.apply([login("anon", "ann", 5000)])
    found = reader.history("shop", "ann", 1000)
    assert [event.item for event in found] == [str(n) for n in range(NEWEST_MOVED + 49, 49, -1)]


def test_logins_are_forgotten_with_what_they_could_move(store: LiveStore, url: str) -> None:
    store.apply([click("anon", 1, "1"), login("anon", "ann", 2), click("anon", DAY_MICROSECONDS, "2")])
    store.apply([login("anon", "ann", DAY_MICROSECONDS + 5)])
    store.forget_before(MONDAY + DAY_MICROSECONDS, "shop")
    with sa.create_engine(store._engine.url).connect() as connection:
        assert connection.scalars(sa.select(logins.c.time)).all() == [MONDAY + DAY_MICROSECONDS + 5]
        assert connection.scalars(sa.select(visitor_events.c.item)).all() == ["2", "2"]


def test_a_store_of_an_earlier_version_gets_the_new_columns(store: LiveStore, reader: LiveReader, url: str) -> None:
    store.apply([click("anon", 1, "1")])
    engine = store._engine
    with engine.begin() as connection:
        for column in ("via", "arrived", "hops"):
            connection.exec_driver_sql(f"ALTER TABLE visitor_events DROP COLUMN {column}")
    again = LiveStore(url)
    again.apply([login("anon", "ann", 2)])
    again.close()
    assert items(reader, "ann") == ["1"]


def modelled(told: Told) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Return, per item, who has read its event and whose it is in the end: the rules, event by event."""
    sent = sorted({(one.time, one.source_visitor, one.visitor) for one in told if one.event == "login"})
    undone = {(one.source_visitor, one.visitor) for one in told if one.event == "undologin"}
    days: dict[tuple[str, int], list[str]] = {}
    for time, source, target in sent:
        seen = days.setdefault((target, time // DAY_MICROSECONDS), [])
        if source not in seen:
            seen.append(source)
    count = [
        (time, source, target)
        for time, source, target in sent
        if (source, target) not in undone and source in days[target, time // DAY_MICROSECONDS][:MAX_SOURCES]
    ]
    holders, owners = {}, {}
    for one in told:
        if not one.source_visitor:
            way, arrived = [one.visitor], one.time
            while len(way) <= MAX_HOPS:
                following = min(
                    ((t, to) for t, source, to in count if source == way[-1] and t >= arrived), default=None
                )
                if following is None or following[1] in way:
                    break
                arrived = following[0]
                way.append(following[1])
            holders[one.item], owners[one.item] = set(way), way[-1]
    return holders, owners


def live_holders(told: Told, seed: int) -> dict[str, set[str]]:
    """Return, per item, who reads its event in a live store that got everything in some order, in several batches."""
    chance = random.Random(seed)
    with TemporaryDirectory() as directory:
        store = LiveStore(f"sqlite:///{directory}/live.db")
        left = list(told)
        while left:
            size = chance.randrange(1, 1 + len(left))
            store.apply(left[:size])
            left = left[size:]
        with store._engine.connect() as connection:
            rows = connection.execute(sa.select(visitor_events.c.item, visitor_events.c.visitor)).all()
        store.close()
    found: dict[str, set[str]] = {}
    for item, visitor in rows:
        found.setdefault(item, set()).add(visitor)
    return found


def built(told: Told) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Return the same as `modelled`, from the feature tables."""
    rows = [
        {name: getattr(one, name) for name in ("event", "visitor", "time", "item", "source_visitor")} for one in told
    ]
    with duckdb_engine() as engine:
        load(engine, "lake_events", events_table(rows).drop_columns(["segments", "categories"]))
        engine.fill_calendar()
        histories = engine.feature("visitor_history")
        owners = dict(engine.run("select item, visitor from stg_events where item <> ''"))
    holders: dict[str, set[str]] = {}
    for visitor, _, item, _, _ in histories:
        holders.setdefault(item, set()).add(visitor)
    return holders, owners


NAMES = st.sampled_from("abcdefgh")
MOMENTS = st.one_of(st.integers(0, 12), st.integers(0, 2 * 24).map(lambda hour: hour * HOUR))
CLICKS = st.tuples(NAMES, MOMENTS)
PAIRS = st.tuples(NAMES, NAMES).filter(lambda pair: pair[0] != pair[1])
LOGINS = st.lists(st.tuples(PAIRS, MOMENTS), min_size=1, max_size=25)
MANY_TO_ONE = st.lists(st.tuples(st.tuples(st.sampled_from("bcdefgh"), st.just("a")), MOMENTS), max_size=12)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.lists(CLICKS, min_size=1, max_size=15),
    LOGINS,
    MANY_TO_ONE,
    st.lists(st.integers(0, 30), max_size=3),
    st.randoms(),
    st.integers(),
)
def test_live_store_and_features_agree_on_who_reads_an_event_and_whose_it_is(
    clicks: list[tuple[str, int]],
    pairs: list[tuple[tuple[str, str], int]],
    crowd: list[tuple[tuple[str, str], int]],
    undone: list[int],
    chance: random.Random,
    seed: int,
) -> None:
    told = [click(visitor, at, f"i{number}") for number, (visitor, at) in enumerate(clicks)]
    told += [login(source, target, at) for (source, target), at in [*pairs, *crowd]]
    told += [login(*pairs[number % len(pairs)][0], 0, "undologin") for number in undone]
    expected = modelled(told)
    assert built(told) == expected
    for _ in range(2):
        chance.shuffle(told)
        assert live_holders(told, seed) == expected[0]
