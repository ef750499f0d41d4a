"""Turns a request into text strictly: what is not valid UTF-8, or holds a control or a backslash, is refused.

Flask would repair bad UTF-8 into U+FFFD, so that two visitors become one. Here nothing is repaired. The path
comes from WSGI already percent-decoded (PEP 3333), so an encoded slash is a slash.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from werkzeug.exceptions import (
    BadRequest,
    LengthRequired,
    RequestEntityTooLarge,
    RequestURITooLarge,
    UnsupportedMediaType,
)

from serving.http.content_encoding import check_encoding, plain

MAX_URL_BYTES = 8192
FORM = "application/x-www-form-urlencoded"
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_PLAIN = re.compile(r"[A-Za-z0-9_.,~:/=&-]*")  # says what it means: nothing encoded, nothing forbidden
_DIGITS = re.compile(r"[0-9]{1,18}")

Headers = list[tuple[str, str]]


class Reply(NamedTuple):
    """What is answered without Flask: a status, headers (but no Content-Length), a body."""

    status: int
    headers: Headers
    body: bytes = b""


def check_url_length(environ: dict[str, Any]) -> None:
    """Refuse (414) a URL of more than 8 KiB, as it was on the wire."""
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if len(path) * 3 + len(query) < MAX_URL_BYTES:  # even if every byte of the path was percent-encoded
        return
    length = len(quote(path.encode("latin-1"))) + len(query) + bool(query)
    if length > MAX_URL_BYTES:
        raise RequestURITooLarge(f"URL of {length} bytes: expected at most {MAX_URL_BYTES}.")


def decode_path(environ: dict[str, Any]) -> str:
    """Return the path as text (400 where it is none)."""
    return checked(environ["PATH_INFO"], "path")


def parse_parameters(environ: dict[str, Any], max_body: int) -> dict[str, list[str]]:
    """Return the parameters of query and form body: lower-case name to its values, in order.

    Empty and doubled `&` and empty values count as not given. 400 malformed, 415 body that is no form,
    411, 413 and 415 as `read_body` says.
    """
    parameters: dict[str, list[str]] = {}
    if query := environ.get("QUERY_STRING"):
        _collect(query, parameters)
    if environ["REQUEST_METHOD"] == "POST" and (body := read_body(environ, max_body)):
        if not environ.get("CONTENT_TYPE", "").lower().startswith(FORM):
            raise UnsupportedMediaType(f"body of type {environ.get('CONTENT_TYPE', '')[:60]!r}: expected {FORM}.")
        _collect(body.decode("latin-1"), parameters)
    return parameters


def read_body(environ: dict[str, Any], limit: int) -> bytes:
    """Return the request's body of at most `limit` bytes, unpacked and without a byte order mark.

    413 beyond the limit, packed or unpacked; 411 without a length, for then a body that broke off would look like a
    whole one; 400 if it did break off or can not be unpacked; 415 in an encoding other than gzip. Slow ones are the
    server's (serving/http/front.py).
    """
    declared = environ.get("CONTENT_LENGTH") or "0"
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise LengthRequired("body without Content-Length: expected it.")
    if not _DIGITS.fullmatch(declared):
        raise BadRequest(f"Content-Length {declared[:40]!r}: expected a number.")
    length = int(declared)
    if length > limit:
        raise RequestEntityTooLarge(f"body of {length} bytes: expected at most {limit}.")
    if not length:
        return b""
    encoding = environ.get("HTTP_CONTENT_ENCODING", "")
    check_encoding(encoding)
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) < length:
        raise BadRequest(f"body of {len(body)} bytes: expected {length}, as Content-Length says.")
    return plain(body, encoding, limit)


def checked(raw: str, what: str) -> str:
    """Return bytes that WSGI gave as latin-1 text as what they say in UTF-8 (400 where they say nothing)."""
    try:
        text = raw if raw.isascii() else raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise BadRequest(f"{what} {raw[:40]!r}: expected UTF-8.") from None
    if _FORBIDDEN.search(text):
        raise BadRequest(f"{what} {text[:40]!r}: control characters and '\\' are not allowed.")
    return text


def _collect(encoded: str, parameters: dict[str, list[str]]) -> None:
    plain = _PLAIN.fullmatch(encoded)  # one look at the whole instead of two at each pair
    for pair in encoded.split("&"):
        name, _, value = pair.partition("=")
        if plain:
            if value:
                parameters.setdefault(name.lower(), []).append(value)
        elif value:
            parameters.setdefault(_decoded(name, "parameter name").lower(), []).append(_decoded(value, name))
        elif name:
            _decoded(name, "parameter name")


def _decoded(encoded: str, what: str) -> str:
    if "%" in encoded or "+" in encoded:
        encoded = unquote_to_bytes(encoded.replace("+", " ").encode("latin-1")).decode("latin-1")
    return checked(encoded, what)
