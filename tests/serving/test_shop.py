from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.foundation.home import Home
from personalization_pipelines.scenarios.plan import make_plan
from serving.app import create_app_with
from serving.services import Services
from serving.shop.basket import MAX_LINES, read_basket
from serving.shop.catalogue import Card, money, readable
from serving.shop.places import boxes
from serving.shop.tiles import tile
from tests.scenarios.publishing import Item, ranking
from tests.serving.shopfront import Installation, scenario, website

HOSTILE = "\"'><script>alert(1)</script>&amp;"
ITEMS = [
    Item(1, "1", ["/Dairy/Milk"], price_minor=260, attributes={"title": ["FLUID MILK"], "brand": ["Private"]}),
    Item(1, "2", ["/Dairy/Cheese"], price_minor=167, attributes={"title": ["Shredded cheese"]}),
    Item(1, "3", ["/Bread"], price_minor=88),
    Item(1, "4", ["/Bread"], allowed=False),
    Item(1, f"a {HOSTILE.replace('/', '')}", [f"/{HOSTILE.replace('/', '')}"], attributes={"title": [HOSTILE]}),
    Item(2, "70"),
]
MILKS = {"1": "WHITE MILK", "2": "Oat milk", "3": "White milk", "4": "white milk"}
POPULAR = ranking(site_1=[(2, 9.0), (1, 8.0), (0, 7.0)], **{"category_1:/Dairy": [(1, 8.0), (0, 7.0)]})


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, tag: str, name: str) -> list[str | None]:
        return [found[name] for kind, found in self.tags if kind == tag and name in found]


class ShopFront:
    """A published website with its shop; `client` keeps cookies as a browser does."""

    def __init__(self, home: Home, shop: str | None = "shop", items: list[Item] = ITEMS, **changes: Any) -> None:
        site = website(item_ids="alphanumeric", **{"currency": "USD", **changes})
        self.installation = Installation(home, site)
        models = {"top_bought": POPULAR, "also_bought": ranking(), "for_you": ranking()}
        models |= {"new_in": ranking(), "picks": ranking(), "never": ranking()}
        self.installation.publish(site, 2, items=items, models=models)
        services: Services = self.installation.app.extensions["personalization"]
        self.client: FlaskClient = create_app_with(services, shop=shop).test_client()

    def get(self, path: str, status: int = 200) -> Page:
        response = self.client.get(path)
        assert response.status_code == status, response.text
        return Page(response.text)


@pytest.fixture
def front(home: Home) -> Iterator[ShopFront]:
    made = ShopFront(home)
    yield made
    made.installation.close()


PAGES = ["/demo/", "/demo/in/Dairy", "/demo/in/Dairy/Milk", "/demo/item/1/1", "/demo/item/2/70", "/demo/basket"]


@pytest.mark.parametrize("path", [*PAGES, "/demo/cards?item=1:1", "/demo/nowhere", "/demo/item/1/nothing"])
def test_every_page_works_under_a_policy_without_inline_code(front: ShopFront, path: str) -> None:
    response = front.client.get(path)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    for tag, attributes in Page(response.text).tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src", "").startswith("/demo/static/")  # type: ignore[union-attr]
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith(("/demo/", "#content", "/"))


def test_hostile_texts_of_a_catalogue_stay_texts(front: ShopFront) -> None:
    name = quote(HOSTILE.replace("/", ""))
    for path in (f"/demo/item/1/a%20{name}", f"/demo/in/{name}", f"/demo/cards?item=1:a%20{name}"):
        page = front.get(path)
        assert "alert(1)" in page.text
        assert page.values("script", "src") in (["/demo/static/shop.js"], [])


def test_a_hostile_user_id_stays_a_text(front: ShopFront) -> None:
    front.client.post("/demo/visitor", data={"user": HOSTILE})
    page = front.get("/demo/")
    assert page.values("body", "data-user") == [HOSTILE]
    assert page.values("script", "src") == ["/demo/static/shop.js"]


def test_the_shop_is_served_only_where_it_is_asked_for(home: Home) -> None:
    front = ShopFront(home, shop=None)
    assert front.client.get("/demo/").status_code == 404
    front.installation.close()


def test_a_shop_of_an_unknown_website_says_so(home: Home) -> None:
    front = ShopFront(home, shop="other")
    assert "There is no website 'other'" in front.get("/demo/", 503).text
    front.installation.close()


def test_a_shop_without_a_publication_says_what_to_run(home: Home) -> None:
    front = ShopFront(home)
    (home.publications("shop") / "CURRENT").unlink()
    assert "personalization build --website shop" in front.get("/demo/", 503).text
    front.installation.close()


