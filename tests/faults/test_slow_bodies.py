"""200 connections that trickle their bodies do not turn away those whose bodies come at once."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.server import Server, ingest_all, make_home

pytestmark = pytest.mark.fault

SLOW = 200
BATCHES = 80
EVENTS = 20
PADDING = 2000
"""Blanks of each event: a batch of more than 64 KiB is received in another way than a small one."""


class Tricklers:
    """Connections that send a byte of a large body now and then, and begin again whenever they are turned away."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._all_began = threading.Barrier(SLOW + 1)
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(SLOW)]
        self.statuses: Counter[bytes] = Counter()

    def __enter__(self) -> Tricklers:
        for thread in self._threads:
            thread.start()
        self._all_began.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        began = False
        while not self._stop.is_set():
            with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
                length = 2000 if number % 2 else 200_000
                connection.sendall(
                    b"POST /api/00001/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n[" % length
                )
                if not began:
                    self._all_began.wait(60)
                    began = True
                self._trickle(connection)

    def _trickle(self, connection: socket.socket) -> None:
        connection.settimeout(0.5)
        while not self._stop.is_set():
            try:
                connection.sendall(b" ")
                if answer := connection.recv(4096):
                    self.statuses[answer[9:12]] += 1
                return
            except TimeoutError:
                continue
            except OSError:
                return


def batch(number: int) -> bytes:
    padding = PADDING * (number % 3)
    items = range(number * EVENTS, (number + 1) * EVENTS)
    events = [{"event": "click", "user": f"u{item}", "item_type": 1, "item": item} for item in items]
    return b"[" + b",".join(json.dumps(event).encode().ljust(100 + padding) for event in events) + b"]"


def send(port: int, number: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/api/00001/events", batch(number), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status in (204, 503), answer.read()
        return answer.status
    finally:
        connection.close()


def test_among_200_trickling_bodies_honest_batches_get_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(make_home(tmp_path / "home"), workers=2)
    server.start()
    with ExitStack() as stack:
        tricklers = stack.enter_context(Tricklers(server.port))
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda number: send(server.port, number), range(BATCHES)))
    server.terminate()
    stored = ingest_all(server.home)
    with capsys.disabled():
        print(f"\n{SLOW} trickling bodies ({dict(tricklers.statuses)}): {Counter(statuses)} of {BATCHES} batches")
    accepted = [number for number, status in enumerate(statuses) if status == 204]
    assert len(accepted) >= 0.9 * BATCHES
    items = [item for number in accepted for item in range(number * EVENTS, (number + 1) * EVENTS)]
    assert sorted(stored) == items
    assert set(stored.values()) == {1}
    assert server.log.read_text().count("ERROR") == 0
