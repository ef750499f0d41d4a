"""A follower that was away applies everything that was acknowledged meanwhile, once (`FAULT_BACKLOG` events)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.live import live_tables
from personalization_pipelines.events.live.live_url import parse_live_url
from personalization_pipelines.events.log.event_log import read_records, segments
from personalization_pipelines.foundation.home import Home
from tests.serving.backlog import seconds_to_catch_up, write_backlog

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_follower_that_was_away_catches_up_with_everything(
    tmp_path: Path, request: pytest.FixtureRequest, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    events = int(os.environ.get("FAULT_BACKLOG", "30000"))
    url = request.getfixturevalue("postgres_url") if database == "postgres" else ""
    home = Home(tmp_path / "home", url)
    home.create()
    write_backlog(home, events, visitors=events // 10)
    seconds = seconds_to_catch_up(home)
    wanted = {key_of(event) for event in acknowledged_events(home)}
    found = stored_events(home)
    lost, duplicated = len(wanted - found.keys()), found.total() - len(found)
    with capsys.disabled():
        print(
            f"\ncatching up, {database}: {events} acknowledged, {found.total()} stored, {lost} lost, "
            f"{duplicated} duplicated, {seconds:.1f} s"
        )
    assert (lost, duplicated, found.total()) == (0, 0, len(wanted))


Key = tuple[str, str, int, str, int, str]


def key_of(event: Event) -> Key:
    return event.website, event.visitor, event.time, event.event, event.item_type, event.item


def acknowledged_events(home: Home) -> Iterator[Event]:
    for segment in segments(home.log):
        for _, payload in read_records(segment.path):
            yield decode(payload)


def stored_events(home: Home) -> Counter[Key]:
    table = live_tables.visitor_events.c
    columns = (table.website, table.visitor, table.time, table.event, table.item_type, table.item)
    engine = sa.create_engine(parse_live_url(home.live_database), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return Counter(tuple(row) for row in connection.execute(sa.select(*columns)))
