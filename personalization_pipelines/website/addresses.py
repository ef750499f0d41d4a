"""Addresses of files in object stores, as a website's file may name them: which are opened, and which never.

Only the protocols listed here are opened, whatever drivers are installed: an address like `http://…` or a chain
(`simplecache::…`) would make this machine ask others on behalf of whoever can edit that file.
"""

from __future__ import annotations

import re

PROTOCOLS = ("s3", "gs", "az", "abfs", "file", "memory")
"""What is opened; `memory` holds nothing but what a test of the same process put there."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.+)", re.DOTALL)


def is_address(text: object) -> bool:
    """Say whether a text is an address, no path of this machine."""
    return isinstance(text, str) and "://" in text


def check_address(address: str) -> str:
    """Return the protocol of an address. Raises ValueError for what is not opened; its sentence repeats nothing."""
    found = _ADDRESS.fullmatch(address)
    if not found or "::" in address or found[1] not in PROTOCOLS:
        known = ", ".join(f"{one}://" for one in PROTOCOLS[:-1])
        raise ValueError(f"expected a path, or the address of an object store ({known}); others are never opened")
    bucket = found[2].partition("/")[0]
    if ":" in bucket.rpartition("@")[0]:
        raise ValueError("an address holds no credentials; they come from the environment of the service")
    if "?" in bucket or "#" in bucket or not address.isprintable():
        raise ValueError("an address is protocol://bucket/path, where the path may be a pattern like *.parquet")
    return found[1]
