"""`personalization logins`: shows what each login does, and undoes one in the live store, the lake and the features."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from io import StringIO

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from personalization_pipelines.cli import main
from personalization_pipelines.commands.logins import logins_table
from personalization_pipelines.commands.tables import print_table
from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.lake.event_lake import event_files, ingest
from personalization_pipelines.events.live.follower import Follower
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.live.live_store import LiveStore
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.features.building import run_all
from personalization_pipelines.features.sql_models import load_feature
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.website import Website
from personalization_pipelines.website.example import example_text
from personalization_pipelines.website.load import load_website
from personalization_pipelines.website.one_build import Build


@pytest.fixture
def site(home: Home) -> Website:
    (home.websites / "shop.yaml").write_text(example_text("shop"))
    return load_website(home.websites / "shop.yaml")


def visitor(home: Home, user: str) -> str:
    return pseudonym(home.key, "1001", user)


def write(home: Home, *told: tuple[str, str, str]) -> None:
    """Write (event, user or source, item or target) into the log, a microsecond apart."""
    log = SegmentLog(home.log)
    for name, user, other in told:
        now, who = time.time_ns() // 1000, visitor(home, user)
        log.append(
            [
                encode(
                    Event("shop", name, now, now, visitor(home, other), source_visitor=who)
                    if name == "login"
                    else Event("shop", name, now, now, who, 1, other)
                )
            ]
        )
    log.close()


def run(home: Home, *arguments: str) -> Result:
    environment = {"PERSONALIZATION_HOME": str(home.root)}
    return CliRunner().invoke(main, ["logins", *arguments], env=environment, catch_exceptions=False)


def histories(home: Home, site: Website) -> dict[str, list[str]]:
    """Return what a build now says each visitor did."""
    build = Build(home, site, datetime.now(UTC))
    run_all(build)
    found: dict[str, list[str]] = {}
    for row in load_feature(build, "visitor_history").to_pylist():
        found.setdefault(row["visitor"], []).append(row["item"])
    return found


def live_items(home: Home, user: str) -> list[str]:
    follower = Follower(home, LiveStore(home.live_database))
    while follower.apply_unread():
        pass
    follower.close()
    reader = LiveReader(home.live_database, deadline=5.0)
    found = [event.item for event in reader.history("shop", visitor(home, user))]
    reader.close()
    return found


def test_a_login_is_listed_and_undone_everywhere(home: Home, site: Website) -> None:
    write(home, ("click", "anon", "7"), ("login", "anon", "ann"), ("click", "ann", "8"))
    anon, ann = visitor(home, "anon"), visitor(home, "ann")
    listed = run(home, "shop").output
    assert "shop: 1 logins" in listed
    assert f"~{anon}" in listed and f"~{ann}" in listed and "counts" in listed
    assert live_items(home, "ann") == ["8", "7"]
    assert histories(home, site) == {ann: ["8", "7"], anon: ["7"]}

    undone = run(home, "shop", "--undo", f"~{anon}", "ann")
    assert undone.output == "1 logins undone; in what is built, from the next build on\n"
    assert live_items(home, "ann") == ["8"]
    assert histories(home, site) == {ann: ["8"], anon: ["7"]}
    assert "ignored: undone" in run(home, "shop").output
    rows = [row for path in event_files(home, site) for row in pq.read_table(path, partitioning=None).to_pylist()]
    assert [row["event"] for row in rows] == ["click", "login", "click", "undologin"]


def test_tokens_are_listed_whole_also_in_a_terminal_of_80_columns(home: Home, site: Website) -> None:
    write(home, *(("login", f"anon{number}", "ann") for number in range(6)))
    terminal = Console(file=StringIO(), force_terminal=True, width=80, color_system=None)
    print_table(terminal, logins_table(home, site, None, 50), "table")
    listed = terminal.file.getvalue()  # type: ignore[attr-defined]
    assert all(f"~{visitor(home, f'anon{number}')} " in listed for number in range(6))
    assert listed.count(f"~{visitor(home, 'ann')} ") == 6
    assert max(map(len, listed.splitlines())) <= 80


def test_a_program_reads_the_same_as_json(home: Home, site: Website) -> None:
    write(home, ("login", "anon", "ann"))
    (login,) = json.loads(run(home, "shop", "--format", "json").output)
    assert (login["from"], login["to"]) == (f"~{visitor(home, 'anon')}", f"~{visitor(home, 'ann')}")
    assert login["ignored"] == "" and datetime.fromisoformat(login["time"]).tzinfo


def test_only_logins_of_a_user_and_only_the_newest_are_listed_where_one_asks_so(home: Home, site: Website) -> None:
    write(home, ("login", "a", "ann"), ("login", "b", "bob"), ("login", "c", "ann"))
    of_ann = run(home, "shop", "--user", "ann").output
    assert f"~{visitor(home, 'a')}" in of_ann and f"~{visitor(home, 'b')}" not in of_ann
    newest = run(home, "shop", "--limit", "1").output
    assert f"~{visitor(home, 'c')}" in newest and f"~{visitor(home, 'a')}" not in newest


def test_a_rebuild_of_a_day_before_the_login_does_not_know_it(home: Home, site: Website) -> None:
    write(home, ("click", "anon", "7"))
    between = datetime.now(UTC)
    time.sleep(0.002)
    write(home, ("login", "anon", "ann"))
    ingest(home, site)
    run_all(Build(home, site, datetime.now(UTC) + timedelta(seconds=1)))
    past = Build(home, site, between, rebuild=True)
    run_all(past)
    assert load_feature(past, "visitor_logins").num_rows == 0
    assert load_feature(past, "stg_events", ["visitor"]).to_pydict() == {"visitor": [visitor(home, "anon")]}


def test_nobody_is_refused_with_a_sentence(home: Home, site: Website) -> None:
    result = run(home, "shop", "--undo", "not_defined", "ann")
    assert result.exit_code == 1
    assert "user id 'not_defined' is nobody's" in result.output
