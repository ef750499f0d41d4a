"""Several languages an item: which items an answer may hold, and in which words it tells of them.

1 speaks English and German, 2 German only, 3 English only, 4 any language and has a French text besides, 5 any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.commands.refresh import refresh
from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.read.published import Publication, verify
from serving.recommending.preview import answer_json
from tests.conftest import make_website
from tests.content.files import write
from tests.scenarios.publishing import Item, content
from tests.scenarios.publishing import write as write_publication
from tests.serving import shopfront
from tests.serving.shopfront import Installation, website
from tests.serving.test_content import KEY

LANGUAGES = ["eng-GB", "ger-DE", "fre-FR"]


def titled(text: str) -> dict[str, list[object]]:
    return {"title": [text]}


SPOKEN = [
    {"language": "eng-GB", "attributes": titled("Shirt"), "further": {"ger-DE": titled("Hemd")}},
    {"language": "ger-DE", "attributes": titled("Bluse")},
    {"language": "eng-GB", "attributes": titled("Trousers")},
    {"attributes": titled("Jeans"), "further": {"fre-FR": titled("Jean")}},
    {"attributes": titled("Sale")},
]
ITEMS = [replace(item, **SPOKEN[row]) if row < len(SPOKEN) else item for row, item in enumerate(shopfront.ITEMS)]


def installation(home: Home, items: list[Item], **changes: Any) -> Installation:
    """A shop whose current publication has these items."""
    made = Installation(home, website(**changes))
    made.publish(website(**changes), 2, items=items)
    return made


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = installation(home, ITEMS, languages=LANGUAGES)
    yield made
    made.close()


def answered(shop: Installation, query: str) -> dict[int, str]:
    """Return the titles of the recommended products of the most popular ones, by id; "" where none is told."""
    items = shop.get(f"ann/popular?attribute=title&{query}").json["recommendationItems"]
    return {one["itemId"]: "".join(values[0] for values in [a["values"] for a in one["attributes"]]) for one in items}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("lang=eng-GB", {6: "", 5: "Sale", 4: "Jeans", 3: "Trousers", 1: "Shirt"}),
        ("lang=ger-DE", {6: "", 5: "Sale", 4: "Jeans", 2: "Bluse", 1: "Hemd"}),
        ("lang=fre-FR", {6: "", 5: "Sale", 4: "Jean"}),
        ("", {6: "", 5: "Sale", 4: "Jeans", 3: "Trousers", 2: "Bluse", 1: "Shirt"}),
        ("lang=", {6: "", 5: "Sale", 4: "Jeans", 3: "Trousers", 2: "Bluse", 1: "Shirt"}),
    ],
)
def test_an_answer_holds_what_exists_in_the_language_and_tells_of_it_in_it(
    shop: Installation, query: str, expected: dict[int, str]
) -> None:
    assert answered(shop, query) == expected


def test_neighbours_that_are_kept_ready_are_filtered_too(shop: Installation) -> None:
    for _ in range(2):
        plain, german = (
            [
                one["itemId"]
                for one in shop.get(f"ann/only_neighbours?contextitems=1{query}").json["recommendationItems"]
            ]
            for query in ("", "&lang=ger-DE")
        )
        assert (plain, german) == ([2, 3], [2])


def test_a_context_item_of_another_language_still_speaks_for_its_neighbours(shop: Installation) -> None:
    answer = shop.get("ann/only_neighbours?contextitems=2&lang=fre-FR").json
    assert [one["itemId"] for one in answer["contextItems"]] == [2]
    assert [one["itemId"] for one in answer["recommendationItems"]] == [4]


def test_an_explanation_names_the_language_as_a_filter(shop: Installation) -> None:
    answer = shop.get("ann/popular?lang=fre-FR&explain=true").json
    assert all("language" in one["explanation"]["filtersPassed"] for one in answer["recommendationItems"])
    assert answer["explanation"]["levels"][0]["dropped"] == {"language": 3}
    silent = shop.get("ann/popular?explain=true").json["recommendationItems"]
    assert not any("language" in one["explanation"]["filtersPassed"] for one in silent)


def test_a_language_that_the_website_does_not_have_is_400_and_names_those_it_has(shop: Installation) -> None:
    response = shop.get("ann/popular?lang=spa-ES")
    assert response.status_code == 400
    assert response.json["detail"] == "lang 'spa-ES': expected a language of the website (eng-GB, ger-DE, fre-FR)."
    assert shop.get("ann/popular?lang=%3Cb%3E").status_code == 400
    assert shop.get("ann/popular?lang=eng-GB&lang=ger-DE").status_code == 400


def test_a_website_that_names_no_languages_filters_by_whatever_code_is_given(home: Home) -> None:
    shop = installation(home, ITEMS)
    assert list(answered(shop, "lang=spa-ES")) == [6, 5, 4]
    assert list(answered(shop, "lang=ger-DE")) == [6, 5, 4, 2, 1]
    shop.close()


def test_an_item_is_answered_as_it_is_published_in_a_language(shop: Installation) -> None:
    for query, language, title in (("", "eng-GB", "Shirt"), ("?lang=ger-DE", "ger-DE", "Hemd")):
        answer = shop.client.get(f"/api/00001/item/1/1{query}", headers=KEY)
        assert f'<item id="1" type="1" lang="{language}">' in answer.text
        assert title in answer.text
        assert shop.client.post("/api/00001/item", data=answer.data, headers=KEY).status_code == 202
    absent = shop.client.get("/api/00001/item/1/3?lang=ger-DE", headers=KEY)
    assert absent.status_code == 404
    assert "in the language ger-DE" in absent.json["detail"]
    assert 'id="5" type="1">' in shop.client.get("/api/00001/item/1/5?lang=ger-DE", headers=KEY).text


def test_the_command_line_asks_in_a_language_too(shop: Installation) -> None:
    site = website(languages=LANGUAGES)
    assert '"itemId": 2,' not in answer_json(shop.home, site, "popular", "nobody", "", language="fre-FR")
    with pytest.raises(InvalidIdentifier, match="expected a language of the website"):
        answer_json(shop.home, site, "popular", "nobody", "", language="spa-ES")


def test_a_publication_whose_items_have_no_language_holds_no_file_of_languages(home: Home) -> None:
    plain = Installation(home, website())
    (directory,) = (path for path in home.publications("shop").iterdir() if path.is_dir())
    assert not [path for path in directory.iterdir() if "languages" in path.name]
    assert list(answered(plain, "lang=eng-GB")) == [6, 5, 4, 3, 2, 1]
    plain.close()


CODES = ["", *LANGUAGES]


@given(
    st.lists(st.tuples(st.sampled_from(CODES), st.sets(st.sampled_from(CODES))), min_size=1, max_size=8),
    st.sampled_from(LANGUAGES),
)
def test_what_exists_in_a_language_is_what_has_a_row_of_it_or_of_any(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, set[str]]], language: str
) -> None:
    items = [
        Item(
            1, str(number), attributes=titled(own), language=own, further={name: titled(name) for name in more - {own}}
        )
        for number, (own, more) in enumerate(rows)
    ]
    directory = write_publication(tmp_path_factory.mktemp("publication"), content(website(), items))
    verify(directory)
    published = Publication.open(directory).items
    exist = [language in (own, *more) or "" in (own, *more) for own, more in rows]
    assert published.exist_in(language).tolist() == exist
    for row, (own, more) in enumerate(rows):
        told = next((name for name in (language, "") if name in {own, *more}), own)
        assert published.attributes(row, language) == titled(told)


@pytest.mark.builds
def test_rows_of_a_file_become_items_in_their_languages(home: Home, tmp_path: Any) -> None:
    site = make_website(languages=["ger-DE", "eng-GB"])
    rows = [
        {"item_id": 1, "language": "eng-GB", "title": "Shirt"},
        {"item_id": 1, "language": "ger-DE", "title": "Hemd"},
        {"item_id": 2, "language": "eng-GB", "title": "Trousers"},
        {"item_id": 3, "title": "T-1000"},
    ]
    import_items(home, site, [write(tmp_path, "items.csv", rows)])
    assert refresh(home, site).failures == ()
    (directory,) = (path for path in home.publications("shop").iterdir() if path.is_dir())
    items = Publication.open(directory).items
    assert [items.attributes(row)["title"] for row in range(3)] == [["Hemd"], ["Trousers"], ["T-1000"]]
    assert items.attributes(0, "eng-GB")["title"] == ["Shirt"]
    assert items.exist_in("ger-DE").tolist() == [True, False, True]
