"""Snippets as websites that come from Ibexa or YOOCHOOSE have them: only the host is another one."""

from __future__ import annotations

from typing import Any

import pytest

from serving.tracking.tracker_script import FORMER_NAMES
from tests.serving.tracked_pages.site import Server, Shop, click

SNIPPET = """
<script type="text/javascript">
  var _ycq = _ycq || [];
  _ycq.push(['_setMandator', '00001']);
  _ycq.push(['_trackEvent', '1', 'click', 'ITEM', '']);
  (function() {
    var made = document.createElement('script');
    made.type = 'text/javascript';
    made.async = true;
    made.src = ('https:' == document.location.protocol ? 'https://' : 'http://') + 'SCRIPT';
    var first = document.getElementsByTagName('script')[0];
    first.parentNode.insertBefore(made, first);
  })();
</script>
"""


@pytest.mark.e2e
@pytest.mark.parametrize(("item", "name"), list(enumerate(FORMER_NAMES, 301)))
def test_a_snippet_that_loads_a_former_name_works_with_the_new_host(
    server: Server, shop: Shop, page: Any, name: str, item: int
) -> None:
    host = server.address.removeprefix("http://")
    html = SNIPPET.replace("ITEM", str(item)).replace("SCRIPT", f"{host}/{name}")
    shop.pages[f"/{name}"] = ('<!doctype html><link rel="icon" href="data:,">' + html, {})
    page.goto(f"{shop.address}/{name}")
    (event,) = server.wait_for(1, str(item))
    assert (event.event, event.item_type) == ("click", 1)
    assert event.visitor


@pytest.mark.e2e
def test_a_user_who_is_undefined_is_anonymous(server: Server, shop: Shop, page: Any) -> None:
    """Templates write the word for a variable that they lack: as an id it would make one visitor of all."""
    page.goto(shop.page("/undefined", click(311, "undefined") + click(312, "")))
    first, second = server.wait_for(2, "311", "312")
    assert first.visitor == second.visitor != server.visitor("undefined")


@pytest.mark.e2e
def test_a_cookie_that_the_website_wrote_encoded_names_the_decoded_user(server: Server, shop: Shop, page: Any) -> None:
    """The website's server asks for recommendations with the id that it encoded into the cookie."""
    made = {"name": "YCID", "value": "ann%40example.org", "url": shop.address}
    page.context.add_cookies([made])
    page.goto(shop.page("/encoded", click(313, "")))
    (event,) = server.wait_for(1, "313")
    assert event.visitor == server.visitor("ann@example.org")
    assert page.evaluate("document.cookie") == "YCID=ann%40example.org"
    page.context.add_cookies([{**made, "value": "100%"}])
    page.goto(shop.page("/not-encoded", click(314, "")))
    (event,) = server.wait_for(1, "314")
    assert event.visitor == server.visitor("100%")


@pytest.mark.e2e
def test_a_page_view_without_an_item_is_of_the_page_by_its_title(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/titled", '_ycq.push(["_trackPageview"]); document.title = "315";'))
    (event,) = server.wait_for(1, "315")
    assert (event.event, event.item_type) == ("click", 1)


@pytest.mark.e2e
def test_a_page_of_another_origin_reads_recommendations_by_jsonp_and_by_fetch(
    server: Server, shop: Shop, page: Any
) -> None:
    """Clients of the former service ask by either; the answers are open, as they name items alone."""
    asked = f"{server.address}/api/v2/00001/ann/product_page"
    show = "<script>function show(answer) { shown = answer.recommendationItems.map(item => item.itemId); }</script>"
    ask = f'<script async src="{asked}.jsonp?contextitems=1&jsonpCallback=show"></script>'
    page.goto(shop.page("/asking", body=show + ask))
    page.wait_for_function("window.shown")
    assert page.evaluate("shown")[:2] == [2, 3]
    fetched = f"fetch('{asked}?contextitems=1').then(answer => answer.json())"
    assert page.evaluate(f"{fetched}.then(said => said.recommendationItems.map(item => item.itemId))")[:2] == [2, 3]
