"""Hosts from where a notified export may be fetched (`content.export_hosts`), and addresses of exports on them.

An entry is `host` or `host:port` (https), or the same after `http://`. What it names has to be in the public
internet. A host in one's own network is listed with the network that its addresses are in, `cms.intranet=10.1.0.0/16`;
a private or loopback address that is an entry itself (`http://127.0.0.1:8080`) says that by being there.

Hosts and addresses are read by one strict grammar (a part of RFC 3986): ASCII, no user before an `@`, no fragment,
and of the many spellings of an IP address (`127.1`, `2130706433`, `0x7f.0.0.1`) none but the usual one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PORTS = {"https": 443, "http": 80}
MAX_ADDRESS = 8192

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_ADDRESS = re.compile(r"(?i:(https?))://([^/?#]*)((?:/[^?#]*)?)((?:\?[^#]*)?)")
_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-z~]*")  # printable ASCII without blanks and `"<>\^`{|}`
_EXPECTED = (
    "expected a host like cms.example.org or cms.example.org:8443 (https), http://cms.example.org, "
    "or cms.intranet=10.1.0.0/16 for a host in that network"
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class ExportHost:
    """One entry of the list. With a `network` its addresses must be in it, else they must be public ones."""

    scheme: str
    host: str
    port: int
    network: Network | None = None
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class ExportAddress:
    """The address of one document; `query` (with its `?`) may hold a secret and is never shown."""

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = field(default="", repr=False)

    @property
    def authority(self) -> str:
        """Host, and the port where it is not the scheme's own: what goes into the `Host` header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def shown(self) -> str:
        """Host and path, for the import history, logs and sentences."""
        return f"{self.authority}{self.path[:200]}"

    @property
    def text(self) -> str:
        """The whole address, the query too."""
        return f"{self.scheme}://{self.authority}{self.path}{self.query}"


def parse_export_host(text: str) -> ExportHost:
    """Return an entry of `content.export_hosts`. Raises ValueError with a sentence."""
    name, equals, given = text.partition("=")
    scheme, slashes, rest = name.rpartition("://")
    try:
        if slashes and scheme not in PORTS:
            raise ValueError
        host, port = _authority(rest, scheme or "https")
        network = ipaddress.ip_network(given.strip()) if equals else _own_network(host)
    except ValueError:
        raise ValueError(f"{text[:80]!r} is no host to fetch from; {_EXPECTED}") from None
    return ExportHost(scheme or "https", host, port, network, text)


def parse_export_address(text: str) -> ExportAddress:
    """Return the address of a document. Raises ValueError with a sentence that repeats nothing that may be secret."""
    if len(text) > MAX_ADDRESS:
        raise ValueError(f"an address of {len(text):,} characters: expected at most {MAX_ADDRESS:,}")
    if not _CHARACTERS.fullmatch(text):
        raise ValueError("an address with characters that have to be percent-encoded: expected RFC 3986")
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError("expected an address like https://host/path, without a '#'")
    scheme, authority, path, query = match.groups()
    if "@" in authority:
        raise ValueError("a user before the '@' of an address: expected `credentials` beside it instead")
    try:
        host, port = _authority(authority.lower(), scheme.lower())
    except ValueError:
        raise ValueError(f"host {authority[:80]!r}: expected a host name or the usual form of an IP address") from None
    return ExportAddress(scheme.lower(), host, port, path or "/", query)


def listed(address: ExportAddress, hosts: Iterable[ExportHost]) -> ExportHost | None:
    """Return the entry that an address is on: of the same scheme, host and port."""
    wanted = address.scheme, address.host, address.port
    return next((one for one in hosts if (one.scheme, one.host, one.port) == wanted), None)


def _authority(text: str, scheme: str) -> tuple[str, int]:
    """Return host and port of `host[:port]`. Raises ValueError where it is another spelling of something."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or len(text) > 260:
        raise ValueError
    host, port = match[1], int(match[2] or PORTS[scheme])
    if not 0 < port < 65536:
        raise ValueError
    if host.startswith("["):
        return str(ipaddress.IPv6Address(host[1:-1])), port
    if _NUMBER.fullmatch(host.rpartition(".")[2]):  # what resolvers take for an address must be written like one
        return str(ipaddress.IPv4Address(host)), port
    if not all(map(_LABEL.fullmatch, host.split("."))):
        raise ValueError
    return host, port


def _own_network(host: str) -> Network | None:
    """Return the network of an address that is an entry itself."""
    try:
        return ipaddress.ip_network(host)
    except ValueError:
        return None


def _read(value: object) -> object:
    if isinstance(value, ExportHost):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:80]!r} must be text; {_EXPECTED}")
    return parse_export_host(value)


ExportHostEntry = Annotated[
    ExportHost,
    BeforeValidator(_read),
    PlainSerializer(lambda host: host.text, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(https?://)?(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?(=[0-9A-Fa-f.:]+(/[0-9]{1,3})?)?$",
            "description": "a host like cms.example.org, http://cms.example.org:8080 or cms.intranet=10.1.0.0/16",
        }
    ),
]
