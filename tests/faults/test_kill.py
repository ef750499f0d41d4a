"""Kill -9 of the server under load: an event that was acknowledged is stored, once."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from personalization_pipelines.events.log.segments import segments
from tests.faults.server import Clients, Count, Server, count, ingest_all, make_home, wait_for

ACKNOWLEDGED_BEFORE_A_KILL = 100


def kill_under_load(root: Path, kills: int, seed: int) -> Count:
    """Kill the server `kills` times, each time after it acknowledged something in that round; ingest what is there."""
    moments = random.Random(seed)
    server = Server(make_home(root))
    with Clients(server.port) as clients:
        for _ in range(kills):
            server.start()
            enough = len(clients.acknowledged) + ACKNOWLEDGED_BEFORE_A_KILL
            try:
                wait_for(lambda enough=enough: len(clients.acknowledged) >= enough, 10)
                time.sleep(moments.uniform(0, 0.5))
            finally:
                server.kill()
            ingest_all(server.home)
    assert len(segments(server.home.log)) >= kills, "every kill hit a server that had written"
    return count(server.home, clients)


def assert_kept(found: Count) -> None:
    """Nothing acknowledged is lost, nothing is stored twice."""
    assert found.harm == (0, 0, 0, 0)


def test_two_kills_under_load_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    assert_kept(kill_under_load(tmp_path / "home", 2, seed=1))


@pytest.mark.fault
def test_many_kills_under_load_lose_nothing_that_was_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills, seed = int(os.environ.get("FAULT_KILLS", "30")), int(os.environ.get("FAULT_SEED", "1"))
    found = kill_under_load(tmp_path / "home", kills, seed)
    with capsys.disabled():
        print(f"\n{kills} kills (seed {seed}): {found}")
    assert_kept(found)


@pytest.mark.fault
def test_a_server_that_is_asked_to_stop_under_load_keeps_all_it_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(make_home(tmp_path / "home"))
    seconds = []
    with Clients(server.port) as clients:
        for _ in range(5):
            server.start()
            enough = len(clients.acknowledged) + ACKNOWLEDGED_BEFORE_A_KILL
            wait_for(lambda enough=enough: len(clients.acknowledged) >= enough, 10)
            seconds.append(server.terminate())
    sealed = [segment.sealed for segment in segments(server.home.log)]
    found = count(server.home, clients)
    with capsys.disabled():
        print(f"\n5 stops, the slowest {max(seconds):.1f} s: {found}")
    assert_kept(found)
    assert all(sealed), "a server that stops seals its segment"
    assert max(seconds) < 5 + 5
