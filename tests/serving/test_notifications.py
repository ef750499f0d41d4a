"""A CMS' notification: queued wholly with its secrets sealed, or refused with a sentence, and never fetched here."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.change_queue import pending
from personalization_pipelines.content.exports.notification import MAX_EVENTS, opened_secrets
from personalization_pipelines.content.exports.waiting_exports import export_of
from personalization_pipelines.foundation.home import Home
from serving.content import notification_views as notifications
from tests.content.cms import Cms, notification
from tests.serving.shopfront import Installation, website
from tests.serving.test_content import KEY

HOSTS = {"export_hosts": ["cms.example.org", "http://cms.example.org:8080"]}
URI = "https://cms.example.org/api/v2/content/1?lang=eng-GB&token=Canary-Token-4242"
CREDENTIALS = {"login": "editor", "password": "Canary-Pass-7731"}


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website(content=HOSTS))
    yield made
    made.close()


def post(shop: Installation, body: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return shop.client.post("/api/00001/items", data=data, headers=KEY, content_type="application/json")


def waiting(shop: Installation) -> list[Any]:
    return pending(shop.home, shop.websites["shop"])


def test_every_event_is_a_change_in_its_order_with_its_secrets_sealed(shop: Installation) -> None:
    answer = post(
        shop,
        notification(
            {
                "uri": [URI, "http://cms.example.org:8080/page/2"],
                "credentials": CREDENTIALS,
                "contentTypeName": "Product",
            },
            {"action": "UPDATE", "uri": URI, "itemId": 17, "contentTypeId": "2", "credentials": []},
            {"action": "DELETE", "itemId": 18},
        ),
    )
    full, update, gone = waiting(shop)
    assert (answer.status_code, answer.json) == (202, {"changes": [full.id, update.id, gone.id]})
    assert answer.headers["Cache-Control"] == "no-store"
    assert [one.kind for one in (full, update, gone)] == ["export_full", "export_update", "delete_item"]
    assert full.name == "FULL of type 1 in eng-GB from cms.example.org/api/v2/content/1 and 1 more"
    assert b"Canary" not in full.path.read_bytes() + update.path.read_bytes()
    export = export_of(full)
    assert (export.transaction, export.item_type, export.language, export.item) == ("20240601-1", 1, "eng-GB", None)
    assert export.sources == ["cms.example.org/api/v2/content/1", "cms.example.org:8080/page/2"]
    assert (export_of(update).item, export_of(update).item_type) == ("17", 2)
    secrets = opened_secrets(export, shop.home.key)
    assert (secrets.addresses, secrets.login, secrets.password) == (
        [URI, "http://cms.example.org:8080/page/2"], "editor", "Canary-Pass-7731",
    )  # fmt: skip
    assert "Canary" not in repr(secrets)
    assert msgspec.json.decode(gone.body()) == {"item_type": 1, "item": "18", "language": "eng-GB"}


def test_what_cmss_leave_out_or_write_otherwise_is_taken(shop: Installation) -> None:
    for event in (
        {"itemId": 0}, {"itemId": None}, {"itemId": "0"}, {"lang": None}, {"lang": ""}, {"credentials": None},
        {"credentials": {}}, {"credentials": {"login": None, "password": None}}, {"format": "EZ", "unknown": [1, {}]},
        {"action": "UPDATE", "contentTypeId": None}, {"action": "UPDATE", "contentTypeId": 0},
        {"action": "DELETE", "itemId": 5, "uri": []}, {"action": "DELETE", "itemId": 5, "uri": None},
    ):  # fmt: skip
        assert post(shop, notification({"uri": URI, **event})).status_code == 202, event
    assert post(shop, {"events": [{"action": "UPDATE", "uri": URI}]}).status_code == 202
    assert post(shop, notification({"uri": URI}, transaction=20240601)).status_code == 202  # type: ignore[arg-type]


WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": (b"<xml/>", "no notification: JSON is malformed"),
    "nothing": (b"", "no notification: "),
    "no text": (b'{"events": [{"action": "\xff"}]}', "no notification: "),
    "a lone surrogate": (b'{"events": [{"action": "\\ud800"}]}', "no notification: "),
    "nested": (b'{"events": ' + b"[" * 200_000, "no notification: "),
    "no events": ({}, "missing required field `events`"),
    "empty": ({"events": []}, "0 events: expected 1 to 200"),
    "too many": (notification(*[{"uri": URI}] * (MAX_EVENTS + 1)), "201 events: expected 1 to 200"),
    "another action": (notification({"action": "REPLACE", "uri": URI}), "events[0]: action 'REPLACE': expected one"),
    "another format": (notification({"format": "CSV", "uri": URI}), "events[0]: format 'CSV': expected EZ"),
    "the second": (notification({"uri": URI}, {"action": "full"}), "events[1]: action 'full'"),
    "no address": (notification({}), "events[0]: uri is missing"),
    "no type": (notification({"uri": URI, "contentTypeId": 0}), "contentTypeId is missing"),
    "unknown type": (notification({"uri": URI, "contentTypeId": 9}), "contentTypeId 9: expected one of the website's"),
    "no number": (notification({"uri": URI, "contentTypeId": "x"}), "contentTypeId: item type 'x'"),
    "another item": (notification({"uri": URI, "itemId": "a b"}), "itemId: item id 'a b'"),
    "another language": (notification({"uri": URI, "lang": "english!"}), "lang 'english!'"),
    "no item": (notification({"action": "DELETE"}), "a DELETE needs both"),
    "a list of credentials": (notification({"uri": URI, "credentials": ["a"]}), "credentials: expected an object"),
    "a colon": (notification({"uri": URI, "credentials": {"login": "a:b"}}), "credentials: expected login"),
    "a newline": (notification({"uri": URI, "credentials": {"login": "a\r\nX: y"}}), "credentials: expected login"),
    "a long one": (notification({"uri": URI, "credentials": {"password": "p" * 1025}}), "credentials: expected login"),
    "a long transaction": (notification({"uri": URI}, transaction="t" * 201), "transaction"),
    "a foreign host": (notification({"uri": "https://evil.example/Canary"}), "'https://evil.example' is not among"),
    "one of two": (notification({"uri": [URI, "https://127.0.0.1/Canary"]}), "'https://127.0.0.1' is not among"),
    "plain http": (notification({"uri": URI.replace("https", "http")}), "'http://cms.example.org' is not among"),
    "a user": (notification({"uri": "https://u:Canary@cms.example.org/"}), "a user before the '@'"),
    "a file": (notification({"uri": "file:///etc/Canary"}), "expected an address like https://host/path"),
    "a deletion's host": (
        notification({"action": "DELETE", "itemId": 1, "uri": "https://evil.example/"}), "is not among the website's",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(WRONG))
def test_what_is_wrong_is_400_named_and_nothing_is_stored(shop: Installation, name: str) -> None:
    body, sentence = WRONG[name]
    answer = post(shop, body)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert sentence in answer.json["detail"]
    assert answer.json["detail"].endswith("Nothing was stored.")
    assert "Canary" not in answer.text
    assert waiting(shop) == []


def test_a_website_without_hosts_takes_deletions_alone(home: Home) -> None:
    shop = Installation(home, website())
    assert post(shop, notification({"uri": URI})).status_code == 400
    assert post(shop, notification({"action": "DELETE", "itemId": 1})).status_code == 202
    shop.close()


def test_nothing_is_fetched_in_the_request(home: Home) -> None:
    with Cms() as cms:
        shop = Installation(home, website(content={"export_hosts": [cms.entry]}))
        assert post(shop, notification({"uri": cms.url("/a")})).status_code == 202
        assert cms.connections == 0
        shop.close()


def test_without_the_key_nothing_is_told(shop: Installation) -> None:
    wrong = {"Authorization": "Basic " + b64encode(b"00001:wrong").decode()}
    answers = [
        shop.client.post(f"/api/{customer}/items", json=notification({"uri": URI}), headers=headers)
        for customer in ("00001", "00009")
        for headers in ({}, wrong)
    ]
    assert {(answer.status_code, answer.data) for answer in answers} == {(401, answers[0].data)}
    assert waiting(shop) == []


def test_a_body_that_is_too_large_is_413(shop: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "MAX_BODY_BYTES", 100)
    assert post(shop, notification({"uri": URI})).status_code == 413


def test_where_the_disk_takes_one_event_and_no_other_none_is_queued(
    shop: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = notifications.enqueue, [None, OSError(28, "No space left on device")]

    def full(*given: Any, **more: Any) -> str:
        if error := left.pop(0):
            raise error
        return real(*given, **more)

    monkeypatch.setattr(notifications, "enqueue", full)
    answer = post(shop, notification({"uri": URI}, {"uri": URI, "contentTypeId": 2}))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert waiting(shop) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.just(URI),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["action", "format", "uri", "itemId", "contentTypeId", "contentTypeName", "lang", "credentials", "more"]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(FIELDS, JSON, max_size=4), JSON)
def test_whatever_an_event_holds_the_answer_is_202_or_400(
    shop: Installation, event: dict[str, Any], other: Any
) -> None:
    answers = [post(shop, notification({"uri": URI, **event})), post(shop, {"events": other}), post(shop, other)]
    assert {one.status_code for one in answers} <= {202, 400}
