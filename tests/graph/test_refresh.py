"""A whole refresh, as `personalization build` runs it: when a gate holds it back, and what it then says."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from personalization_pipelines.commands.refresh import refresh
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.write.publishing import current
from tests.conftest import make_website
from tests.content.files import write

pytestmark = pytest.mark.builds

TODAY = datetime.now(make_website().zone).replace(hour=12, minute=0, second=0, microsecond=0)


def track(home: Home, days: range) -> None:
    """Let the tracker have received ten clicks on each of the days before today."""
    log = SegmentLog(home.log)
    for day in days:
        for number in range(10):
            moment = int((TODAY - timedelta(days=day, seconds=number)).timestamp()) * 1_000_000
            log.append([encode(Event("shop", "click", moment, moment, f"{number}{'A' * 21}", 1, str(number + 1)))])
    log.close()


def test_a_day_without_tracked_events_lets_nothing_be_published_and_says_what_to_do(home: Home) -> None:
    website = make_website()
    track(home, range(2, 12))
    report = refresh(home, website)
    (failure,) = report.failures
    assert failure.startswith("shop/features/event_days, check daily_share: events: ")
    assert "0 tracked events on " in failure
    assert "lower `quality: {events: {min_daily_share: …}}`" in failure
    assert current(home, website) is None

    track(home, range(1, 2))
    assert refresh(home, website).ok
    assert current(home, website) is not None


def test_events_that_were_imported_need_no_events_of_yesterday(home: Home, tmp_path: Path) -> None:
    website = make_website()
    times = [(TODAY - timedelta(days=day)).isoformat() for day in range(5, 25)]
    rows = [{"time": time, "event": "buy", "user": "ann", "item_id": 7} for time in times]
    import_events(home, website, [write(tmp_path, "events.csv", rows)])
    assert refresh(home, website).failures == ()
    assert current(home, website) is not None
