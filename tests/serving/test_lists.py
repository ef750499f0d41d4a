"""What a visitor's basket, wishlist and possessions are."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from personalization_pipelines.events.event import Event
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from tests.serving.shopfront import KEY, Installation, website

YEAR = 366 * 86400


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website())
    yield made
    made.close()


def context(shop: Installation, user: str, code: str) -> list[int]:
    """Return the items that a history code means for a user."""
    answer = shop.get(f"{user}/product_page?contextitems={code},6").json
    return [one["itemId"] for one in answer["contextItems"] if one["itemId"] != 6]


def test_a_wishlist_holds_what_was_put_there_and_not_taken_off(shop: Installation) -> None:
    shop.happened("ann", ("wishlist", "1"), ("wishlist", "2"), ("deletefromwishlist", "1"))
    assert context(shop, "ann", "WISHLIST") == [2]
    shop.happened("ann", ("wishlist", "1"))
    assert context(shop, "ann", "WISHLIST") == [1, 2]
    shop.happened("ann", ("buy", "2"))
    assert context(shop, "ann", "WISHLIST") == [1, 2], "what is wished for again may have been bought before"


def test_what_is_owned_is_as_good_as_bought(shop: Installation) -> None:
    shop.happened("ann", ("owns", "4"), ("buy", "5"))
    assert context(shop, "ann", "OWNS") == [5, 4]
    assert not {4, 5} & set(shop.ids("ann/landing_page"))
    shop.happened("eve", ("buy", "4"), ago=3 * YEAR)
    assert 4 not in shop.ids("eve/landing_page"), "unlike what was consumed, what was bought stays bought"


@pytest.mark.parametrize(
    ("code", "added", "taken_off"),
    [
        ("BASKET", "basket", "deletefrombasket"),
        ("BASKET", "basket", "buy"),
        ("WISHLIST", "wishlist", "deletefromwishlist"),
    ],
)
def test_of_one_moment_the_taking_off_is_the_later_one(
    shop: Installation, code: str, added: str, taken_off: str
) -> None:
    for user, kinds in (("ann", (added, taken_off)), ("eve", (taken_off, added))):
        shop.happened(user, ("click", "1"))
        who, now = pseudonym(KEY, "00001", user), time.time_ns() // 1000
        shop.store.apply([Event("shop", kind, now, now, visitor=who, item_type=1, item="2") for kind in kinds])
        assert context(shop, user, code) == [], "a batch, or an import of days, has no order within a moment"
