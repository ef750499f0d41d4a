"""Kill a whole build at random moments: what is served stays whole, and the next build completes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.shop import RED, command, get, serving, write_events, write_items, write_website

pytestmark = pytest.mark.fault

KILLS = min(int(os.environ.get("FAULT_KILLS", "30")), 10)
LONGEST_BUILD = 12.0


def test_a_build_killed_at_any_moment_leaves_whole_answers_and_a_build_that_works(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command(home, "init")
    (home / "websites" / "my-shop.yaml").unlink()
    write_website(home, "first", "00001")
    command(home, "import", "items", "--website", "first", str(write_items(tmp_path / "items.csv")))
    command(home, "import", "events", "--website", "first", str(write_events(tmp_path / "events.csv")))
    command(home, "build")
    chance, hit = random.Random(7), 0
    with serving(home) as server:
        question = f"{server}/api/v2/00001/somebody/product_page?contextitems=1"
        before = get(question).items
        for number in range(KILLS):
            assert get(f"{server}/api/00001/buy/killer-{number}/1/{RED[number % 8]}", "POST").status == 204
            hit += killed_build(home, chance.uniform(0.5, LONGEST_BUILD))
            answer = get(question)
            assert answer.status == 200
            assert set(answer.items) <= set(RED)
        command(home, "build")
        assert set(get(question).items) >= set(before) - {1}
    print(f"\n{hit} of {KILLS} kills hit a running build; every answer was whole; the next build completed")
    assert hit, "no kill hit a running build"


def killed_build(home: Path, seconds: float) -> bool:
    """Start a build, kill it and its children after `seconds`; tell whether it was still running."""
    build = subprocess.Popen(
        [sys.executable, "-m", "personalization_pipelines", "build"],
        env={**os.environ, "PERSONALIZATION_HOME": str(home)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    running = build.poll() is None
    if running:
        os.killpg(build.pid, signal.SIGKILL)
    build.wait()
    return running
