"""A real server process takes the largest document of items, with little memory, and refuses hostile ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.content.change_queue import pending
from personalization_pipelines.foundation.home import Home
from serving.content.catalogue_views import MAX_BODY_BYTES
from tests.content.test_xml_items import FULL, HOSTILE, document
from tests.faults.server import Server
from tests.serving.shopfront import Installation, website, write_yaml
from tests.serving.test_content import KEY


@pytest.fixture
def server(home: Home) -> Iterator[Server]:
    Installation(home, website()).close()
    write_yaml(home)
    made = Server(home)
    made.start()
    yield made
    made.kill()


def peak_memory(server: Server) -> int:
    """Return the most bytes that any process of the server ever had resident."""
    found = [0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            environ = (status.parent / "environ").read_bytes()
            if str(server.home.root).encode() in environ:
                found += [int(line.split()[1]) << 10 for line in status.read_text().splitlines() if "VmHWM" in line]
        except OSError:
            continue  # the process ended meanwhile, or is not ours
    return max(found)


def test_the_largest_document_is_taken_in_less_than_three_times_its_size(server: Server) -> None:
    url = f"http://127.0.0.1:{server.port}/api/00001/item"
    assert requests.post(url, FULL.encode(), headers=KEY, timeout=10).status_code == 202
    before = peak_memory(server)
    one = f'<item id="%d" type="1"><content><content-data key="t">{"x" * 20_000}</content-data></content></item>'
    data = document("\n".join(one % n for n in range(3_300))).encode()
    assert 0.95 * MAX_BODY_BYTES < len(data) <= MAX_BODY_BYTES
    assert requests.post(url, data, headers=KEY, timeout=60).status_code == 202
    grown = peak_memory(server) - before
    assert 0 < grown < 3 * len(data)
    assert (
        requests.post(url, data + b" " * (MAX_BODY_BYTES - len(data) + 1), headers=KEY, timeout=60).status_code == 413
    )
    for text, _ in HOSTILE.values():
        bad = text.encode() if isinstance(text, str) else text
        assert requests.post(url, bad, headers=KEY, timeout=10).status_code == 400
    assert requests.get(f"{url}/1/1", headers=KEY, timeout=10).status_code == 200
    assert requests.delete(f"{url}/1/1", headers=KEY, timeout=10).status_code == 202
    shop = website()
    assert [change.kind for change in pending(server.home, shop)] == ["items_xml", "items_xml", "delete_item"]
    rows = apply_changes(server.home, shop)
    assert [(row.rows, row.removed, row.error) for row in rows] == [(3_302, 0, ""), (1, 1, "")]
