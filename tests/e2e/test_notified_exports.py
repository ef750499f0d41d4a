"""From a CMS' notification to what visitors are recommended: a real CMS, a real server, real builds and the daemon."""

from __future__ import annotations

import json
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.content.cms import Cms, document, notification
from tests.content.notified import named
from tests.e2e.shop import command, get, serving
from tests.e2e.test_dev import running_dev

pytestmark = pytest.mark.e2e

KEY = "1111-2222-3333-4444-5555"
PASSWORD = "Canary-Pass-7731"
WEBSITE = """\
website: first
customer_id: "00001"
license_key: "{key}"
item_types: {{1: product}}
content: {{export_hosts: ["{entry}"]}}
models: {{new_in: {{type: recently_added, item_age: 10d}}}}
scenarios: {{page: {{input: product, output: [product], strategy: [{{models: [new_in]}}]}}}}
"""


@pytest.fixture
def cms() -> Iterator[Cms]:
    with Cms() as made:
        yield made


@pytest.fixture
def home(tmp_path: Path, cms: Cms) -> Path:
    made = tmp_path / "home"
    command(made, "init")
    (made / "websites" / "my-shop.yaml").unlink()
    (made / "websites" / "first.yaml").write_text(WEBSITE.format(key=KEY, entry=cms.entry))
    return made


def notify(server: str, *events: dict[str, Any]) -> list[str]:
    """Send a notification and return the ids of its changes."""
    credentials = {"login": "editor", "password": PASSWORD}
    body = json.dumps(notification(*({"credentials": credentials, **event} for event in events))).encode()
    headers = {
        "Authorization": "Basic " + b64encode(f"00001:{KEY}".encode()).decode(),
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(f"{server}/api/00001/items", data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202
        return list(json.loads(answer.read())["changes"])


def imports(home: Path) -> list[dict[str, Any]]:
    """Return the import history as it is on disk."""
    history = home / "lake" / "first" / "imports" / "history.jsonl"
    return [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []


def recommended(server: str) -> dict[int, str]:
    """Return the recommended items and their titles."""
    answer = get(f"{server}/api/v2/00001/anna/page?numrecs=50&attribute=title")
    if answer.status != 200:
        return {}
    items: list[Any] = answer.json["recommendationItems"]  # type: ignore[assignment]
    return {item["itemId"]: item["attributes"][0]["values"][0] for item in items}


def until(server: str, expected: dict[int, str], seconds: float) -> None:
    """Wait until exactly these items are recommended."""
    deadline = time.monotonic() + seconds
    while (found := recommended(server)) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


def test_what_a_cms_notifies_is_published_by_the_next_build_and_its_password_is_nowhere(home: Path, cms: Cms) -> None:
    cms.answers = {"/1?page=1": document(*named(1, 2, 3)), "/1?page=2": document(*named(4, 5))}
    with serving(home) as server:
        notify(server, {"uri": [cms.url("/1?page=1"), cms.url("/1?page=2")]})
        assert cms.connections == 0
        command(home, "build")
        until(server, {n: f"t{n}" for n in range(1, 6)}, 20)
        cms.answers = {"/2": document(*named(2, title="changed")), "/9": b""}
        notify(
            server,
            {"action": "UPDATE", "uri": cms.url("/2"), "itemId": 2},
            {"action": "DELETE", "itemId": 5},
            {"action": "UPDATE", "uri": cms.url("/9"), "itemId": 9},
        )
        command(home, "build")
        until(server, {1: "t1", 2: "changed", 3: "t3", 4: "t4"}, 20)
    shown = json.loads(command(home, "imports", "first", "--json").stdout)
    assert [(row["mode"], row["added"], row["changed"], row["removed"]) for row in shown] == [
        ("full", 5, 0, 0), ("incremental", 0, 1, 0), ("delete", 0, 0, 1),
    ]  # fmt: skip
    assert {row["notification"] for row in shown} == {"20240601-1", ""}
    secrets = [PASSWORD.encode(), b64encode(f"editor:{PASSWORD}".encode())]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [path for path in files for secret in secrets if secret in path.read_bytes()] == []
    assert len(list((home / "lake" / "first" / "changes").glob("*.export_update"))) == 1


def test_the_daemon_applies_what_came_without_anybody_asking(home: Path, cms: Cms) -> None:
    cms.answers = {"/a": document(*named(1, 2, 3))}
    command(home, "build")
    with running_dev(home) as (_, ports):
        server = f"http://127.0.0.1:{ports[0]}"
        notify(server, {"uri": cms.url("/a")})
        deadline = time.monotonic() + 300
        while not imports(home):
            assert time.monotonic() < deadline, f"asked for: {cms.paths()}"
            time.sleep(1)
    assert [(row["added"], row.get("error")) for row in imports(home)] == [(3, None)]
    assert cms.paths() == ["/a"]
