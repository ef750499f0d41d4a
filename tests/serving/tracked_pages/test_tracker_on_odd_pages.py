"""The browser tracker on pages that are left early, broken, restricted or that say odd things, in a real browser."""

from __future__ import annotations

import time
from typing import Any

import pytest

from serving.tracking.tracker_script import SCRIPT
from tests.serving.tracked_pages.site import Server, Shop, click, cookie

LEAVING = 'addEventListener("pagehide", function () { _ycq.push(["_trackEvent", "1", "consume", "ITEM", "ann"]); });'


def test_what_is_pushed_when_the_page_is_left_arrives(server: Server, shop: Shop, page: Any) -> None:
    link = f"""<a href="/left-for" onclick='{click(142)}'>next</a>"""
    page.goto(shop.page("/leaving", LEAVING.replace("ITEM", "141"), body=link))
    page.wait_for_function("_ycq.started")
    shop.page("/left-for")
    page.click("a")
    page.wait_for_url("**/left-for")
    assert {event.event for event in server.wait_for(2, "141", "142")} == {"click", "consume"}
    assert {kind for kind, _ in page.calls} == {"ping"}


@pytest.mark.e2e
@pytest.mark.parametrize(("beacons", "item"), [("undefined", "143"), ("() => false", "145")])
def test_without_beacons_pixels_are_sent_also_when_the_page_is_left(
    server: Server, shop: Shop, page: Any, beacons: str, item: str
) -> None:
    """A pixel on its way may die with the page (about 1 of 50 clicks on a busy machine): the first is waited for."""
    page.add_init_script(f"Navigator.prototype.sendBeacon = {beacons}")
    page.goto(shop.page(f"/leaving-{item}", LEAVING.replace("ITEM", item) + click(144)))
    server.wait_for(1 if item == "143" else 2, "144")
    page.goto(shop.page("/left-for"))
    server.wait_for(1, item)
    assert {kind for kind, _ in page.calls} == {"image"}


@pytest.mark.e2e
def test_a_followed_recommendation_is_told_once_with_its_scenario(server: Server, shop: Shop, page: Any) -> None:
    commands = '_ycq.push(["_trackTimedEvent", "2", "consume", "151", "1", ""]);' + click(151, "") + click(152, "")
    address = shop.page("/recommended", commands)
    page.goto(f"{address}?page=1&ycreco=true&scenario=product_page&modelid=2&lang=whatever#top")
    events = server.wait_for(4, "151", "152")
    (followed,) = [event for event in events if event.event == "clickrecommended"]
    assert (followed.item_type, followed.item, followed.scenario, followed.model) == (2, "151", "product_page", "2")
    assert len({event.visitor for event in events}) == 1


