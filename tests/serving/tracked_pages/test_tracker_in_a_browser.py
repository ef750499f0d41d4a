"""The browser tracker in a real browser: pages of a website of another origin, a real server, the log afterwards.

Each test has items of its own, so that an event that comes late is never another test's. Three of them run
with every `make test`, the others with `make e2e`.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from serving.tracking.tracker_script import SCRIPT
from tests.serving.tracked_pages.site import NINETY_DAYS, Server, Shop, click, cookie


def test_commands_pushed_before_and_after_the_script_arrive_once(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/queue", click(101) + click(102)))
    server.wait_for(2, "101", "102")
    page.evaluate(click(103))
    page.evaluate("_ycq.push(['_trackEvent', '1', 'basket', '101', 'ann'], ['_trackPageview', '104', 'ann'])")
    page.evaluate("_ycq.push(['_trackEvent', 'buy', '2', '105', 'ann', '?quantity=2&fullprice=3.50EUR'])")
    events = server.wait_for(6, "101", "102", "103", "104", "105")
    assert sorted((event.event, event.item_type, event.item) for event in events) == [
        ("basket", 1, "101"), ("buy", 2, "105"), ("click", 1, "101"), ("click", 1, "102"), ("click", 1, "103"),
        ("click", 1, "104"),
    ]  # fmt: skip
    assert {event.visitor for event in events} == {server.visitor("ann")}
    assert cookie(page) is None  # a visitor with a name needs none


@pytest.mark.e2e
def test_the_script_may_be_a_module_and_the_queue_a_constant(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/module", click(107), script=f'<script type="module" src="{shop.tracker}?v=2"></script>'))
    server.wait_for(1, "107")
    queue = f'<script>const _ycq = [["_setMandator", "00001"]]; {click(108)}</script>'
    html = f'<!doctype html>{queue}<script src="{shop.tracker}"></script><script>{click(109)}</script>'
    shop.pages["/constant"] = (html, {})
    page.goto(shop.address + "/constant")
    server.wait_for(3, "107", "108", "109")


def test_an_anonymous_visitor_gets_a_cookie_and_keeps_it(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/anonymous", click(111, "")))
    (first,) = server.wait_for(1, "111")
    made = cookie(page)
    assert made
    assert len(made["value"]) == 32
    assert (made["sameSite"], made["path"], made["secure"]) == ("Lax", "/", False)
    assert abs(made["expires"] - time.time() - NINETY_DAYS) < 60

    page.context.add_cookies([{**made, "expires": time.time() + 100}])
    page.goto(shop.page("/anonymous-again", '_ycq.push(["_trackEvent", 1, "click", 112]);'))
    (second,) = server.wait_for(1, "112")
    kept = cookie(page)
    assert kept
    assert kept["value"] == made["value"]
    assert abs(kept["expires"] - time.time() - NINETY_DAYS) < 60  # renewed
    assert first.visitor == second.visitor == server.visitor(made["value"])


@pytest.mark.e2e
def test_a_cookie_of_the_former_tracker_goes_on(server: Server, shop: Shop, page: Any) -> None:
    page.context.add_cookies([{"name": "YCID", "value": "1b2c-old", "url": shop.address}])
    page.goto(shop.page("/old-cookie", click(115, "")))
    (event,) = server.wait_for(1, "115")
    assert event.visitor == server.visitor("1b2c-old")


@pytest.mark.e2e
def test_a_visitor_who_keeps_no_cookie_or_wants_none_is_nobody(server: Server, shop: Shop, page: Any) -> None:
    page.add_init_script("Object.defineProperty(Document.prototype, 'cookie', {get: () => '', set: () => {}})")
    page.goto(shop.page("/no-cookie", click(116, "") + click(117, "not_defined")))
    assert {event.visitor for event in server.wait_for(2, "116", "117")} == {""}
    assert cookie(page) is None


@pytest.mark.e2e
def test_a_page_in_a_sandbox_has_no_cookie_and_is_still_counted(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/sandbox", click(118, ""), policy="sandbox allow-scripts"))
    (event,) = server.wait_for(1, "118")
    assert event.visitor == ""


@pytest.mark.e2e
def test_the_cookie_is_secure_on_an_encrypted_page(shop: Shop, page: Any) -> None:
    page.route("https://shop.example/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto("https://shop.example/")
    page.route("**/api/**", lambda route: route.fulfill(status=204))
    page.evaluate(f"var _ycq = [['_setMandator', '00001'], ['_trackPageview', '1']]; {SCRIPT.read_text()}")
    made = cookie(page)
    assert made
    assert made["secure"] is True


@pytest.mark.e2e
def test_the_extra_query_string_arrives_in_each_of_its_forms(server: Server, shop: Shop, page: Any) -> None:
    texts = [', "?lang=eng-GB&segments=7,11"', ', "lang=eng-GB"', ', "/Women/Shirts", "lang=deu-DE"',
             ', {categorypath: ["/A & B", "/C"], lang: null}']  # fmt: skip
    page.goto(shop.page("/extra", "".join(click(item, "ann", text) for item, text in enumerate(texts, 121))))
    events = {event.item: event for event in server.wait_for(4, "121", "122", "123", "124")}
    assert (events["121"].language, events["121"].segments) == ("eng-GB", (7, 11))
    assert events["122"].language == "eng-GB"
    assert (events["123"].categories, events["123"].language) == (("/Women/Shirts",), "deu-DE")
    assert (events["124"].categories, events["124"].language) == (("/A & B", "/C"), "")


@pytest.mark.e2e
def test_a_timed_event_waits_for_its_visible_time(server: Server, shop: Shop, page: Any) -> None:
    page.add_init_script("""
        let seen = 'hidden';
        Object.defineProperty(document, 'visibilityState', {get: () => seen});
        window.look = now => { seen = now; document.dispatchEvent(new Event('visibilitychange')); };
    """)
    timed = '_ycq.push(["_trackTimedEvent", "1", "consume", "131", "200", "ann", "?percentage=50"]);'
    page.goto(shop.page("/timed", timed + click(132)))
    server.wait_for(1, "132")
    time.sleep(0.4)
    assert server.stored("131") == []
    page.evaluate("look('visible')")
    (event,) = server.wait_for(1, "131")
    assert (event.event, event.percentage) == ("consume", 50)


@pytest.mark.e2e
def test_a_time_is_the_number_that_its_text_begins_with(server: Server, shop: Shop, page: Any) -> None:
    times = [(137, "20s"), (138, " 30 ms"), (139, "0.9")]
    timed = [f'_ycq.push(["_trackTimedEvent", "1", "click", "{item}", "{time}", "ann"]);' for item, time in times]
    page.goto(shop.page("/units", "".join(timed)))
    assert {event.event for event in server.wait_for(3, "137", "138", "139")} == {"click"}


@pytest.mark.e2e
def test_a_timed_event_is_not_sent_by_who_leaves_before(server: Server, shop: Shop, page: Any) -> None:
    page.goto(
        shop.page("/left-early", '_ycq.push(["_trackTimedEvent", "1", "consume", "133", "1500", ""]);' + click(134))
    )
    server.wait_for(1, "134")
    page.goto(shop.page("/left-to"))
    time.sleep(1.7)
    assert server.stored("133") == []
