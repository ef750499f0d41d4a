"""Equal rows give equal bytes, and a SELECT reaches nothing but its sources."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from personalization_pipelines.features.building import run_all
from personalization_pipelines.features.engine import MEMORY_VARIABLE, SOURCES, Engine, Inputs, open_engine
from personalization_pipelines.features.sql_models import feature_names, feature_path
from personalization_pipelines.features.utc_days import utc_days
from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.features.tables import events_table, items_table, random_events, write_lake

AS_OF = datetime(2026, 4, 1, tzinfo=UTC)
EVENTS = events_table(random_events(300, seed=3))
ITEMS = items_table([{"item": str(number), "categories": [f"/A/{number}"]} for number in range(20)])


def bytes_of(build: Build, inputs: Inputs) -> list[bytes]:
    """Return every feature table's bytes, built from nothing."""
    run_all(build, inputs=inputs)
    found = [feature_path(build, name).read_bytes() for name in feature_names()]
    for path in build.features.iterdir():
        path.unlink()
    return found


@pytest.fixture
def expected(home: Home, shop: Website, tmp_path: Path) -> list[bytes]:
    return bytes_of(Build(home, shop, AS_OF), write_lake(tmp_path / "plain", [EVENTS], ITEMS))


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 300), max_size=4), repeat=st.booleans())
@example(seed=0, cuts=[], repeat=False)
@example(seed=0, cuts=[0, 150], repeat=True)
def test_features_do_not_depend_on_how_events_lie_in_files(
    home: Home, shop: Website, tmp_path: Path, expected: list[bytes], seed: int, cuts: list[int], repeat: bool
) -> None:
    shuffled = EVENTS.take(random.Random(seed).sample(range(300), 300))
    parts = [shuffled.slice(start, end - start) for start, end in pairwise([0, *sorted(cuts), 300])]
    inputs = write_lake(tmp_path / "shuffled", parts, ITEMS)
    if repeat:
        inputs = Inputs((*inputs.events, *inputs.events), inputs.items, inputs.users, inputs.lake)
    assert bytes_of(Build(home, shop, AS_OF), inputs) == expected


@pytest.mark.parametrize(("threads", "memory"), [(1, "100MB"), (4, "1GB")])
def test_a_table_of_many_row_groups_has_the_same_bytes_for_any_threads_and_memory(
    home: Home, shop: Website, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, memory: str
) -> None:
    sql = "select cast(i * 7919 % 500000 as varchar) as a, i % 3 as b from range(500000) as r(i) order by b, a"
    build = Build(home, shop, AS_OF)
    with open_engine(build, write_lake(tmp_path, [])) as engine:
        assert engine.write(sql, build.features / "one.parquet") == 500_000
    monkeypatch.setenv(MEMORY_VARIABLE, memory)
    with open_engine(build, write_lake(tmp_path, []), threads=threads) as engine:
        engine.write(sql, build.features / "other.parquet")
    assert (build.features / "one.parquet").read_bytes() == (build.features / "other.parquet").read_bytes()


@pytest.fixture
def engine(home: Home, shop: Website, tmp_path: Path) -> Iterator[Engine]:
    with open_engine(Build(home, shop, AS_OF), write_lake(tmp_path / "lake", [EVENTS])) as opened:
        yield opened


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_without_files_is_an_empty_table_of_the_right_columns(source: str, engine: Engine) -> None:
    assert [row[0] for row in engine.rows(f"describe {source}")] == SOURCES[source].names


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/hostname')",
        "select * from read_parquet('{home}/key')",
        "copy (select 1) to '{home}/elsewhere.csv'",
        "attach '{home}/other.db'",
        "set enable_external_access = true",
        "install httpfs",
    ],
)
def test_a_select_reaches_nothing_but_its_sources(sql: str, engine: Engine, home: Home) -> None:
    with pytest.raises(duckdb.Error):
        engine.rows(sql.format(home=home.root))
    assert not (home.root / "elsewhere.csv").exists()


def test_a_query_that_fails_leaves_no_file(engine: Engine, home: Home) -> None:
    directory = home.lake("shop") / "features"
    with pytest.raises(duckdb.Error):
        engine.write("select error('no')", directory / "broken.parquet")
    assert [path.name for path in directory.iterdir() if "broken" in path.name] == []


def test_the_path_of_a_home_may_hold_a_quote(tmp_path: Path, shop: Website) -> None:
    home = Home(tmp_path / "ann's home")
    home.create()
    reports = run_all(Build(home, shop, AS_OF), inputs=write_lake(home.root / "lake'", [EVENTS], ITEMS))
    assert reports[0].rows > 0


def test_a_memory_limit_that_is_none_is_refused(
    home: Home, shop: Website, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "plenty")
    with (
        pytest.raises(ConfigurationError, match="'plenty' is not an amount of memory like 800MB"),
        open_engine(Build(home, shop, AS_OF), write_lake(tmp_path, [])) as engine,
    ):
        engine.rows("select 1")


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
)
@settings(max_examples=60, deadline=None)
@given(moment=st.datetimes(datetime(1971, 1, 1), datetime(2026, 12, 31)))
def test_the_calendar_agrees_with_the_time_zone_database(zone: str, moment: datetime) -> None:
    day = utc_days(ZoneInfo(zone), date(2027, 1, 1)).slice((moment.date() - date(1970, 1, 1)).days, 1).to_pylist()[0]
    assert day["utc_day"] == moment.date()
    seconds = day["seconds_before"] if moment < day["changes_at"] else day["seconds_after"]
    assert seconds == moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset().total_seconds()
