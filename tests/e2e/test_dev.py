"""`personalization dev` opens nothing to the network (Dagit has no login), and nothing of it outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from personalization_pipelines.foundation.home import Home
from tests.e2e.shop import command, free_port, get, wait_for, write_website

pytestmark = pytest.mark.e2e

LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


def test_dagit_and_the_server_listen_on_this_machine_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command(home, "init")
    (home / "websites" / "my-shop.yaml").unlink()
    write_website(home, "first", "00001")
    with running_dev(home) as (process, ports):
        addresses = list(listening(process.pid))
    assert set(ports) <= {port for _, port in addresses}
    assert {address for address, _ in addresses} <= LOOPBACK, addresses


def test_ended_in_the_background_it_leaves_no_process_behind(home: Home) -> None:
    write_website(home.root, "first", "00001")
    shell = ["sh", "-c", '"$@" & wait $!', "sh"]  # a shell without job control: its background jobs ignore SIGINT
    with running_dev(home.root, shell) as (process, (_, dagit)):
        assert get(f"http://127.0.0.1:{dagit}/asset-groups").status == 200, "the address that `dev` prints"
        started = list(in_session(process.pid))
        assert len(started) >= 6, "the shell, dev, the server, Dagit's own processes"
        os.kill(first_of(started, "dev", "--port"), signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert lines_of(process.pid) == []


def test_where_one_of_the_two_ends_the_other_does_too_and_that_is_a_failure(home: Home) -> None:
    write_website(home.root, "first", "00001")
    with running_dev(home.root) as (process, _):
        os.kill(first_of(in_session(process.pid), "serve", "--host"), signal.SIGTERM)
        assert process.wait(timeout=60) == 1
        assert lines_of(process.pid) == []


@contextlib.contextmanager
def running_dev(home: Path, before: Sequence[str] = ()) -> Iterator[tuple[subprocess.Popen[bytes], tuple[int, int]]]:
    """Run `personalization dev` (after the words `before`) until both its servers answer, and end it."""
    server = free_port()
    dagit = server + 3000
    dev = [sys.executable, "-m", "personalization_pipelines", "dev", "--port", str(server), "--dagit-port", str(dagit)]
    process = subprocess.Popen(
        [*before, *dev],
        env={**os.environ, "PERSONALIZATION_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{server}/healthz", process, 60)
        wait_for(f"http://127.0.0.1:{dagit}/server_info", process, 90)
        yield process, (server, dagit)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        for one in in_session(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(one.name), signal.SIGKILL)
        process.wait()


def first_of(processes: Iterable[Path], *words: str) -> int:
    """Return the id of the first process of Python (not the shell) whose command line has the words in a row."""
    wanted = b"\0" + b"\0".join(word.encode() for word in words)
    lines = {int(one.name): (one / "cmdline").read_bytes() for one in processes}
    return min(number for number, line in lines.items() if wanted in line and line.startswith(sys.executable.encode()))


def listening(session: int) -> Iterator[tuple[str, int]]:
    """Yield address (hexadecimal, as the kernel writes it) and port of every socket a session's processes listen at."""
    inodes = {inode for process in in_session(session) for inode in sockets_of(process)}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                yield address, int(port, 16)


def in_session(session: int) -> Iterator[Path]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(") ")[2].split()[3]) == session:
                yield stat.parent


def lines_of(session: int) -> list[str]:
    """Return the state and the command line of each process of a session."""
    found = []
    for process in in_session(session):
        with contextlib.suppress(OSError):
            state = (process / "stat").read_text().rpartition(") ")[2][0]
            found.append(f"{state} {(process / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()[:150]}")
    return found


def sockets_of(process: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for link in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                if target.startswith("socket:["):
                    yield target[8:-1]
