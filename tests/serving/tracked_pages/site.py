"""A website of another origin whose pages carry the tracker, and the real server that they send to."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.log.event_log import read_records, segments
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SERVE = """
import sys
from pathlib import Path
from personalization_pipelines.foundation.home import Home
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
        deadline = time.monotonic() + 60
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
        """Publish a page that pushes commands before the script, loaded as docs/tracking.md shows; its address."""
        header = "Content-Security-Policy" + "-Report-Only" * report_only
        load = script or f'<script async src="{self.tracker}"></script>'
        queue = f"""<script nonce="n">var _ycq = _ycq || []; _ycq.push(["_setMandator", "00001"]);{commands}</script>"""
        head = '<!doctype html><link rel="icon" href="data:,">'
        self.pages[path] = (f"{head}<title>{path}</title>{queue}{load}<body>{body}", {header: policy} if policy else {})
        return self.address + path


def wait(address: str, process: subprocess.Popen[bytes], output: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, output.read_text()
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(output.read_text())


def cookie(page: Any) -> dict[str, Any] | None:
    return next((one for one in page.context.cookies() if one["name"] == "YCID"), None)


def click(item: int, user: str = "ann", more: str = "") -> str:
    """Return the JavaScript that pushes a click."""
    return f'_ycq.push(["_trackEvent", "1", "click", "{item}", "{user}"{more}]);'
