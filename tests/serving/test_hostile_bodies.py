"""Bodies and sizes that strangers send to a real server, and clients that are slow (T7, T24)."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from contextlib import ExitStack, closing

import pytest

from personalization_pipelines.events.judging.batch_body import MAX_EVENTS
from personalization_pipelines.events.judging.rules import MAX_ITEMS
from serving.http.bodies import GRACE_SECONDS
from serving.http.raw_request import MAX_URL_BYTES
from serving.server import HEADER_SECONDS
from serving.tracking.tracking_views import MAX_BODY_BYTES
from tests.serving.raw_shop import BATCH, CLICK, FORM, JSON, Answer, Shop, assert_problem, received, served, shop

__all__ = ["served", "shop"]

# ---- T7: size ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [CLICK, b"/api/v2/00001/ann/popular"])
def test_a_url_of_more_than_8_kib_is_414(shop: Shop, target: bytes) -> None:
    longest = target + b"?x=" + b"y" * (MAX_URL_BYTES - len(target) - 3)
    assert_problem(shop.ask(longest + b"y"), 414)
    assert_problem(shop.ask(b"/api/00001/click/" + b"%41" * 3000 + b"/1/5"), 400)
    assert_problem(shop.ask(b"/api/00001/click/" + b"%E4%BA%BA" * 3000 + b"/1/5"), 414)
    assert 400 <= shop.ask(target + b"?x=" + b"y" * 100_000).status < 500, (
        "the server itself refuses what is far too long"
    )


def test_headers_of_5_mb_are_refused_by_the_server(shop: Shop) -> None:
    with closing(shop.connect()) as connection:
        connection.settimeout(10)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
        try:
            for _ in range(80):
                connection.sendall(b"a" * 65536)
        except (ConnectionError, TimeoutError):
            return
        assert 400 <= Answer(received(connection)).status < 500


def test_a_body_of_more_than_its_limit_is_413_and_is_not_read(shop: Shop) -> None:
    for length in (MAX_BODY_BYTES + 1, 10**12, 10**17):
        assert_problem(shop.ask(CLICK, b"POST", FORM + b"Content-Length: %d\r\n" % length, b"lang=de"), 413)
    for length in ((5 << 20) + 1, 10**12):
        assert_problem(shop.ask(BATCH, b"POST", JSON + b"Content-Length: %d\r\n" % length, b"["), 413)


@pytest.mark.parametrize("target", [CLICK, BATCH])
def test_a_body_without_a_length_is_411(shop: Shop, target: bytes) -> None:
    for body in (
        b"0\r\n\r\n",
        b"7\r\nlang=de\r\n0\r\n\r\n",
        b"5;x=" + b"y" * 9000 + b"\r\nlang=\r\n0\r\n\r\n",
        b"fffffff\r\nx",
    ):
        assert_problem(shop.ask(target, b"POST", FORM + b"Transfer-Encoding: chunked\r\n", body), 411)


def test_a_body_that_breaks_off_is_400(shop: Shop) -> None:
    for target, kind, body in ((CLICK, FORM, b"lang=de"), (BATCH, JSON, b"[]")):
        with closing(shop.connect()) as connection:
            head = b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n" + kind + b"\r\n"
            connection.sendall(head + body)
            connection.shutdown(socket.SHUT_WR)
            assert "expected 90" in assert_problem(Answer(received(connection)), 400)


def test_a_body_of_another_kind_is_415(shop: Shop) -> None:
    for kind in (b"multipart/form-data; boundary=x", b"text/xml", b"application/x-www-form-urlencode", b"x"):
        header = b"Content-Type: " + kind + b"\r\n"
        assert_problem(shop.ask(CLICK, b"POST", header, b"lang=de"), 415)
        assert_problem(shop.ask(BATCH, b"POST", header, b"[]"), 415)


def test_methods_that_are_not_served_are_405(shop: Shop) -> None:
    for target in (CLICK, BATCH, b"/api/v2/00001/ann/popular", b"/healthz", b"/openapi.json"):
        for method in (b"PUT", b"DELETE", b"PATCH", b"TRACE", b"X" * 30):
            answer = shop.ask(target, method)
            assert_problem(answer, 405)
            assert answer.headers["allow"]
    assert shop.ask(b"evil:443", b"CONNECT").status in (400, 404, 405)


# ---- T24: batches -----------------------------------------------------------------------------------------------


def event(**changes: object) -> dict[str, object]:
    return {"event": "click", "user": "ann", "item_type": 1, "item": 5, **changes}


GOOD = json.dumps(event()).encode()
BIG = json.dumps(event(user="u" * 60)).encode().ljust(100_000)
"""An event that makes its batch larger than what is received before the application is asked."""
BODIES = {
    "100,000 arrays in each other": b"[" * 100_000,
    "100,000 closed arrays in each other": b"[" * 50_000 + b"]" * 50_000,
    "100,000 objects in each other": b'{"a":' * 100_000,
    "20,000 arrays in a parameter": b'[{"event":"click","x":' + b"[" * 20_000 + b"]" * 20_000 + b"}]",
    "a line of 50,000 arrays after a good one": GOOD + b"\n" + b"[" * 50_000,
    "a bomb of brackets": b"[" + b"[]," * 1_000_000 + b"[]]",
    "a bomb of objects": b"[" + b"{}," * 1_000_000 + b"{}]",
    "no JSON": b"event=click",
    "half a JSON": b"[" + GOOD,
    "one more bracket": b"[" + GOOD + b"]]",
    "a number": b"1",
    "null": b"null",
    "an array of null": b"[null]",
    "NaN": b'[{"event":"rate","user":"u","item_type":1,"item":5,"rating":NaN}]',
    "Infinity": b'[{"event":"rate","user":"u","item_type":1,"item":5,"rating":Infinity}]',
    "a huge exponent": b'[{"event":"rate","user":"u","item_type":1,"item":5,"rating":1e999999}]',
    "a number of 100,000 digits": b'[{"event":"click","user":"u","item_type":1,"item":' + b"9" * 100_000 + b"}]",
    "a number of 100,000 digits nobody asked for": GOOD[:-1] + b',"x":' + b"9" * 100_000 + b"}",
    "an item of 20 digits": json.dumps([event(item=10**20 - 1)]).encode(),
    "a negative item": json.dumps([event(item=-1)]).encode(),
    "a fraction": json.dumps([event(item=5.5)]).encode(),
    "a Boolean item": json.dumps([event(item=True)]).encode(),
    "an object as item": json.dumps([event(item={"$ne": 1})]).encode(),
    "an array as user": json.dumps([event(user=[["ann"]])]).encode(),
    "Arabic digits": json.dumps([event(item="٣")]).encode(),
    "a lone surrogate in the user": b"[" + GOOD.replace(b"ann", b"\\ud800") + b"]",
    "a NUL in the user": b"[" + GOOD.replace(b"ann", b"a\\u0000b") + b"]",
    "a line break in the user": b"[" + GOOD.replace(b"ann", b"a\\nb") + b"]",
    "a backslash in the user": b"[" + GOOD.replace(b"ann", b"a\\\\b") + b"]",
    "a backslash in a name": b"[" + GOOD[:-1] + b',"a\\\\b":1}]',
    "bytes that are no UTF-8": b"[" + GOOD.replace(b"ann", b"\xff\xfe") + b"]",
    "UTF-16": ("[" + GOOD.decode() + "]").encode("utf-16"),
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf[" + GOOD + b"]",
    "a name given twice": b'[{"event":"click","user":"a","user":"b","item_type":1,"item":5}]',
    "a name given twice in two cases": b'[{"event":"click","user":"a","USER":"b","item_type":1,"item":5}]',
    "two names of one field": json.dumps([event(type=2)]).encode(),
    "an event that is none": json.dumps([event(event="../click")]).encode(),
    "an event that is the batch": json.dumps([event(event="events")]).encode(),
    "no event": b"[{}]",
    "an event id that is none": json.dumps([event(event_id="1; DROP TABLE")]).encode(),
    "one bad one of many": json.dumps([event() for _ in range(999)] + [event(item="x")]).encode(),
    "compressed": struct.pack("<I", 0x88B1F) + b"x" * 99,
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_batch_that_is_none_is_400_at_once(shop: Shop, body: bytes) -> None:
    began = time.monotonic()
    assert_problem(shop.ask(BATCH, b"POST", JSON, body), 400)
    assert time.monotonic() - began < 150, "the bombs too, on a loaded machine"


def test_a_batch_of_one_event_too_many_is_413(shop: Shop) -> None:
    body = b"[" + b",".join([GOOD] * (MAX_EVENTS + 1)) + b"]"
    assert_problem(shop.ask(BATCH, b"POST", JSON, body), 413)
    items = json.dumps([event(event="rendered", item=",".join(["5"] * MAX_ITEMS)) for _ in range(21)]).encode()
    assert_problem(shop.ask(BATCH, b"POST", JSON, items), 413)


def test_a_poison_event_takes_no_neighbour_with_it(served: Shop) -> None:
    before = len(served.stored())
    for number, body in enumerate(BODIES.values()):
        assert served.ask(BATCH, b"POST", JSON, b"[" + GOOD + b"]").status == 204
        assert served.ask(BATCH, b"POST", JSON, body).status == 400
        assert served.ask(b"/api/00001/click/u%d/1/5" % number).status == 204
    assert len(served.stored()) == before + 2 * len(BODIES)


# ---- T7: slow clients -------------------------------------------------------------------------------------------


def test_slow_bodies_block_nobody(served: Shop) -> None:
    head = b"POST " + CLICK + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n" + FORM + b"\r\nlang="
    before, log = len(served.stored()), served.server.log.read_text()
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(served.connect())) for _ in range(200)]
        for connection in slow:
            connection.sendall(head)
        for target in (b"/healthz", b"/api/v2/00001/ann/popular", b"/openapi.json"):
            assert served.ask(target).status == 200
        assert served.ask(CLICK).status == served.ask(CLICK, b"POST").status == 204
        assert served.ask(CLICK, b"POST", FORM, b"lang=de").status == 204
        assert served.ask(BATCH, b"POST", JSON, b"[" + GOOD + b"," + BIG + b"]").status == 204
        slow[0].sendall(b"de&segments=1,2")
        assert Answer(slow[0].recv(1 << 16)).status == 204, "a body that is slow and honest is taken"
        for connection in slow[1:]:
            connection.settimeout(60)
            answer = Answer(received(connection))
            assert_problem(answer, 408)
            assert answer.headers["connection"] == "close"
    assert len(served.stored()) == before + 6
    assert served.server.log.read_text() == log


def test_a_body_that_nobody_needs_is_not_waited_for(served: Shop) -> None:
    for target, length, kind, status in (
        (BATCH.replace(b"00001", b"77777"), 100_000, JSON, 404),
        (BATCH, 10**9, JSON, 413),
        (b"/api/00001/items", 100_000, JSON, 401),
    ):
        began = time.monotonic()
        assert served.ask(target, b"POST", kind + b"Content-Length: %d\r\n" % length, b"x").status == status
        assert time.monotonic() - began < GRACE_SECONDS


def test_slow_headers_and_idle_connections_block_nobody_and_are_closed(shop: Shop) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(shop.connect())) for _ in range(500)]
        for number, connection in enumerate(slow[:250]):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nX-%d: a" % number)
        began = time.monotonic()
        assert shop.ask(b"/healthz").status == 200
        assert time.monotonic() - began < 15
        slow[0].settimeout(HEADER_SECONDS + 20)
        assert Answer(received(slow[0])).status in (0, 408)
        assert time.monotonic() - began < HEADER_SECONDS + 20


def test_who_sends_and_never_reads_blocks_nobody(served: Shop) -> None:
    with closing(served.connect()) as connection:
        connection.settimeout(2)
        asking = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50
        try:
            for _ in range(50):
                connection.sendall(asking)
        except TimeoutError:
            pass  # the server reads no more until somebody takes its answers
        assert served.ask(b"/healthz").status == 200
        assert served.ask(CLICK).status == 204


def test_requests_behind_each_other_are_answered_one_by_one(served: Shop) -> None:
    one = b"GET /api/00001/click/pipelined/1/5 HTTP/1.1\r\nHost: x\r\n\r\n"
    bad = one.replace(b"pipelined", b"%00")
    last = one.replace(b"Host: x", b"Host: x\r\nConnection: close")
    with closing(served.connect()) as connection:
        connection.sendall(one + bad + one + last)
        statuses = re.findall(rb"HTTP/1.1 ([0-9]+)", received(connection))
    assert statuses == [b"204", b"400", b"204", b"204"]


def test_the_body_of_a_refused_request_is_not_taken_for_the_next_one(served: Shop) -> None:
    inner = b"GET /api/00001/click/smuggled/1/5 HTTP/1.1\r\nHost: x\r\n\r\n"
    before = len(served.stored())
    for head in (
        b"POST /api/00001/click/%%00/1/5 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(inner),
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(inner),
        b"PUT /api/00001/click/ann/1/5 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(inner),
        b"POST /api/00001/events HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n" % len(inner),
    ):
        with closing(served.connect()) as connection:
            connection.sendall(head + b"Connection: close\r\n\r\n" + inner)
            assert len(re.findall(rb"HTTP/1.1 [0-9]+", received(connection))) == 1
    assert len(served.stored()) == before
