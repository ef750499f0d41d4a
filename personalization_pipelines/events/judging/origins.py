"""Whence the events of nobody come, so that one source counts once per item and day, like a visitor.

An origin is a keyed hash of the source's network, the website, the kind of event and the item, under a key of the
day: equal for what one source did with one item on one day, and for nothing else, so it ties no two items together.
The day's key is random and deleted when the day is over everywhere; then no one, with whatever other key, can tell of
which address an origin was. No address is stored.
"""

from __future__ import annotations

import logging
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from pathlib import Path

from msgspec.structs import replace

from personalization_pipelines.events.event import MICROSECONDS, Event
from personalization_pipelines.foundation.keyed_hash import KeyedHash
from personalization_pipelines.website import Website

COUNTED = frozenset({"click", "consume", "basket", "wishlist", "rate", "buy"})
"""Events that count for an item also where nobody in particular did them (visitor_item_days.sql)."""
KEY_BYTES = 32
ORIGIN_BYTES = 12
NETWORK_BITS = 64
"""Of an IPv6 address: a provider gives each household or server a network of that size."""
DAYS = timedelta(days=1)
"""For how long a day's key is kept before and after it: the day of a website begins and ends elsewhere up to a day
apart."""

Origin = Callable[[str, str], str]
"""Takes the kind of an event and its item, gives the origin."""
_log = logging.getLogger(__name__)


def network_of(address: str) -> str:
    """Return what counts as one source: an IPv4 address, the /64 of an IPv6 one, any other text as it is."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except AddressValueError:
        return address
    mapped: IPv4Address | None = parsed.ipv4_mapped
    return str(mapped) if mapped else (int(parsed) >> 128 - NETWORK_BITS).to_bytes(8).hex()


def mark_origins(events: Sequence[Event], origin: Origin) -> tuple[Event, ...]:
    """Return the events, those of nobody with their origin; signed ones, which come from a website, as they are."""
    return tuple(
        [
            replace(event, origin=origin(event.event, event.item))
            if not event.visitor and event.event in COUNTED and event.time == event.received_at
            else event
            for event in events
        ]
    )


class Origins:
    """Makes origins under the key of the day, which all workers of an installation share in `directory`.

    Without a directory the keys are this process's own. May be used from many threads.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._keys: dict[date, bytes] = {}

    def at(self, website: Website, address: str, now: int) -> Origin:
        """Return what gives the origins of events that come from an address at `now` (microseconds since 1970)."""
        moment = datetime.fromtimestamp(now // MICROSECONDS, UTC)
        key = self._key(moment.astimezone(website.zone).date(), moment.date())
        beginning = f"{website.customer_id}\0{network_of(address)}\0".encode()
        digest = KeyedHash(key, beginning).digest
        return lambda event, item: urlsafe_b64encode(digest(f"{event}\0{item}".encode())[:ORIGIN_BYTES]).decode()

    def _key(self, day: date, today: date) -> bytes:
        known = self._keys.get(day)
        if known is None:
            self._keys = {one: key for one, key in self._keys.items() if abs(one - today) <= DAYS}
            known = self._keys[day] = self._shared(day, today) or secrets.token_bytes(KEY_BYTES)
        return known

    def _shared(self, day: date, today: date) -> bytes | None:
        if self._directory is None:
            return None
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _forget(self._directory, today)
            return _read_or_make(self._directory / f"{day}.key")
        except (OSError, ValueError) as error:
            # An event is worth more than an exact count: without the others' key, each worker counts for itself.
            _log.error("key of the day: %s; each worker uses its own for %s", error, day)
            return None


def _read_or_make(path: Path) -> bytes:
    """Return the key in a file, which the first one to ask makes; a link appears with all its content or not at all."""
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path}: expected {KEY_BYTES} bytes, found {len(key)}; delete the file")
    return key


def _forget(directory: Path, today: date) -> None:
    """Delete the keys of days that are over everywhere."""
    for path in directory.glob("????-??-??.key"):
        if date.fromisoformat(path.stem) < today - DAYS:
            path.unlink(missing_ok=True)
