"""The browser tracker in a real browser: pages of a website of another origin, a real server, the log afterwards.

Each test has items of its own, so that an event that comes late is never another test's. Three of them run
with every `make test`, the others with `make e2e`.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.log import read_records, segments
from personalization_pipelines.home import Home
from personalization_pipelines.identifiers import pseudonym
from serving.tracker_script import SCRIPT
from tests.serving.shopfront import write_yaml

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SERVE = """
import sys
from pathlib import Path
from personalization_pipelines.home import Home
from serving.server import serve
if __name__ == "__main__":
    serve(Home(Path(sys.argv[1])), port=int(sys.argv[2]))
"""
NINETY_DAYS = 90 * 24 * 3600


@dataclass
class Server:
    """A server process and what it has stored."""

    address: str
    home: Home

    def stored(self, *items: str) -> list[Event]:
        """Return the events of these items, oldest first."""
        found = [decode(one) for segment in segments(self.home.log) for _, one in read_records(segment.path)]
        return sorted((event for event in found if event.item in items), key=lambda event: event.time)

    def wait_for(self, number: int, *items: str) -> list[Event]:
        """Return the events of these items once there are so many, and no more a moment later."""
        deadline = time.monotonic() + 15
        while len(self.stored(*items)) < number and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        found = self.stored(*items)
        assert len(found) == number, found
        return found

    def visitor(self, user: str) -> str:
        return pseudonym(self.home.key, "00001", user)


@dataclass
class Shop:
    """A website of another origin: its pages, and the policy it sends with them."""

    address: str
    tracker: str
    pages: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    def page(
        self, path: str, commands: str = "", *, body: str = "", policy: str = "", report_only: bool = False,
        script: str = ""
    ) -> str:  # fmt: skip
        """Publish a page that pushes commands before the script, which it loads as the README shows; its address."""
        header = "Content-Security-Policy" + "-Report-Only" * report_only
        load = script or f'<script async src="{self.tracker}"></script>'
        queue = f"""<script nonce="n">var _ycq = _ycq || []; _ycq.push(["_setMandator", "00001"]);{commands}</script>"""
        head = '<!doctype html><link rel="icon" href="data:,">'
        self.pages[path] = (f"{head}<title>{path}</title>{queue}{load}<body>{body}", {header: policy} if policy else {})
        return self.address + path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process with one website, not yet built: events need no publication."""
    directory = tmp_path_factory.mktemp("tracker")
    home = Home(directory / "home")
    home.create()
    write_yaml(home)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    (directory / "serve.py").write_text(SERVE)
    command = [sys.executable, directory / "serve.py", home.root, str(port)]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with (directory / "server.txt").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            made = Server(f"http://127.0.0.1:{port}", home)
            _wait(made.address + "/healthz", process, directory / "server.txt")
            yield made
        finally:
            process.terminate()
            process.wait(15)


def _wait(address: str, process: subprocess.Popen[bytes], output: Path) -> None:
    for _ in range(200):
        assert process.poll() is None, output.read_text()
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(output.read_text())


@pytest.fixture(scope="module")
def shop(server: Server) -> Iterator[Shop]:
    """The website's own server."""
    pages: dict[str, tuple[str, dict[str, str]]] = {}

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            html, policy = pages.get(self.path.split("?")[0], ("", {}))
            self.send_response(200 if html else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            for header in policy.items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as website:
        threading.Thread(target=website.serve_forever, daemon=True).start()
        yield Shop(f"http://127.0.0.1:{website.server_port}", server.address + "/tracker.js", pages)
        website.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a visitor of his own; `errors` is what it threw, `calls` its tracking calls: kind and address."""
    context = browser.new_context()
    page = context.new_page()
    page.errors, page.calls = [], []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda one: page.calls.append((one.resource_type, one.url)) if "/api/" in one.url else None)
    yield page
    assert page.errors == []
    context.close()


def cookie(page: Any) -> dict[str, Any] | None:
    return next((one for one in page.context.cookies() if one["name"] == "YCID"), None)


def click(item: int, user: str = "ann", more: str = "") -> str:
    """Return the JavaScript that pushes a click."""
    return f'_ycq.push(["_trackEvent", "1", "click", "{item}", "{user}"{more}]);'


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
    page.goto(shop.page("/module", click(107), script=f'<script type="module" src="{shop.tracker}"></script>'))
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
def test_a_timed_event_is_not_sent_by_who_leaves_before(server: Server, shop: Shop, page: Any) -> None:
    page.goto(
        shop.page("/left-early", '_ycq.push(["_trackTimedEvent", "1", "consume", "133", "1500", ""]);' + click(134))
    )
    server.wait_for(1, "134")
    page.goto(shop.page("/left-to"))
    time.sleep(1.7)
    assert server.stored("133") == []


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
