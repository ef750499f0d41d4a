"""`PERSONALIZATION_DATABASE`: Dagster's runs and the live store in one PostgreSQL, and a build that works there."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import yaml

from personalization_pipelines.commands.refresh import prepare_dagster, refresh
from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.live.live_url import parse_live_url
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.publications.write.publishing import current
from tests.conftest import make_website
from tests.events.test_follower import apply_all

VISITOR = "A" * 22
POPULAR = {
    "models": {"top_clicked": {"type": "popularity", "event": "click"}},
    "scenarios": {"landing": {"input": "product", "output": ["product"], "strategy": [{"models": ["top_clicked"]}]}},
}


def track(home: Home) -> None:
    """Let ten visitors have clicked product 7 yesterday, one of them product 8 too."""
    yesterday = int((datetime.now(UTC) - timedelta(days=1)).timestamp()) * 1_000_000
    log = SegmentLog(home.log)
    for number in range(10):
        log.append([encode(Event("shop", "click", yesterday, yesterday, f"{number}{VISITOR[1:]}", 1, "7"))])
    log.append([encode(Event("shop", "click", yesterday + 1, yesterday + 1, VISITOR, 1, "8"))])
    log.close()


def test_runs_and_live_history_are_in_one_postgresql_and_a_website_is_built(
    home: Home, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DAGSTER_HOME", "PERSONALIZATION_DAGSTER_DATABASE"):
        monkeypatch.setenv(name, "")  # the refresh sets them; put back afterwards
    here, website = Home(home.root, postgres_url), make_website(**POPULAR)
    track(here)
    apply_all(here)
    report = refresh(here, website)
    assert report.failures == ()

    engine = sa.create_engine(parse_live_url(postgres_url))
    with engine.connect() as connection:
        runs = connection.execute(sa.text("select run_id, status from runs")).all()
        steps = connection.scalar(
            sa.text("select count(*) from event_logs where dagster_event_type = 'STEP_SUCCESS' and run_id = :run"),
            {"run": report.run_id},
        )
        clicks = connection.scalar(sa.text("select count(*) from visitor_events"))
    engine.dispose()
    assert [tuple(run) for run in runs] == [(report.run_id, "SUCCESS")]
    assert (steps, clicks) == (report.steps, 11)
    assert [*home.root.rglob("*.db")] == []
    reader = LiveReader(postgres_url, deadline=5.0)
    assert [one.item for one in reader.history("shop", VISITOR)] == ["8"]
    reader.close()
    publication = current(here, website)
    assert publication is not None
    items = Publication.open(publication).items
    assert (items.row(1, "7") >= 0, items.row(1, "9") >= 0) == (True, False)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_spelling_of_postgresql_that_the_live_store_takes_is_dagsters_too(
    home: Home, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONALIZATION_DAGSTER_DATABASE", "")
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_dagster(Home(home.root, f"{scheme}://me:p%40ss@db:5432/shop"))
    assert os.environ["PERSONALIZATION_DAGSTER_DATABASE"] == "postgresql+psycopg2://me:p%40ss@db:5432/shop"
    written = yaml.safe_load((home.dagster / "dagster.yaml").read_text())
    assert written["storage"] == {"postgres": {"postgres_url": {"env": "PERSONALIZATION_DAGSTER_DATABASE"}}}
    assert "p%40ss" not in (home.dagster / "dagster.yaml").read_text()
