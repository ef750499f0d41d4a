"""Fetches one document of a notified export: the one place where this program acts on a stranger's address.

The host must be listed (`content.export_hosts`). It is resolved once, within a few seconds (resolving.py), every
address it has must be allowed (public_addresses.py), and the connection goes to the address that was checked;
certificate, SNI and `Host` stay the host's. Redirects are followed at most three times, each checked from the start. No
proxy of the environment is used.
Documents come as they are (`Accept-Encoding: identity`): a compressed one is refused unread, so none can be a bomb.
Bytes and seconds are limited; when the time is over the connection is shut from outside, so that a server which
sends a byte a second can not hold it. What goes wrong is permanent (ImportRefused) or not (ExportUnavailable), told
with host and path: queries and credentials may be secrets and are in no sentence and no log.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import BinaryIO
from urllib.parse import urljoin

from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from personalization_pipelines.content.exports.public_addresses import is_allowed
from personalization_pipelines.content.exports.resolving import Resolve, resolve, resolve_within
from personalization_pipelines.foundation.errors import ExportUnavailable, ImportRefused
from personalization_pipelines.website.export_hosts import (
    ExportAddress,
    ExportHost,
    listed,
    parse_export_address,
)

CHUNK = 64 << 10
MAX_ADDRESSES = 3
"""So many of a host's addresses are tried."""
REDIRECTS = (301, 302, 303, 307, 308)
TRY_AGAIN = (408, 425, 429)
"""Answers below 500 that may be others later."""
LATE = "a document was not complete within the time for one"
_LOGGERS = tuple(map(logging.getLogger, ("urllib3.connection", "urllib3.response", "urllib3.util.retry")))


