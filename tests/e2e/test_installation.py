"""From an empty directory to recommendations, as docs/getting-started.md tells it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shop import BLUE, RED, command, get, serving, write_events, write_items, write_website

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two websites that share item ids and user names; both imported and built."""
    home = tmp_path_factory.mktemp("installation") / "home"
    command(home, "init")
    (home / "websites" / "my-shop.yaml").unlink()
    for name, customer in (("first", "00001"), ("second", "00002")):
        write_website(home, name, customer)
        command(home, "import", "items", "--website", name, str(write_items(home / "items.csv", name)))
    command(home, "import", "events", "--website", "first", str(write_events(home / "events.csv")))
    command(home, "build")
    return home


@pytest.fixture(scope="module")
def server(built: Path) -> Iterator[str]:
    with serving(built) as address:
        yield address


def test_a_red_item_brings_red_items_and_a_blue_one_blue_items(server: str) -> None:
    for club, item in ((RED, 1), (BLUE, 11)):
        items = get(f"{server}/api/v2/00001/somebody/product_page?contextitems={item}").items
        assert len(items) >= 5
        assert set(items) <= set(club) - {item}


def test_a_visitor_gets_the_one_item_of_the_club_that_is_missing(server: str) -> None:
    assert get(f"{server}/api/v2/00001/red-3/landing_page?numrecs=1").items == [4]
    assert get(f"{server}/api/v2/00001/blue-5/landing_page?numrecs=1").items == [16]


def test_the_blacklisted_item_is_never_recommended(server: str) -> None:
    for user in ("red-8", "blue-1", "new"):
        assert 9 not in get(f"{server}/api/v2/00001/{user}/landing_page?numrecs=50").items


def test_a_bought_item_leaves_the_next_answers_of_that_visitor_alone(server: str) -> None:
    assert get(f"{server}/api/00001/buy/red-3/1/4?fullprice=9.50EUR", "POST").status == 204
    deadline = time.monotonic() + 10
    while 4 in get(f"{server}/api/v2/00001/red-3/landing_page").items:
        assert time.monotonic() < deadline, "still recommended 10 s after the purchase"
    assert get(f"{server}/api/v2/00001/red-4/landing_page?numrecs=1").items == [5]


def test_websites_with_the_same_items_and_users_do_not_see_each_other(server: str) -> None:
    answer = get(f"{server}/api/v2/00002/red-3/landing_page?attribute=title")
    assert answer.status == 200
    assert b"first" not in answer.body
    own = get(f"{server}/api/v2/00001/red-2/landing_page?attribute=title")
    assert b"first" in own.body and b"second" not in own.body


def test_broken_requests_get_a_sentence(server: str) -> None:
    for path, status in {
        "/api/v2/99999/a/landing_page": 404,
        "/api/v2/00001/a/no_such_page": 404,
        "/api/v2/00001/a/landing_page?numrecs=51": 400,
        "/api/v2/00001/a/product_page?contextitems=abc": 400,
        "/api/v2/00001/a/product_page": 409,
        "/api/00001/click/a/1/%5C": 400,
        "/api/00001/click/%ff/1/1": 400,
        "/api/00001/buy/a/1/1?fullprice=cheap": 400,
    }.items():
        answer = get(server + path)
        assert answer.status == status, path
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert len(str(answer.json["detail"])) > 15


def test_a_build_takes_in_what_was_tracked_a_moment_ago(built: Path, server: str) -> None:
    for visitor in range(12):
        assert get(f"{server}/api/00002/buy/v{visitor}/1/17", "POST").status == 204
    command(built, "build", "--website", "second")
    time.sleep(1.2)
    assert get(f"{server}/api/v2/00002/fresh/landing_page?numrecs=1").items == [17]


def test_a_past_moment_rebuilt_twice_is_equal_byte_by_byte(built: Path) -> None:
    digests = []
    for _ in range(2):
        command(built, "build", "--website", "first", "--as-of", "2026-11-01")
        digests.append(digest(built / "lake" / "first" / "rebuilds"))
        for path in sorted((built / "lake" / "first" / "rebuilds").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    assert digests[0] == digests[1]
    assert len(digests[0]) > 20


def test_check_says_what_is_wrong_and_where(built: Path) -> None:
    broken = built / "websites" / "third.yaml"
    broken.write_text("website: third\ncustomer_id: 00003\nmodells: {}\n")
    try:
        done = command(built, "check", check=False)
    finally:
        broken.unlink()
    assert done.returncode == 1
    assert "third.yaml:2" in done.stdout and "third.yaml:3" in done.stdout
    assert "first" in done.stdout


def test_the_command_line_recommends_what_the_server_does(built: Path, server: str) -> None:
    printed = command(built, "recommend", "first", "product_page", "--context", "11", "--explain").stdout
    assert '"explanation"' in printed
    for item in get(f"{server}/api/v2/00001/x/product_page?contextitems=11").items:
        assert f'"itemId": {item}' in printed or f'"itemId":{item}' in printed


def test_publications_can_be_listed_and_put_back(built: Path) -> None:
    listed = json.loads(command(built, "publications", "second", "--format", "json").stdout)
    assert len(listed) >= 2 and sum(one["current"] for one in listed) == 1
    older = next(one["id"] for one in listed if not one["current"])
    assert f"*  {older}" in command(built, "publications", "second", "--rollback", older).stdout


def digest(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
