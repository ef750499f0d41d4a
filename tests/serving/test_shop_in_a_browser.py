"""The shop in a real browser against a real server: the script, the policy and the protocol together."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from personalization_pipelines.foundation.home import Home
from tests.ports import free_port
from tests.scenarios.publishing import Item
from tests.serving.shopfront import MODELS, SCENARIOS, Installation, website, write_yaml
from tests.serving.tracked_pages.site import CHROMIUM, OPTIONS, wait

SERVE = """
import sys
from pathlib import Path
from personalization_pipelines.foundation.home import Home
from serving.server import serve
if __name__ == "__main__":
    serve(Home(Path(sys.argv[1])), port=int(sys.argv[2]), shop="shop")
"""
TITLES = ["one", "two", "three", "four", "five", "Five"]
# A ring: who looked at a product gets the next two (tests/serving/shopfront.py).
ITEMS = [Item(1, str(n), ["/Ring"], 100 * n, attributes={"title": [title]}) for n, title in enumerate(TITLES, 1)]
ITEMS += [Item(2, "70"), Item(2, "71")]


@pytest.fixture
def server(home: Home, tmp_path: Path) -> Iterator[str]:
    """The address of a server process with a shop."""
    changes = {
        "currency": "USD",
        "scenarios": {name: SCENARIOS[name] for name in ("landing_page", "popular", "product_page")},
    }
    installation = Installation(home, website(**changes))
    installation.publish(website(**changes), 2, items=ITEMS, models=MODELS)
    installation.close()
    write_yaml(home, **changes)
    port = free_port()
    script = tmp_path / "serve.py"
    script.write_text(SERVE)
    root = Path(__file__).parents[2]
    with (tmp_path / "server.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, script, home.root, str(port)], env={"PYTHONPATH": str(root)}, stdout=output, stderr=output
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait(address + "/readyz", process, tmp_path / "server.txt")
            yield address
        finally:
            process.terminate()
            process.wait(15)


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a headless browser; what its console and network complain about is in `page.complaints`."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page()
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "response",
            lambda answer: page.complaints.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
        )
        yield page
        browser.close()


def _keys(page: Any, scenario: str) -> list[str]:
    page.wait_for_selector(f"[data-scenario={scenario}] [data-key]")
    return [
        card.get_attribute("data-key") for card in page.query_selector_all(f"[data-scenario={scenario}] [data-key]")
    ]


def test_a_visitor_clicks_through_the_shop_and_the_boxes_follow(server: str, page: Any) -> None:
    page.goto(server + "/demo/")
    assert _keys(page, "popular")[0] == "1:6"

    with page.expect_request(lambda request: "/clickrecommended/" in request.url):
        page.click("[data-scenario=popular] [data-key='1:3']")
    page.wait_for_selector("[data-product='1:3']")
    assert _keys(page, "product_page")[:2] == ["1:4", "1:5"]  # the ring around 3

    page.click("[data-do=basket]")
    page.wait_for_selector("[data-count]:text-is('1')")  # no script: the page's policy forbids to evaluate texts
    page.wait_for_timeout(1500)
    page.goto(server + "/demo/")
    assert "1:4" in _keys(page, "landing_page")[:2]  # for_you follows the basket
    assert "put in the basket" in page.inner_text("main")

    page.click("[data-scenario=landing_page] [data-why]")
    page.wait_for_selector("[data-scenario=landing_page] [data-reasons] ol li")
    reasons = page.inner_text("[data-scenario=landing_page] [data-reasons]")
    assert "curl 'http://" in reasons
    assert "for_you (item_knn)" in reasons

    page.click(".cart")
    page.wait_for_selector("[data-line='1:3']")
    with page.expect_request(lambda request: "/buy/" in request.url and "fullprice=3.00USD" in request.url):
        page.click("[data-do=checkout]")
    page.wait_for_url("**/demo/")
    page.wait_for_selector("[data-scenario=landing_page] [data-key]")
    assert page.inner_text("[data-count]") == "0"
    assert page.complaints == []


@pytest.mark.parametrize("shown", ["3", "6"])
def test_a_box_shows_a_name_once_and_never_the_product_of_its_page(server: str, page: Any, shown: str) -> None:
    page.goto(f"{server}/demo/item/1/{shown}")
    own = page.get_attribute("[data-product]", "data-name")
    for scenario in ("product_page", "landing_page", "popular"):
        _keys(page, scenario)
        cards = page.query_selector_all(f"[data-scenario={scenario}] [data-key]")
        names = [card.get_attribute("data-name") for card in cards]
        assert names
        assert own not in names  # 5 and 6 are both called five
        assert len(set(names)) == len(names)
    assert page.complaints == []


def test_a_box_begins_with_what_no_box_above_shows(server: str, page: Any) -> None:
    page.goto(server + "/demo/item/1/1")
    above = _keys(page, "product_page")
    assert above[:2] == ["1:2", "1:3"]  # the ring around 1
    below = _keys(page, "popular")
    repeated = [key in above for key in below]
    assert repeated == sorted(repeated)


def test_nothing_is_wider_than_a_phone_and_nothing_floats_over_the_tiles(server: str, page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/demo/", "/demo/in/Ring", "/demo/item/1/3", "/demo/basket"):
        page.goto(server + path)
        page.wait_for_selector("[data-cards][aria-busy]", state="detached")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for part in page.query_selector_all(".bar > *"):
            box = part.bounding_box()
            assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] <= 58)
        assert page.evaluate("getComputedStyle(document.querySelector('.wire')).position") == "static"
        assert page.query_selector(".departments").bounding_box()["height"] <= 44