@dataclass(frozen=True)
class Login:
    """What Basic authentication is given."""

    login: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """The value of the header `Authorization`."""
        return "Basic " + b64encode(f"{self.login}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Limits:
    """What one document may cost: bytes, seconds in all, to find the host's addresses, to connect and without a byte,
    redirects."""

    bytes: int = 1 << 30
    seconds: float = 600
    resolve_seconds: float = 5
    connect_seconds: float = 10
    idle_seconds: float = 30
    redirects: int = 3


@dataclass(frozen=True)
class Fetcher:
    """Fetches from `hosts` alone. `resolve` and `tls` are the system's own but in tests."""

    hosts: Sequence[ExportHost]
    limits: Limits = Limits()
    resolve: Resolve = resolve
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context

    def fetch(self, address: ExportAddress, login: Login | None, to: BinaryIO, *, most: int | None = None) -> int:
        """Write the document at an address to a file and return its bytes, `most` (and never over the limit's).

        The login is sent to the address' own scheme, host and port alone, also after a redirect. Raises ImportRefused
        and ExportUnavailable; the file's contents are of no use then.
        """
        deadline, first = time.monotonic() + self.limits.seconds, address
        limit = self.limits.bytes if most is None else min(most, self.limits.bytes)
        for _ in range(self.limits.redirects + 1):
            host = self._listed(address)
            sent = login if _origin(address) == _origin(first) else None
            with _translated(address), self._connected(address, host, deadline) as connection:
                response = _ask(connection, address, sent)
                with closing(response):
                    if response.status not in REDIRECTS:
                        return _receive(response, address, to, limit)
                    address = _redirected(response, address)
        raise ImportRefused(f"{first.shown}: more than {self.limits.redirects} redirects")

    def _listed(self, address: ExportAddress) -> ExportHost:
        host = listed(address, self.hosts)
        if host is None:
            raise ImportRefused(
                f"{address.scheme}://{address.authority} is not among the website's hosts (content: export_hosts)"
            )
        return host

    @contextmanager
    def _connected(self, address: ExportAddress, host: ExportHost, deadline: float) -> Iterator[HTTPConnection]:
        """Yield a connection to a checked address that ends at the deadline, whatever is going on then."""
        plain = self._connect(address, self._addresses(address, host, deadline), deadline)
        with closing(plain), _shut_at(plain, deadline, address):
            plain.settimeout(self.limits.idle_seconds)
            connection = HTTPConnection(address.host, address.port, timeout=self.limits.idle_seconds)
            with closing(connection):
                if address.scheme == "https":
                    connection.sock = self.tls().wrap_socket(plain, server_hostname=address.host)
                else:
                    connection.sock = plain
                yield connection

    def _addresses(self, address: ExportAddress, host: ExportHost, deadline: float) -> Sequence[str]:
        seconds = min(self.limits.resolve_seconds, deadline - time.monotonic())
        try:
            found = resolve_within(seconds, address.host, address.port, self.resolve)
        except (OSError, UnicodeError):
            raise _away(address, "the host has no address now") from None
        if found is None:
            why = f"its name was not resolved within {max(seconds, 0):.3g} s; look at this machine's resolver (DNS)"
            raise _away(address, why)
        wrong = [one for one in found if not is_allowed(one, host)]
        if wrong:
            allowed = f"in {host.network}" if host.network else "public"
            raise ImportRefused(f"{address.authority}: its address {wrong[0][:60]} is not {allowed}")
        if not found:
            raise _away(address, "the host has no address now")
        return found[:MAX_ADDRESSES]

    def _connect(self, address: ExportAddress, addresses: Sequence[str], deadline: float) -> socket.socket:
        for one in addresses:
            seconds = min(self.limits.connect_seconds, deadline - time.monotonic())
            if seconds <= 0:
                raise _away(address, LATE)
            with suppress(OSError):
                # a numeric address: nothing is resolved again
                return socket.create_connection((one, address.port), seconds)
        raise _away(address, f"no connection within {self.limits.connect_seconds:g} s")


def _away(address: ExportAddress, why: str) -> ExportUnavailable:
    return ExportUnavailable(f"{address.authority}: {why}", away=address.authority)


def _origin(address: ExportAddress) -> tuple[str, str, int]:
    return address.scheme, address.host, address.port


def _ask(connection: HTTPConnection, address: ExportAddress, login: Login | None) -> HTTPResponse:
    headers = {
        "Host": address.authority,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "personalization-pipelines",
        "Connection": "close",
        **({"Authorization": login.header} if login else {}),
    }
    connection.request(
        "GET", address.path + address.query, headers=headers, preload_content=False, decode_content=False
    )
    return connection.getresponse()


def _redirected(response: HTTPResponse, address: ExportAddress) -> ExportAddress:
    try:
        return parse_export_address(urljoin(address.text, response.headers.get("location", "").partition("#")[0]))
    except ValueError as error:
        raise ImportRefused(f"{address.shown}: a redirect to no address ({error})") from None


def _receive(response: HTTPResponse, address: ExportAddress, to: BinaryIO, limit: int) -> int:
    if response.status >= 500 or response.status in TRY_AGAIN:
        raise ExportUnavailable(f"{address.shown}: status {response.status}")
    if response.status != 200:
        raise ImportRefused(f"{address.shown}: status {response.status}; expected 200")
    _check_coding(response, address)
    if (response.length_remaining or 0) > limit:
        raise _too_large(address, limit)
    size = 0
    for chunk in response.stream(CHUNK, decode_content=False):
        size += len(chunk)
        if size > limit:
            raise _too_large(address, limit)
        try:
            to.write(chunk)
        except OSError as error:
            raise ExportUnavailable(f"{address.shown}: the disk does not take it ({error.strerror})") from None
    return size


def _check_coding(response: HTTPResponse, address: ExportAddress) -> None:
    """Refuse what would have to be decompressed, and a transfer whose end nobody could tell."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    transfer = response.headers.get("transfer-encoding", "chunked").strip().lower()
    if coding not in ("", "identity") or transfer != "chunked":
        wrong = coding if coding not in ("", "identity") else transfer
        raise ImportRefused(f"{address.shown}: encoded as {wrong[:40]!r} although none was asked for (identity)")


def _too_large(address: ExportAddress, limit: int) -> ImportRefused:
    return ImportRefused(f"{address.shown}: more than {limit:,} bytes")


@contextmanager
def _shut_at(connected: socket.socket, deadline: float, address: ExportAddress) -> Iterator[None]:
    """Shut a connection at the deadline: whoever waits for bytes of it gets none, and then ExportUnavailable."""
    handle, over = connected.dup(), threading.Event()  # wrapping a socket in TLS takes it away from its object

    def shut() -> None:
        over.set()
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(deadline - time.monotonic(), 0), shut)
    timer.daemon = True
    timer.start()
    late = _away(address, LATE)
    try:
        yield
        if over.is_set():
            raise late
    except (OSError, HTTPException, HTTPError):
        if over.is_set():
            raise late from None
        raise
    finally:
        timer.cancel()
        timer.join()
        handle.close()


@contextmanager
def _translated(address: ExportAddress) -> Iterator[None]:
    """Turn what the network and HTTP fail with into our own failures, and keep the libraries' logs from the address."""
    for logger in _LOGGERS:
        logger.addFilter(_nothing)
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise ImportRefused(f"{address.authority}: its certificate is refused ({error.verify_message})") from None
    except (TimeoutError, ReadTimeoutError):
        raise _away(address, "it stopped sending") from None
    except (OSError, HTTPException, HTTPError) as error:
        raise ExportUnavailable(f"{address.shown}: broken off ({type(error).__name__})") from None
    finally:
        for logger in _LOGGERS:
            logger.removeFilter(_nothing)


def _nothing(_record: logging.LogRecord) -> bool:
    return False
