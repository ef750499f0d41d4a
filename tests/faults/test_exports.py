"""A hostile export host and a killed refresh: nothing is connected, half taken, taken twice or told."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from base64 import b64encode
from pathlib import Path

import pytest

from personalization_pipelines.content.catalogue.items import catalogue
from personalization_pipelines.content.change_queue import pending
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.cms import Cms, document, listed
from tests.content.fetching import LOGIN, PERMANENT, PLAIN, SMALL, TRANSIENT
from tests.content.notified import apply, named, notify, places_with, titles
from tests.content.test_fetch_export import try_loopback
from tests.content.test_fetch_limits import fetch_bombs

pytestmark = pytest.mark.fault

KILLS = int(os.environ.get("FAULT_KILLS", "30"))
SECRETS = [LOGIN.password.encode(), b"Canary-Token-4242", b64encode(f"{LOGIN.login}:{LOGIN.password}".encode())]
CREDENTIALS = {"login": LOGIN.login, "password": LOGIN.password}
APPLY = """
import sys
from pathlib import Path
from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.load import load_website
print("begun", flush=True)
apply_changes(Home(Path(sys.argv[1])), load_website(Path(sys.argv[1]) / "websites" / "shop.yaml"))
"""


def test_no_connection_reaches_this_machine_and_no_document_costs_memory(tmp_path: Path) -> None:
    with Cms({"/a": PLAIN}) as canary:
        tried = try_loopback(canary)
        connections = canary.connections
    with (tmp_path / "document").open("wb") as file:
        grown = fetch_bombs(file)
    print(f"\n{tried} spellings, names and addresses of this machine: {connections} connections at the canary")
    print(f"a bomb of 1000:1 and two endless documents, 100 MiB allowed: {grown:.1f} MiB more memory")
    assert (connections, grown < 64) == (0, True)


def test_whatever_the_second_half_of_a_full_is_the_whole_one_before_stays(home: Home) -> None:
    refused = waiting = hits = 0
    with Cms() as cms:
        site = make_website(content=listed([cms]))
        for number, (answer, _) in enumerate([*PERMANENT.values(), *TRANSIENT.values()]):
            query = f"?n={number}&token=Canary-Token-4242"
            cms.answers = {f"/1{query}": document(*named(1, 2)), f"/2{query}": document(*named(3))}
            event = {"uri": [cms.url(f"/1{query}"), cms.url(f"/2{query}")], "credentials": CREDENTIALS}
            notify(home, site, event)
            apply(home, site)
            before, rows = titles(home, site), len(import_history(home, site))
            cms.answers = {f"/1{query}": document(*named(1, 2, title=f"half {number}")), f"/2{query}": answer}
            notify(home, site, event)
            apply(home, site, bytes=SMALL.bytes, seconds=1.0, idle_seconds=0.5)
            assert titles(home, site) == before
            refused += len(import_history(home, site)) - rows
            waiting += len(pending(home, site))
            hits += sum(map(len, places_with(home, SECRETS).values()))
            cms.answers[f"/2{query}"] = document(*named(3))
            apply(home, site)
            assert pending(home, site) == []
    print(
        f"\n{refused} halves refused for good, {waiting} tried again, 0 replaced a whole one; {hits} bytes of secrets"
    )
    assert (refused + waiting, hits) == (len(PERMANENT) + len(TRANSIENT), 0)


def killed(home: Home, seconds: float) -> float:
    """Apply what waits in a process of its own and kill it after `seconds`; 0, or how long it took if it was done."""
    command = [sys.executable, "-c", APPLY, str(home.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        began = time.monotonic()
        try:
            assert process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return 0.0
    return time.monotonic() - began


def write_site(home: Home, cms: Cms) -> Website:
    (home.websites / "shop.yaml").write_text(
        'website: shop\ncustomer_id: "00001"\nlicense_key: "1111-2222-3333"\nitem_types: {1: product, 2: article}\n'
        f"quality: {{items: {{max_drop: 100%}}}}\ncontent: {{export_hosts: [{cms.entry}]}}\n"
    )
    return make_website(content=listed([cms]), quality={"items": {"max_drop": 1.0}})


def test_a_refresh_killed_at_any_moment_applies_every_export_once(home: Home) -> None:
    chance, hit, sent, longest = random.Random(11), 0, 0, 1.0
    with Cms() as cms:
        site = write_site(home, cms)
        while hit < KILLS:
            number, sent = sent // 2, sent + 2
            assert number < 20 * KILLS, f"only {hit} of {number} kills hit a running refresh"
            wholly = document(*named(*range(200), title=f"v{number}"))

            def slowly(connection: object, wholly: bytes = wholly, wait: float = chance.uniform(0, 0.3)) -> None:
                threading.Event().wait(wait)
                connection.sendall(wholly)  # type: ignore[attr-defined]

            query = f"?n={number}&token=Canary-Token-4242"
            cms.answers |= {f"/full{query}": slowly, f"/one{query}": document(*named(500 + number, kind=2))}
            notify(home, site, {"uri": cms.url(f"/full{query}"), "credentials": CREDENTIALS})
            more = {"action": "UPDATE", "contentTypeId": 2, "itemId": 500 + number, "uri": cms.url(f"/one{query}")}
            notify(home, site, more)
            took = killed(home, chance.uniform(0.0, longest))
            hit, longest = hit + (not took), took or longest
            found = {title for (kind, _, _), title in titles(home, site).items() if kind == 1}
            assert len(found) <= 1, "two versions of one type are mixed"
        apply(home, site)
    history = import_history(home, site)
    applied = [part for row in history for part in row.parts]
    print(f"\n{hit} of {sent // 2} kills hit a refresh; {sent} exports, {len(set(applied))} applied, "
          f"{len(applied) - len(set(applied))} twice")  # fmt: skip
    assert (len(applied), len(set(applied))) == (sent, sent)
    assert not any(row.error for row in history)
    assert {title for (kind, _, _), title in titles(home, site).items() if kind == 1} == {f"v{number}"}
    assert sum(kind == 2 for kind, _, _ in titles(home, site)) == number + 1
    assert len(catalogue(home, site).versions()) == len(history)
    left = sorted(path.name for path in (home.lake("shop") / "changes").iterdir())
    assert (left, places_with(home, SECRETS)) == ([], {one.decode(): [] for one in SECRETS})
