"""Receives request bodies; slow ones may not take the threads that requests without a body need.

The server (granian) reads a body while it is asked for, in the thread that answers, for as long as its sender
likes: it has no time limit for bodies, and a request may not be answered while another thread reads its body
(that blocks the whole worker). So there are places for half of the threads. Whoever finds none waits only if a
body came just now, for most are received in less than a millisecond, and is else told to come again (503).
Who must take bodies from senders that mean harm puts a proxy in front that buffers them, as nginx does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from werkzeug.exceptions import ServiceUnavailable

AT_ONCE = 4
"""Half of the server's threads."""
PLACE_SECONDS = 0.05
"""How long a body waits for a place, and how old one may be that is worth waiting for."""


class Readable(Protocol):
    """What a WSGI server gives as `wsgi.input`."""

    def read(self, size: int, /) -> bytes:
        """Return as many bytes, or fewer if the body ends before."""


class Bodies:
    """Receives the bodies of one worker; `clock` gives seconds."""

    def __init__(self, at_once: int = AT_ONCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places = threading.BoundedSemaphore(at_once)
        self._youngest = clock()

    def receive(self, stream: Readable, length: int) -> bytes:
        """Return a body of `length` bytes, or what came of it before its sender broke off.

        Raises ServiceUnavailable (503) while slow bodies have all places.
        """
        if not self._places.acquire(blocking=False) and not (self._is_moving() and self._waited()):
            raise ServiceUnavailable(
                "the server is receiving as many bodies as it can: send again later.", retry_after=1
            )
        self._youngest = self._clock()
        try:
            return stream.read(length)
        finally:
            self._places.release()

    def _is_moving(self) -> bool:
        """Tell whether any body got its place just now, so that some place may be free soon."""
        return self._clock() - self._youngest < PLACE_SECONDS

    def _waited(self) -> bool:
        return self._places.acquire(timeout=PLACE_SECONDS)
