"""Who may ask: Basic authentication with customer id and licence key, where a website demands it.

An unknown customer and a wrong key get the same answer after the same work, so that neither tells which
customers exist. After ten wrong keys in a minute from one address for one customer, further wrong ones are answered
429 instead of 401. The right key is let in always, for the owner may share an address with whoever guesses; so this
slows who heeds it and marks who does not, while what can not be guessed is a long key.
docs/decisions/wrong-keys.md says why this is no library's.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from base64 import b64decode
from binascii import Error
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import TooManyRequests, Unauthorized

from personalization_pipelines.website import Website
from serving.http.client_address import client_address

MAX_FAILURES = 10
PERIOD = 60.0
MAX_REMEMBERED = 10_000


class Access:
    """The guard of one worker; `clock` gives seconds."""

    def __init__(self, clock: Any = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def demand(self, customer: str, website: Website | None, environ: Mapping[str, Any]) -> None:
        """Return if the request carries the customer's key; else raise Unauthorized or TooManyRequests.

        `website` is None for an unknown customer: the comparison is made all the same.
        """
        header = environ.get("HTTP_AUTHORIZATION", "")
        if not header:
            raise _unauthorized()
        key = website.license_key.get_secret_value() if website is not None else ""
        same = hmac.compare_digest(_digest(_credentials(header)), _digest(f"{customer}:{key}".encode()))
        if same and website is not None:
            return
        if self._too_many((customer[:64], client_address(environ))):
            raise TooManyRequests("Too many wrong licence keys: try again in a minute.", retry_after=int(PERIOD))
        raise _unauthorized()

    def _too_many(self, who: tuple[str, str]) -> bool:
        """Tell whether `who` had ten wrong keys within a minute before this one; if not, remember this one."""
        with self._lock:
            now, times = self._clock(), self._failures.setdefault(who, deque(maxlen=MAX_FAILURES))
            if len(times) == MAX_FAILURES and times[0] > now - PERIOD:
                return True
            times.append(now)
            self._failures.move_to_end(who)
            if len(self._failures) > MAX_REMEMBERED:
                self._failures.popitem(last=False)
            return False


def _credentials(header: str) -> bytes:
    """Return `user:password` of an Authorization header, or nothing where it is malformed."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(encoded.strip(), validate=True)
    except (Error, ValueError):
        return b""


def _digest(secret: bytes) -> bytes:
    """Return equally long bytes, so that a comparison tells nothing about lengths."""
    return hashlib.sha256(secret).digest()


def _unauthorized() -> Unauthorized:
    return Unauthorized(
        "The customer id and the licence key are needed here (Basic authentication).",
        www_authenticate=WWWAuthenticate("basic", {"realm": "personalization"}),
    )
