"""Keeps the follower process running beside the server: started, watched, started again when it dies."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time

from personalization_pipelines.foundation.home import Home

MODULE = "personalization_pipelines.events.live.follower"
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
GOOD_LIFE = 30.0
"""Seconds after which a follower that dies counts as having worked: the next one starts at once."""
PATIENCE = 1.5
AFTER_THE_WORKERS = 0.5
"""Seconds the follower leaves the processor to the workers, which someone waits for."""

_log = logging.getLogger(__name__)


class FollowerProcess:
    """The one follower of a home; `start` returns at once, `stop` after the process has ended."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="follower-watch", daemon=True)

    def start(self) -> None:
        """Start the process, and watching it."""
        self._thread.start()

    def stop(self) -> None:
        """End the process: asked first, killed after 1.5 seconds."""
        self._stop.set()
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(PATIENCE)

    def _watch(self) -> None:
        pause = FIRST_PAUSE
        self._stop.wait(AFTER_THE_WORKERS)
        while not self._stop.is_set():
            began = time.monotonic()
            end = self._run()
            if self._stop.is_set():
                return
            pause = FIRST_PAUSE if time.monotonic() - began > GOOD_LIFE else min(2 * pause, LONGEST_PAUSE)
            _log.warning("the follower %s; live history stands still for %.1f s", end, pause)
            self._stop.wait(pause)

    def _run(self) -> str:
        """Start the process and wait for its end; return what ended it."""
        try:
            self._process = self._started()
        except OSError as error:  # no memory or no process left: whoever used them up will not stay
            return f"did not start ({error})"
        if self._stop.is_set():  # `stop` came while it was starting and has not seen it
            self._process.terminate()
        return f"ended (exit code {self._process.wait()})"

    def _started(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PERSONALIZATION_HOME": str(self._home.root),
            "PERSONALIZATION_DATABASE": self._home.database,
            "PERSONALIZATION_PARENT": str(os.getpid()),
        }
        return subprocess.Popen([sys.executable, "-m", "serving.lifetime", MODULE], env=environment)
