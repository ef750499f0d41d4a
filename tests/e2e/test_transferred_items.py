"""From a transfer over HTTP to what visitors are recommended: a real server and real builds.

Red visitors buy red items, blue visitors blue ones. Item 1 (red) is renamed 21, which nobody bought.
"""

from __future__ import annotations

import json
import time
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from tests.content.test_xml_transfers import document
from tests.e2e.shop import RED, command, get, serving, write_events, write_items, write_website

pytestmark = pytest.mark.e2e

KEY = "Basic " + b64encode(b"00001:1111-2222-3333-4444-5555").decode()


def send(url: str, text: str) -> int:
    headers = {"Authorization": KEY, "Content-Type": "application/xml"}
    request = urllib.request.Request(url, text.encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


def test_a_new_id_is_recommended_for_what_was_done_with_the_old_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command(home, "init")
    (home / "websites" / "my-shop.yaml").unlink()
    write_website(home, "first", "00001")
    command(home, "import", "items", "--website", "first", str(write_items(home / "items.csv")))
    command(home, "import", "events", "--website", "first", str(write_events(home / "events.csv")))
    command(home, "build")
    with serving(home) as server:
        page = f"{server}/api/v2/00001/somebody/product_page?numrecs=20&contextitems="
        before = get(page + "2").items
        assert 1 in before and set(before) <= set(RED)
        item = '<items version="1"><item id="21" type="1"><categorypaths/></item></items>'
        assert send(f"{server}/api/00001/item", item) == 202
        assert send(f"{server}/api/00001/transferitems", document(((1, "1"), (1, "21")), ((1, "21"), (1, "1")))) == 202
        command(home, "build")
        deadline = time.monotonic() + 30
        while get(page + "2").items == before:
            assert time.monotonic() < deadline, "the build is not served"
            time.sleep(0.2)
        after = get(page + "2").items
        assert [21 if one == 1 else one for one in before] == after
        assert get(page + "1").json["contextItems"] == [
            {"itemId": 21, "itemType": 1, "viewers": 0, "sources": ["REQUEST"]}
        ]
        assert set(get(page + "1").items) == set(get(page + "21").items) == set(RED) - {1, 9}
        # red-3 bought item 1 long ago, so 21 is not for him; a purchase of the old id counts at once.
        assert 21 not in get(f"{server}/api/v2/00001/red-3/landing_page?numrecs=50").items
        assert 21 in get(f"{server}/api/v2/00001/new/landing_page?numrecs=50").items
        assert get(f"{server}/api/00001/buy/new/1/1?fullprice=9.50EUR", "POST").status == 204
        deadline = time.monotonic() + 30
        while 21 in get(f"{server}/api/v2/00001/new/landing_page?numrecs=50").items:
            assert time.monotonic() < deadline, "the purchase of the old id does not count"
            time.sleep(0.2)
        newest = get(f"{server}/api/00001/imports?limit=1", Authorization=KEY).json["imports"][0]  # type: ignore[index]
        assert (newest["mode"], newest["removed"], newest["rejected"]) == ("transfer", 1, 1)
        rejects = get(server + newest["rejects_file"], Authorization=KEY)
        assert rejects.headers["content-length"] == str(len(rejects.body))
        assert rejects.body.decode().splitlines()[1].startswith("transfer of 2 items,,,1/21 to 1/1,")
    shown = json.loads(command(home, "imports", "first", "--json").stdout)
    assert [(row["mode"], row["removed"], row["files"]) for row in shown if row["mode"] == "transfer"] == [
        ("transfer", 1, ["transfer of 2 items"])
    ]
