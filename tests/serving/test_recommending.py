"""What a website gets: the answers of the contract, from a published website whose answers one can see."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.log.event_log import read_records, segments
from personalization_pipelines.foundation.home import Home
from serving.recommending.responses import lifetime
from tests.scenarios.publishing import Item, ranking
from tests.serving.shopfront import HISTORIES, MODELS, Installation, scenario, website


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website())
    yield made
    made.close()


def test_neighbours_of_the_context_item_come_first_then_the_fallback_fills(shop: Installation) -> None:
    assert shop.ids("not_defined/product_page?contextitems=1&numrecs=4") == [2, 3, 6, 5]


def test_several_context_items_add_up(shop: Installation) -> None:
    # 1 speaks for 2 (0.8) and 3 (0.4), 2 for 3 (0.8) and 4 (0.4); 2 is context itself
    assert shop.ids("not_defined/only_neighbours?contextitems=1,2") == [3, 4]


@pytest.mark.parametrize("page", ["popular", "popular.jsonp", "popular?explain=1", "popular?attribute=no_such"])
def test_every_item_has_attributes_also_where_none_were_asked_for(shop: Installation, page: str) -> None:
    for user in ("ann", "not_defined"):
        text = shop.get(f"{user}/{page}").text
        items = json.loads(text[text.index("{") : text.rindex("}") + 1])["recommendationItems"]
        assert [one["attributes"] for one in items] == [[]] * len(items)
        assert len(items) == 6


def test_an_answer_has_the_shape_of_the_contract(shop: Installation) -> None:
    shop.happened("eve", ("click", "1"))
    response = shop.get("ann%20b/product_page?contextitems=1&numrecs=1&attribute=title")
    answer = response.json
    links = answer["recommendationItems"][0].pop("links")
    assert answer == {
        "contextItems": [{"itemId": 1, "itemType": 1, "viewers": 1, "sources": ["REQUEST"]}],
        "recommendationItems": [
            {
                "itemId": 2,
                "itemType": 1,
                "relevance": 1000,
                "origin": {"itemIds": [1], "itemType": 1, "source": "REQUEST"},
                "attributes": [{"key": "title", "values": ["two"]}],
            }
        ],
    }
    uuid = re.search(r"requestuuid=[0-9a-f]{32}&rid=[0-9a-f]{16}&sig=[0-9a-f]{24}$", links["rendered"])
    assert uuid is not None
    tail = f"ann%20b/1/2?scenario=product_page&modelid=2&categorypath=&{uuid[0]}"
    assert links == {
        "clickRecommended": f"//localhost/api/00001/clickrecommended/{tail}",
        "rendered": f"//localhost/api/00001/rendered/{tail}",
    }


def tracked(shop: Installation) -> list[Event]:
    """The events of the shop's log."""
    paths = [segment.path for segment in segments(shop.home.log)]
    return [decode(payload) for path in paths for _, payload in read_records(path)]


def test_a_link_of_the_answer_is_an_event_that_the_tracker_takes(shop: Installation) -> None:
    answer = shop.get("ann/product_page?contextitems=1&numrecs=1").json
    for link in answer["recommendationItems"][0]["links"].values():
        assert shop.client.get(link.removeprefix("//localhost")).status_code == 204
    assert [(event.event, event.verified) for event in tracked(shop)] == [
        ("clickrecommended", True),
        ("rendered", True),
    ]


def test_a_link_is_not_believed_for_another_item(shop: Installation) -> None:
    answer = shop.get("ann/product_page?contextitems=1&numrecs=1").json
    link = answer["recommendationItems"][0]["links"]["clickRecommended"].removeprefix("//localhost")
    assert shop.client.get(link.replace("/1/2?", "/1/3?")).status_code == 204
    assert [event.verified for event in tracked(shop)] == [False]


