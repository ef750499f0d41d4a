"""A PostgreSQL that somebody else runs may forget the last commits, limit statements, and have schemas."""

from __future__ import annotations

import sqlalchemy as sa

from personalization_pipelines.events.live import live_tables
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.live.live_url import parse_live_url
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.home import Home
from tests.events.test_follower import apply_all, click, items, thread, wait_for
from tests.postgres import PostgresServer


def test_what_postgresql_forgot_in_a_crash_is_there_again_although_nothing_else_happens(
    home: Home, postgres_server: PostgresServer, postgres_url: str
) -> None:
    here = Home(home.root, postgres_url)
    log, reader = SegmentLog(here.log), LiveReader(postgres_url, deadline=1.0)
    with thread(here):
        log.append([click(0)])
        wait_for(lambda: items(reader) == [0], 30)
        engine = sa.create_engine(parse_live_url(postgres_url))
        with engine.begin() as connection:  # a commit does not wait for the disk: a crash may take the last ones back
            for table in (live_tables.visitor_events, live_tables.follower_positions):
                connection.execute(sa.delete(table))
        engine.dispose()
        postgres_server.stop()
        postgres_server.start()
        wait_for(lambda: items(reader) == [0], 30)
    log.close()


def test_a_statement_timeout_of_the_database_does_not_stop_catching_up(home: Home, postgres_url: str) -> None:
    engine = sa.create_engine(parse_live_url(postgres_url)).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = connection.scalar(sa.text("select current_database()"))
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET statement_timeout = '20ms'")
    engine.dispose()
    log = SegmentLog(home.log)
    log.append([click(number) for number in range(15_000)])
    log.close()
    here = Home(home.root, postgres_url)
    apply_all(here)
    assert items(LiveReader(postgres_url, deadline=1.0))[:1] == [14_999]


def test_follower_and_reader_take_the_same_options_from_the_url(home: Home, postgres_url: str) -> None:
    engine = sa.create_engine(parse_live_url(postgres_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA live")
    here = Home(home.root, f"{postgres_url}?options=-c%20search_path%3Dlive")
    log = SegmentLog(here.log)
    log.append([click(0)])
    log.close()
    apply_all(here)
    assert sa.inspect(engine).has_table("visitor_events", schema="live")
    engine.dispose()
    assert items(LiveReader(here.live_database, deadline=1.0)) == [0]
