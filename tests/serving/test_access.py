"""Basic authentication: one answer for everybody who has not the key, and few guesses."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

import pytest
from werkzeug.exceptions import HTTPException, TooManyRequests, Unauthorized

from personalization_pipelines.foundation.home import Home
from serving.http.access import MAX_FAILURES, MAX_REMEMBERED, Access
from serving.http.client_address import TRUSTED_PROXIES
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


def test_the_eleventh_wrong_key_in_a_minute_is_429_and_the_right_one_is_always_let_in(shop: Installation) -> None:
    wrong = [shop.get("ann/popular", Authorization=basic(f"00001:{n}")) for n in range(60)]
    assert [answer.status_code for answer in wrong] == [401] * MAX_FAILURES + [429] * 50
    assert {answer.headers.get("Retry-After") for answer in wrong[MAX_FAILURES:]} == {"60"}
    assert shop.get("ann/popular", Authorization=basic(f"00001:{KEY}")).status_code == 200
    assert shop.get("ann/popular", Authorization=basic("00001:x")).status_code == 429, "which forgives nothing"


def attempt(access: Access, key: str, **environ: str) -> type[HTTPException] | None:
    """Return how a try ended: let in (None) or refused."""
    sent = {"HTTP_AUTHORIZATION": basic(f"00001:{key}"), "REMOTE_ADDR": "192.0.2.1", **environ}
    try:
        access.demand("00001", website(), sent)
    except HTTPException as refused:
        return type(refused)
    return None


def test_after_a_minute_a_wrong_key_is_just_wrong_again() -> None:
    now = [0.0]
    access = Access(clock=lambda: now[0])
    assert [attempt(access, "x") for _ in range(MAX_FAILURES)] == [Unauthorized] * MAX_FAILURES
    now[0] = 59.0
    assert attempt(access, "x") is TooManyRequests
    assert attempt(access, "x", REMOTE_ADDR="192.0.2.2") is Unauthorized
    now[0] = 61.0
    assert attempt(access, "x") is Unauthorized
    assert attempt(access, KEY) is None


def test_behind_a_trusted_proxy_each_client_has_its_own_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    for trusted, expected in (("", TooManyRequests), ("192.0.2.0/24", Unauthorized)):
        monkeypatch.setenv(TRUSTED_PROXIES, trusted)
        access = Access()
        for _ in range(MAX_FAILURES):
            attempt(access, "x", HTTP_X_FORWARDED_FOR="198.51.100.1")
        assert attempt(access, "x", HTTP_X_FORWARDED_FOR="198.51.100.1") is TooManyRequests
        assert attempt(access, "x", HTTP_X_FORWARDED_FOR="198.51.100.2") is expected


def test_who_has_wrong_keys_from_many_addresses_fills_no_memory() -> None:
    access = Access()
    for number in range(MAX_REMEMBERED + 100):
        attempt(access, "x", REMOTE_ADDR=f"2001:db8::{number:x}")
    assert len(access._failures) == MAX_REMEMBERED


def test_ten_wrong_keys_are_ten_wherever_they_are_tried(home: Home) -> None:
    shop = Installation(home, website())
    asked = ["item/1/1", "shop/user/ann", "imports", "item/schema.xsd", "item/1/2"] * 3
    codes = [
        shop.client.get(f"/api/00001/{path}", headers={"Authorization": f"Basic {b64encode(b'00001:no').decode()}"})
        for path in asked
    ]
    assert [one.status_code for one in codes] == [401] * 10 + [429] * 5
    shop.close()
