"""Whose request it is behind proxies: the address that counts for limits.

Anybody may send `X-Forwarded-For`. So it counts only as far as the proxies vouch for it that
`PERSONALIZATION_TRUSTED_PROXIES` names (addresses and networks, with commas): read from the right, it is the first
address that is none of them. (werkzeug's ProxyFix counts hops instead, and believes whoever comes past the proxy.)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from personalization_pipelines.foundation.errors import ConfigurationError

TRUSTED_PROXIES = "PERSONALIZATION_TRUSTED_PROXIES"
Networks = tuple[IPv4Network | IPv6Network, ...]
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


def client_address(environ: Mapping[str, Any]) -> str:
    """Return the address a request comes from: the peer's, or the one that trusted proxies say."""
    peer = str(environ.get("REMOTE_ADDR", ""))
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    if not forwarded:
        return peer
    return first_untrusted(peer, str(forwarded), trusted_proxies(os.environ.get(TRUSTED_PROXIES, "")))


def first_untrusted(peer: str, forwarded: str, trusted: Networks) -> str:
    """Return the last address of `forwarded, peer` that is no trusted proxy.

    What stands left of something that is no address is not believed. Where all are trusted, it is the first.
    """
    address = peer
    for hop in (peer, *reversed(forwarded.split(","))):
        parsed = _address(hop)
        if parsed is None:
            return address
        address = str(parsed)
        if not any(parsed in network for network in trusted):
            return address
    return address


@lru_cache(maxsize=8)
def trusted_proxies(text: str) -> Networks:
    """Return the networks that a setting names; ConfigurationError where a part of it is none."""
    networks: list[IPv4Network | IPv6Network] = []
    for part in filter(None, re.split(r"[,\s]+", text)):
        try:
            networks.append(ip_network(part))
        except ValueError as error:
            raise ConfigurationError(
                f"{TRUSTED_PROXIES}: {part!r}: {error}; give addresses and networks such as 127.0.0.1, 10.0.0.0/8"
            ) from error
    return tuple(networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2]
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    return (isinstance(parsed, IPv6Address) and parsed.ipv4_mapped) or parsed
