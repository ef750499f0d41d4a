"""Items over HTTP: queued wholly or refused with a sentence, read as published, and only with the key."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from personalization_pipelines.content.change_queue import pending
from personalization_pipelines.content.xml import xml_items
from personalization_pipelines.foundation.home import Home
from serving.content import catalogue_views as content
from tests.content.test_xml_items import FULL, HOSTILE, document, item
from tests.serving.shopfront import Installation, website

KEY = {"Authorization": "Basic " + b64encode(b"00001:1111-2222-3333-4444-5555").decode()}


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website(languages=["eng-GB"]))
    yield made
    made.close()


def post(shop: Installation, data: str | bytes, **headers: str) -> Any:
    return shop.client.post("/api/00001/item", data=data, headers=KEY | headers, content_type="application/xml")


def waiting(shop: Installation) -> list[Any]:
    return pending(shop.home, shop.websites["shop"])


def test_a_document_is_queued_as_it_came(shop: Installation) -> None:
    answer = post(shop, FULL)
    assert (answer.status_code, answer.data) == (202, b"")
    (change,) = waiting(shop)
    assert (change.id, change.kind, change.name) == (answer.headers["X-Change"], "items_xml", "POST of 2 items")
    assert change.body() == FULL.encode()


def test_a_document_that_is_wrong_is_400_with_line_and_element_and_nothing_is_stored(shop: Installation) -> None:
    answer = post(shop, document('<item id="1" type="1"/>\n<item id="2" type="1"><price>1.5</price></item>'))
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert answer.json["detail"].startswith("line 3, <price> of item '2': '1.5'; expected a whole number")
    assert answer.json["detail"].endswith("Nothing was stored.")
    assert waiting(shop) == []


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_document_is_400_at_once(shop: Installation, name: str) -> None:
    data = HOSTILE[name][0]
    began = time.process_time()
    assert post(shop, data).status_code == 400
    assert time.process_time() - began < 5
    assert waiting(shop) == []


def test_a_body_that_is_too_large_is_413(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_BODY_BYTES", 1000)
    assert post(shop, FULL).status_code == 413
    assert waiting(shop) == []


def test_one_large_document_is_checked_at_a_time(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "LARGE_BYTES", 100)
    real, meanwhile = xml_items.check_xml_items, []

    def check(*given: Any) -> Any:
        monkeypatch.setattr(xml_items, "check_xml_items", real)
        meanwhile.extend(post(shop, data).status_code for data in (FULL, item("")))
        return real(*given)

    monkeypatch.setattr(xml_items, "check_xml_items", check)
    assert post(shop, FULL).status_code == 202
    assert meanwhile == [503, 202]
    assert post(shop, FULL).status_code == 202


def test_a_disk_that_takes_nothing_is_503(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(content, "enqueue", full)
    answer = post(shop, item(""))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


CALLS = [
    ("POST", "item"), ("GET", "item/schema.xsd"), ("GET", "item/1/1"), ("DELETE", "item/1/1"), ("GET", "item/1/999"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_the_key_nothing_is_told(shop: Installation, method: str, path: str) -> None:
    wrong = {"Authorization": "Basic " + b64encode(b"00001:wrong").decode()}
    answers = [
        shop.client.open(f"/api/{customer}/{path}", method=method, headers=headers)
        for customer in ("00001", "00009")
        for headers in ({}, wrong)
    ]
    assert {(answer.status_code, answer.data) for answer in answers} == {(401, answers[0].data)}
    assert waiting(shop) == []


def test_wrong_keys_are_looked_at_ten_times_a_minute(shop: Installation) -> None:
    wrong = [b64encode(f"00001:{n}".encode()).decode() for n in range(12)]
    codes = [
        shop.client.get("/api/00001/item/1/1", headers={"Authorization": f"Basic {one}"}).status_code for one in wrong
    ]
    assert codes == [401] * 10 + [429] * 2


def test_an_item_is_answered_as_it_is_published(shop: Installation) -> None:
    answer = shop.client.get("/api/00001/item/1/1?lang=eng-GB", headers=KEY)
    assert (answer.status_code, answer.content_type) == (200, "application/xml; charset=utf-8")
    (found,) = etree.fromstring(answer.data)
    assert dict(found.attrib) == {"id": "1", "type": "1"}
    assert [one.text for one in found.iter("categorypath")] == ["/Women/Shirts"]
    attributes = {one.get("key"): (one.get("value"), one.get("type")) for one in found.iter("attribute")}
    assert attributes == {"title": ("one", None), "secret": ("canary", None), "width": ("30", "NUMERIC")}
    assert post(shop, answer.data).status_code == 202  # what is answered may be sent


def test_what_is_not_published_is_404_and_what_is_no_item_400(shop: Installation) -> None:
    for path, status in {"1/999": 404, "2/1": 404, "x/1": 400, "0/1": 400, "1/x": 400, "1/1?lang=!": 400}.items():
        for method in ("GET", "DELETE"):
            answer = shop.client.open(f"/api/00001/item/{path}", method=method, headers=KEY)
            assert answer.status_code == status, (method, path)
    assert shop.client.get("/api/00001/item/1/1?lang=ger-DE", headers=KEY).status_code == 200, "it is in any language"
    assert waiting(shop) == []


def test_a_deletion_is_queued(shop: Installation) -> None:
    assert shop.client.delete("/api/00001/item/1/1", headers=KEY).status_code == 202
    assert shop.client.delete("/api/00001/item/1/2?lang=ger-DE", headers=KEY).status_code == 202
    first, second = waiting(shop)
    assert (first.kind, first.name) == ("delete_item", "DELETE of item 1/1")
    assert first.body() == b'{"item_type":1,"item":"1","language":null}'
    assert second.body() == b'{"item_type":1,"item":"2","language":"ger-DE"}'


def test_an_item_that_waits_to_be_imported_may_be_deleted(shop: Installation) -> None:
    assert shop.client.delete("/api/00001/item/1/999", headers=KEY).status_code == 404
    post(shop, document('<item id="999" type="1"/>'))
    assert shop.client.delete("/api/00001/item/1/999", headers=KEY).status_code == 202


def test_the_schema_is_the_websites(shop: Installation) -> None:
    answer = shop.client.get("/api/00001/item/schema.xsd", headers=KEY)
    assert answer.status_code == 200
    validator = etree.XMLSchema(etree.fromstring(answer.data))
    assert validator.validate(etree.fromstring(FULL.encode()))


def test_before_the_first_publication_items_can_be_sent(home: Home) -> None:
    made = Installation(home, website())
    for path in made.home.publications("shop").iterdir():
        if path.name == "CURRENT":
            path.unlink()
    made.app = made._app()
    made.client = made.app.test_client()
    assert post(made, item("")).status_code == 202
    assert made.client.get("/api/00001/item/1/1", headers=KEY).status_code == 404
    made.close()