@pytest.mark.parametrize(
    "path", ["/demo/item/1/9", "/demo/item/3/1", "/demo/in/Nothing", "/demo/x", "/demo/tile/1/9.svg"]
)
def test_what_the_shop_does_not_have_is_not_found(front: ShopFront, path: str) -> None:
    assert "To the shop" in front.get(path, 404).text


def test_a_category_shows_what_is_most_wanted_first_and_nothing_that_is_not_for_sale(front: ShopFront) -> None:
    assert front.get("/demo/in/Dairy").values("a", "data-key") == ["1:2", "1:1"]
    assert front.get("/demo/in/Bread").values("a", "data-key") == ["1:3"]


def test_a_shelf_shows_a_name_once_and_counts_it_once(home: Home) -> None:
    milk = [Item(1, item, ["/Dairy/Milk"], attributes={"title": [title]}) for item, title in MILKS.items()]
    front = ShopFront(home, items=[*milk, Item(1, "9", ["/Dairy/Milk"]), Item(2, "70", ["/Dairy/Milk"])])
    page = front.get("/demo/in/Dairy")
    assert page.values("a", "data-name") == ["oat milk", "white milk", "item 9", "item 70"]
    assert page.values("a", "data-key") == ["1:2", "1:1", "1:9", "2:70"]  # 2 is the most wanted, then 1 of its name
    assert "4 products" in page.text
    assert "Milk 4" in re.sub(r"\s+", " ", page.text)
    front.installation.close()


def test_packages_of_one_product_share_a_name_and_have_tiles_of_their_own(home: Home) -> None:
    sizes = {"1": "1 gal", "2": "1/2 gal"}
    milk = [
        Item(1, item, ["/Milk"], attributes={"title": [f"White milk, {size}"], "package_size": [size]})
        for item, size in sizes.items()
    ]
    front = ShopFront(home, items=[*milk, *ITEMS[2:]])
    page = front.get("/demo/in/Milk")
    assert page.values("a", "data-key") == ["1:1", "1:2"]
    assert page.values("a", "data-name") == ["white milk", "white milk"]
    front.installation.close()


def test_pictures_say_what_they_show(front: ShopFront) -> None:
    assert front.get("/demo/item/1/1").values("img", "alt") == ["Drawing of a carton of milk"]
    assert front.get("/demo/in/Dairy").values("img", "alt") == [
        "Drawing of a piece of cheese",
        "Drawing of a carton of milk",
    ]


@pytest.mark.parametrize("page", ["2", "-1", "x", "9" * 30])
def test_a_page_number_outside_the_category_shows_a_page_of_it(front: ShopFront, page: str) -> None:
    assert len(front.get(f"/demo/in/Dairy?page={page}").values("a", "data-key")) == 2


def test_a_product_page_shows_title_category_brand_and_price(front: ShopFront) -> None:
    page = front.get("/demo/item/1/1")
    assert all(text in page.text for text in ("Fluid milk", "Dairy", "Milk", "Private", "$2.60"))
    assert page.values("article", "data-price") == ["2.60USD"]
    assert page.values("article", "data-path") == ["/Dairy/Milk"]


def test_boxes_ask_the_scenarios_of_their_page(front: ShopFront) -> None:
    assert set(front.get("/demo/").values("section", "data-scenario")) >= {"landing_page", "popular"}
    page = front.get("/demo/item/1/1")
    assert "product_page" in page.values("section", "data-scenario")
    assert "1" in page.values("section", "data-context")


def test_an_item_of_a_type_no_scenario_starts_from_has_no_box(front: ShopFront) -> None:
    assert front.get("/demo/item/2/70").values("section", "data-scenario") == []


def test_scenarios_with_other_names_are_placed_by_what_their_models_need() -> None:
    scenarios = {"first": scenario(["top_bought"]), "second": scenario(["also_bought"]), "cart": scenario(["for_you"])}
    plan = make_plan(website(scenarios=scenarios))
    assert [box.scenario for box in boxes(plan, "landing")] == ["first"]
    assert [box.scenario for box in boxes(plan, "product")] == ["second"]
    assert [box.scenario for box in boxes(plan, "basket")] == ["cart"]
    assert boxes(plan, "category") == []


def test_a_category_page_has_the_boxes_that_follow_its_category() -> None:
    level = {"models": ["top_bought"], "category": {"same": True}}
    plan = make_plan(website(scenarios={"landing_page": scenario(level)}))
    assert [box.scenario for box in boxes(plan, "category")] == ["landing_page"]
    assert [box.scenario for box in boxes(plan, "basket")] == []


