"""Receives request bodies, so that slow senders take neither the server's threads nor each other's places.

The server reads a body where it is asked for, and waits for the sender without an end. So a body is read by
a thread of its own, and the thread that answers waits only as long as the sender earns it: at most `AT_ONCE`
bodies are received at a time, one that is slower than `FAST` gives way to a newcomer, and one slower than
`SLOW` is given up. Who is given up is answered with 408, whereupon the server closes the connection and with
it ends the reading. Handing a body over costs 9 us of CPU, a tenth of a microsecond for an event of a batch of 100.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from werkzeug.exceptions import RequestTimeout, ServiceUnavailable

AT_ONCE = 4
"""Half of the server's threads, which wait for these bodies; the others answer requests without a body."""
PLACE_SECONDS = 0.05
"""How long a body waits for a place before it is told to come again."""
GRACE_SECONDS = 0.5
FAST = 256 * 1024
"""Bytes a second, after the grace, that keep a body's place while others want it."""
PATIENCE_SECONDS = 10.0
SLOW = 16 * 1024
"""Bytes a second, after the patience, that keep a body's place while nobody wants it."""
CHUNK = 64 * 1024
MAX_READERS = 64


class Readable(Protocol):
    """What a WSGI server gives as `wsgi.input`."""

    def read(self, size: int, /) -> bytes:
        """Return as many bytes, or fewer if the body ends before."""


class _Body:
    """One body on its way."""

    __slots__ = ("began", "error", "given_up", "length", "news", "parts", "received", "stream")

    def __init__(self, stream: Readable, length: int, began: float) -> None:
        self.stream = stream
        self.length = length
        self.began = began
        self.parts: list[bytes] = []
        self.received = 0
        self.given_up = False
        self.error: Exception | None = None
        self.news: SimpleQueue[None] = SimpleQueue()

    def read(self) -> None:
        """Read to the end, or until nobody waits any more; then say so."""
        try:
            while not self.given_up and self.received < self.length:
                part = self.stream.read(min(CHUNK, self.length - self.received))
                if not part:
                    break
                self.parts.append(part)
                self.received += len(part)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            self.error = error
        self.news.put(None)


class Bodies:
    """Receives the bodies of one worker; `clock` gives seconds."""

    def __init__(self, at_once: int = AT_ONCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._clock = clock
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(at_once)
        self._receiving: list[_Body] = []
        self._handed_over: SimpleQueue[_Body] = SimpleQueue()
        self._readers = 0
        self._idle = 0

    def receive(self, stream: Readable, length: int) -> bytes:
        """Return a body of `length` bytes, or what came of it before its sender broke off.

        Raises RequestTimeout (408) where it comes too slowly, ServiceUnavailable (503) while there is no place.
        """
        self._take_place()
        body = _Body(stream, length, self._clock())
        try:
            self._hand_over(body)
            self._wait(body)
        finally:
            body.given_up = True
            with self._lock:
                self._receiving.remove(body)
            self._places.release()
        if body.error is not None:
            raise body.error
        return body.parts[0] if len(body.parts) == 1 else b"".join(body.parts)

    def _take_place(self) -> None:
        if self._places.acquire(blocking=False):
            return
        self._ask_for_place()
        if not self._places.acquire(timeout=PLACE_SECONDS):
            raise _full()

    def _ask_for_place(self) -> None:
        """Let the oldest body that is slow give way."""
        with self._lock:
            for body in self._receiving:
                if not body.given_up and self._is_behind(body, GRACE_SECONDS, FAST):
                    body.given_up = True
                    body.news.put(None)
                    return

    def _hand_over(self, body: _Body) -> None:
        with self._lock:
            self._receiving.append(body)
            if self._idle:
                self._idle -= 1
            elif self._readers < MAX_READERS:
                self._readers += 1
                threading.Thread(target=self._read_bodies, name="body", daemon=True).start()
            else:
                raise _full()
        self._handed_over.put(body)

    def _read_bodies(self) -> None:
        while True:
            self._handed_over.get().read()
            with self._lock:
                if self._idle == self._at_once:  # those that bodies which were given up had left without one
                    self._readers -= 1
                    return
                self._idle += 1

    def _wait(self, body: _Body) -> None:
        while not self._is_behind(body, PATIENCE_SECONDS, SLOW):
            try:
                body.news.get(timeout=1.0)
            except Empty:
                continue
            if body.given_up:
                break
            return
        raise RequestTimeout(f"body of {body.length} bytes: only {body.received} came in time; send it again at once.")

    def _is_behind(self, body: _Body, seconds: float, rate: int) -> bool:
        return self._clock() - body.began > seconds + body.received / rate


def _full() -> ServiceUnavailable:
    return ServiceUnavailable("the server is receiving as many bodies as it can: send again later.", retry_after=1)
