"""The live store keeps one contract on SQLite and on PostgreSQL, and its deadline whatever the database does."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.live import live_store
from personalization_pipelines.events.live.live_history import LiveEvent, LiveReader, LiveStore
from personalization_pipelines.events.live.live_url import parse_live_url
from personalization_pipelines.events.log.tail import Position
from personalization_pipelines.foundation.errors import ConfigurationError, LiveStoreUnavailable
from personalization_pipelines.foundation.identifiers import pseudonym
from tests.postgres import PostgresServer

NOW = time.time_ns() // 1000
MINUTE = 60_000_000
DAY = 86_400_000_000


def test_before_the_first_follower_every_answer_is_empty(reader: LiveReader) -> None:
    assert reader.history("shop", "v") == []
    assert reader.viewers("shop", [(1, "7"), (2, "8")]) == [0, 0]
    assert reader.positions() == {}


def test_a_history_is_newest_first_and_complete(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event("click", str(n), time=NOW + n, scenario=f"s{n}") for n in (3, 1, 2)])
    assert reader.history("shop", "v") == [
        LiveEvent("click", 1, "3", NOW + 3, "s3"),
        LiveEvent("click", 1, "2", NOW + 2, "s2"),
        LiveEvent("click", 1, "1", NOW + 1, "s1"),
    ]
    assert [found.item for found in reader.history("shop", "v", limit=2)] == ["3", "2"]
    assert reader.history("shop", "v")[0].item == "3"


def test_a_reader_that_came_first_sees_what_the_follower_writes_later(url: str, reader: LiveReader) -> None:
    assert reader.history("shop", "v") == []
    store = LiveStore(url)
    store.apply([event("click", "1")])
    store.close()
    assert [found.item for found in reader.history("shop", "v")] == ["1"]


def test_applying_twice_changes_nothing(store: LiveStore, reader: LiveReader) -> None:
    batch = [event("click", str(n % 5), time=NOW + n % 7) for n in range(50)]
    store.apply(batch, {"writer": Position(1, 100)})
    first = reader.history("shop", "v")
    store.apply(batch[::-1], {"writer": Position(1, 100)})
    assert reader.history("shop", "v") == first
    assert len(first) == 35
    assert store.positions() == reader.positions() == {"writer": Position(1, 100)}


def test_positions_move_with_their_batch_and_each_writer_has_its_own(store: LiveStore) -> None:
    store.apply([], {"a": Position(1, 5), "b": Position(7, 2**40)})
    store.apply([event("click", "1")], {"a": Position(2, 0)})
    assert store.positions() == {"a": Position(2, 0), "b": Position(7, 2**40)}


def test_websites_and_visitors_with_the_same_ids_never_see_each_other(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event("click", str(n), website=("even", "odd")[n % 2], time=NOW + n) for n in range(10)])
    store.apply([event("click", "99", website="odd", visitor="w"), event("click", "98", website="odd", visitor="V")])
    assert {int(found.item) % 2 for found in reader.history("odd", "v")} == {1}
    assert {int(found.item) % 2 for found in reader.history("even", "v")} == {0}
    assert reader.viewers("odd", [(1, "1"), (1, "0"), (1, "99")]) == [1, 0, 1]


def test_viewers_are_the_distinct_visitors_of_the_last_day_who_clicked_or_consumed(
    store: LiveStore, reader: LiveReader
) -> None:
    store.apply(
        [
            *[event("click", "7", visitor=f"v{n % 4}", time=NOW - n) for n in range(20)],
            event("consume", "7", visitor="reader"),
            event("buy", "7", visitor="buyer"),
            event("click", "7", visitor=""),
            event("click", "7", visitor="yesterday", time=NOW - DAY - MINUTE),
            event("click", "8", visitor="v0"),
        ]
    )
    store.apply([event("click", "7", visitor="v0", time=NOW - 50)])
    assert reader.viewers("shop", [(1, "7"), (1, "8"), (2, "7")]) == [5, 1, 0]


def test_many_viewers_are_estimated_from_the_first_ten_thousand(store: LiveStore, reader: LiveReader) -> None:
    visitors = [pseudonym(b"key", "1", str(number)) for number in range(40_000)]
    store.apply([event("click", "7", visitor=visitor) for visitor in visitors])
    store.apply([event("click", "8", visitor=visitor) for visitor in visitors[:9_999]])
    many, few = reader.viewers("shop", [(1, "7"), (1, "8")])
    assert abs(many - 40_000) < 2_000
    assert few == 9_999


def test_viewers_are_counted_again_after_a_minute_only(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event("click", "7", visitor="a")])
    assert reader.viewers("shop", [(1, "7")]) == [1]
    store.apply([event("click", "7", visitor="b")])
    assert reader.viewers("shop", [(1, "7")]) == [1]


def test_what_is_too_old_is_forgotten_for_each_website_and_in_shares(store: LiveStore, reader: LiveReader) -> None:
    visitors = [f"{first}isitor" for first in "-09AMZ_amz"]
    for website in ("shop", "forum"):
        store.apply([event("click", "old", website=website, visitor=v, time=NOW - 40 * DAY) for v in visitors])
        store.apply([event("click", "new", website=website, visitor=v) for v in visitors])
    assert store.websites() == ["forum", "shop"]
    assert sum(store.forget_before(NOW - 35 * DAY, "shop", share) for share in range(64)) == len(visitors)
    for visitor in visitors:
        assert [found.item for found in reader.history("shop", visitor)] == ["new"]
        assert len(reader.history("forum", visitor)) == 2
    assert store.forget_before(NOW - 35 * DAY) == len(visitors)
    assert reader.positions() == {}


def test_of_a_robot_about_the_newest_500_events_stay(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event("click", str(n), time=NOW + n) for n in range(3000)])
    store.apply([event("click", str(n), time=NOW + n, visitor="person") for n in range(300)])
    assert store.forget_before(NOW - DAY) == 2500
    history = reader.history("shop", "v", limit=5000)
    assert [found.item for found in history] == [str(n) for n in range(2999, 2499, -1)]
    assert len(reader.history("shop", "person", limit=5000)) == 300


def test_deliveries_push_nothing_out_of_a_history_and_are_bounded_themselves(
    store: LiveStore, reader: LiveReader
) -> None:
    store.apply([event("blacklist", "6", time=NOW)])
    store.apply([event("rendered", str(n), time=NOW + 1 + n) for n in range(3000)])
    assert [(found.event, found.item) for found in reader.history("shop", "v")] == [("blacklist", "6")]
    assert [found.item for found in reader.deliveries("shop", "v", limit=2)] == ["2999", "2998"]
    assert store.forget_before(NOW - DAY) == 2500
    assert [(found.event, found.item) for found in reader.history("shop", "v")] == [("blacklist", "6")]


def test_a_robot_is_no_viewer_and_keeps_its_own_history(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event("click", "7", visitor="person"), msgspec.structs.replace(event("click", "7"), is_bot=True)])
    assert reader.viewers("shop", [(1, "7")]) == [1]
    assert [found.item for found in reader.history("shop", "v")] == ["7"]


def test_views_that_no_longer_count_are_forgotten(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event("click", "7", visitor=f"v{n}", time=NOW - n * MINUTE) for n in range(10)])
    assert store.forget_views(NOW - 4 * MINUTE) == 5
    assert reader.viewers("shop", [(1, "7")]) == [5]


def test_views_are_forgotten_a_part_at_a_time_from_where_the_last_call_stood(
    store: LiveStore, reader: LiveReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_store, "VIEWS_AT_ONCE", 4)
    old = [event("click", str(n), visitor=f"v{n}", time=NOW - 2 * MINUTE) for n in range(10)]
    store.apply([*old, event("click", "5", visitor="new")])
    assert [store.forget_views(NOW - MINUTE) for _ in range(4)] == [4, 3, 3, 0]
    assert reader.viewers("shop", [(1, str(n)) for n in range(10)]) == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_quarantined_events_and_those_of_nobody_have_no_history(store: LiveStore, reader: LiveReader) -> None:
    store.apply([event("click", "1", visitor=""), event("click", "2", quarantine="no such currency")])
    assert reader.history("shop", "") == reader.history("shop", "v") == []


@pytest.mark.parametrize("bad", [{"item_type": 2**70}, {"item": "a\0b"}, {"time": 2**70}], ids=["type", "nul", "time"])
def test_an_event_the_database_can_not_hold_does_not_stop_the_others(
    store: LiveStore, reader: LiveReader, bad: dict[str, object]
) -> None:
    batch = [event("click", str(n), time=NOW + n) for n in range(9)]
    batch.insert(
        4, Event(**{"website": "shop", "event": "rate", "received_at": NOW, "time": NOW, "visitor": "v", **bad})
    )
    store.apply(batch, {"writer": Position(3, 4)})
    assert [found.item for found in reader.history("shop", "v") if found.event == "click"] == list("876543210")
    assert store.positions() == {"writer": Position(3, 4)}


def test_texts_that_look_like_sql_csv_or_null_are_kept_as_they_are(store: LiveStore, reader: LiveReader) -> None:
    texts = [
        "'; DROP TABLE visitor_events; --",
        'a"b',
        "x,y",
        "\\N",
        "\\.",
        "line\nbreak",
        "%s",
        ":name",
        "Ünï©ode",
        "NULL",
    ]
    store.apply([event("click", text, time=NOW + n, scenario=text) for n, text in enumerate(texts)])
    assert [found.item for found in reversed(reader.history("shop", "v"))] == texts
    assert [found.scenario for found in reversed(reader.history("shop", "v"))] == texts
    assert reader.history("'; DROP TABLE visitor_events; --", "%s") == []


def test_many_threads_read_while_one_writes(store: LiveStore, reader: LiveReader) -> None:
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                history = reader.history("shop", "v")
                assert len(history) % 10 == 0
                assert [found.time for found in history] == sorted((found.time for found in history), reverse=True)
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(15):
        store.apply([event("click", str(n), time=NOW + 10 * number + n) for n in range(10)])
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(reader.history("shop", "v")) == 150


def test_a_stopped_postgresql_costs_a_request_60_ms_once_and_is_used_again_when_it_goes_on(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store, reader = LiveStore(postgres_url), LiveReader(postgres_url)
    store.apply([event("click", "1")])
    until_answered(reader)
    postgres_server.freeze()
    try:
        waits = [refused_after(reader) for _ in range(50)]
        time.sleep(1.05)
        waits += [refused_after(reader) for _ in range(50)]
    finally:
        postgres_server.thaw()
    assert 0.04 < max(waits) < 1  # 50 ms, and what a busy machine adds
    assert sum(wait > 0.03 for wait in waits) <= 10
    assert statistics.median(waits) < 0.01
    assert until_answered(reader) < 20
    store.close()
    reader.close()


def test_a_connection_is_not_made_to_a_stopped_postgresql_either(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    LiveStore(postgres_url).close()
    reader = LiveReader(postgres_url)
    postgres_server.freeze()
    try:
        assert refused_after(reader) < 2
    finally:
        postgres_server.thaw()
    assert until_answered(reader) < 20
    reader.close()


def test_after_a_restart_of_postgresql_the_pool_of_dead_connections_costs_no_answer(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    LiveStore(postgres_url).close()
    reader = LiveReader(postgres_url, deadline=2.0)
    threads = [threading.Thread(target=until_answered, args=(reader,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    postgres_server.stop()
    postgres_server.start()
    until_answered(reader)
    assert [reader.history("shop", "v") for _ in range(8)] == [[]] * 8
    reader.close()


def test_a_postgresql_that_is_not_there_is_unavailable_for_reader_and_store() -> None:
    nowhere = "postgresql://postgres@127.0.0.1:1/none"
    with pytest.raises(LiveStoreUnavailable, match=r"[Cc]onnection refused"):
        LiveReader(nowhere).history("shop", "v")
    with pytest.raises(LiveStoreUnavailable, match=r"[Cc]onnection refused"):
        LiveStore(nowhere)


def test_a_slow_query_on_sqlite_is_interrupted_at_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    slow = (
        "CREATE VIEW visitor_events AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1e8) "
        "SELECT 'shop' website, 'v' visitor, x time, 'click' event, 1 item_type, '1' item, '' scenario FROM n"
    )
    with sqlite3.connect(path) as connection:
        connection.execute(slow)
    connection.close()
    reader = LiveReader(f"sqlite:///{path}")
    assert 0.04 < refused_after(reader) < 2
    assert refused_after(reader) < 0.04  # not asked again for a second
    reader.close()


def test_a_file_that_is_no_database_is_unavailable_and_a_rebuilt_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    path.write_text("not a database " * 1000)
    reader = LiveReader(f"sqlite:///{path}")
    assert refused_after(reader) < 2
    path.unlink()
    store = LiveStore(f"sqlite:///{path}")
    store.apply([event("click", "1")])
    until_answered(reader)
    assert [found.item for found in reader.history("shop", "v")] == ["1"]
    store.close()
    reader.close()


@pytest.mark.parametrize("text", ["postgres://h/d", "postgresql://h/d", "postgresql+psycopg2://h/d"])
def test_every_way_to_write_a_postgresql_url_means_psycopg2(text: str) -> None:
    assert parse_live_url(text).drivername == "postgresql+psycopg2"


@pytest.mark.parametrize("text", ["", "nonsense", "mysql://h/d", "sqlite://", "postgresql+asyncpg://h/d"])
def test_another_database_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"expected sqlite:///PATH or postgresql://"):
        LiveReader(text)


def test_the_reader_imports_nothing_heavy_and_no_driver_it_does_not_need() -> None:
    program = (
        "import sys; import personalization_pipelines.events.live.live_history as live; live.LiveReader('sqlite:////tmp/none.db');"
        "print([m for m in ('dagster pandas scipy implicit great_expectations pyarrow duckdb numpy psycopg2').split() "
        "if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def event(
    kind: str,
    item: str,
    *,
    website: str = "shop",
    visitor: str = "v",
    time: int = NOW,
    scenario: str = "",
    quarantine: str = "",
) -> Event:
    return Event(website, kind, time, time, visitor, 1, item, scenario=scenario, quarantine=quarantine)


def refused_after(reader: LiveReader) -> float:
    started = time.perf_counter()
    with pytest.raises(LiveStoreUnavailable):
        reader.history("shop", "v")
    return time.perf_counter() - started


def until_answered(reader: LiveReader) -> float:
    """Seconds until the reader answers again (the test fails after 10)."""
    started = time.perf_counter()
    while time.perf_counter() - started < 10:
        try:
            reader.history("shop", "v")
        except LiveStoreUnavailable:
            time.sleep(0.02)
        else:
            return time.perf_counter() - started
    raise AssertionError("the reader did not answer again within 10 seconds")
