"""Receives request bodies in the worker's event loop: a slow one takes memory and a descriptor, and no thread.

A body must keep coming: each `GRACE_SECONDS` at least `GRACE_BYTES` of it (1 KiB a second), or its rest; else its
sender is told so (408) and the connection is closed. What all bodies of a worker hold at a time is bounded (503).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from werkzeug.exceptions import RequestTimeout, ServiceUnavailable

GRACE_SECONDS = 5.0
GRACE_BYTES = 5 * 1024
MAX_HELD_BYTES = 64 << 20


class Bodies:
    """The bodies that one worker is receiving or working on; for its event loop alone."""

    def __init__(self, *, grace: float = GRACE_SECONDS, max_held: int = MAX_HELD_BYTES) -> None:
        self._grace = grace
        self._max_held = max_held
        self._held = 0

    @contextmanager
    def room(self) -> Iterator[Body]:
        """Yield a body to receive; its memory counts until the end."""
        body = Body(self._grace, self._hold)
        try:
            yield body
        finally:
            self._held -= body.size

    def _hold(self, size: int) -> None:
        if self._held + size > self._max_held:
            raise ServiceUnavailable("the server holds as many bodies as it can: send again later.", retry_after=1)
        self._held += size


class Body:
    """What came of one body; `hold` is told each piece's size, and may refuse it."""

    def __init__(self, grace: float, hold: Callable[[int], None]) -> None:
        self.size = 0
        self._grace = grace
        self._hold = hold
        self._pieces: list[bytes] = []

    async def receive(self, pieces: AsyncIterable[bytes], length: int) -> bytes:
        """Return a body of `length` bytes, or what came of it before its sender broke off.

        Raises RequestTimeout (408) where it comes too slowly, ServiceUnavailable (503) where all bodies together
        are too large.
        """
        coming, more = aiter(pieces), True
        try:
            while more and self.size < length:
                async with asyncio.timeout(self._grace):
                    more = await self._reach(min(length, self.size + GRACE_BYTES), coming)
        except TimeoutError:
            raise RequestTimeout(
                f"body of {length} bytes: {self.size} came, and not {GRACE_BYTES} more in {self._grace:g} seconds."
            ) from None
        return b"".join(self._pieces)

    async def _reach(self, goal: int, coming: AsyncIterator[bytes]) -> bool:
        """Receive until there are `goal` bytes; False if the body ended before."""
        while self.size < goal:
            try:
                piece = await anext(coming)  # without a default: granian's can not be stopped through anext's wrapper
            except StopAsyncIteration:
                return False
            if not piece:
                return False
            self._hold(len(piece))
            self.size += len(piece)
            self._pieces.append(piece)
        return True
