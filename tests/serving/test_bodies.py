"""Slow bodies: that they have only half of the threads, and who waits for a place and who does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO

import pytest
from werkzeug.exceptions import ServiceUnavailable

from serving.http.bodies import AT_ONCE, PLACE_SECONDS, Bodies
from serving.server import THREADS


class Sender:
    """A body that is read when the test lets it be."""

    def __init__(self) -> None:
        self.is_read, self._may_end = threading.Event(), threading.Event()

    def read(self, size: int, /) -> bytes:
        self.is_read.set()
        assert self._may_end.wait(20)
        return b"x" * size

    def ends(self) -> None:
        self._may_end.set()


class Receiving:
    """Bodies of two places, a clock that stands still, and the requests that wait."""

    def __init__(self, pool: ThreadPoolExecutor, stack: ExitStack) -> None:
        self.now = 0.0
        self.bodies = Bodies(2, lambda: self.now)
        self._pool, self._stack = pool, stack

    def begin(self) -> tuple[Sender, Future[bytes]]:
        """Start a body and return once it is read."""
        sender = Sender()
        self._stack.callback(sender.ends)
        waiting = self._pool.submit(self.bodies.receive, sender, 3)
        assert sender.is_read.wait(20)
        return sender, waiting


@pytest.fixture
def receiving() -> Iterator[Receiving]:
    with ThreadPoolExecutor(4) as pool, ExitStack() as stack:
        yield Receiving(pool, stack)


def test_half_of_the_servers_threads_receive_bodies_at_most() -> None:
    assert AT_ONCE * 2 <= THREADS


def test_what_is_received_is_what_was_sent(receiving: Receiving) -> None:
    for sent in (b"", b"x", b"body" * 100_000):
        assert receiving.bodies.receive(BytesIO(sent), len(sent)) == sent
        assert receiving.bodies.receive(BytesIO(sent), len(sent) + 1) == sent, "it broke off"


def test_who_finds_no_place_waits_only_where_one_may_be_free_soon(receiving: Receiving) -> None:
    receiving.begin()
    receiving.begin()
    for age, patient in ((PLACE_SECONDS / 2, True), (PLACE_SECONDS + 0.01, False)):
        receiving.now = age
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable) as refused:
            receiving.bodies.receive(BytesIO(b"body"), 4)
        assert refused.value.retry_after == 1
        assert (time.monotonic() - began >= PLACE_SECONDS) == patient


def test_a_place_is_free_again_when_its_body_came_or_broke(receiving: Receiving) -> None:
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise ConnectionResetError(size)

    receiving.begin()
    sender, waiting = receiving.begin()
    with pytest.raises(ServiceUnavailable):
        receiving.bodies.receive(BytesIO(b"body"), 4)
    sender.ends()
    assert waiting.result(20) == b"xxx"
    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            receiving.bodies.receive(Broken(), 4)
        assert receiving.bodies.receive(BytesIO(b"body"), 4) == b"body"
