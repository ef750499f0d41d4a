"""From which address a request came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def client_address(environ: Mapping[str, Any]) -> str:
    """Return the address that a WSGI request came from: its peer's; "" where the server names none."""
    return str(environ.get("REMOTE_ADDR", ""))
