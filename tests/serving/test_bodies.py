"""Slow bodies: who keeps a place, who gives way, who is given up, and that nobody else notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from queue import SimpleQueue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import RequestTimeout, ServiceUnavailable

from serving.bodies import (
    AT_ONCE,
    CHUNK,
    FAST,
    GRACE_SECONDS,
    MAX_READERS,
    PATIENCE_SECONDS,
    SLOW,
    Bodies,
)
from serving.server import THREADS

LENGTH = 5 << 20


class Sender:
    """A body whose bytes come when the test says so; `ends` stands for the connection that closes."""

    def __init__(self) -> None:
        self._parts: SimpleQueue[bytes] = SimpleQueue()
        self.is_read = threading.Semaphore(0)

    def read(self, size: int, /) -> bytes:
        self.is_read.release()
        return self._parts.get(timeout=20)[:size]

    def sends(self, part: bytes) -> None:
        assert self.is_read.acquire(timeout=20)
        self._parts.put(part)

    def ends(self) -> None:
        self._parts.put(b"")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Receiving:
    """Bodies of two places, and the requests that wait for them."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.clock = Clock()
        self.bodies = Bodies(2, self.clock)
        self._pool = pool
        self.senders: list[Sender] = []

    def begin(self) -> tuple[Sender, Future[bytes]]:
        """Start a body and return once it is waited for."""
        sender = Sender()
        self.senders.append(sender)
        waiting = self._pool.submit(self.bodies.receive, sender, LENGTH)
        until(lambda: sender.is_read._value > 0 or waiting.done())
        return sender, waiting


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def receiving() -> Iterator[Receiving]:
    with ThreadPoolExecutor(8) as pool:
        made = Receiving(pool)
        yield made
        for sender in made.senders:
            sender.ends()
            sender.ends()


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=3 * CHUNK), st.integers(0, 9))
def test_what_is_received_is_what_was_sent(sent: bytes, more: int) -> None:
    assert Bodies().receive(BytesIO(sent), len(sent)) == sent
    assert Bodies().receive(BytesIO(sent + b"x" * more), len(sent)) == sent
    assert Bodies().receive(BytesIO(sent), len(sent) + more) == sent, "a body that breaks off is what came of it"


def test_half_of_the_servers_threads_wait_for_bodies_at_most() -> None:
    assert AT_ONCE * 2 <= THREADS


def test_a_young_body_keeps_its_place_and_a_newcomer_is_told_to_come_again(receiving: Receiving) -> None:
    (first, one), (second, two) = receiving.begin(), receiving.begin()
    receiving.clock.now = GRACE_SECONDS - 0.01
    with pytest.raises(ServiceUnavailable) as refused:
        receiving.bodies.receive(BytesIO(b"body"), 4)
    assert refused.value.retry_after == 1
    for sender in (first, second):
        sender.sends(b"x")
        sender.ends()
    assert (one.result(20), two.result(20)) == (b"x", b"x")
    assert receiving.bodies.receive(BytesIO(b"body"), 4) == b"body"


def test_the_oldest_slow_body_gives_way_to_a_newcomer_and_a_fast_one_does_not(receiving: Receiving) -> None:
    (fast, one), (_, two) = receiving.begin(), receiving.begin()
    receiving.clock.now = GRACE_SECONDS + 0.1
    fast.sends(b"x" * CHUNK)
    until(lambda: fast.is_read._value > 0)
    assert CHUNK / FAST > 0.1
    assert receiving.bodies.receive(BytesIO(b"body"), 4) == b"body"
    with pytest.raises(RequestTimeout, match="send it again"):
        two.result(20)
    assert not one.done()
    fast.ends()
    assert one.result(20) == b"x" * CHUNK


def test_a_body_that_nobody_wants_to_replace_is_given_up_after_a_while(receiving: Receiving) -> None:
    slow, waiting = receiving.begin()
    receiving.clock.now = PATIENCE_SECONDS - 0.1
    slow.sends(b"x" * SLOW)
    until(lambda: slow.is_read._value > 0)
    receiving.clock.now = PATIENCE_SECONDS + 0.9
    time.sleep(1.2)  # it is looked at once a second
    assert not waiting.done(), "what came so far is worth another second"
    receiving.clock.now = PATIENCE_SECONDS + 1.1
    with pytest.raises(RequestTimeout, match=f"only {SLOW} came in time"):
        waiting.result(20)


def test_a_failing_connection_is_the_error_of_whoever_waits() -> None:
    class Broken:
        def read(self, size: int, /) -> bytes:
            raise ConnectionResetError(size)

    bodies = Bodies(1)
    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            bodies.receive(Broken(), 4)
    assert bodies.receive(BytesIO(b"body"), 4) == b"body"


def test_readers_that_nobody_ends_are_bounded_and_those_that_end_are_used_again(receiving: Receiving) -> None:
    before = threading.active_count()
    for _ in range(MAX_READERS):
        receiving.begin()
        receiving.clock.now += GRACE_SECONDS + 0.1
    with pytest.raises(ServiceUnavailable):
        receiving.bodies.receive(BytesIO(b"body"), 4)
    for sender in receiving.senders:
        sender.ends()
        sender.ends()
    until(lambda: threading.active_count() <= before + 8 + 2)
    assert receiving.bodies.receive(BytesIO(b"body"), 4) == b"body"
