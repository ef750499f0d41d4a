"""`make screenshots`: pictures of the demo's shop and of Dagit's asset graph, into docs/images.

Builds the demo into a home of its own, unless `--home` names one to use, and takes what a visitor sees in Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.shop import free_port, wait_for
from tests.serving.tracked_pages.site import CHROMIUM, OPTIONS

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES = 150_000
COLOURS = 256
WIDE, NARROW = (1280, 860), (390, 844)
HOUSEHOLD = "18"
BANANAS = "1:1082185"
STAGES = ("models", "scenarios")
MILK = "1:1029743"
ASSETS = {"model": "demo/models/for_you", "checks": "demo/features/event_days?view=checks"}
SHOP = {
    "landing": "/demo/",
    "category": "/demo/in/Grocery/Cheese",
    "product": "/demo/item/" + BANANAS.replace(":", "/"),
    "basket": "/demo/basket",
}


def main() -> None:
    """Take all pictures; say each one's size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="an installation with the demo (default: a new one)")
    parser.add_argument("--to", type=Path, default=IMAGES, help="where the pictures go")
    parser.add_argument("--dark", action="store_true", help="as a browser that prefers dark pages shows them")
    parser.add_argument("--only", choices=("shop", "dagit"), help="half of the pictures")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        home = arguments.home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="screenshots-"))) / "home"
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        if arguments.only != "dagit":
            with running(home, "demo", "--port", str(port := free_port())):
                take_shop(browser, f"http://127.0.0.1:{port}", arguments.to, "dark" if arguments.dark else "light")
        if arguments.only != "shop":
            dagit = (port := free_port()) + 3000
            with running(home, "dev", "--port", str(port), "--dagit-port", str(dagit), ready=f"{dagit}/server_info"):
                take_dagit(browser, f"http://127.0.0.1:{dagit}", arguments.to)
        browser.close()


@contextlib.contextmanager
def running(home: Path, *command: str, ready: str = "") -> Iterator[None]:
    """Run a `personalization` command until it answers, and end it with what it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "personalization_pipelines", *command],
        env={**os.environ, "PERSONALIZATION_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{ready or command[2] + '/readyz'}", process, 600)
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def take_shop(browser: Browser, server: str, to: Path, scheme: Any) -> None:
    """Take the pages of the shop on a desk and on a phone, as a household with two things in its basket."""
    for suffix, (width, height) in (("", WIDE), ("-phone", NARROW)):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        page.goto(server + "/demo/")
        context.add_cookies(
            [
                {"name": "shop_user", "value": HOUSEHOLD, "domain": "127.0.0.1", "path": "/demo/"},
                {"name": "shop_basket", "value": f"{BANANAS}*2|{MILK}*1", "domain": "127.0.0.1", "path": "/demo/"},
            ]
        )
        for name, path in SHOP.items():
            page.goto(server + path)
            filled(page)
            taken(page, to / f"shop-{name}{suffix}.png")
        context.close()


def take_dagit(browser: Browser, dagit: str, to: Path) -> None:
    """Take the graph of all assets, the groups of models and scenarios opened, and what Dagit says of single ones."""
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.goto(dagit + "/asset-groups")
    page.wait_for_selector("svg foreignObject", timeout=120_000)
    for stage in STAGES:
        page.click(f"svg foreignObject >> text=_{stage}")
        page.wait_for_timeout(2_000)
    taken(page, to / "dagit-assets.png")
    for name, path in ASSETS.items():
        page.goto(f"{dagit}/assets/{path}")
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(3_000)
        taken(page, to / f"dagit-{name}.png")


def filled(page: Page) -> None:
    """Wait until no box of the page waits for its answer and every picture in sight is there."""
    page.wait_for_selector("[data-cards][aria-busy]", state="detached", timeout=30_000)
    page.wait_for_load_state("networkidle")


def taken(page: Page, path: Path) -> None:
    """Take what is in sight; a picture that would weigh on every clone is an error."""
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path} {size:,} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"{path}: {size:,} bytes, at most {MOST_BYTES:,} are meant for a repository")


if __name__ == "__main__":
    main()
