"""Forgetting a user over HTTP while a server runs: live within a second or two, whole after refreshes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests

from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.erasure.receipts import LIVE, LOG, PLACES, Receipt, receipts
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.foundation.errors import LiveStoreUnavailable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.load import load_website
from tests.e2e import shop
from tests.erasure.homes import USER, make_home, traces, visitor
from tests.faults.server import Server
from tests.serving.test_erasing import KEY

pytestmark = pytest.mark.builds


def seen(home: Home, reader: LiveReader) -> list[str] | None:
    """The items of USER's live history; None while the follower makes the file, or writes it anew."""
    try:
        return [event.item for event in reader.history("shop", visitor(home, USER))]
    except LiveStoreUnavailable:
        return None


def wait_until(told: list[str], home: Home, reader: LiveReader, seconds: float = 15.0) -> None:
    began = time.monotonic()
    while (found := seen(home, reader)) != told:
        assert time.monotonic() - began < seconds, f"{found} instead of {told}"
        time.sleep(0.05)


def test_an_erasure_over_http_is_live_at_once_and_complete_when_the_server_has_sealed_its_segment(
    home: Home, tmp_path_factory: pytest.TempPathFactory
) -> None:
    make_home(home, tmp_path_factory.mktemp("files"))
    name, site = visitor(home, USER), load_website(home.websites / "shop.yaml")
    server, reader = Server(home), LiveReader(home.live_database, deadline=5.0)
    server.start()
    url = f"http://127.0.0.1:{server.port}/api/00001"
    try:
        assert requests.get(f"{url}/click/{USER}/1/4", timeout=5).status_code == 204
        wait_until(["4"], home, reader)
        answer = requests.delete(f"{url}/user/{USER}", headers=KEY, timeout=5)
        assert answer.status_code == 202
        wait_until([], home, reader)
        shop.command_here(home.root, "build")
        receipt = _receipt(home)
        assert answer.json() == {"erasures": [receipt.id]}
        assert receipt.missing in ([LOG], []), receipt  # the server writes into its segment for a minute
        assert LIVE in receipt.clean
        assert [Path(one).parts[0] for one in traces(home, name)] in (["log"], [])
    finally:
        server.terminate()
        reader.close()
    shop.command_here(home.root, "build")
    assert _receipt(home).missing == []
    assert set(_receipt(home).clean) == set(PLACES)
    assert traces(home, name) == []
    assert [row.transaction for row in import_history(home, site) if row.kind == "erasure"] == [receipt.id]


def _receipt(home: Home) -> Receipt:
    (receipt,) = receipts(home, load_website(home.websites / "shop.yaml"))
    return receipt
