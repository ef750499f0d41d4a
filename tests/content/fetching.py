"""Fetching exports from a CMS of the tests, and answers that no export should be."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace

from personalization_pipelines.content.exports.fetch_export import Fetcher, Limits, Login
from personalization_pipelines.website.export_hosts import parse_export_address, parse_export_host
from tests.content.cms import Answer, Cms, answer, endless, silent, trickle

LOGIN = Login("editor", "Canary-Pass-7731")
PLAIN = answer(b"{}")
CHUNK = b"ffff\r\n" + bytes(65535) + b"\r\n"
PERMANENT: dict[str, tuple[Answer, str]] = {
    "not found": (answer(b"", "404 Not Found"), "status 404; expected 200"),
    "wrong method": (answer(b"", "405 Method Not Allowed"), "status 405"),
    "unauthorized": (answer(b"", "401 Unauthorized"), "status 401"),
    "part of it": (answer(b"{", "206 Partial Content"), "status 206"),
    "gzip": (answer(gzip.compress(b"{}"), Content_Encoding="gzip"), "encoded as 'gzip'"),
    "a bomb": (answer(gzip.compress(bytes(10 << 20)), Content_Encoding="gzip"), "encoded as 'gzip'"),
    "a nested bomb": (answer(b"x", Content_Encoding="gzip, gzip"), "encoded as 'gzip, gzip'"),
    "unknown coding": (answer(b"x", Content_Encoding="br"), "encoded as 'br'"),
    "coded transfer": (answer(b"x", Transfer_Encoding="gzip, chunked"), "encoded as 'gzip, chunked'"),
    "declared too large": (answer(b"", Content_Length="2000000"), "more than 1,000,000 bytes"),
    "endless": (endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65536)), "more than"),
    "endless chunks": (endless(answer(b"", Transfer_Encoding="chunked"), CHUNK), "more than"),
    "no target": (answer(b"", "302 Found"), "more than 3 redirects"),
}  # fmt: skip
TRANSIENT: dict[str, tuple[Answer, str]] = {
    "failing": (answer(b"", "500 Internal Server Error"), "status 500"),
    "busy": (answer(b"", "503 Service Unavailable"), "status 503"),
    "too many": (answer(b"", "429 Too Many Requests"), "status 429"),
    "half of it": (answer(b'{"contentList"', Content_Length="1000"), "broken off"),
    "half a chunk": (answer(b"ff\r\n{", Transfer_Encoding="chunked"), "broken off"),
    "no end of chunks": (answer(b"1\r\n{\r\n", Transfer_Encoding="chunked"), "broken off"),
    "no HTTP": (b"220 smtp.example.org ESMTP\r\n", "broken off"),
    "nothing": (b"", "broken off"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "broken off"),
    "silent": (silent, "it stopped sending"),
    "slow head": (trickle(b"HTTP/1.1 200 OK\r\nX: "), "not complete within the time"),
    "endless heads": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "not complete within the time"),
    "slow body": (trickle(answer(b"", Content_Length="10000")), "not complete within the time"),
    "slow body without an end": (trickle(b"HTTP/1.1 200 OK\r\n\r\n"), "not complete within the time"),
}
SMALL = Limits(bytes=1_000_000, seconds=60, connect_seconds=2)
SHORT = {"silent": replace(SMALL, idle_seconds=0.5), "not complete within the time": replace(SMALL, seconds=1)}


def fetcher(*entries: str, limits: Limits | None = None, resolve: object = None) -> Fetcher:
    made = Fetcher([parse_export_host(entry) for entry in entries], limits or Limits(seconds=30))
    return replace(made, resolve=resolve) if resolve else made  # type: ignore[arg-type]


def fetch(cms: Cms, path: str, login: Login | None = None, limits: Limits | None = None, entry: str = "") -> bytes:
    file = io.BytesIO()
    size = fetcher(entry or cms.entry, limits=limits).fetch(parse_export_address(cms.url(path)), login, file)
    assert size == len(file.getvalue())
    return file.getvalue()
