"""`personalization dev`: Dagit with its daemon, and the server, as one foreground command.

Dagster starts processes of its own, which outlive it where it is killed, or where it was started in the background of a
shell (that ignores SIGINT for its children, by which Dagster ends them). So each of the two leads a process group, in
which signals do what they do by default, and a group is ended as a whole.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from types import FrameType

from rich.console import Console

from personalization_pipelines.commands.refresh import prepare_dagster, workspace_arguments
from personalization_pipelines.foundation.errors import TransientError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.ports import require_port

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds that a group has to end by itself."""

Children = dict[str, subprocess.Popen[bytes]]


def run(home: Home, *, port: int, dagit_port: int, console: Console) -> None:
    """Start both and wait; end both on SIGINT, SIGTERM and SIGHUP.

    Raises ConfigurationError where a port is taken, TransientError where one of the two ends by itself.
    """
    require_port(HOST, port)
    require_port(HOST, dagit_port, "--dagit-port")
    prepare_dagster(home)
    _ = home.key  # without one the server would end at once, after Dagit has been started
    _listen_to_signals()
    children: Children = {}
    try:
        for name, line in _commands(port, dagit_port).items():
            children[name] = _start(line, home)
        console.print(f"Dagit   http://{HOST}:{dagit_port}\ngraph   http://{HOST}:{dagit_port}/asset-groups")
        console.print(f"server  http://{HOST}:{port}\nCtrl-C ends both.")
        _wait(children)
    except KeyboardInterrupt:
        console.print("stopping")
    finally:
        _end(children.values())


def _commands(port: int, dagit_port: int) -> Mapping[str, list[str]]:
    return {
        "Dagit": ["dagster", "dev", "-h", HOST, "-p", str(dagit_port), *workspace_arguments()],
        "the server": ["personalization_pipelines", "serve", "--host", HOST, "--port", str(port)],
    }


def _listen_to_signals() -> None:
    """Let signals end this process in order; handlers do not pass to children, so there signals act as by default."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # else nohup wants it to go on
        signal.signal(signal.SIGHUP, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start(line: list[str], home: Home) -> subprocess.Popen[bytes]:
    """Start a module with its arguments; it is asked to end when this process is killed."""
    environment = {**os.environ, "PERSONALIZATION_HOME": str(home.root), "PERSONALIZATION_PARENT": str(os.getpid())}
    command = [sys.executable, "-m", "serving.lifetime", *line]
    return subprocess.Popen(command, env=environment, process_group=0)


def _wait(children: Children) -> None:
    while True:
        for name, child in children.items():
            if child.poll() is not None:
                raise TransientError(f"{name} ended by itself ({_ending(child.returncode)}); its last lines say why")
        time.sleep(0.3)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _end(children: Collection[subprocess.Popen[bytes]]) -> None:
    """End every process of every group: asked to first, killed where it is still there when the patience is over."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt this
    for child in children:
        _signal_group(child, signal.SIGTERM)
    _wait_for(children)
    for child in children:
        _signal_group(child, signal.SIGKILL)
    _wait_for(children)


def _wait_for(children: Collection[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and any(_is_there(child) for child in children):
        time.sleep(0.1)


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _is_there(child: subprocess.Popen[bytes]) -> bool:
    """Say whether any process of a child's group is left."""
    child.poll()  # else the child itself would stay, as a zombie
    try:
        os.killpg(child.pid, 0)
    except ProcessLookupError:
        return False
    return True
