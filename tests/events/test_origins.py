"""One source of nobody's events is one, for a day, in all workers; and nothing tells which address it was."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.judging.origins import COUNTED, Origins, mark_origins, network_of
from personalization_pipelines.events.judging.rules import RULES
from tests.conftest import make_website

SHOP = make_website()  # Europe/Berlin


def micros(text: str) -> int:
    """Microseconds since 1970 of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


NOON = micros("2026-03-01T12:00")


def origin(origins: Origins, address: str = "203.0.113.7", item: str = "5", now: int = NOON) -> str:
    """The origin of a click."""
    return origins.at(SHOP, address, now)("click", item)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2::1", "20010db800010002"),
        ("2001:db8:1:2:ffff:1:2:3", "20010db800010002"),
        ("2001:db8:1:3::1", "20010db800010003"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_a_household_is_one_source(address: str, network: str) -> None:
    assert network_of(address) == network


def test_an_origin_is_equal_for_one_source_item_kind_and_website_only() -> None:
    origins = Origins()
    here = origins.at(SHOP, "203.0.113.7", NOON)
    others = [
        origins.at(SHOP, "203.0.113.8", NOON)("click", "5"),
        origins.at(make_website(customer_id="00002"), "203.0.113.7", NOON)("click", "5"),
        here("click", "6"),
        here("buy", "5"),
    ]
    assert here("click", "5") == origins.at(SHOP, "203.0.113.7", NOON + 1)("click", "5")
    assert len({here("click", "5"), *others}) == 5


def test_all_workers_share_the_key_of_a_day_of_the_website(tmp_path: Path) -> None:
    one, other = Origins(tmp_path / "keys"), Origins(tmp_path / "keys")
    evening = [micros("2026-03-01T22:59"), micros("2026-03-01T23:01")]  # the second is tomorrow in Berlin
    assert origin(one) == origin(other) == origin(other, now=evening[0])
    assert origin(one) != origin(other, now=evening[1])
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["2026-03-01.key", "2026-03-02.key"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_a_key_is_gone_when_its_day_is_over_everywhere(tmp_path: Path) -> None:
    origins = Origins(tmp_path)
    before = origin(origins)
    origin(origins, now=micros("2026-03-02T12:00"))
    assert origin(Origins(tmp_path)) == before
    origin(origins, now=micros("2026-03-03T12:00"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-03-02.key", "2026-03-03.key"]
    assert origin(origins) != before


def test_without_the_shared_key_events_are_marked_all_the_same_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    origins = Origins(tmp_path / "file" / "keys")
    with caplog.at_level(logging.ERROR):
        assert origin(origins) == origin(origins)
    assert [record.message.startswith("key of the day: ") for record in caplog.records] == [True]


def test_only_what_nobody_did_as_it_happened_is_marked() -> None:
    nobody = Event("shop", "click", NOON, NOON, item_type=1, item="5")
    signed, somebody = Event("shop", "click", NOON, NOON - 1), Event("shop", "click", NOON, NOON, visitor="v" * 22)
    shown = Event("shop", "rendered", NOON, NOON)
    events = mark_origins([nobody, signed, somebody, shown], lambda event, item: f"{event} {item}")
    assert [event.origin for event in events] == ["click 5", "", "", ""]
    assert set(RULES) > COUNTED
