"""Basic authentication: one answer for everybody who has not the key, and few guesses."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

import pytest

from personalization_pipelines.foundation.home import Home
from serving.http.access import MAX_FAILURES, Access
from tests.serving.shopfront import Installation, website

KEY = "1111-2222-3333-4444-5555"


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website(recommendation_auth="basic"))
    yield made
    made.close()


def basic(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return f"Basic {b64encode(raw).decode()}"


def test_the_key_opens(shop: Installation) -> None:
    response = shop.get("not_defined/popular", Authorization=basic(f"00001:{KEY}"))
    assert response.status_code == 200
    assert response.headers["Cache-Control"].startswith("private, max-age=")


ODD = [
    "", "Basic", "Basic ", "Basic !!!!", "Basic ====", "Basic w6Q=", "Bearer abc", "Basic " + "A" * 5000,
    "basic", "Digest a=b",
    basic(""), basic(":"), basic("00001"), basic("00001:"), basic(f"0000:{KEY}"), basic(f"00001:{KEY}x"),
    basic(f"00001:{KEY[:-1]}"),
    basic("00001:ä"), basic(b"\xff\xfe:\x00"), basic(f"1:{KEY}"),
]  # fmt: skip


@pytest.mark.parametrize("header", ODD)
def test_odd_headers_are_401_and_nothing_else(shop: Installation, header: str) -> None:
    response = shop.get("not_defined/popular", Authorization=header)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].lower().startswith("basic")


def test_an_unknown_customer_and_a_wrong_key_get_the_same_answer(shop: Installation) -> None:
    for header in ({}, {"Authorization": basic("00009:x")}):
        known = shop.client.get("/api/v2/00001/ann/popular", headers=header)
        unknown = shop.client.get("/api/v2/00009/ann/popular", headers=header)
        assert (known.status_code, known.data) == (unknown.status_code, unknown.data) == (401, known.data)
        assert dict(known.headers) == dict(unknown.headers)


def test_ten_wrong_keys_a_minute_are_looked_at_and_no_more(shop: Installation) -> None:
    wrong = [shop.get("ann/popular", Authorization=basic(f"00001:{n}")).status_code for n in range(30)]
    assert wrong == [401] * MAX_FAILURES + [429] * 20
    right = shop.get("ann/popular", Authorization=basic(f"00001:{KEY}"))
    assert right.status_code == 429
    assert right.headers["Retry-After"] == "60"


def test_after_a_minute_one_may_try_again() -> None:
    from werkzeug.exceptions import TooManyRequests, Unauthorized

    now = [0.0]
    access = Access(clock=lambda: now[0])
    attempt = {"HTTP_AUTHORIZATION": basic("00001:x"), "REMOTE_ADDR": "192.0.2.1"}
    for _ in range(MAX_FAILURES):
        with pytest.raises(Unauthorized):
            access.demand("00001", website(), attempt)
    with pytest.raises(TooManyRequests):
        access.demand("00001", website(), attempt)
    now[0] = 61.0
    access.demand("00001", website(), {**attempt, "HTTP_AUTHORIZATION": basic(f"00001:{KEY}")})
    access.demand("00001", website(), {"HTTP_AUTHORIZATION": basic(f"00001:{KEY}"), "REMOTE_ADDR": "192.0.2.2"})


def test_ten_wrong_keys_are_ten_wherever_they_are_tried(home: Home) -> None:
    shop = Installation(home, website())
    asked = ["item/1/1", "shop/user/ann", "imports", "item/schema.xsd", "item/1/2"] * 3
    codes = [
        shop.client.get(f"/api/00001/{path}", headers={"Authorization": f"Basic {b64encode(b'00001:no').decode()}"})
        for path in asked
    ]
    assert [one.status_code for one in codes] == [401] * 10 + [429] * 5
    shop.close()