def test_the_cards_of_an_answer_come_in_its_order_without_unknown_items(front: ShopFront) -> None:
    path = f"/demo/cards?item=1:3&item=1:9&item=1:1&item=x&item=:&item={'9' * 5000}:1&item=1:2"
    assert front.get(path).values("a", "data-key") == ["1:3", "1:1", "1:2"]


def test_names_are_json(front: ShopFront) -> None:
    assert front.client.get("/demo/names?item=1:1&item=1:3").json == {"1:1": "Fluid milk", "1:3": "Item 3"}


def test_what_was_just_clicked_is_on_the_landing_page(front: ShopFront) -> None:
    front.client.post("/demo/visitor", data={"user": "anna"})
    front.installation.happened("anna", ("click", "2"), ("rendered", "1"), ("basket", "3"))
    text = front.get("/demo/").text
    known = text[text.index("What the service knows") :]
    assert known.index("put in the basket") < known.index("looked at")
    assert "rendered" not in known


def test_a_landing_page_without_a_live_store_still_answers(front: ShopFront) -> None:
    front.installation.home.root.joinpath("live.db").write_bytes(b"no database")
    assert "Welcome" in front.get("/demo/").text


def test_a_new_visitor_is_a_guest_and_stays_one(front: ShopFront) -> None:
    first, second = front.get("/demo/"), front.get("/demo/")
    assert first.values("body", "data-user") == second.values("body", "data-user")
    assert str(first.values("body", "data-user")[0]).startswith("guest-")


@pytest.mark.parametrize("user", ["", "not_defined", "x" * 600, "a\\b", "a\x01b"])
def test_what_is_no_user_id_becomes_a_guest(front: ShopFront, user: str) -> None:
    assert front.client.post("/demo/visitor", data={"user": user}).status_code == 303
    assert str(front.get("/demo/").values("body", "data-user")[0]).startswith("guest-")


def test_another_visitor_has_another_basket(front: ShopFront) -> None:
    front.client.set_cookie("shop_basket", "1:1*2", path="/demo/")
    assert front.get("/demo/basket").values("li", "data-line") == ["1:1"]
    front.client.post("/demo/visitor", data={"user": "ben"})
    assert front.get("/demo/basket").values("li", "data-line") == []


def test_the_basket_adds_up_and_is_the_context_of_its_box(front: ShopFront) -> None:
    front.client.set_cookie("shop_basket", "1:1*2|1:9*5|1:3*1|broken", path="/demo/")
    page = front.get("/demo/basket")
    assert "$6.08" in page.text
    assert set(page.values("section", "data-context")) == {"1,3"}


@given(st.text(max_size=300))
def test_any_cookie_is_a_basket(cookie: str) -> None:
    assert len(read_basket(cookie)) <= MAX_LINES


def test_the_notice_stands_where_the_demonstrations_data_is_shown(home: Home) -> None:
    plain = ShopFront(home)
    assert "Complete Journey" not in plain.get("/demo/").text
    plain.installation.close()
    demo = ShopFront(home, shop="demo", website="demo", customer_id="1000")
    for path in PAGES:
        text = demo.get(path).text
        assert "Complete Journey" in text
        assert "simulated from real shopping patterns" in re.sub(r"\s+", " ", text)
    demo.installation.close()


def card(title: str, category: str = "") -> Card:
    return Card(1, "1", title, "", "", -1, "", category, ())


@given(st.text(max_size=20).filter(lambda text: text.isprintable()), st.text(max_size=30))
def test_every_tile_is_a_picture(title: str, category: str) -> None:
    root = ElementTree.fromstring(tile(card(title, category)))
    assert root.tag.endswith("svg")
    assert not [node for node in root.iter() if "script" in node.tag or "href" in "".join(node.attrib)]


def test_a_tile_shows_what_the_title_says_else_the_initial() -> None:
    milk, dairy, other = tile(card("Fluid milk")), tile(card("Gouda", "/DAIRY")), tile(card("Zither", "/X"))
    assert milk.split("<path")[1] == dairy.split("<path")[1]
    assert ">Z</text>" in other


def test_the_tile_of_an_item_is_an_svg(front: ShopFront) -> None:
    response = front.client.get("/demo/tile/1/1.svg")
    assert response.mimetype == "image/svg+xml"
    assert "max-age=3600" in response.headers["Cache-Control"]


def test_amounts_and_texts_are_readable() -> None:
    assert [money(1234, "USD"), money(5, "EUR"), money(456, "JPY"), money(1234, "KWD"), money(-1, "USD")] == [
        "$12.34",
        "€0.05",
        "¥456",
        "1.234 KWD",
        "",
    ]
    assert [readable("DRUG GM"), readable("iPad"), readable("USB")] == ["Drug gm", "iPad", "USB"]
