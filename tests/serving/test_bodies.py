"""Slow bodies: how slow they may be, what all of them may hold, and that no thread waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from werkzeug.exceptions import RequestTimeout, ServiceUnavailable

from serving.http.bodies import GRACE_BYTES, GRACE_SECONDS, Bodies


async def arriving(*pieces: bytes | float) -> AsyncIterator[bytes]:
    """Yield pieces; a number is a pause in seconds."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            await asyncio.sleep(piece)


def receive(bodies: Bodies, length: int, *pieces: bytes | float) -> bytes:
    async def run() -> bytes:
        with bodies.room() as body:
            return await body.receive(arriving(*pieces), length)

    return asyncio.run(run())


def test_a_kibibyte_a_second_is_asked_for() -> None:
    assert GRACE_BYTES / GRACE_SECONDS == 1024


@pytest.mark.parametrize("sent", [b"x", b"body" * 100_000])
def test_what_is_received_is_what_was_sent(sent: bytes) -> None:
    half = len(sent) // 2
    for pieces in ((sent,), (sent[:half] or sent, sent[half:] if half else b"", b""), (sent[:half], 0.0, sent[half:])):
        if all(pieces[:1]):
            assert receive(Bodies(), len(sent), *pieces) == sent
    assert receive(Bodies(), len(sent) + 1, sent) == sent, "it broke off"
    assert receive(Bodies(), len(sent) + 1, sent, b"") == sent, "it broke off, and the server says so with no bytes"


def test_a_body_that_stands_still_or_trickles_is_408() -> None:
    bodies = Bodies(grace=0.2)
    for pieces in ((30.0,), (b"x", 30.0), (b"x" * 60_000, 30.0), (b"x", 0.05) * 1000, (b"x" * GRACE_BYTES, 30.0)):
        with pytest.raises(RequestTimeout, match="of 100000 bytes"):
            receive(bodies, 100_000, *pieces)
    assert bodies._held == 0


def test_a_body_that_keeps_coming_may_take_longer_than_the_grace() -> None:
    pieces = [piece for _ in range(6) for piece in (b"x" * GRACE_BYTES, 0.25)]
    assert receive(Bodies(grace=1.0), 6 * GRACE_BYTES, *pieces) == b"x" * 6 * GRACE_BYTES


def test_all_bodies_together_hold_no_more_than_they_may_and_give_it_back() -> None:
    bodies = Bodies(max_held=100)

    async def run() -> list[bytes | BaseException]:
        async def one(*pieces: bytes | float) -> bytes:
            with bodies.room() as body:
                return await body.receive(arriving(*pieces), 90)

        first = asyncio.create_task(one(b"x" * 60, 0.2, b"x" * 30))
        await asyncio.sleep(0.05)
        return await asyncio.gather(first, one(b"y" * 90), return_exceptions=True)

    kept, refused = asyncio.run(run())
    assert kept == b"x" * 90
    assert isinstance(refused, ServiceUnavailable)
    assert refused.retry_after == 1
    assert receive(bodies, 100, b"z" * 100) == b"z" * 100