def test_links_name_the_public_host_where_the_website_has_one(home: Home) -> None:
    shop = Installation(home, website(public_host="//reco.example.org"))
    links = shop.get("ann/popular?numrecs=1").json["recommendationItems"][0]["links"]
    assert links["rendered"].startswith("//reco.example.org/api/00001/rendered/ann/1/6?")
    shop.close()


def test_nobody_gets_no_links(shop: Installation) -> None:
    assert "links" not in shop.get("not_defined/popular").json["recommendationItems"][0]


def test_a_user_id_may_hold_slashes(shop: Installation) -> None:
    answer = shop.get("a%2Fb/popular?numrecs=1").json
    assert "/rendered/a%2Fb/1/6?" in answer["recommendationItems"][0]["links"]["rendered"]


def test_relevance_never_rises_down_the_list(shop: Installation) -> None:
    shop.happened("ann", ("click", "3"), ("click", "1"))
    for path in ("ann/landing_page", "ann/product_page?contextitems=2,1", "ann/popular"):
        found = [one["relevance"] for one in shop.get(path).json["recommendationItems"]]
        assert found == sorted(found, reverse=True)
        assert all(1 <= one <= 1000 for one in found)


def test_a_live_click_changes_the_very_next_answer(shop: Installation) -> None:
    before = shop.ids("ann/landing_page?numrecs=2")
    shop.happened("ann", ("click", "3"))
    answer = shop.get("ann/landing_page?numrecs=2").json
    assert before == [6, 5]
    assert [one["itemId"] for one in answer["recommendationItems"]] == [4, 6]  # 3's neighbour, then popularity
    assert answer["recommendationItems"][0]["origin"] == {"itemIds": [3], "itemType": 1, "source": "CLICK"}


def test_newer_history_weighs_more_than_older(shop: Installation) -> None:
    # the newer says 4 (0.8), 5 (0.4), the older half as loud 2 (0.8 · 0.6), 3 (0.4 · 0.6)
    shop.happened("ann", ("click", "1"), ("click", "3"))
    assert shop.ids("ann/only_personal") == [4, 2, 5, 3]


def test_published_history_counts_as_live_history_does(home: Home) -> None:
    shop = Installation(home, website())
    shop.publish(website(), 2, histories=HISTORIES)
    answer = shop.get("bought%202/only_personal").json["recommendationItems"]
    assert [one["itemId"] for one in answer] == [3, 4]
    assert answer[0]["origin"] == {"itemIds": [2], "itemType": 1, "source": "BUY"}
    assert 2 not in shop.ids("bought%202/landing_page")
    shop.close()


def test_what_was_bought_is_out_at_once_where_the_scenario_says_so(shop: Installation) -> None:
    assert 6 in shop.ids("ann/landing_page")
    shop.happened("ann", ("buy", "6"))
    assert 6 not in shop.ids("ann/landing_page")
    assert 6 in shop.ids("ann/popular")  # this scenario keeps it


def test_what_a_visitor_blacklisted_is_out_for_a_year(shop: Installation) -> None:
    shop.happened("ann", ("blacklist", "6"))
    shop.happened("eve", ("blacklist", "6"), ago=366 * 86400)
    assert 6 not in shop.ids("ann/popular")
    assert 6 in shop.ids("eve/popular")


def test_basket_means_added_and_neither_removed_nor_bought_since(shop: Installation) -> None:
    shop.happened("ann", ("basket", "1"), ("basket", "2"), ("basket", "3"), ("deletefrombasket", "2"), ("buy", "3"))
    answer = shop.get("ann/product_page?contextitems=BASKET&numrecs=2").json
    assert [(one["itemId"], one["sources"]) for one in answer["contextItems"]] == [(1, ["BASKET"])]
    assert [one["itemId"] for one in answer["recommendationItems"]] == [2, 3]
    shop.happened("ann", ("basket", "2"))
    again = shop.get("ann/product_page?contextitems=BASKET").json
    assert [one["itemId"] for one in again["contextItems"]] == [2, 1]