@pytest.mark.e2e
def test_an_address_that_only_looks_like_a_recommendation_is_none(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/unmarked", click(155)) + "?ycreco=truely&notycreco=true&scenario=product_page")
    server.wait_for(1, "155")


@pytest.mark.e2e
def test_a_page_that_tells_itself_that_it_was_recommended_is_not_counted_twice(
    server: Server, shop: Shop, page: Any
) -> None:
    own = '_ycq.push(["_trackEvent", "1", "clickrecommended", "157", "ann", "?scenario=landing_page"]);'
    page.goto(shop.page("/tells-itself", own + click(157)) + "?ycreco=true&scenario=product_page")
    assert sorted(event.scenario for event in server.wait_for(2, "157")) == ["", "landing_page"]


BROKEN = """
    _ycq.push(null, undefined, 7, "_trackEvent", [], [null], {}, ["_unknown"], ["constructor"], ["__proto__", 1],
              ["_trackEvent"], ["_trackEvent", "1", "click", ""], ["_trackEvent", "1", "click", "\\ud800", "ann"],
              ["_trackTimedEvent", "1", "click", "161", "soon", "ann"], ["_trackTimedEvent", "1", "click", "161"],
              ["_trackTimedEvent", "1", "click", "161", "99999999999", "ann"], ["_setHost"], ["_setHost", "%%%"],
              ["_login"], ["_login", "", "ann"], ["_setMandator"], ["_trackEvent", "1", "click", Symbol("x"), "ann"],
              {get 0() { throw new Error("from a getter"); }});
"""


@pytest.mark.e2e
def test_broken_commands_stop_none_that_come_later(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/broken", BROKEN + click(162)))
    server.wait_for(1, "161", "162")
    page.evaluate(BROKEN + click(163))
    server.wait_for(2, "161", "162", "163")
    assert [url[-3:] for _, url in page.calls] == ["162", "163"]  # nothing else was even tried


@pytest.mark.e2e
def test_commands_wait_for_the_customer(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/empty"))
    late = "_ycq.push(['_setAccount', '00001'])"
    page.set_content(f"<script>_ycq = []; {click(165)}</script><script src='{shop.tracker}'></script>")
    page.evaluate(click(166) + late)
    server.wait_for(2, "165", "166")


@pytest.mark.e2e
def test_events_go_to_the_host_that_the_page_names(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/hosts", script="<script></script>"))
    for item, host in ((167, server.address), (168, server.address.removeprefix("http:")), (169, server.address[7:])):
        page.evaluate(
            f"_ycq = [['_setMandator', '00001'], ['_setHost', '{host}/']]; {click(item)} {SCRIPT.read_text()}"
        )
    server.wait_for(3, "167", "168", "169")


@pytest.mark.e2e
def test_a_login_names_the_cookie_and_the_account(server: Server, shop: Shop, page: Any) -> None:
    page.goto(shop.page("/login", click(171, "")))
    server.wait_for(1, "171")
    made = cookie(page)
    assert made
    with page.expect_response(lambda answer: "/login/" in answer.url) as told:
        page.evaluate("_ycq.push(['_login', '', 'ann@example.org'])")
    assert told.value.url == f"{server.address}/api/00001/login/{made['value']}/ann%40example.org"
    assert told.value.status in (200, 204)
    (login,) = (event for event in server.stored("") if event.event == "login")
    assert (login.source_visitor, login.visitor) == (server.visitor(made["value"]), server.visitor("ann@example.org"))


@pytest.mark.e2e
@pytest.mark.parametrize(("directive", "item"), [("connect-src", 181), ("img-src", 184)])
def test_a_strict_policy_needs_to_allow_beacons_or_pixels_not_both(
    server: Server, shop: Shop, page: Any, directive: str, item: int
) -> None:
    policy = (
        f"default-src 'none'; script-src 'nonce-n'; {directive} {server.address}; require-trusted-types-for 'script'"
    )
    script = f'<script nonce="n" async src="{shop.tracker}"></script>'
    page.goto(
        shop.page(
            f"/policy-{item}", click(item) + click(item + 1, "ann", ", {lang: 'eng-GB'}"), policy=policy, script=script
        )
    )
    server.wait_for(2, str(item), str(item + 1))
    page.evaluate(click(item + 2))
    server.wait_for(3, *(str(item + more) for more in range(3)))
    assert "image" in [kind for kind, _ in page.calls] or directive == "connect-src"


@pytest.mark.e2e
def test_a_policy_that_only_reports_makes_no_event_twice(server: Server, shop: Shop, page: Any) -> None:
    told = "<script>reports = 0; document.addEventListener('securitypolicyviolation', () => reports++)</script>"
    script = f'{told}<script async src="{shop.tracker}"></script>'
    page.goto(shop.page("/reporting", click(187), policy="connect-src 'none'", report_only=True, script=script))
    page.wait_for_function("reports")
    server.wait_for(1, "187")


def global_names(page: Any) -> list[str]:
    return list(page.evaluate("Object.getOwnPropertyNames(window).sort()"))


@pytest.mark.e2e
def test_nothing_is_global_but_the_queue_and_a_second_script_changes_nothing(
    server: Server, shop: Shop, page: Any
) -> None:
    page.goto(shop.page("/twice", click(191)))
    page.wait_for_function("_ycq.started")
    before = global_names(page)
    page.add_script_tag(url=shop.tracker)
    page.evaluate(click(192))
    server.wait_for(2, "191", "192")
    assert global_names(page) == before
    page.goto(shop.page("/plain", script="<script></script>"))
    assert sorted(set(before) - set(global_names(page))) == []


@pytest.mark.e2e
def test_a_page_that_is_only_prepared_sends_nothing_until_it_is_shown(server: Server, shop: Shop, page: Any) -> None:
    page.add_init_script("Object.defineProperty(document, 'prerendering', {value: true})")
    page.goto(shop.page("/prepared", click(195)))
    page.wait_for_function("_ycq.started")
    time.sleep(0.2)
    assert server.stored("195") == []
    page.evaluate("document.dispatchEvent(new Event('prerenderingchange'))")
    server.wait_for(1, "195")
