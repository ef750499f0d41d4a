"""Whether a process can answer, and what it counted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from personalization_pipelines.foundation.home import Home
from serving.http.request_metrics import BUCKETS, Metrics
from tests.serving.shopfront import Installation, website


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website())
    yield made
    made.close()


def test_a_process_lives(shop: Installation) -> None:
    assert shop.client.get("/healthz").json == {"status": "ok"}


def test_ready_means_something_is_published_and_events_can_be_stored(shop: Installation) -> None:
    response = shop.client.get("/readyz")
    assert response.status_code == 200
    assert response.json["websites"]["shop"]["publication"].startswith("20260301T")
    assert str(shop.home.root) not in response.text


def test_while_the_event_log_fails_its_reason_and_time_are_shown_and_no_path(shop: Installation) -> None:
    log = shop.home.log
    gone = log.rename(log.with_name("away"))
    assert shop.client.post("/api/00001/click/ann/1/1").status_code == 503
    gone.rename(log)
    response = shop.client.get("/readyz")
    assert (response.status_code, response.json["event_log"]) == (503, "cannot be written")
    failure = response.json["event_log_failure"]
    assert failure["reason"] == "No such file or directory"
    assert abs(datetime.fromisoformat(failure["since"]).timestamp() - time.time()) < 60
    metrics = shop.client.get("/metrics").text
    assert "personalization_event_log_writable{worker=" in metrics
    assert 'personalization_event_log_failed_at_seconds{reason="No such file or directory",worker=' in metrics
    assert str(shop.home.root) not in response.text + metrics
    deadline = time.monotonic() + 20
    while shop.client.get("/readyz").status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "event_log_failure" not in shop.client.get("/readyz").json
    assert shop.client.post("/api/00001/click/ann/1/1").status_code == 204


def test_not_ready_before_anything_is_published(home: Home) -> None:
    shop = Installation(home)
    shop.websites["shop"] = website()
    shop.app = shop._app()
    response = shop.app.test_client().get("/readyz")
    assert response.status_code == 503
    assert response.json["websites"] == {"shop": {"publication": None, "state": "not published"}}
    answer = shop.app.test_client().get("/api/v2/00001/ann/popular")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    shop.close()


def test_metrics_count_answers_by_endpoint_status_and_scenario(shop: Installation) -> None:
    for path in ("ann/popular", "ann/popular", "ann/nothing", "not_defined/only_neighbours"):
        shop.get(path)
    shop.client.post("/api/00001/click/ann/1/1")
    response = shop.client.get("/metrics")
    assert response.content_type.startswith("text/plain; version=0.0.4")
    series = {
        (one.name, *(value for label, value in sorted(one.labels.items()) if label != "worker")): one.value
        for family in text_string_to_metric_families(response.text)
        for one in family.samples
        if one.labels["worker"] == str(os.getpid())
    }
    expected = {
        ("personalization_requests_total", "recommendations", "200"): 2,
        ("personalization_requests_total", "recommendations", "404"): 1,
        ("personalization_requests_total", "tracking", "204"): 1,
        ("personalization_recommendations_total", "popular", "shop"): 2,
        ("personalization_recommendations_impossible_total", "only_neighbours", "shop"): 1,
        ("personalization_events_acknowledged_total", "click", "shop"): 1,
        ("personalization_request_seconds_count", "recommendations"): 4,
    }
    assert {name: series.get(name) for name in expected} == expected
    assert series["personalization_publication_age_seconds", "shop"] > 0
    assert not any(name.endswith("_created") for name, *_ in series)


def test_histogram_buckets_add_up() -> None:
    metrics = Metrics()
    for seconds in (0.0001, 0.0005, 0.002, 5.0):
        metrics.answered("x", 200, seconds)
    rows = [line for line in metrics.text([]).splitlines() if line.startswith("personalization_request_seconds_bucket")]
    assert [float(row.rsplit(" ", 1)[1]) for row in rows] == [2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4]
    assert len(rows) == len(BUCKETS) + 1


def test_label_values_cannot_break_a_line() -> None:
    metrics = Metrics()
    metrics.count("live_store_unavailable", 'a"b\\c\nd')
    assert r'{website="a\"b\\c\nd",' in metrics.text([])
