"""The follower: carries what is acknowledged in the event log into the live store, within a second.

One process a host, `python -m personalization_pipelines.events.live.follower`, started and watched by `serve`. It keeps
its place in the store itself, so it may be killed at any moment: nothing is lost, and a repetition changes nothing.
While the store is away it tries again for as long as it takes; tracking does not notice. A SQLite file that was
deleted or is damaged is made again from all segments that are kept; what is older is in the publications.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import msgspec

from personalization_pipelines.erasure.tombstones import BLANK, Forgotten, states
from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.judging.bounds import find_fault
from personalization_pipelines.events.live.live_store import SHARES, VIEW_MICROSECONDS, LiveStore, discard
from personalization_pipelines.events.live.repeats import RecentIds
from personalization_pipelines.events.log.tail import Position, Span, Tail
from personalization_pipelines.foundation.errors import CorruptData, LiveStoreUnavailable
from personalization_pipelines.foundation.home import Home

POLL_SECONDS = 0.05
BATCH_RECORDS = 20_000
FIRST_RETRY, LONGEST_RETRY = 0.1, 5.0
DEFAULT_RETENTION = timedelta(days=35)
FOREVER = timedelta(days=36_500)
FORGET_EVERY = 3600 / SHARES  # seconds: every visitor is looked at once an hour
FORGET_VIEWS_EVERY = 10.0  # a part of them
LOOK_EVERY = 0.5  # seconds between two looks for tombstones

Retention = Callable[[], Mapping[str, timedelta]]

_log = logging.getLogger(__name__)


def follow(home: Home, stop: threading.Event, *, retention: Retention = dict, poll: float = POLL_SECONDS) -> None:
    """Apply the log to the live store until `stop` is set; wait for another follower of this home to end first.

    `retention` gives, per website, for how long events stay (35 days for those it does not name).
    Returns only after the batch at hand is committed.
    """
    with _only_follower(home, stop, poll) as alone:
        retry = FIRST_RETRY
        while alone and not stop.is_set():
            try:
                for _ in _rounds(home, retention, stop, poll):
                    retry = FIRST_RETRY
            except (LiveStoreUnavailable, CorruptData) as error:
                if isinstance(error, CorruptData):
                    discard(home.live_database)
                    _log.error("%s; it was removed and is made again from the event log", error)
                else:
                    _log.warning("%s; next try in %.1f s", error, retry)
                stop.wait(retry)
                retry = min(2 * retry, LONGEST_RETRY)


def _rounds(home: Home, retention: Retention, stop: threading.Event, poll: float) -> Iterator[int]:
    """Yield how many records each round applied, until `stop` is set or the store fails."""
    follower = Follower(home, LiveStore(home.live_database), retention)
    try:
        while not stop.is_set():
            follower.check()
            follower.erase_when_due()
            applied = follower.apply_unread()
            follower.forget_when_due()
            yield applied
            if not applied:
                stop.wait(poll)
    finally:
        follower.close()


class Follower:
    """One connection to the live store, and how far it has come. Its place is the store's own record of it."""

    def __init__(self, home: Home, store: LiveStore, retention: Retention = dict) -> None:
        self._home = home
        self._store = store
        self._forgotten: dict[str, Forgotten] = {}
        self._erasures: dict[str, tuple[int, int]] = {}
        self._next_look = 0.0
        self._retention = retention
        self._tail = Tail(home.log)
        self._positions = store.positions()
        self._recent = RecentIds()
        self._share, self._next_share, self._next_views = 0, 0.0, 0.0

    def check(self) -> None:
        """Raise CorruptData where the store's file was deleted or is damaged."""
        self._store.check()

    def apply_unread(self) -> int:
        """Apply one batch of what is unread, about 20,000 records; return how many, 0 if there was nothing."""
        events: list[Event] = []
        moved: dict[str, Position] = {}
        records = 0
        for span in self._tail.unread(self._positions, BATCH_RECORDS):
            events += _events(span, self._forgotten)
            moved[span.segment.writer] = span.position
            records += len(span.records)
            if records >= BATCH_RECORDS:
                break
        if moved:
            fresh = self._recent.unseen(events)
            self._store.apply(fresh, moved)
            self._recent.remember(fresh)
            self._positions |= moved
        return records

    def erase_when_due(self) -> None:
        """Forget whom new tombstones name; looks for them twice a second, so before the first events are applied."""
        if (now := time.monotonic()) >= self._next_look:
            self._next_look = now + LOOK_EVERY
            self.erase()

    def erase(self) -> None:
        """Forget whom new tombstones name; what the log still says of them is passed over from now on."""
        for website, changed in states(self._home).items():
            if self._erasures.get(website) != changed:
                self._forgotten[website] = Forgotten(self._home, website)
                self._store.erase(website, self._forgotten[website])
                self._erasures[website] = changed

    def forget_when_due(self) -> None:
        """Forget what is too old: one share of the visitors every minute, and some views that no longer count."""
        now = time.monotonic()
        if now >= self._next_share:
            self.forget(self._share)
            self._share, self._next_share = (self._share + 1) % SHARES, now + FORGET_EVERY
        if now >= self._next_views:
            self._store.forget_views(time.time_ns() // 1000 - VIEW_MICROSECONDS)
            self._next_views = now + FORGET_VIEWS_EVERY

    def forget(self, share: int) -> None:
        """Forget what is older than its website's retention, in one of the 64 shares of the visitors."""
        spans, now = self._retention(), time.time_ns() // 1000
        for website in self._store.websites():
            span = spans.get(website, DEFAULT_RETENTION)
            self._store.forget_before(now - span // timedelta(microseconds=1), website, share)

    def close(self) -> None:
        """Close the connection to the store."""
        self._store.close()


def _events(span: Span, forgotten: Mapping[str, Forgotten]) -> list[Event]:
    """Return the events of a span; what can not be read is the lake's to keep (its quarantine), not ours."""
    if span.damage:
        _log.error("%s", span.damage.error())
    events: list[Event] = []
    faults: list[str] = []
    for offset, payload in span.records:
        if payload.startswith(BLANK):
            continue
        try:
            event = decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            faults.append(f"offset {offset}: {error}")
            continue
        if fault := find_fault(event, payload):
            faults.append(f"offset {offset}: {fault}")
        elif not (known := forgotten.get(event.website)) or not known.holds(payload):
            events.append(event)
    if faults:
        _log.warning("%s: %d unreadable events, the first at %s", span.segment.path.name, len(faults), faults[0])
    return events


def retention_of_websites(home: Home) -> dict[str, timedelta]:
    """Return `retention.live` of every website; nothing is forgotten while a website's file is broken."""
    from personalization_pipelines.website.load import (
        load_websites,  # pydantic: not before the first events are through
    )

    websites, broken = load_websites(home)
    return dict.fromkeys(broken, FOREVER) | {name: website.retention.live for name, website in websites.items()}


@contextmanager
def _only_follower(home: Home, stop: threading.Event, poll: float) -> Iterator[bool]:
    """Hold the follower's lock of this home; False if `stop` came before the lock."""
    descriptor = os.open(home.root / "follower.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not stop.is_set():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stop.wait(poll)
            else:
                yield True
                return
        yield False
    finally:
        os.close(descriptor)


def main() -> None:
    """Follow the log of the home that the environment names, until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s follower %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    home = Home.from_environment()
    home.log.mkdir(parents=True, exist_ok=True)
    follow(home, stop, retention=lambda: retention_of_websites(home))


if __name__ == "__main__":
    main()
