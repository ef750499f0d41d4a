"""What was shown too often in a session is out; sessions end after half an hour without an event."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.events.live.live_history import LiveEvent
from serving.recommending.sessions import GAP, session_start, shown_too_often

MINUTE = 60_000_000
NOW = 1_772_000_000_000_000


def events(kind: str, *minutes_ago: float, item: str = "1") -> list[LiveEvent]:
    return [LiveEvent(kind, 1, item, NOW - int(ago * MINUTE), "home") for ago in minutes_ago]


def often(shown: Sequence[LiveEvent], most: int = 2, live: Sequence[LiveEvent] = ()) -> set[str]:
    return {item for _, item in shown_too_often(NOW, live, shown, most)}


def test_an_item_is_out_once_it_was_shown_as_often_as_allowed() -> None:
    assert often(events("rendered", 1)) == set()
    assert often(events("rendered", 1, 2)) == {"1"}
    assert often([*events("rendered", 1, 2), *events("rendered", 3, item="2")]) == {"1"}


def test_a_pause_of_more_than_half_an_hour_begins_a_new_session() -> None:
    assert often(events("rendered", 1, 31)) == {"1"}
    assert often(events("rendered", 1, 31.1)) == set()
    assert often(events("rendered", 31, 32)) == set()


def test_any_other_event_keeps_the_session_going() -> None:
    assert often(events("rendered", 1, 50), live=events("click", 25, item="9")) == {"1"}


@given(st.lists(st.integers(0, 5 * GAP), max_size=30))
def test_a_session_is_the_longest_run_of_events_up_to_now_without_a_longer_pause(ages: list[int]) -> None:
    start = session_start(NOW, [NOW - age for age in ages])
    inside = sorted([NOW, *(NOW - age for age in ages if NOW - age >= start)], reverse=True)
    assert start == inside[-1]
    assert all(later - earlier <= GAP for later, earlier in pairwise(inside))
    assert all(start - (NOW - age) > GAP for age in ages if NOW - age < start)
