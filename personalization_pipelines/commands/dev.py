"""`personalization dev`: Dagit with its daemon, and the server, as one foreground command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import FrameType

from rich.console import Console

from personalization_pipelines.commands.refresh import prepare_dagster, workspace_arguments
from personalization_pipelines.foundation.home import Home


def run(home: Home, *, port: int, dagit_port: int, console: Console) -> None:
    """Start both and wait; end both when one ends or on SIGINT and SIGTERM."""
    prepare_dagster(home)
    environment = {**os.environ, "PERSONALIZATION_HOME": str(home.root)}
    dagit = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(dagit_port), *workspace_arguments()]
    server = [sys.executable, "-m", "personalization_pipelines", "serve", "--port", str(port)]
    children = [subprocess.Popen(line, env=environment) for line in (dagit, server)]
    console.print(f"Dagit  http://127.0.0.1:{dagit_port}\nserver http://127.0.0.1:{port}")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.3)
    except KeyboardInterrupt:
        console.print("stopping")
    finally:
        _end(children)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    for child in children:
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
