"""What a body says once its `Content-Encoding` and a byte order mark are taken off it; never more than may come."""

from __future__ import annotations

import zlib

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Of UTF-8: editors and Windows put it before JSON, JSON lines and XML, and nobody means it."""
_GZIP = frozenset({"gzip", "x-gzip"})
_PLAIN = frozenset({"", "identity"})
_GZIP_WINDOW = 31  # zlib's number for: a gzip header, a window of any size


def check_encoding(encoding: str) -> None:
    """Raise UnsupportedMediaType (415) for a Content-Encoding that `plain` does not take off."""
    if _name(encoding) not in _GZIP | _PLAIN:
        raise UnsupportedMediaType(f"Content-Encoding {encoding[:60]!r}: expected gzip, or none.")


def plain(body: bytes, encoding: str, limit: int) -> bytes:
    """Return what a body says, of at most `limit` bytes (413), however much it would unpack to.

    400 for what is no gzip, was cut off, or has something behind its end.
    """
    unpacked = _unpacked(body, limit) if _name(encoding) in _GZIP else body
    return unpacked.removeprefix(BYTE_ORDER_MARK)


def _name(encoding: str) -> str:
    return encoding.strip().lower()


def _unpacked(body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        unpacked = unpacker.decompress(body, limit + 1)  # not one byte more is ever made
    except zlib.error:
        raise BadRequest("body with Content-Encoding gzip: it can not be unpacked; expected gzip.") from None
    if len(unpacked) > limit:
        raise RequestEntityTooLarge(f"body of more than {limit} bytes, once unpacked: expected at most {limit}.")
    if not unpacker.eof:
        raise BadRequest("body with Content-Encoding gzip: it ends too early; expected all of it.")
    if unpacker.unused_data:
        raise BadRequest("body with Content-Encoding gzip: something is behind its end; expected one gzip stream.")
    return unpacked
