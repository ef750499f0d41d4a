"""`PERSONALIZATION_DATABASE` puts Dagster's history and the live store into one database (docs/operations.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from personalization_pipelines.commands.refresh import prepare_dagster, refresh
from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.events.live.live_history import LiveStore
from personalization_pipelines.foundation.home import Home
from tests.conftest import make_website
from tests.content.files import write
from tests.made_documents import DOCS


@pytest.fixture
def home(tmp_path: Path, postgres_url: str) -> Home:
    made = Home(tmp_path / "home", postgres_url)
    made.create()
    return made


def test_runs_of_dagster_and_the_live_store_share_one_database(home: Home, tmp_path: Path) -> None:
    website = make_website()
    import_items(home, website, [write(tmp_path, "items.csv", [{"item_id": 77, "title": "one"}])])
    assert refresh(home, website).failures == ()
    LiveStore(home.live_database).close()
    engine = sa.create_engine(home.database.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.connect() as connection:
        runs = connection.execute(sa.text("select status, count(*) from runs group by status")).all()
        tables = set(sa.inspect(connection).get_table_names())
    engine.dispose()
    assert runs == [("SUCCESS", 1)]
    assert {"runs", "event_logs", "visitor_events", "logins"} <= tables
    assert not list((home.dagster).glob("**/*.db"))


def test_no_password_of_the_database_stands_in_dagsters_settings(home: Home) -> None:
    secret = Home(home.root, home.database.replace("postgres@", "postgres:very-secret@"))
    prepare_dagster(secret)
    text = (home.dagster / "dagster.yaml").read_text()
    assert "very-secret" not in text
    assert "postgres" in yaml.safe_load(text)["storage"]


def test_the_tables_that_the_page_names_are_those() -> None:
    text = (DOCS / "operations.md").read_text()
    assert "select status, count(*) from runs group by status" in text
    assert "`runs`, `event_logs` … are Dagster's, `visitor_events`, `logins` … the live store's" in text
