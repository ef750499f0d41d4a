"""What something was made of, as one short text: equal fingerprints mean equal bytes."""

from __future__ import annotations

import hashlib
import json


def fingerprint(**parts: object) -> str:
    """Return 16 hex digits of the SHA-256 over the named parts (anything `json` or `str` can write)."""
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
