"""One server, one website and one browser for all tests of this folder, a page for each."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from personalization_pipelines.foundation.home import Home
from tests.ports import free_port
from tests.serving.shopfront import Installation, website, write_yaml
from tests.serving.tracked_pages.site import CHROMIUM, OPTIONS, SERVE, Server, Shop, wait


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process with one published website."""
    directory = tmp_path_factory.mktemp("tracker")
    home = Home(directory / "home")
    home.create()
    Installation(home, website()).close()
    write_yaml(home)
    port = free_port()
    (directory / "serve.py").write_text(SERVE)
    command = [sys.executable, directory / "serve.py", home.root, str(port)]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    with (directory / "server.txt").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            made = Server(f"http://127.0.0.1:{port}", home)
            wait(made.address + "/healthz", process, directory / "server.txt")
            yield made
        finally:
            process.terminate()
            process.wait(15)


@pytest.fixture(scope="package")
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

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as origin:
        threading.Thread(target=origin.serve_forever, daemon=True).start()
        yield Shop(f"http://127.0.0.1:{origin.server_port}", server.address + "/tracker.js", pages)
        origin.shutdown()


@pytest.fixture(scope="package")
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
