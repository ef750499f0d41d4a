"""Which recommendation answers a browser lets the pages of other origins read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from personalization_pipelines.foundation.home import Home
from tests.serving.shopfront import Installation, website

ORIGIN = {"Origin": "https://shop.example"}
ALLOW = "Access-Control-Allow-Origin"
ANSWERS = {
    "/api/v2/00001/ann/popular": 200,
    "/api/v2/00001/ann/popular.jsonp": 200,
    "/api/v2/00001/ann/popular?numrecs=0": 400,
    "/api/v2/00001/%ff/popular": 400,
    "/api/v2/nobody/ann/popular": 404,
    "/api/v2/": 404,
    "/api/v2/00001/ann/no_such_page": 404,
    "/api/v2/00001/not_defined/only_neighbours": 409,
    "/api/v2/00001/ann/" + "x" * 9000: 414,
    "/api/v2/00001/ann/popular?segments=7": 501,
}


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website())
    yield made
    made.close()


@pytest.fixture
def two(home: Home) -> Iterator[Installation]:
    """One open website and one whose recommendations need the key."""
    made = Installation(home, website(), website(website="other", customer_id="2", recommendation_auth="basic"))
    yield made
    made.close()


@pytest.mark.parametrize(("path", "status"), ANSWERS.items())
def test_answers_and_errors_may_be_read_by_any_page(shop: Installation, path: str, status: int) -> None:
    answer = shop.client.get(path, headers=ORIGIN)
    assert (answer.status_code, answer.headers.getlist(ALLOW)) == (status, ["*"])
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_an_answer_that_has_not_changed_and_a_wrong_method_may_be_read_too(shop: Installation) -> None:
    path = "/api/v2/00001/not_defined/popular"
    before = time.time() - 3600
    os.utime(shop.home.publications("shop") / "CURRENT", (before, before))
    modified = shop.client.get(path).headers["Last-Modified"]
    same = shop.client.get(path, headers={**ORIGIN, "If-Modified-Since": modified})
    assert (same.status_code, same.headers[ALLOW]) == (304, "*")
    refused = shop.client.put(path, headers=ORIGIN)
    assert (refused.status_code, refused.headers[ALLOW]) == (405, "*")


def test_a_preflight_allows_the_call_that_follows(shop: Installation) -> None:
    asked = {**ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-requested-with"}
    answer = shop.client.options("/api/v2/00001/ann/popular", headers=asked)
    assert (answer.status_code, answer.data, answer.headers[ALLOW]) == (204, b"", "*")
    assert "GET" in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert "X-Requested-With" in answer.headers["Access-Control-Allow-Headers"].split(", ")
    assert "Content-Length" not in answer.headers


def test_what_needs_a_key_is_not_for_other_pages(two: Installation) -> None:
    for path in ("/api/v2/2/ann/popular", "/api/v2/nobody/ann/popular", "/api/v2/2/ann/popular?numrecs=0"):
        answer = two.client.get(path, headers=ORIGIN)
        assert (answer.status_code, ALLOW in answer.headers) == (401, False)
    preflight = two.client.options("/api/v2/2/ann/popular", headers=ORIGIN)
    assert (preflight.status_code, ALLOW in preflight.headers) == (405, False)
    assert two.client.get("/api/v2/00001/ann/popular", headers=ORIGIN).headers[ALLOW] == "*"
