"""Which IP addresses belong to the public internet, by a list of networks and not by `ipaddress.is_global`.

`is_global` changes with Python's version: 3.11.7 holds 192.0.0.8, 224.0.0.1, 64:ff9b::7f00:1 and 2002:7f00:1:: (the
loopback address in two disguises) for global ones. The list is the IANA's registry of special-purpose addresses
(RFC 6890 and what came after), with those that clouds use for their own services.
"""

from __future__ import annotations

import ipaddress

from personalization_pipelines.website.export_hosts import ExportHost

_NOT_PUBLIC_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # behind a carrier's address translation
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # the platform of a cloud, on every machine there
            "169.254.0.0/16",  # link-local, clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays from 6to4
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
"""All that is given out to hosts: without loopback, mapped IPv4, NAT64, unique local, link-local, multicast."""
_NOT_PUBLIC_6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: an IPv4 address inside
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(address: str) -> bool:
    """Say whether an address in its usual form is one that anybody in the internet may have; False for no address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in network for network in _NOT_PUBLIC_4)
    return found.scope_id is None and found in _PUBLIC_6 and not any(found in network for network in _NOT_PUBLIC_6)


def is_allowed(address: str, host: ExportHost) -> bool:
    """Say whether a connection to an address of this host may be made: in the entry's network, else a public one."""
    if host.network is None:
        return is_public(address)
    try:
        return ipaddress.ip_address(address) in host.network
    except ValueError:
        return False
