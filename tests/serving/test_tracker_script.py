"""`/tracker.js` over HTTP: small, cached, compressed for whoever takes it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from personalization_pipelines.foundation.home import Home
from serving.tracking.tracker_script import FORMER_NAMES, SCRIPT
from tests.serving.shopfront import Installation, website

MAX_BYTES = 3000
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture
def client(home: Home) -> Iterator[FlaskClient]:
    installation = Installation(home, website())
    yield installation.client
    installation.close()


def test_the_compressed_script_is_under_3_kb(client: FlaskClient) -> None:
    answer = client.get("/tracker.js", headers=GZIP)
    assert answer.status_code == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) == len(answer.data) < MAX_BYTES
    assert gzip.decompress(answer.data) == SCRIPT.read_bytes()


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0"])
def test_who_takes_no_gzip_gets_the_plain_script(client: FlaskClient, accepted: str) -> None:
    answer = client.get("/tracker.js", headers={"Accept-Encoding": accepted})
    assert answer.data == SCRIPT.read_bytes()
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("headers", [GZIP, {}])
def test_the_headers_let_any_page_load_it_and_any_cache_keep_it(client: FlaskClient, headers: dict[str, str]) -> None:
    told = client.get("/tracker.js", headers=headers).headers
    assert told["Content-Type"] == "text/javascript; charset=utf-8"
    assert told["X-Content-Type-Options"] == "nosniff"
    assert told["Vary"] == "Accept-Encoding"
    assert told["Access-Control-Allow-Origin"] == "*"
    assert told["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert re.search(r"\bpublic\b.*max-age=86400\b", told["Cache-Control"])
    assert "Set-Cookie" not in told


def test_who_has_this_script_gets_304_in_either_encoding(client: FlaskClient) -> None:
    etag = client.get("/tracker.js", headers=GZIP).headers["ETag"]
    assert etag == client.get("/tracker.js").headers["ETag"]
    for headers in (GZIP, {}):
        answer = client.get("/tracker.js", headers={**headers, "If-None-Match": etag})
        assert (answer.status_code, answer.data) == (304, b"")
        assert answer.headers["ETag"] == etag
        assert answer.headers["Cache-Control"]
        assert answer.headers["Vary"] == "Accept-Encoding"


def test_who_has_another_script_gets_this_one(client: FlaskClient) -> None:
    answer = client.get("/tracker.js", headers={"If-None-Match": 'W/"0123"'})
    assert (answer.status_code, answer.data) == (200, SCRIPT.read_bytes())


def test_the_script_cannot_be_written_to(client: FlaskClient) -> None:
    answer = client.post("/tracker.js")
    assert answer.status_code == 405
    assert answer.content_type == "application/problem+json"


def test_the_script_makes_no_code_from_text() -> None:
    code = SCRIPT.read_text()
    assert not re.search(r"\beval\b|new Function|innerHTML|document\.write|setTimeout\(['\"]", code)


@pytest.mark.parametrize("name", FORMER_NAMES)
def test_the_names_that_existing_snippets_load_are_the_same_script(client: FlaskClient, name: str) -> None:
    former, own = client.get(f"/{name}", headers=GZIP), client.get("/tracker.js", headers=GZIP)
    assert (former.status_code, former.data) == (200, own.data)
    assert former.headers == own.headers
