"""Path and query of a request as text, or a refusal. Nothing is repaired: what is malformed is refused.

Werkzeug decodes with `errors="replace"`, which would let a broken id become another id; so the raw path
and query are decoded here, strictly, and bounded before anything looks at them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from personalization_pipelines.errors import PermanentError

MAX_URL_BYTES = 8192
MAX_PARAMETERS = 200
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff\ufffd]")
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Refused(PermanentError):
    """A request that will not be answered: the status, a title and a sentence for the sender."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})


def malformed(detail: str) -> Refused:
    """Return the refusal of something that is wrong as sent."""
    return Refused(400, "malformed request", detail)


def url_parts(environ: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """Return the decoded path and the decoded parameters of a WSGI request (PEP 3333).

    Raises Refused: 414 for more than 8 KiB, 400 for a backslash, control characters or broken UTF-8.
    """
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if len(path) + len(query) > MAX_URL_BYTES:
        raise Refused(414, "URL too long", f"the URL has more than {MAX_URL_BYTES} bytes; send fewer or shorter values")
    return decode_path(path), decode_query(query)


def decode_path(path: str) -> str:
    """Return the text of a `PATH_INFO` (already percent-decoded by the server, its bytes as Latin-1)."""
    if not path.isascii():
        path = _utf8(path.encode("latin-1"), "path")
    if _FORBIDDEN.search(path):
        raise malformed(f"path {path[:80]!r}: control characters and '\\' are not allowed")
    return path


def decode_query(query: str) -> list[tuple[str, str]]:
    """Return the (lower-case name, value) pairs of a raw query string, in order.

    Empty parts and parameters without a value count as not given (`?a=&&b=1` gives only `b`).
    """
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name and value:
            pairs.append((decode_text(name, "parameter name").lower(), decode_text(value, name)))
    if len(pairs) > MAX_PARAMETERS:
        raise malformed(f"{len(pairs)} parameters: expected at most {MAX_PARAMETERS}")
    return pairs


def decode_text(raw: str, what: str) -> str:
    """Return one percent-encoded piece of a query as text; `what` names it in a refusal."""
    if raw.isascii() and "%" not in raw and "+" not in raw:
        text = raw
    else:
        if _BROKEN_PERCENT.search(raw):
            raise malformed(f"{what[:40]!r}: {raw[:80]!r} holds a '%' that is not followed by two hex digits")
        text = _utf8(unquote_to_bytes(raw.replace("+", " ").encode("latin-1", "replace")), what[:40])
    if _FORBIDDEN.search(text):
        raise malformed(f"{what[:40]!r}: {text[:80]!r} holds control characters or '\\', which are not allowed")
    return text


def _utf8(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise malformed(f"{what}: {raw[:80]!r} is not UTF-8") from None
