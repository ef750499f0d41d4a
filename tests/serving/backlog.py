"""Acknowledged events that the live store has not seen, and how long a follower takes for them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.log.event_log import SegmentLog, segments
from personalization_pipelines.events.log.tail import Position
from personalization_pipelines.foundation.errors import LiveStoreUnavailable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym

AT_ONCE = 1000
SECONDS = 600
KINDS = ("click", "click", "click", "click", "consume", "basket", "buy", "rendered")


def write_backlog(home: Home, events: int, visitors: int) -> None:
    """Write so many events of the last ten minutes, of visitors who come again, as a server does."""
    chance, log = random.Random(1), SegmentLog(home.log)
    known = [pseudonym(b"k" * 32, "00001", f"u{number}") for number in range(visitors)]
    first = time.time_ns() // 1000 - SECONDS * 1_000_000
    step = SECONDS * 1_000_000 / events
    for start in range(0, events, AT_ONCE):
        log.append(
            [
                encode(
                    Event("shop", chance.choice(KINDS), at, at, chance.choice(known), 1, str(chance.randrange(50_000)))
                )
                for at in (int(first + number * step) for number in range(start, min(start + AT_ONCE, events)))
            ]
        )
    log.close()


def seconds_to_catch_up(home: Home, patience: float = 600.0) -> float:
    """Start a follower, and return how long it takes until everything that is in sealed segments is applied."""
    environment = {**os.environ, "PERSONALIZATION_HOME": str(home.root), "PERSONALIZATION_DATABASE": home.database}
    reader = LiveReader(home.live_database, deadline=5.0)
    wanted = {segment.writer: Position(segment.number + 1, 0) for segment in segments(home.log)}
    began = time.monotonic()
    follower = subprocess.Popen(
        [sys.executable, "-m", "personalization_pipelines.events.live.follower"],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not wanted.items() <= _positions(reader).items():
            if time.monotonic() - began > patience:
                raise RuntimeError(f"the follower has not caught up within {patience} seconds")
            time.sleep(0.02)
        return time.monotonic() - began
    finally:
        follower.terminate()
        follower.wait(20)
        reader.close()


def _positions(reader: LiveReader) -> dict[str, Position]:
    try:
        return reader.positions()
    except LiveStoreUnavailable:
        return {}
