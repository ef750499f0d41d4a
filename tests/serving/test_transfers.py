"""Transferred items: the document is queued or refused with a sentence, and answers take the old item as the new one.

In the small shop product 60 was renamed 1, and article 72 became product 2; neither is published any more.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from personalization_pipelines.content.change_queue import pending
from personalization_pipelines.content.xml.xml_transfers import read_xml_transfers
from personalization_pipelines.events.live.live_history import LiveEvent
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.read.published import Publication, verify
from personalization_pipelines.publications.read.published_transfers import TRANSFERS, transferred
from serving.content.catalogue_views import MAX_TRANSFER_BYTES
from serving.recommending.question import Question
from serving.recommending.strategy import compose
from tests.content.test_xml_transfers import REFUSED, document
from tests.scenarios.publishing import content, write
from tests.serving.shopfront import ITEMS, MODELS, Installation, scenario, website
from tests.serving.test_content import KEY
from tests.serving.test_strategy import NOW

ROWS = [(1, "60", 1, "1"), (2, "72", 1, "2")]
URL = "/api/00001/transferitems"


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website())
    made.publish(website(), 2, transfers=ROWS)
    yield made
    made.close()


def post(shop: Installation, data: str | bytes) -> Any:
    return shop.client.post(URL, data=data, headers=KEY, content_type="application/xml")


def waiting(shop: Installation) -> list[Any]:
    return pending(shop.home, shop.websites["shop"])


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_a_document_is_queued_as_it_came(shop: Installation) -> None:
    text = document(((1, "5"), (1, "6")))
    answer = post(shop, text)
    assert (answer.status_code, answer.data) == (202, b"")
    (change,) = waiting(shop)
    assert (change.id, change.kind, change.name) == (
        answer.headers["X-Change"], "transfer_items", "transfer of item 1/5 to 1/6",
    )  # fmt: skip
    assert change.body() == text.encode()
    assert read_xml_transfers(io.BytesIO(change.body()), website()) == [((1, "5"), (1, "6"))]


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_document_that_is_wrong_is_400_with_its_sentence_and_nothing_is_stored(shop: Installation, name: str) -> None:
    text, sentence = REFUSED[name]
    answer = post(shop, text)
    assert answer.status_code == 400
    if text:
        assert sentence in answer.json["detail"]
        assert answer.json["detail"].endswith("Nothing was stored.")
    assert waiting(shop) == []


def test_only_who_has_the_key_transfers_items_and_only_so_many(shop: Installation) -> None:
    text = document(((1, "5"), (1, "6")))
    assert shop.client.post(URL, data=text).status_code == 401
    assert shop.client.post("/api/99999/transferitems", data=text, headers=KEY).status_code == 401
    assert post(shop, text + " " * MAX_TRANSFER_BYTES).status_code == 413
    assert shop.client.get(URL, headers=KEY).status_code == 405
    assert waiting(shop) == []


def test_a_context_item_with_the_old_id_is_the_new_one(shop: Installation) -> None:
    answer = shop.get("ann/only_neighbours?contextitems=60").json
    assert [one["itemId"] for one in answer["contextItems"]] == [1]
    assert [one["itemId"] for one in answer["recommendationItems"]] == [2, 3]
    both = shop.get("ann/only_neighbours?contextitems=60,1").json["contextItems"]
    assert [one["itemId"] for one in both] == [1], "one item, named twice"
    assert shop.ids("ann/only_neighbours?contextitems=61") == [], "nobody knows this one"


def test_what_happens_with_the_old_id_happened_with_the_new_one_at_once(shop: Installation) -> None:
    assert shop.ids("ann/landing_page") == [6, 5, 4, 3, 2, 1]
    shop.happened("ann", ("buy", "60"))
    assert shop.ids("ann/landing_page") == [2, 6, 3, 5, 4], "2 and 3 go with 1, and 1 itself is bought"
    context = shop.get("ann/only_neighbours?contextitems=OWNS").json["contextItems"]
    assert [(one["itemId"], one["sources"]) for one in context] == [(1, ["BUY"])]


def test_a_website_without_transfers_knows_nothing_of_an_old_id(home: Home) -> None:
    shop = Installation(home, website())
    shop.happened("ann", ("buy", "60"))
    assert 1 in shop.ids("ann/landing_page")
    shop.close()


def test_deliveries_of_old_and_new_item_count_together(tmp_path: Path) -> None:
    site = website(scenarios={"one": scenario(["top_bought"], max_repeats=2)})
    shown = tuple(LiveEvent("rendered", 1, item, NOW - place, "one") for place, item in enumerate(("60", "1", "2")))

    def asked(number: int, transfers: list[Any]) -> list[int]:
        directory = write(made(tmp_path / str(number)), content(site, ITEMS, {}, MODELS, transfers))
        publication = Publication.open(directory)
        question = Question(now=NOW, output_types=(1,))
        answer = compose(publication, publication.plan.scenarios["one"], question, (), shown)
        return [int(one.item) for one in answer.items]

    assert asked(1, []) == [6, 5, 4, 3, 2, 1]
    assert asked(2, ROWS) == [6, 5, 4, 3, 2]


def test_a_publication_says_what_it_was_given_and_one_without_transfers_has_no_file(tmp_path: Path) -> None:
    with_some = write(made(tmp_path / "some"), content(website(), ITEMS, {}, MODELS, ROWS))
    assert TRANSFERS in verify(with_some).files
    assert Publication.open(with_some).transfers == {(1, "60"): (1, "1"), (2, "72"): (1, "2")}
    without = write(made(tmp_path / "none"), content(website(), ITEMS, {}, MODELS))
    assert TRANSFERS not in verify(without).files
    assert not (without / TRANSFERS).exists()
    assert Publication.open(without).transfers == {}


def test_a_changed_byte_of_the_transfers_is_found(tmp_path: Path) -> None:
    directory = write(tmp_path, content(website(), ITEMS, {}, MODELS, ROWS))
    path = directory / TRANSFERS
    path.write_bytes(path.read_bytes().replace(b'"60"', b'"61"'))
    with pytest.raises(CorruptData, match="does not match its checksum"):
        verify(directory)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "or there is none"),
        ([(1, "2", 1, "3"), (1, "1", 1, "3")], "not in order"),
        ([(1, "1", 1, "3"), (1, "1", 1, "4")], "not in order"),
        ([(1, "1", 0, "3")], "without type or id"),
        ([(1, "1", 1, "")], "without type or id"),
        ([(1, "1", 1, "2"), (1, "2", 1, "3")], "which is an old item itself"),
    ],
)
def test_transfers_that_no_build_writes_are_refused(tmp_path: Path, rows: list[Any], sentence: str) -> None:
    with pytest.raises(CorruptData, match=sentence):
        transferred(rows)
    if rows:
        with pytest.raises(CorruptData, match=sentence):
            Publication.open(write(tmp_path, content(website(), ITEMS, {}, MODELS, rows)))
