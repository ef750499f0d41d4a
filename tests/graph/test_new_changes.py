"""The sensor of changes: asks soon for what came over HTTP, again for what could not be had, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from personalization_pipelines.content.change_queue import Change, enqueue, pending
from personalization_pipelines.content.exports.tries import Tried, read_tries
from personalization_pipelines.definitions import complete, website_definitions
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.new_changes import Asked, ask, due_changes
from personalization_pipelines.graph.parts import installation
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.cms import Cms, answer, document, listed
from tests.content.notified import apply, named, notify, titles
from tests.content.test_changes import send

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def cms() -> Iterator[Cms]:
    with Cms() as made:
        yield made


@pytest.fixture
def site(cms: Cms) -> Website:
    return make_website(content=listed([cms]))


class Sensor:
    """A website's sensor with its cursor, as the daemon keeps it."""

    def __init__(self, home: Home, website: Website) -> None:
        self.resources = {"installation": installation(home)}
        self.definitions = complete(home, website_definitions(website))
        self.cursor: str | None = None

    def look(self) -> list[dg.RunRequest]:
        sensor = self.definitions.resolve_sensor_def("shop_changes")
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(instance=instance, cursor=self.cursor, resources=self.resources)
            found = sensor(context)
        assert isinstance(found, dg.SensorResult)
        self.cursor = found.cursor or self.cursor
        return found.run_requests or []

    def run(self, request: dg.RunRequest) -> bool:
        job = self.definitions.resolve_job_def("shop_refresh")
        with dg.DagsterInstance.ephemeral() as instance:
            keys = request.asset_selection
            return job.execute_in_process(instance=instance, asset_selection=keys, tags=request.tags).success


def test_what_came_is_asked_for_once_and_the_run_applies_it(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {"/a": document(*named(1))}
    sensor = Sensor(home, site)
    assert sensor.look() == []
    send(home, site, (50, 5))
    notify(home, site, {"uri": cms.url("/a")})
    (request,) = sensor.look()
    assert [one.to_user_string() for one in request.asset_selection or []] == ["shop/content/items"]
    assert request.tags["website"] == "shop" and "dagster/max_runtime" in request.tags
    assert sensor.look() == [], "while the run is on its way"
    assert sensor.run(request)
    assert sorted(titles(home, site)) == [(1, "1", "eng-GB"), (1, "50", "")]
    assert sensor.look() == []
    send(home, site, (51, 5))
    assert len(sensor.look()) == 1


def test_changes_of_users_ask_for_the_users(home: Home, site: Website) -> None:
    sensor = Sensor(home, site)
    enqueue(home, site, "users_xml", b"", name="users")
    (request,) = sensor.look()
    assert [one.to_user_string() for one in request.asset_selection or []] == ["shop/content/users"]


def test_a_cursor_of_another_version_counts_as_none(home: Home, site: Website) -> None:
    sensor = Sensor(home, site)
    sensor.cursor = "[1, 2"
    send(home, site, (50, 5))
    assert len(sensor.look()) == 1


class Day:
    """The daemon's looks, twice a minute on a clock of their own; each run that is asked for applies what it can."""

    def __init__(self, home: Home, site: Website) -> None:
        self.home = home
        self.site = site
        self.asked = Asked()
        self.runs: list[datetime] = []

    def pass_by(self, hours: float, *, runs_work: bool = True) -> None:
        start = datetime.now(UTC)
        for look in range(int(hours * 120)):
            now = start + timedelta(seconds=30 * look)
            due = due_changes(pending(self.home, self.site), read_tries(self.home, self.site), now)
            if (asked := ask(self.asked, due, now.timestamp())) is not None:
                self.asked = asked
                self.runs.append(now)
                if runs_work:
                    apply(self.home, self.site, now)


def test_what_can_never_be_fetched_starts_one_run(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {"/a": answer(b"", "405 Method Not Allowed")}
    notify(home, site, {"uri": cms.url("/a")})
    day = Day(home, site)
    day.pass_by(hours=24)
    assert (len(day.runs), len(cms.requests)) == (1, 1)
    assert pending(home, site) == []


def test_what_fails_for_now_is_tried_ten_times_in_a_day(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {"/a": answer(b"", "503 Service Unavailable")}
    notify(home, site, {"uri": cms.url("/a")}, {"action": "DELETE", "itemId": 1})
    day = Day(home, site)
    day.pass_by(hours=24)
    assert len(cms.requests) == len(day.runs) == 10 + 3  # the deletion behind it asks three times, too
    assert pending(home, site) == []


def test_runs_that_change_nothing_are_asked_for_a_few_times_only(home: Home, site: Website, cms: Cms) -> None:
    notify(home, site, {"uri": cms.url("/a")})
    day = Day(home, site)
    day.pass_by(hours=24, runs_work=False)
    waits = [(later - one) / timedelta(minutes=1) for one, later in zip(day.runs, day.runs[1:], strict=False)]
    assert waits == [5, 10, 20]


def test_a_change_that_waits_for_its_next_try_does_not_ask() -> None:
    change = Change("1", "export_full", "", NOW, Path("1.export_full"))
    assert due_changes([change], {}, NOW) == [(change, 0)]
    later = {"1": Tried(2, NOW + timedelta(minutes=2), "status 503")}
    assert due_changes([change], later, NOW) == []
    assert due_changes([change], later, NOW + timedelta(minutes=2)) == [(change, 2)]
