"""Tracking over HTTP: the answers, what is on the disk when they are given, and hostile requests."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.judging.signature import md5_signature
from personalization_pipelines.events.log.event_log import Disk, EventLog, SegmentLog, read_records, segments
from personalization_pipelines.foundation.identifiers import pseudonym
from serving.http import problems
from serving.http.in_front import stand_in_front
from serving.tracking.tracking_views import MAX_BODY_BYTES, PIXEL, Tracker
from tests.benchmarks.tracking_server import KEY, OneWebsite
from tests.conftest import make_website

IMAGE = {"Accept": "image/avif,image/webp,*/*;q=0.8"}


def make_app(log: EventLog) -> Flask:
    """An application with the tracking block alone and one website, customer 00001."""
    app = Flask("test")
    problems.register(app)
    stand_in_front(app, Tracker(OneWebsite(make_website()), log, KEY).answer)
    return app


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SegmentLog]:
    made = SegmentLog(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(log: SegmentLog) -> FlaskClient:
    return make_app(log).test_client()


def stored(directory: Path) -> list[Event]:
    """What is on the disk at this moment."""
    return [decode(payload) for segment in segments(directory) for _, payload in read_records(segment.path)]


def test_what_a_tracker_sends_for_unset_variables_loses_no_event(client: FlaskClient, tmp_path: Path) -> None:
    unset = {"lang": "undefined", "fullprice": "NaNEUR", "quantity": "null", "segments": ""}
    assert client.get("/api/00001/buy/undefined/1/5", query_string=unset).status_code == 204
    assert client.post("/api/00001/buy/undefined/1/5", data=unset).status_code == 204
    line = {"event": "buy", "user": "undefined", "item_type": 1, "item": 5, "lang": None, "quantity": None}
    assert client.post("/api/00001/events", json=[line, {**line, **unset}]).status_code == 204
    kept = [(event.visitor, event.language, event.price_minor, event.quantity) for event in stored(tmp_path)]
    assert kept == [("", "", None, 1)] * 4
    assert_problem(client.get("/api/00001/login/undefined/ann"), 400, "nobody has no history")


def assert_problem(response: TestResponse, status: int, sentence: str) -> None:
    """The answer is the error envelope with this status and sentence."""
    assert response.status_code == status, response.data
    assert response.content_type == "application/problem+json"
    body = response.get_json()
    assert set(body) == {"type", "title", "status", "detail"}
    assert body["status"] == status
    assert sentence in body["detail"]
    assert "Traceback" not in response.text


def raw(app: Flask, path: bytes, query: bytes, method: str = "GET", **more: Any) -> tuple[int, dict[str, str], bytes]:
    """Call the application with the bytes a server would hand on, however broken."""
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(more.pop("body", b"")),
        "wsgi.errors": io.StringIO(),
        **more,
    }
    told: list[Any] = []
    body = b"".join(app(environ, lambda status, headers, *_: told.extend((status, headers))))
    return int(told[0][:3]), {name.lower(): value for name, value in told[1]}, body


def test_an_event_is_on_the_disk_when_it_is_acknowledged(client: FlaskClient, tmp_path: Path) -> None:
    answer = client.get("/api/00001/buy/ann/1/5?quantity=2&fullprice=12.45EUR&categorypath=/A")
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    (event,) = stored(tmp_path)
    assert (event.website, event.event, event.item, event.quantity, event.price_minor) == ("shop", "buy", "5", 2, 1245)
    assert event.visitor == pseudonym(KEY, "00001", "ann")
    assert abs(event.time - os.stat(tmp_path).st_mtime_ns // 1000) < 60_000_000


def test_the_legacy_prefix_and_post_are_tracked_too(client: FlaskClient, tmp_path: Path) -> None:
    assert client.get("/ebl/00001/click/ann/1/5").status_code == 204
    assert client.post("/api/00001/click/ann/1/6?lang=eng-GB", data={"Segments": "7,11"}).status_code == 204
    first, second = stored(tmp_path)
    assert (first.item, second.item, second.language, second.segments) == ("5", "6", "eng-GB", (7, 11))


@pytest.mark.parametrize(
    ("method", "accept", "pixel"),
    [
        ("GET", "image/avif,image/webp,*/*;q=0.8", True),
        ("GET", "text/html, image/gif", True),
        ("GET", "*/*", False),
        ("GET", "", False),
        ("GET", "text/html, image/gif;q=0", False),
        ("POST", "image/gif", False),
    ],
)
def test_a_pixel_is_sent_to_whoever_asks_for_an_image(
    client: FlaskClient, method: str, accept: str, pixel: bool
) -> None:
    answer = client.open("/api/00001/click/ann/1/5", method=method, headers={"Accept": accept})
    if pixel:
        assert (answer.status_code, answer.content_type, answer.data) == (200, "image/gif", PIXEL)
        assert (len(PIXEL), PIXEL[:6]) == (43, b"GIF89a")
    else:
        assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Cache-Control"] == "no-store"


def test_parameter_names_ignore_case_and_empty_ones_count_as_not_given(client: FlaskClient, tmp_path: Path) -> None:
    assert client.get("/api/00001/buy/ann/1/5?&&QUANTITY=3&fullprice=&lang&=x&unknown=1&").status_code == 204
    (event,) = stored(tmp_path)
    assert (event.quantity, event.price_minor, event.language) == (3, None, "")


def test_an_encoded_user_is_the_user_it_encodes(client: FlaskClient, tmp_path: Path) -> None:
    for path in ("/api/00001/click/j%C3%B6rg%2Fa+b/1/5", "/api/00001/click/jörg/a+b/1/5"):
        assert client.get(path).status_code == 204
    assert {event.visitor for event in stored(tmp_path)} == {pseudonym(KEY, "00001", "jörg/a+b")}


def test_an_empty_user_and_not_defined_are_nobody(client: FlaskClient, tmp_path: Path) -> None:
    for path in ("/api/00001/click//1/5", "/api/00001/click/not_defined/1/5"):
        assert client.get(path).status_code == 204
    assert [event.visitor for event in stored(tmp_path)] == ["", ""]


def test_the_delivery_ping_of_rendered_is_stored_without_an_item(client: FlaskClient, tmp_path: Path) -> None:
    assert client.get("/api/00001/rendered/ann/1/?scenario=home").status_code == 204
    assert client.get("/api/00001/rendered/ann/1/5,6").status_code == 204
    assert [event.item for event in stored(tmp_path)] == ["", "5", "6"]


def test_a_browser_of_another_origin_may_ask_first(client: FlaskClient, tmp_path: Path) -> None:
    answer = client.options("/api/00001/click/ann/1/5", headers={"Origin": "https://shop.example"})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, OPTIONS, POST"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert stored(tmp_path) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/api/99999/click/ann/1/5", 404, "customer '99999': no website has this customer id"),
        ("GET", "/ebl/00001/buyy/ann/1/5", 404, "event 'buyy': expected one of"),
        ("GET", "/ebl/00001", 404, "event ''"),
        ("GET", "/api/00001/buyy/ann/1/5", 404, "Nothing is served under this path"),
        ("GET", "/api/00001/click/ann/1", 400, "path of click: expected click/{user}/{type}/{item}"),
        ("GET", "/api/00001/click/ann/1/x", 400, "item id 'x'"),
        ("GET", "/api/00001/click/a%5Cb/1/5", 400, "'\\' are not allowed"),
        ("GET", "/api/00001/click/a%0Ab/1/5", 400, "control characters"),
        ("GET", "/api/00001/click/a%00b/1/5", 400, "control characters"),
        ("GET", "/api/00001/click/ann/1/5?unknown=%FF", 400, "unknown '\u00ff': expected UTF-8"),
        ("GET", "/api/00001/click/ann/1/5?unknown=a%5Cb", 400, "unknown 'a\\\\b'"),
        ("GET", "/api/00001/click/ann/1/5?%00", 400, "parameter name"),
        ("GET", "/api/00001/click/ann/1/%D9%A3", 400, "ASCII digits"),
        ("GET", "/api/00001/click/ann/1/5?" + "x" * 8192, 414, "URL of"),
        ("GET", "/api/00001/click/" + "%41" * 3000 + "/1/5", 400, "user id of 3000 bytes"),
        ("GET", "/api/00001/click/" + "%C3%84" * 2800 + "/1/5", 414, "URL of"),
        ("PUT", "/api/00001/click/ann/1/5", 405, "method PUT"),
        ("DELETE", "/api/00001/click/ann/1/5", 405, "method DELETE"),
        ("GET", "/api/00001/login/ann", 400, "expected login/{source user}/{target user}"),
        ("GET", "/api/00001/login/a%2Fb/bob", 400, "ids with '/' in them go in a batch"),
        ("GET", "/api/00001/events", 405, "method GET: expected POST"),
        ("POST", "/api/99999/events", 404, "customer '99999'"),
        ("POST", "/api/00001/events/click", 404, "path after events 'click'"),
        ("GET", "/api/00001/click/ann/1/5?overridetimestamp=2012-01-01T11:00:00&signature=d0", 401, "signature does"),
        ("GET", "/api/00001/click/ann/1/5?overridetimestamp=2012-01-01T11:00:00", 401, "needs signature"),
        ("GET", "/api/00001/triggeropened/ann", 400, "triggername is missing"),
    ],
)
def test_what_can_not_be_stored_is_refused_in_the_envelope(
    client: FlaskClient, tmp_path: Path, method: str, path: str, status: int, sentence: str
) -> None:
    answer = client.open(path, method=method)
    assert_problem(answer, status, sentence)
    assert stored(tmp_path) == []
    assert status != 405 or "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("user", [b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"J\xf6rg"])
def test_a_user_that_is_not_utf8_is_refused_not_repaired(log: SegmentLog, tmp_path: Path, user: bytes) -> None:
    status, _, body = raw(make_app(log), b"/api/00001/click/" + user + b"/1/5", b"")
    assert (status, b"expected UTF-8" in body) == (400, True)
    assert stored(tmp_path) == []


def test_a_body_larger_than_allowed_or_of_another_type_is_refused(client: FlaskClient, tmp_path: Path) -> None:
    path = "/api/00001/click/ann/1/5"
    form = {"content_type": "application/x-www-form-urlencoded"}
    assert_problem(
        client.post(path, data=b"a=" + b"x" * MAX_BODY_BYTES, **form),
        413,
        "body of 65538 bytes: expected at most 65536",
    )
    assert_problem(client.post(path, data=b'{"lang":"eng-GB"}', content_type="application/json"), 415, "expected appl")
    assert_problem(client.post(path, data=b"lang=%FF", **form), 400, "expected UTF-8")
    assert stored(tmp_path) == []
    assert client.post(path, data=b"a=" + b"x" * (MAX_BODY_BYTES - 2), **form).status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"CONTENT_LENGTH": "11"}, 204),
        ({"CONTENT_LENGTH": "12"}, 400),
        ({"CONTENT_LENGTH": "-1"}, 400),
        ({"CONTENT_LENGTH": "\u0661"}, 400),
        ({"CONTENT_LENGTH": "9" * 30}, 400),
        ({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}, 411),
    ],
)
def test_a_body_is_read_only_as_long_as_it_says_it_is(log: SegmentLog, headers: dict[str, Any], status: int) -> None:
    more = {"body": b"lang=eng-GB", "CONTENT_TYPE": "application/x-www-form-urlencoded", **headers}
    assert raw(make_app(log), b"/api/00001/click/ann/1/5", b"", "POST", **more)[0] == status


BATCH = [{"event": "click", "user": f"user{number}", "item_type": 1, "item": number} for number in range(100)]


@pytest.mark.parametrize("path", ["/api/00001/events", "/ebl/00001/events", "/api/00001/events/"])
def test_a_batch_is_on_the_disk_when_it_is_acknowledged(client: FlaskClient, tmp_path: Path, path: str) -> None:
    answer = client.post(path, json=BATCH)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    events = stored(tmp_path)
    assert [event.item for event in events] == [str(number) for number in range(100)]
    assert events[7].visitor == pseudonym(KEY, "00001", "user7")


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/json; charset=utf-8", "text/plain", ""])
def test_a_batch_may_come_as_lines(client: FlaskClient, tmp_path: Path, content_type: str) -> None:
    body = "\n".join(map(json.dumps, BATCH)).encode()
    assert client.post("/api/00001/events", data=body, content_type=content_type).status_code == 204
    assert len(stored(tmp_path)) == 100


def test_one_bad_event_refuses_the_whole_batch(client: FlaskClient, tmp_path: Path) -> None:
    answer = client.post("/api/00001/events", json=[*BATCH, {**BATCH[0], "item": "x"}])
    assert_problem(answer, 400, "event 101 of the batch: item id 'x'")
    assert stored(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"[" * 100_000, 400, "expected a JSON array of objects"),
        (b'[{"a":' + b"[" * 99_000, 400, "nested"),
        (b'[{"item":NaN}]', 400, "malformed"),
        (b'{"item":1' + b"0" * 5000 + b"}", 400, "out of range"),
        (b'{"item":1,"item":2}', 400, "given twice"),
        (b"[" + b" " * (5 << 20), 413, "expected at most 5242880"),
        (json.dumps([BATCH[0]] * 10_001).encode(), 413, "batch of 10001 events: expected at most 10000"),
    ],
)
def test_a_hostile_batch_is_refused(
    client: FlaskClient, tmp_path: Path, body: bytes, status: int, sentence: str
) -> None:
    assert_problem(client.post("/api/00001/events", data=body, content_type="application/json"), status, sentence)
    assert stored(tmp_path) == []


def test_a_batch_that_calls_itself_a_form_is_refused(client: FlaskClient, tmp_path: Path) -> None:
    answer = client.post("/api/00001/events", data={"event": "click"})
    assert_problem(answer, 415, "expected application/json or application/x-ndjson")
    assert stored(tmp_path) == []


def test_a_signed_event_of_the_past_is_stored_at_its_time(client: FlaskClient, tmp_path: Path) -> None:
    sent = {"overridetimestamp": ["2012-01-01T11:00:00"], "quantity": ["2"]}
    signature = md5_signature("1111-2222-3333-4444-5555", "1", "5", sent)
    path = "/api/00001/buy/ann/1/5?quantity=2&overridetimestamp=2012-01-01T11%3A00%3A00&signature="
    assert client.get(path + signature).status_code == 204
    assert_problem(client.get(path + signature[::-1]), 401, "signature does not fit")
    (event,) = stored(tmp_path)
    assert (event.time, event.quantity) == (1_325_412_000_000_000, 2)


def test_a_failing_disk_is_told_and_nothing_is_acknowledged_any_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class FullDisk(Disk):
        def fdatasync(self, descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log = SegmentLog(tmp_path, disk=FullDisk(), probe_seconds=1000)
    client = make_app(log).test_client()
    for start in (
        "The call may be stored, a batch in part: ",
        "The event was not stored: ",
        "The event was not stored: ",
    ):
        answer = client.get("/api/00001/click/canary-user/1/5")
        assert_problem(answer, 503, f"{start}the event log can not be written ([Errno 28]")
        assert ("with the same event ids" in answer.text) == start.startswith("The call")
        assert answer.headers["Retry-After"] == "1"
    assert len(caplog.records) == 1, "one failure is one line"
    assert "canary-user" not in caplog.text
    log.close()


def test_a_bug_is_a_500_without_traceback_and_without_a_raw_id_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    message = "-".join(["canary", "user"])

    class BrokenLog:
        def append(self, records: object) -> None:
            raise RuntimeError(message)

        def close(self) -> None:
            """Nothing is open."""

    with caplog.at_level(logging.DEBUG):
        answer = make_app(BrokenLog()).test_client().get("/api/00001/click/canary-user/1/5")
    assert_problem(answer, 500, "the event was not stored")
    assert "RuntimeError" in caplog.text
    assert "canary-user" not in caplog.text


def test_raw_user_ids_reach_neither_disk_nor_log(
    client: FlaskClient, log: SegmentLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for number in range(50):
            client.get(f"/api/00001/click/canary-{number}@example.org/1/5?lang=canary-x!")
            client.get(f"/api/00001/rendered/canary-{number}@example.org/1/5,6?scenario=home", headers=IMAGE)
            client.get(f"/api/00001/click/canary-{number}%0A/1/5")
    log.close()
    (segment,) = segments(tmp_path)
    assert len(stored(tmp_path)) == 100
    assert b"canary" not in segment.path.read_bytes()
    assert "canary" not in caplog.text


@pytest.mark.parametrize("path", ["/nothing", "/api/00001/item", "/api/v2/00001/click/home"])
def test_paths_of_other_blocks_go_on_to_flask_and_get_the_same_envelope(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(path), 404, "Nothing is served under this path")


ALLOWED = {200, 204, 400, 401, 404, 405, 413, 414, 501}
PIECES = st.sampled_from(
    [b"api", b"ebl", b"00001", b"click", b"buy", b"rendered", b"events", b"1", b"5", b"5,6", b"", b"..", b"u", b"\xff"]
)  # fmt: skip
PATHS = st.one_of(st.binary(max_size=60), st.lists(st.one_of(PIECES, st.binary(max_size=9)), max_size=9).map(b"/".join))
NAMES = st.sampled_from([b"quantity", b"fullprice", b"LANG", b"segments", b"signature", b"categorypath", b"scenario"])
PAIRS = st.tuples(NAMES, st.binary(max_size=20), st.booleans()).map(
    lambda pair: pair[0] + b"=" + (quote_from_bytes(pair[1]).encode() if pair[2] else pair[1])
)
QUERIES = st.one_of(st.binary(max_size=60), st.lists(PAIRS, max_size=4).map(b"&".join))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PATHS, QUERIES, st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "PUT"]))
@example(b"api/00001/click/" + b"\xc3\xa4" * 5000 + b"/1/5", b"", "GET")
@example(b"ebl/", b"%", "GET")
@example(b"ebl/00001/click/u/1/5", b"a=%zz&b=%", "GET")
def test_any_bytes_in_path_and_query_get_a_planned_answer(
    log: SegmentLog, path: bytes, query: bytes, method: str
) -> None:
    status, headers, body = raw(make_app(log), b"/" + path, query, method)
    assert status in ALLOWED
    if status >= 400 and method != "HEAD":
        assert headers["content-type"] == "application/problem+json", body
