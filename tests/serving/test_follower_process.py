"""The follower is started again whatever ended it, and also when the machine could not start it for a while."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

import pytest

from personalization_pipelines.foundation.home import Home
from serving import follower_process
from serving.follower_process import FollowerProcess


def test_a_machine_that_can_start_no_process_for_a_moment_gets_its_follower_later(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, attempts = threading.Event(), 0
    start = subprocess.Popen

    def start_or_fail(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.set()
        return start(["sleep", "60"])

    monkeypatch.setattr(follower_process.subprocess, "Popen", start_or_fail)
    follower = FollowerProcess(home)
    follower.start()
    try:
        assert started.wait(5)
    finally:
        follower.stop()
