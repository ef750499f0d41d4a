"""Ports for the servers of tests: each is given once on this machine, however many processes test side by side."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 15_000, 20_000
"""Below the range that the kernel gives clients, or a client could hold the port of a server that starts again."""


def free_port() -> int:
    """Return a port of 127.0.0.1 where nobody listens, and which nobody else is given while this process lives."""
    folder = Path(tempfile.gettempdir()) / f"ports-of-tests-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    begin = os.getpid() * 7 % (LAST - FIRST)  # neighbours need not try what the others have just taken
    for step in range(LAST - FIRST):
        port = FIRST + (begin + step) % (LAST - FIRST)
        if _is_reserved(folder / str(port)) and not _is_open(port):
            return port
    raise AssertionError(f"no free port between {FIRST} and {LAST}")


def _is_reserved(path: Path) -> bool:
    """Lock a port's file until this process ends; False where another process, or this one, has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    return True


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
