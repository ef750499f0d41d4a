"""A real server of two published websites that is sent bytes as they are, and what it may not do about them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.log.event_log import Damage, read_everything, segments
from personalization_pipelines.foundation.home import Home
from tests.faults.server import Server
from tests.serving.shopfront import Installation, website, write_yaml

CLICK = b"/api/00001/click/ann/1/5"
BATCH = b"/api/00001/events"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
JSON = b"Content-Type: application/json\r\n"


class Answer:
    """One HTTP answer as it came."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1]) if first else 0
        self.headers = dict(line.lower().split(": ", 1) for line in lines)


class Shop:
    """A served website and what is in its log."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=10)

    def send(self, request: bytes) -> Answer:
        """Send bytes as they are; return what comes until the connection closes."""
        with closing(self.connect()) as connection:
            connection.sendall(request)
            return Answer(received(connection))

    def ask(self, target: bytes, method: bytes = b"GET", headers: bytes = b"", body: bytes | None = None) -> Answer:
        """Send one request; the body's length is told unless the headers do."""
        if body is not None and b"ength" not in headers and b"ncoding" not in headers:
            headers += b"Content-Length: %d\r\n" % len(body)
        line = method + b" " + target + b" HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n"
        return self.send(line + headers + b"\r\n" + (body or b""))

    def stored(self) -> list[Event]:
        """Every event of the log, also of the segment that is being written."""
        found = [one for segment in segments(self.server.home.log) for one in read_everything(segment.path)]
        return [decode(one[1]) for one in found if not isinstance(one, Damage)]


def received(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass  # what came before still counts
    return b"".join(parts)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = Home(tmp_path_factory.mktemp("home"))
    home.create()
    other = website(website="other", customer_id="00002", recommendation_auth="basic")
    Installation(home, website(), other).close()
    write_yaml(home)
    write_yaml(home, website="other", customer_id="00002", recommendation_auth="basic")
    server = Server(home)
    server.start()
    yield Shop(server)
    server.kill()


@pytest.fixture
def shop(served: Shop) -> Iterator[Shop]:
    """The shop; after a test it answers as before, has stored nothing and has logged nothing."""
    before, log = len(served.stored()), served.server.log.read_text()
    yield served
    assert served.ask(b"/readyz").status == 200
    assert len(served.stored()) == before, served.stored()[before:]
    assert served.server.log.read_text() == log


def assert_problem(answer: Answer, *statuses: int) -> str:
    """The answer is the envelope with one of these statuses; return its sentence."""
    assert answer.status in statuses, (answer.status, answer.body[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == answer.status
    assert b"Traceback" not in answer.body and b'File "' not in answer.body
    detail: str = problem["detail"]
    return detail
