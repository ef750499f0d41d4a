"""Forgetting users over HTTP: all that are named or none, only with the key, and without a trace of who it was."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from personalization_pipelines.erasure.tombstones import Forgotten, tombstones
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from serving.users.erasing_views import MAX_USERS
from tests.erasure.homes import traces
from tests.serving.shopfront import Installation, website

KEY = {"Authorization": "Basic " + b64encode(b"00001:1111-2222-3333-4444-5555").decode()}


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website())
    yield made
    made.close()


def delete(shop: Installation, users: str, headers: dict[str, str] | None = None) -> Any:
    return shop.client.delete(f"/api/00001/user/{users}", headers=KEY if headers is None else headers)


def is_forgotten(shop: Installation, user: str) -> bool:
    return Forgotten(shop.home, "shop").until(pseudonym(shop.home.key, "00001", user)) > 0


def test_every_named_user_is_buried_and_named_nowhere(shop: Installation) -> None:
    token = pseudonym(shop.home.key, "00001", "carl")
    answer = delete(shop, f"ann.canary%40shop.example,b%2Fob,~{token},{quote('jürgen')}")
    assert answer.status_code == 202
    assert sorted(answer.json["erasures"]) == [stone.id for stone in tombstones(shop.home, "shop")]
    assert [is_forgotten(shop, user) for user in ("ann.canary@shop.example", "b/ob", "carl", "jürgen", "dora")] == [
        True, True, True, True, False,
    ]  # fmt: skip
    assert traces(shop.home, "ann.canary@shop.example", token) == []


MANY = ",".join("u" * (MAX_USERS + 1))


@pytest.mark.parametrize(
    "users", ["not_defined", "ann,", "ann,,bob", "ann,not_defined", "a%00b", "ann%5C", "%FF", "x" * 513, MANY]
)
def test_a_call_that_names_nobody_is_400_and_erases_nobody(shop: Installation, users: str) -> None:
    answer = delete(shop, users)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert tombstones(shop.home, "shop") == []


def test_without_the_key_nothing_happens_and_no_customer_is_betrayed(shop: Installation) -> None:
    wrong = {"Authorization": "Basic " + b64encode(b"00001:x").decode()}
    for headers in ({}, wrong):
        known = delete(shop, "ann", headers)
        unknown = shop.client.delete("/api/00009/user/ann", headers=headers)
        assert (known.status_code, known.data) == (unknown.status_code, unknown.data) == (401, known.data)
    assert tombstones(shop.home, "shop") == []


def test_an_erasure_that_can_not_be_stored_is_503(shop: Installation) -> None:
    place = shop.home.lake("shop") / "erasures"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")
    answer = delete(shop, "ann")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
