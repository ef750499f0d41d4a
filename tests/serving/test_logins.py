"""Logins over HTTP: within a second every worker knows for the account what was done before; nothing flows back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.live_site import Worker, seconds_until, serving_site


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def workers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Worker]]:
    """Two servers of one home with three workers, once with each database."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    with serving_site(tmp_path_factory.mktemp("site") / "home", server.url() if server else "") as made:
        yield made


def log_in(worker: Worker, source: str, target: str, word: str = "login") -> float:
    status, _, body = worker.get(f"/api/00001/{word}/{source}/{target}")
    assert status == 204, body
    return time.monotonic()


def answer_bytes(worker: Worker, user: str) -> bytes:
    """Return an answer without what is new in every one: the id of the request, and its signature."""
    body = worker.get(f"/api/v2/00001/{user}/new_to_you?contextitems=CLICKED,OWNS")[2]
    return re.sub(rb"(?:requestuuid|rid|sig)=[^&\"]*", b"", body)


def test_what_an_anonymous_visitor_did_counts_for_the_account_on_every_worker(
    workers: list[Worker], request: pytest.FixtureRequest
) -> None:
    for number, (sender, word) in enumerate(zip(workers, ("login", "transfer", "login"), strict=True)):
        anonymous, account = f"cookie{number}", f"account{number}"
        sender.send("click", anonymous, "1")
        workers[0].send("buy", anonymous, "6")
        acknowledged = log_in(sender, anonymous, account, word)
        for worker in workers:
            took = seconds_until(lambda w=worker, a=account: w.context(a, "CLICKED") == [1], acknowledged, 10)
            seconds_until(lambda w=worker, a=account: 6 not in w.recommended(a), acknowledged, 10)
            assert took < 5, f"{request.node.name}: a second, and patience with a loaded machine"


def test_an_attacker_who_links_himself_to_a_victim_learns_nothing(workers: list[Worker]) -> None:
    workers[0].send("buy", "victim", "3")
    workers[0].send("click", "victim", "4")
    acknowledged = workers[1].send("click", "attacker", "5")
    for worker in workers:
        seconds_until(lambda w=worker: w.context("attacker", "CLICKED") == [5], acknowledged, 10)
    before = [answer_bytes(worker, "attacker") for worker in workers]
    acknowledged = log_in(workers[1], "attacker", "victim")
    for worker in workers:
        seconds_until(lambda w=worker: set(w.context("victim", "CLICKED")) == {4, 5}, acknowledged, 10)
    assert [answer_bytes(worker, "attacker") for worker in workers] == before
    assert all(json.loads(one)["recommendationItems"] for one in before)


def test_a_stranger_can_not_take_a_history_away(workers: list[Worker]) -> None:
    workers[0].send("click", "owner", "2")
    acknowledged = log_in(workers[0], "owner", "thief")
    for worker in workers:
        seconds_until(lambda w=worker: w.context("thief", "CLICKED") == [2], acknowledged, 10)
        assert worker.context("owner", "CLICKED") == [2]


def test_the_sixth_source_of_a_day_is_acknowledged_and_moves_nothing(workers: list[Worker]) -> None:
    for number in range(1, 7):
        workers[0].send("click", f"device{number}", str(number))
        acknowledged = log_in(workers[0], f"device{number}", "popular")
    log_in(workers[0], "device6", "other")
    for worker in workers:
        seconds_until(lambda w=worker: w.context("other", "CLICKED") == [6], acknowledged, 10)
        assert sorted(worker.context("popular", "CLICKED")) == [1, 2, 3, 4, 5]


def test_nobody_logs_in_and_nobody_is_logged_in(workers: list[Worker], tmp_path: Path) -> None:
    for path in ("not_defined/ann", "ann/not_defined", "ann/ann", "ann", "a/b/c", "%20/"):
        assert workers[0].get(f"/api/00001/login/{path}")[0] == 400
