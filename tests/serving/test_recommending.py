"""What a website gets: the answers of the contract, from a published website whose answers one can see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from personalization_pipelines.home import Home
from tests.serving.shopfront import Installation, website


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website())
    yield made
    made.close()


def test_neighbours_of_the_context_item_come_first_then_the_fallback_fills(shop: Installation) -> None:
    assert shop.ids("not_defined/product_page?contextitems=1&numrecs=4") == [2, 3, 6, 5]
