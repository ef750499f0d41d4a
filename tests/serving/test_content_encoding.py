"""Packed bodies and byte order marks: taken off wherever a body is taken, never unpacked beyond the limit."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from personalization_pipelines.content.change_queue import pending
from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.judging.batch_body import MAX_BYTES
from personalization_pipelines.events.log.event_log import read_records, segments
from serving.http.content_encoding import check_encoding, plain
from serving.tracking.tracking_views import MAX_BODY_BYTES
from tests.serving.shopfront import Installation
from tests.serving.test_content import FULL, KEY, shop
from tests.serving.test_transfers import document

__all__ = ["shop"]

MARK = b"\xef\xbb\xbf"
PACKED = {"Content-Encoding": "gzip"}
EVENTS = b'{"event":"click","user":"ann","item_type":1,"item":5}\n{"event":"click","user":"bob","item_type":1,"item":6}'
USERS = b'<users><user id="ann"><attributes><attribute key="size" value="7"/></attributes></user></users>'
BODIES = {
    "/api/00001/events": (EVENTS, "application/x-ndjson", 204),
    "/api/00001/click/ann/1/5": (b"lang=de", "application/x-www-form-urlencoded", 204),
    "/api/00001/item": (FULL.encode(), "application/xml", 202),
    "/api/00001/transferitems": (document(((1, "1"), (1, "2"))).encode(), "application/xml", 202),
    "/api/00001/crm/user": (USERS, "application/xml", 202),
}
MADE: list[Callable[[bytes], tuple[bytes, dict[str, str]]]] = [
    lambda body: (body, {"Content-Encoding": "identity"}),
    lambda body: (gzip.compress(body), PACKED),
    lambda body: (gzip.compress(body), {"Content-Encoding": " X-GZIP "}),
    lambda body: (MARK + body, {}),
    lambda body: (gzip.compress(MARK + body), PACKED),
]


def stored(shop: Installation) -> list[Event]:
    found = [record for segment in segments(shop.home.log) for _, record in read_records(segment.path)]
    return [decode(record) for record in found]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("make", MADE)
def test_every_body_may_be_packed_and_begin_with_a_mark(
    shop: Installation, path: str, make: Callable[[bytes], tuple[bytes, dict[str, str]]]
) -> None:
    body, kind, status = BODIES[path]
    data, headers = make(body)
    answer = shop.client.post(path, data=data, content_type=kind, headers={**KEY, **headers})
    assert answer.status_code == status, answer.text
    assert len(stored(shop)) + len(pending(shop.home, shop.websites["shop"])) == (2 if body is EVENTS else 1)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "aws-chunked", "x" * 500])
def test_another_encoding_is_415_and_named(shop: Installation, path: str, encoding: str) -> None:
    body, kind, _ = BODIES[path]
    headers = {**KEY, "Content-Encoding": encoding}
    answer = shop.client.post(path, data=body, content_type=kind, headers=headers)
    assert (answer.status_code, answer.mimetype) == (415, "application/problem+json")
    assert json.loads(answer.data)["detail"] == f"Content-Encoding {encoding[:60]!r}: expected gzip, or none."
    assert (stored(shop), pending(shop.home, shop.websites["shop"])) == ([], [])


def test_limits_hold_after_unpacking(shop: Installation) -> None:
    batch = EVENTS + b"\n" * (MAX_BYTES - len(EVENTS))
    for body, status in ((batch, 204), (batch + b"\n", 413)):
        answer = shop.client.post("/api/00001/events", data=gzip.compress(body), headers=PACKED)
        assert answer.status_code == status, answer.text
    form = b"lang=de&x=" + b"y" * MAX_BODY_BYTES
    kind = "application/x-www-form-urlencoded"
    answer = shop.client.post("/api/00001/click/ann/1/5", data=gzip.compress(form), content_type=kind, headers=PACKED)
    assert answer.status_code == 413
    assert len(stored(shop)) == 2


def test_a_bomb_is_not_unpacked() -> None:
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(RequestEntityTooLarge, match="more than 1000 bytes, once unpacked"):
            plain(packed.getvalue(), "gzip", 1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


WHOLE = gzip.compress(b"[]")
BROKEN = {
    "nothing of gzip": b"[]",
    "deflate without a header": zlib.compress(b"[]"),
    "cut off in the data": gzip.compress(bytes(1000))[:-10],
    "cut off in the checksum": WHOLE[:-1],
    "a wrong checksum": WHOLE[:-8] + b"\0" * 4 + WHOLE[-4:],
    "a wrong length": WHOLE[:-1] + b"\1",
    "something behind it": WHOLE + b"[]",
    "a second one behind it": WHOLE + WHOLE,
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_whole_gzip_is_400(name: str) -> None:
    with pytest.raises(BadRequest, match=r"body with Content-Encoding gzip: .*; expected"):
        plain(BROKEN[name], "gzip", 1 << 20)


def test_only_the_first_mark_is_taken_off_and_nothing_else() -> None:
    assert plain(MARK + MARK + b"a", "", 10) == MARK + b"a"
    for body in (b"", b"a", b"a" + MARK, b"\xff\xfea\0", MARK[:2]):
        assert plain(body, "", 10) == body


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "GZIP", " x-gzip "])
def test_known_encodings_pass(encoding: str) -> None:
    check_encoding(encoding)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip,br", "identity, gzip", "gzip;q=1"])
def test_unknown_encodings_do_not(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_encoding(encoding)
