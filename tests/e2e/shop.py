"""A small shop whose right answers are visible, and the processes that serve it.

Visitors come in two clubs. The red club buys items 1..9, the blue club items 11..19; nobody buys both.
So whatever is recommended for a red item is red, and for a blue item blue.
"""

from __future__ import annotations

import csv
import gc
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from click.testing import CliRunner, Result

from personalization_pipelines.cli import main
from tests.ports import free_port

RED, BLUE = range(1, 10), range(11, 20)

WEBSITE = """\
website: {name}
customer_id: "{customer}"
license_key: "1111-2222-3333-4444-5555"
time_zone: Europe/Berlin
item_types: {{1: product}}
models:
  top_bought:  {{type: popularity, event: buy, history: 90d}}
  also_bought: {{type: also_bought, history: 90d}}
  for_you:     {{type: item_knn, history: 90d}}
  never:       {{type: blacklist, items: [{{type: 1, id: 9}}]}}
scenarios:
  landing_page:
    input: product
    output: [product]
    strategy: [{{models: [for_you]}}, {{models: [top_bought]}}]
    filters: {{already_bought: exclude}}
  product_page:
    input: product
    output: [product]
    strategy: [{{models: [also_bought]}}]
"""


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower-case names) and body of an HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        """The body as JSON."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def items(self) -> list[int]:
        """The recommended item ids."""
        return [item["itemId"] for item in self.json["recommendationItems"]]  # type: ignore[attr-defined]


def command(home: Path, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `personalization …` in a home and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "personalization_pipelines", *arguments],
        env={**os.environ, "PERSONALIZATION_HOME": str(home), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def command_here(home: Path, *arguments: str, status: int = 0) -> Result:
    """Run `personalization …` in this process, which has loaded Dagster once for all; return what it printed."""
    environment = {"PERSONALIZATION_HOME": str(home), "COLUMNS": "200"}
    done = CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)
    gc.unfreeze()  # unlike that of a command, this process goes on
    assert done.exit_code == status, done.output
    return done


def write_website(home: Path, name: str, customer: str) -> None:
    """Put a website's file into a home."""
    (home / "websites").mkdir(parents=True, exist_ok=True)
    (home / "websites" / f"{name}.yaml").write_text(WEBSITE.format(name=name, customer=customer))


def write_items(path: Path, word: str = "item") -> Path:
    """Write a catalogue as CSV; titles carry `word`, so that websites can be told apart."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item_id", "category", "price", "currency", "title"])
        for item in [*RED, *BLUE]:
            colour = "Red" if item in RED else "Blue"
            rows.writerow([item, f"/{colour}/Shelf {item % 3}", f"{item}.50", "EUR", f"{word} {item}"])
    return path


def write_events(path: Path, *, days_ago: int = 1) -> Path:
    """Write purchases as CSV: 10 red and 10 blue visitors, each leaves out one item of the own club."""
    newest = datetime.now(UTC) - timedelta(days=days_ago)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["time", "event", "user", "item_id", "quantity", "price", "currency"])
        for club, items in (("red", RED), ("blue", BLUE)):
            for visitor in range(10):
                for place, item in enumerate(items):
                    if place != visitor:
                        when = newest - timedelta(days=visitor, minutes=10 * place)
                        rows.writerow([when.isoformat(), "buy", f"{club}-{visitor}", item, 1, "9.50", "EUR"])
    return path


@contextmanager
def serving(home: Path, *, workers: int = 1, port: int | None = None) -> Iterator[str]:
    """Run `personalization serve`, yield its address when it answers, end it."""
    port = port or free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "personalization_pipelines",
            "serve",
            "--port",
            str(port),
            "--workers",
            str(workers),
        ],
        env={**os.environ, "PERSONALIZATION_HOME": str(home)},
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/healthz", process)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Wait until a URL answers 200; fail when the process ended or the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            if get(url).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer within {seconds} s")


def get(url: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for a URL; error statuses are answers, not exceptions."""
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())
