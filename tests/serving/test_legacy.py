"""Former clients' addresses under `/ebl/`: content and recommendations as under `/api/`, tracking as ever."""

from __future__ import annotations

import pytest

from personalization_pipelines.content.change_queue import pending
from serving.http.in_front import modern_path
from tests.serving.shopfront import Installation
from tests.serving.test_content import FULL, KEY, shop

__all__ = ["shop"]

PATHS = {
    "/ebl/1001/ann/product_page.json": "/api/v2/1001/ann/product_page.json",
    "/ebl/1001/ann/product_page.jsonp": "/api/v2/1001/ann/product_page.jsonp",
    "/ebl/1001//product_page.json": "/api/v2/1001//product_page.json",
    "/ebl/1001/a/b/page.json": "/api/v2/1001/a/b/page.json",
    "/ebl/v2/1001/ann/product_page": "/api/v2/1001/ann/product_page",
    "/ebl/v2/1001/ann/product_page.json": "/api/v2/1001/ann/product_page.json",
    "/ebl/1001/item": "/api/1001/item",
    "/ebl/1001/item/1/7": "/api/1001/item/1/7",
    "/ebl/1001/item/1/7.json": "/api/1001/item/1/7.json",
    "/ebl/1001/items": "/api/1001/items",
    "/ebl/1001/transferitems": "/api/1001/transferitems",
}
KEPT = [
    "/ebl/", "/ebl/1001", "/ebl/1001/", "/ebl/1001/click/ann/1/5", "/ebl/1001/click/ann/1/5.json", "/ebl/1001/events",
    "/ebl/1001/buyy/ann/1/5", "/ebl/1001/page.json", "/ebl/1001/ann/page", "/ebl/1001/ann/page.xml",
]  # fmt: skip


@pytest.mark.parametrize(("old", "modern"), PATHS.items())
def test_an_old_address_means_a_newer_one(old: str, modern: str) -> None:
    assert modern_path(old) == modern


@pytest.mark.parametrize("path", KEPT)
def test_what_is_trackings_or_nobodys_stays(path: str) -> None:
    assert modern_path(path) == path


def test_recommendations_are_answered_under_the_old_prefix(shop: Installation) -> None:
    modern = shop.client.get("/api/v2/00001/not_defined/popular.json?numrecs=2")
    assert len(modern.json["recommendationItems"]) == 2
    for path in ("00001/not_defined/popular.json", "v2/00001/not_defined/popular", "00001/not_defined/popular.jsonp"):
        old = shop.client.get(f"/ebl/{path}?numrecs=2&jsonpCallback=f")
        assert (old.status_code, old.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert old.text.removeprefix("/**/f(").removesuffix(");") == modern.text
    assert shop.client.get("/ebl/00001/ann/no_such_page.json").status_code == 404
    assert shop.client.get("/ebl/00001/ann/popular.json?numrecs=0").status_code == 400


def test_content_is_taken_under_the_old_prefix_with_the_key_only(shop: Installation) -> None:
    assert shop.client.post("/ebl/00001/item", data=FULL).status_code == 401
    assert shop.client.delete("/ebl/00001/item/1/1").status_code == 401
    assert pending(shop.home, shop.websites["shop"]) == []
    assert shop.client.post("/ebl/00001/item", data=FULL, headers=KEY).status_code == 202
    assert shop.client.delete("/ebl/00001/item/1/1", headers=KEY).status_code == 202
    assert len(pending(shop.home, shop.websites["shop"])) == 2
    assert shop.client.get("/ebl/00001/item/1/1", headers=KEY).mimetype == "application/xml"


def test_tracking_keeps_the_old_prefix(shop: Installation) -> None:
    assert shop.client.get("/ebl/00001/click/ann/1/5").status_code == 204
    assert shop.client.post("/ebl/00001/buyy/ann/1/5").status_code == 404