@pytest.mark.parametrize(
    ("code", "event", "source"),
    [
        ("CLICKED", "click", "CLICK"),
        ("CONSUMED", "consume", "CONSUME"),
        ("OWNS", "buy", "BUY"),
        ("RATED", "rate", "RATE"),
    ],
)
def test_a_history_code_pulls_the_visitors_own_items(shop: Installation, code: str, event: str, source: str) -> None:
    shop.happened("ann", (event, "5"), ("basket", "1"), (event, "4"), (event, "5"))
    answer = shop.get(f"ann/product_page?contextitems={code},2").json
    found = [(one["itemId"], one["sources"]) for one in answer["contextItems"]]
    assert found == [(2, ["REQUEST"]), (5, [source]), (4, [source])]


def test_a_code_means_the_ten_newest_items_of_the_input_type(home: Home) -> None:
    shop = Installation(home, website())
    items = [*(Item(1, str(number)) for number in range(1, 15)), Item(2, "1")]
    models = {
        name: ranking(site_1=[(0, 1.0)]) if name == "top_bought" else ranking() for name in ("top_bought", "new_in")
    }
    shop.publish(website(scenarios={"popular": scenario(["top_bought"])}), 2, items=items, models=models)
    shop.happened("ann", *(("click", str(number)) for number in range(1, 15)))
    answer = shop.get("ann/popular?contextitems=CLICKED").json
    assert [one["itemId"] for one in answer["contextItems"]] == list(range(14, 4, -1))
    shop.close()


def test_wishlist_is_read_from_the_publication(home: Home) -> None:
    shop = Installation(home, website())
    shop.publish(website(), 2, histories=HISTORIES)
    assert shop.get("wished%203/product_page?contextitems=WISHLIST").json["contextItems"][0]["itemId"] == 3
    shop.happened("wished 3", ("deletefromwishlist", "3"))
    assert shop.get("wished%203/product_page?contextitems=WISHLIST").json["contextItems"] == []
    shop.close()


def test_nothing_to_start_from_is_409_and_says_so(shop: Installation) -> None:
    for path in (
        "not_defined/only_neighbours",
        "stranger/only_personal",
        "not_defined/only_neighbours?contextitems=BASKET",
    ):
        response = shop.get(path)
        assert response.status_code == 409, path
        assert "starts from context items or from the visitor's history" in response.json["detail"]


def test_an_unknown_context_item_is_context_all_the_same(shop: Installation) -> None:
    response = shop.get("not_defined/only_neighbours?contextitems=999")
    assert response.status_code == 200
    assert response.json["recommendationItems"] == []
    assert response.json["contextItems"][0]["itemId"] == 999


def test_output_types(shop: Installation) -> None:
    assert shop.ids("not_defined/popular?numrecs=2") == [6, 5]
    assert shop.ids("not_defined/popular?outputtypeid=2") == [71, 70]
    both = shop.get("not_defined/popular?crosscontenttype=true&numrecs=4").json["recommendationItems"]
    assert [(one["itemType"], one["itemId"]) for one in both] == [(1, 6), (1, 5), (1, 4), (2, 71)]


def test_attributes_leave_only_if_asked_for_and_allowed(home: Home) -> None:
    shop = Installation(home, website(output_attributes=["title"]))
    answer = shop.get("not_defined/product_page?contextitems=5&attributes=title,secret&attribute=width&numrecs=9")
    assert "canary" not in answer.text
    found = {one["itemId"]: one["attributes"] for one in answer.json["recommendationItems"]}
    assert found[1] == [{"key": "title", "values": ["one"]}]
    assert found[3] == []
    shop.close()


def test_without_an_allow_list_text_attributes_may_leave(shop: Installation) -> None:
    answer = shop.get("not_defined/product_page?contextitems=5&attribute=title,width").json["recommendationItems"]
    assert answer[0]["attributes"] == [{"key": "title", "values": ["one"]}]


