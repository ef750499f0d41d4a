"""From the wire to the feature tables, by real parts: nothing an event says is lost; robots count nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from flask import Flask
from flask.testing import FlaskClient

from personalization_pipelines.events.judging.links import Signer, answer_id
from personalization_pipelines.events.judging.signature import md5_signature
from personalization_pipelines.events.lake.event_lake import event_files, ingest
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.features.building import check_feature, run_all
from personalization_pipelines.features.sql_models import feature_names, load_feature
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.models.matrices.read_features import read_training_data
from personalization_pipelines.models.registry import learner
from personalization_pipelines.models.types.popularity import Popularity
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from serving.http import problems
from serving.http.in_front import stand_in_front
from serving.tracking.tracking_views import Tracker
from tests.benchmarks.tracking_server import OneWebsite
from tests.conftest import make_website

ROBOT = {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
PERSON = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}


class Site:
    """One website with its tracker, log and lake."""

    def __init__(self, home: Home, **changes: Any) -> None:
        self.home = home
        self.website: Website = make_website(**changes)
        self.log = SegmentLog(home.log)
        app = Flask("test")
        problems.register(app)
        stand_in_front(app, Tracker(OneWebsite(self.website), self.log, home.key).answer)
        self.client: FlaskClient = app.test_client()

    def get(self, path: str, headers: dict[str, str] | None = None) -> None:
        """Send one event, which must be acknowledged."""
        assert self.client.get(f"/api/00001/{path}", headers=headers or PERSON).status_code == 204

    def visitor(self, user: str) -> str:
        """Return the pseudonym of a user."""
        return pseudonym(self.home.key, "00001", user)

    def lake(self) -> list[dict[str, Any]]:
        """Move what was acknowledged into the lake and return its rows, in order of arrival."""
        ingest(self.home, self.website)
        rows = [row for file in event_files(self.home, self.website) for row in pq.ParquetFile(file).read().to_pylist()]
        return sorted(rows, key=lambda row: (row["received_at"], row["record_id"]))

    def features(self) -> Build:
        """Build every feature table, see that each keeps its contract, and return the build."""
        ingest(self.home, self.website)
        build = Build(self.home, self.website, datetime.now(UTC) + timedelta(minutes=1))
        run_all(build)
        assert [name for name in feature_names() if not check_feature(build, name).passed] == []
        return build


@pytest.fixture
def site(home: Home) -> Iterator[Site]:
    made = Site(home)
    yield made
    made.log.close()


def test_a_robots_events_are_kept_and_count_in_no_table(site: Site) -> None:
    site.get("click/bot/1/5", ROBOT)
    site.get("rendered/bot/1/5,6", ROBOT)
    site.get("click/ann/1/5")
    assert [row["is_bot"] for row in site.lake()] == [True, True, True, False]
    build = site.features()
    assert [(row["rule"], row["visitor"], row["events"]) for row in load_feature(build, "robots").to_pylist()] == [
        ("user_agent", site.visitor("bot"), 3)
    ]
    for name in ("stg_events", "visitor_item_days", "visitor_history"):
        assert {row["visitor"] for row in load_feature(build, name).to_pylist()} == {site.visitor("ann")}, name
    assert load_feature(build, "visitors_per_day")["visitors"].to_pylist() == [1]


def test_who_calls_too_often_counts_on_no_table_of_that_day(home: Home) -> None:
    site = Site(home, events={"bots": {"max_events_per_minute": 5}})
    for item in range(1, 15):
        site.get(f"click/fast/1/{item}")  # 14 calls in far less than two minutes: 6 of them in one
    for item in range(1, 4):
        site.get(f"click/ann/1/{item}")
    lines = [{"event": "buy", "user": "shop", "item_type": 1, "item": item} for item in range(1, 101)]
    assert site.client.post("/api/00001/events", json=lines, headers=ROBOT).status_code == 204
    build = site.features()
    counted = load_feature(build, "stg_events")["visitor"].to_pylist()
    assert (counted.count(site.visitor("fast")), counted.count(site.visitor("ann"))) == (0, 3)
    assert counted.count(site.visitor("shop")) == 100, "a batch is one call of a server, whatever it is named"
    assert len(site.lake()) == 117
    site.log.close()


def test_signed_events_of_the_past_are_no_robots(home: Home) -> None:
    site = Site(home, events={"bots": {"max_events_per_minute": 1}})
    for item in range(1, 6):
        sent = {"overridetimestamp": [f"2026-01-01T11:00:0{item}"]}
        signature = md5_signature("1111-2222-3333-4444-5555", "1", str(item), sent)
        time = sent["overridetimestamp"][0].replace(":", "%3A")
        site.get(f"click/ann/1/{item}?overridetimestamp={time}&signature={signature}", ROBOT)
    assert [row["is_bot"] for row in site.lake()] == [False] * 5
    assert load_feature(site.features(), "stg_events").num_rows == 5
    site.log.close()


def test_where_robots_are_not_looked_for_all_events_count(home: Home) -> None:
    site = Site(home, events={"bots": {"user_agents": "none", "max_events_per_minute": "none"}})
    for item in range(1, 101):
        site.get(f"click/bot/1/{item}", ROBOT)
    assert load_feature(site.features(), "stg_events").num_rows == 100
    site.log.close()


def test_what_an_event_says_is_in_the_lake(site: Site) -> None:
    site.get("click/ann/1/5?segments=7,11&lang=eng-GB&requestuuid=u-1&categorypath=/A/B&categorypath=C")
    site.get("consume/ann/2/6?percentage=40&segments=0")
    site.get("buy/ann/1/5?quantity=3&fullprice=12.45EUR&segments=2147483647")
    site.get("rate/ann/1/5?rating=80&segments=7&segments=11")
    click, consume, buy, rate = site.lake()
    assert (click["segments"], click["language"], click["request_uuid"]) == ([7, 11], "eng-GB", "u-1")
    assert click["categories"] == ["/A/B", "/C"]
    assert (consume["item_type"], consume["percentage"], consume["segments"]) == (2, 40, [0])
    assert (buy["quantity"], buy["price_minor"], buy["currency"]) == (3, 1245, "EUR")
    assert (rate["rating"], rate["segments"]) == (80, [7, 11])


def test_alphanumeric_ids_and_empty_and_long_deliveries_reach_the_tables(home: Home) -> None:
    site = Site(home, item_ids="alphanumeric", models={}, scenarios={})
    site.get("rendered/ann/1/")
    site.get("rendered/ann/1/SKU-7,%C3%BC%20x,9")
    site.get("click/ann/1/SKU-7")
    assert [row["item"] for row in site.lake()] == ["", "SKU-7", "ü x", "9", "SKU-7"]
    build = site.features()
    days = {row["event"]: row["events"] for row in load_feature(build, "event_days").to_pylist()}
    assert days == {"click": 1, "rendered": 4}
    assert load_feature(build, "visitor_item_days")["item"].to_pylist() == ["SKU-7"]
    site.log.close()


def test_only_links_of_ours_count_as_accepted_recommendations(site: Site) -> None:
    rid = answer_id(int(datetime.now(UTC).timestamp()), "0123456789")
    signer = Signer(site.home.key, "00001", site.visitor("ann"), "home", rid)
    site.get(f"clickrecommended/ann/1/5?scenario=home&modelid=2&rid={rid}&sig={signer.sign('2', 1, '5')}")
    site.get("clickrecommended/ann/1/5?scenario=home&modelid=2")
    site.get(f"clickrecommended/bob/1/5?scenario=home&modelid=2&rid={rid}&sig={signer.sign('2', 1, '5')}")
    build = site.features()
    assert sorted(load_feature(build, "stg_events")["verified"].to_pylist()) == [False, False, True]
    (day,) = load_feature(build, "event_days").to_pylist()
    assert (day["event"], day["events"], day["unverified"]) == ("clickrecommended", 3, 2)
    assert load_feature(build, "visitor_item_days").num_rows == 0, "an accepted recommendation teaches no model"


def test_clicks_teach_categories_where_the_website_says_so(home: Home) -> None:
    for learns in (True, False):
        made = Home(home.root.with_name(f"learns-{learns}"))
        made.create()
        site = Site(made, category_from_clicks=learns)
        for user in ("ann", "bob"):
            site.get(f"click/{user}/1/5?categorypath=/Sale/Shoes")
        site.get("click/ann/1/5?categorypath=/Invented")
        found = load_feature(site.features(), "item_categories")["category"].to_pylist()
        assert found == (["/Sale", "/Sale/Shoes"] if learns else [])
        site.log.close()


def test_of_an_article_only_the_highest_percentage_counts(site: Site) -> None:
    for percentage in (10, 90, 50):
        site.get(f"consume/ann/2/5?percentage={percentage}")
    build = site.features()
    (row,) = load_feature(build, "visitor_item_days").to_pylist()
    assert (row["event"], row["events"]) == ("consume", 1)
    highest = [one["time"] for one in load_feature(build, "stg_events").to_pylist() if one["percentage"] == 90]
    assert [row["first_time"]] == highest


def test_no_user_agent_is_stored(site: Site, tmp_path: Path) -> None:
    site.get("click/ann/1/5", {"User-Agent": "canary-agent Googlebot/2.1"})
    site.features()
    site.log.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"canary-agent" not in stored
    assert b'"is_bot":true' in stored


def test_seventy_events_of_nobody_from_one_source_do_not_beat_five_visitors(site: Site) -> None:
    for number in range(35):
        site.get(f"click/{('not_defined', 'undefined', 'NULL')[number % 3]}/1/6")
    lines = [{"event": "click", "user": None, "item_type": 1, "item": 6}] * 35
    assert site.client.post("/api/00001/events", json=lines).status_code == 204
    for user in range(5):
        site.get(f"click/person{user}/1/5")
    for address in ("203.0.113.1", "203.0.113.2"):
        site.client.get("/api/00001/click/not_defined/1/7", environ_overrides={"REMOTE_ADDR": address})
    build = site.features()
    model = Popularity(type="popularity", event="click", history=timedelta(days=30))
    data = read_training_data(build, ["click"], model.build)
    ranked = learner(model, site.website).learn(data).answer

    rows, scores = ranked.lists.of(0)
    assert [data.index.ids[row] for row in rows] == ["5", "7", "6"]
    assert scores.tolist() == [5, 2, 1]
    (day,) = load_feature(build, "event_days").to_pylist()
    assert (day["events"], day["visitors"]) == (77, 5), "all are kept"


def test_no_address_is_stored_and_no_origin_of_a_visitor(site: Site, tmp_path: Path) -> None:
    for user in ("not_defined", "ann"):
        site.client.get(f"/api/00001/click/{user}/1/5", environ_overrides={"REMOTE_ADDR": "203.0.113.77"})
    assert [len(row["origin"]) for row in site.lake()] == [16, 0]
    site.log.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"203.0.113.77" not in stored


def test_a_robots_login_is_acknowledged_listed_and_moves_nothing(site: Site) -> None:
    site.get("click/anon/1/5")
    site.get("login/anon/ann", ROBOT)
    build = site.features()
    logins = load_feature(build, "visitor_logins").to_pylist()
    assert [(row["source"], row["hop"], row["ignored"]) for row in logins] == [(site.visitor("anon"), 0, "robot")]
    assert load_feature(build, "robots")["events"].to_pylist() == [1]
    assert load_feature(build, "visitor_item_days")["visitor"].to_pylist() == [site.visitor("anon")]
