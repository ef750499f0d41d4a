"""The real server process: what it imports, how it starts, and that nothing of it is left when it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.home import Home
from serving.server import serve
from tests.ports import free_port
from tests.serving.shopfront import Installation, website, write_yaml

FORBIDDEN = (
    "dagster", "pandas", "scipy", "implicit", "great_expectations", "pyarrow", "duckdb", "matplotlib", "sqlglot",
    "cryptography", "urllib3", "ijson",
)  # fmt: skip
ROOT = Path(__file__).parents[2]
SERVE = """
import sys
from pathlib import Path
from personalization_pipelines.foundation.home import Home
from serving.server import serve
serve(Home(Path(sys.argv[1])), port=int(sys.argv[2]), workers=int(sys.argv[3]))
"""


class Server:
    """A server process of a home."""

    def __init__(self, home: Home, workers: int = 1) -> None:
        self.home = home
        self.port = free_port()
        self.log = home.root / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, home.root, str(self.port), str(workers)], cwd=ROOT, stderr=log
            )

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def children(self) -> list[int]:
        """Return the pids of the processes the server started."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, rest = entry.read_text().split(" (", 1)
            except OSError:
                continue
            if int(rest.rsplit(") ", 1)[1].split()[1]) == self.process.pid:
                found.append(int(pid))
        return found

    def until(self, true: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def ready(self) -> bool:
        """Tell whether the server answers that it is ready."""
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False


@pytest.fixture
def server(home: Home) -> Iterator[Server]:
    installation = Installation(home, website())
    installation.close()
    write_yaml(home)
    made = Server(home)
    try:
        made.until(made.ready)
        yield made
    finally:
        if made.process.poll() is None:
            made.process.terminate()
        made.process.wait(30)


def test_the_server_imports_nothing_that_learns() -> None:
    code = (
        "import sys, serving.server, serving.app, serving.recommending.recommend_views, serving.shop, "
        "serving.tracking.tracking_views, "
        "personalization_pipelines.events.live.follower; "
        f"print([name for name in {FORBIDDEN!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_click_over_http_changes_the_next_recommendation_within_a_second(server: Server) -> None:
    assert server.get("/api/v2/00001/ann/only_personal")[0] == 409
    assert server.get("/api/00001/click/ann/1/3")[0] == 204
    clicked = time.monotonic()
    server.until(lambda: server.get("/api/v2/00001/ann/only_personal")[0] == 200)
    assert time.monotonic() - clicked < 10  # a second, and patience with a loaded machine
    answer = json.loads(server.get("/api/v2/00001/ann/only_personal")[1])
    assert [one["itemId"] for one in answer["recommendationItems"]] == [4, 5]
    log = server.log.read_text()
    assert "ann" not in log
    assert "only_personal" not in log


def test_sigterm_ends_everything_within_five_seconds(server: Server) -> None:
    server.until(lambda: len(server.children()) >= 2)  # a worker and the follower
    children = server.children()
    with closing(socket.create_connection(("127.0.0.1", server.port))) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.recv(100)  # kept alive, in the way of nobody
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
    assert time.monotonic() - began < 5 + 5  # and patience with a loaded machine
    assert not [pid for pid in children if _alive(pid)]


def test_children_die_with_a_killed_parent(server: Server) -> None:
    server.until(lambda: len(server.children()) >= 2)
    children = server.children()
    server.process.kill()
    server.process.wait(20)
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [pid for pid in children if _alive(pid)]


def test_a_dead_follower_and_a_dead_worker_come_back(server: Server) -> None:
    server.until(lambda: any(map(_is_follower, server.children())))
    follower, worker = sorted(server.children(), key=_is_follower, reverse=True)
    os.kill(follower, signal.SIGKILL)
    server.until(lambda: any(_is_follower(pid) and pid != follower for pid in server.children()))
    assert "the follower ended" in server.log.read_text()
    os.kill(worker, signal.SIGKILL)
    server.until(lambda: not _alive(worker) and server.ready())


def test_a_taken_port_is_one_sentence(home: Home) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=f"127.0.0.1:{port} cannot be served on .*--port [0-9]+ is free, or stop"
        ):
            serve(home, port=port)


MALFORMED = [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"POST /api/00001/click/u/1/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"POST /api/00001/click/u/1/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n\r\n",
    b"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
]  # fmt: skip


def test_malformed_http_is_a_400_or_a_closed_connection_never_a_traceback(server: Server) -> None:
    for request in MALFORMED:
        with closing(socket.create_connection(("127.0.0.1", server.port), timeout=2)) as raw:
            raw.sendall(request)
            raw.shutdown(socket.SHUT_WR)
            received = b""
            while part := _received(raw):
                received += part
        statuses = {line.split(b" ")[1] for line in received.split(b"\r\n") if line.startswith(b"HTTP/")}
        assert not any(status.startswith(b"5") for status in statuses), (request, received)
    assert "Traceback" not in server.log.read_text()
    assert server.ready()


def _received(raw: socket.socket) -> bytes:
    try:
        return raw.recv(65536)
    except (ConnectionResetError, TimeoutError):
        return b""


def _is_follower(pid: int) -> bool:
    try:
        return b"live.follower" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False