@pytest.mark.parametrize("nothing", ["undefined", "null", "NaN", ""])
def test_an_optional_parameter_that_says_nothing_is_not_given(shop: Installation, nothing: str) -> None:
    names = ("numrecs", "outputtypeid", "crosscontenttype", "usecontextcategorypath", "explain", "usetimeslot", "lang")
    names += ("categorypath", "attribute", "recommendCategory", "segments", "userattribute", "jsonpCallback")
    more = "&".join(f"{name}={nothing}" for name in names)
    for path in ("not_defined/product_page.json", "not_defined/product_page.jsonp"):
        plain, told = (
            shop.get(f"{path}?contextitems=5{context}{end}") for context, end in (("", ""), (f",{nothing}", f"&{more}"))
        )
        assert told.status_code == 200, told.text
        assert without_links(told.text) == without_links(plain.text)
    without, told = (shop.get(f"not_defined/product_page{query}") for query in ("", f"?contextitems={nothing}"))
    assert without_links(told.text) == without_links(without.text)


@pytest.mark.parametrize("user", ["undefined", "NULL", "None", "NaN", "[object Object]", "guest"])
def test_a_placeholder_asks_as_nobody(home: Home, user: str) -> None:
    shop = Installation(home, website(placeholder_users=["Guest"]))
    answer = shop.get(f"{quote(user)}/popular?numrecs=1")
    assert "private" not in answer.headers["Cache-Control"]
    assert "links" not in answer.json["recommendationItems"][0]
    shop.close()


def without_links(text: str) -> str:
    """An answer without what differs from answer to answer."""
    return re.sub(r'"(clickRecommended|rendered)":"[^"]*"', "", text)


def test_category_of_an_item_is_the_one_nearest_to_the_requests(shop: Installation) -> None:
    four = "not_defined/product_page?contextitems=3&recommendCategory=true&numrecs=1"
    found = [
        shop.get(four + more).json["recommendationItems"][0]["category"]
        for more in ("&categorypath=/Sale/", "&categorypath=Women/Shirts", "")
    ]
    assert found == ["Sale", "Women/Trousers/Long", "Women/Trousers/Long"]


def test_jsonp_is_a_call_behind_a_comment(shop: Installation) -> None:
    response = shop.get("not_defined/popular.jsonp?jsonpCallback=shop.show&numrecs=1")
    assert response.headers["Content-Type"] == "application/javascript"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.text.startswith('/**/shop.show({"contextItems":')
    assert response.text.endswith("});")
    body = json.loads(response.text.removeprefix("/**/shop.show(").removesuffix(");"))
    assert body["recommendationItems"][0]["itemId"] == 6
    assert shop.get("not_defined/popular.jsonp").text.startswith("/**/jsonpCallback(")


def test_explain_says_which_model_from_what_and_past_which_filters(shop: Installation) -> None:
    shop.happened("ann", ("blacklist", "3"))
    answer = shop.get("ann/product_page?contextitems=1&numrecs=3&explain=true").json
    first, second = (answer["recommendationItems"][place]["explanation"] for place in (0, 1))
    assert (first["model"], first["supportingItems"], first["build"]) == ("also_bought", ["1"], "build-1")
    assert (second["model"], second["lists"], second["usersCounted"]) == ("top_bought", ["site:1"], 3)
    assert "context items" in first["filtersPassed"]
    levels = answer["explanation"]["levels"]
    assert [level["models"] for level in levels] == [["also_bought"], ["top_bought"]]
    assert levels[0]["dropped"] == {"blacklist of the visitor": 1}
    assert "explanation" not in shop.get("ann/popular").json


def test_alphanumeric_ids_are_text(home: Home) -> None:
    shop = Installation(home, website(item_ids="alphanumeric"))
    answer = shop.get("ann/product_page?contextitems=1&numrecs=1").json
    assert answer["contextItems"][0]["itemId"] == "1"
    assert answer["recommendationItems"][0]["itemId"] == "2"
    shop.close()


def test_answers_about_nobody_may_be_kept_others_not(shop: Installation) -> None:
    open_answer = shop.get("not_defined/landing_page").headers
    assert open_answer["Cache-Control"] == "max-age=1800"  # new_in is built every hour
    personal = shop.get("ann/landing_page").headers
    assert personal["Cache-Control"] == "private, no-store"
    assert abs(parsedate_to_datetime(personal["Expires"]).timestamp() - time.time()) < 5


@pytest.mark.parametrize(("seconds", "life"), [([600], 300), ([3600, 86400], 1800), ([10**7], 86400), ([], 300)])
def test_answers_keep_half_the_shortest_build_interval(seconds: list[int], life: int) -> None:
    assert lifetime(seconds) == life


def test_an_answer_that_did_not_change_is_304_for_nobody_only(shop: Installation) -> None:
    _age(shop.home.publications("shop") / "CURRENT", 3600)
    first = shop.get("not_defined/popular")
    known = {"If_Modified_Since": first.headers["Last-Modified"]}
    again = shop.get("not_defined/popular", **known)
    assert (again.status_code, again.data) == (304, b"")
    assert shop.get("ann/popular", **known).status_code == 200
    assert shop.get("not_defined/popular", If_Modified_Since="yesterday").status_code == 200
    shop.publish(website(), 2)
    assert shop.get("not_defined/popular", **known).status_code == 200


def test_a_fresh_publication_has_no_date_yet(shop: Installation) -> None:
    assert "Last-Modified" not in shop.get("not_defined/popular").headers


def test_a_publication_changes_between_two_requests_and_a_broken_one_does_not(shop: Installation) -> None:
    assert shop.ids("not_defined/popular?numrecs=1") == [6]
    changed = {**MODELS, "top_bought": ranking(site_1=[(0, 1.0)])}
    shop.publish(website(), 2, models=changed)
    assert shop.ids("not_defined/popular?numrecs=1") == [1]
    shop.publish(website(), 3)
    newest = sorted(shop.home.publications("shop").glob("2026*"))[-1]
    (newest / "manifest.json").write_text("{}")
    assert shop.ids("not_defined/popular?numrecs=1") == [1]


def test_two_websites_with_the_same_ids_never_see_each_other(home: Home) -> None:
    odd = website()
    even = website(website="other", customer_id="00002")
    shop = Installation(home, odd, even)
    shop.publish(odd, 2, models={**MODELS, "top_bought": ranking(site_1=[(0, 3.0), (2, 2.0), (4, 1.0)])})
    shop.publish(even, 2, models={**MODELS, "top_bought": ranking(site_1=[(1, 3.0), (3, 2.0), (5, 1.0)])})
    shop.happened("ann", ("click", "3"), ("basket", "1"), ("buy", "5"), name="shop")
    assert shop.ids("ann/popular") == [1, 3, 5]
    assert shop.get("ann/product_page?contextitems=BASKET").json["contextItems"][0]["viewers"] == 0
    other = shop.client.get("/api/v2/00002/ann/popular").json
    assert [one["itemId"] for one in other["recommendationItems"]] == [2, 4, 6]
    assert shop.client.get("/api/v2/00002/ann/only_personal").status_code == 409
    assert (
        shop.client.get("/api/v2/00002/ann/product_page?contextitems=BASKET,3").json["contextItems"][0]["viewers"] == 0
    )
    shop.close()


def test_without_the_live_store_the_answer_comes_and_says_so(home: Home) -> None:
    (home.root / "live.db").write_text("this is no database, " * 100)
    shop = Installation(home, website())
    started = time.perf_counter()
    response = shop.get("ann/product_page?contextitems=1&numrecs=2")
    assert time.perf_counter() - started < 10
    assert [one["itemId"] for one in response.json["recommendationItems"]] == [2, 3]
    assert response.headers["X-Live-History"] == "unavailable"
    assert "viewers" not in response.json["contextItems"][0]
    shop.close()


def _age(path: Path, seconds: float) -> None:

    os.utime(path, (time.time() - seconds, time.time() - seconds))
