"""Between the server and Flask: requests as WSGI has them, bodies before threads, an answer to everything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from serving.http.bodies import Bodies
from serving.http.front import SMALL_BODY, Front, environ_of
from serving.http.raw_request import decode_path, read_body


@dataclass
class Headers:
    given: list[tuple[str, str]]

    def items(self) -> list[tuple[str, str]]:
        return self.given


@dataclass
class Scope:
    path: str = "/"
    method: str = "GET"
    headers: Headers = field(default_factory=lambda: Headers([]))
    query_string: str = "a=%ff"
    scheme: str = "http"
    http_version: str = "1.1"
    client: str = "192.0.2.1:4711"
    server: str = "127.0.0.1:8080"


class Exchange:
    """A connection over which `pieces` come, the last of them late; it keeps the answer."""

    def __init__(self, *pieces: bytes, late: float = 0.0) -> None:
        self._pieces = pieces
        self._late = late
        self.asked = False
        self.answer: tuple[int, list[tuple[str, str]], bytes] = (0, [], b"")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.asked = True
        for piece in self._pieces:
            if piece is self._pieces[-1]:
                await asyncio.sleep(self._late)
            yield piece

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        assert not self.answer[0], "answered twice"
        self.answer = status, headers, body


def post(length: int, path: str = "/") -> Scope:
    return Scope(path, "POST", Headers([("content-length", str(length))]))


def served(app: Callable[..., Iterable[bytes]], *requests: tuple[Scope, Exchange], grace: float = 5.0) -> list[str]:
    """Have a front with two threads answer requests at once; return what it counted itself."""
    counted: list[str] = []

    async def run() -> None:
        front = Front(app, 2, lambda endpoint, status, _: counted.append(f"{endpoint} {status}"), Bodies(grace=grace))
        front.__rsgi_init__(asyncio.get_running_loop())
        await asyncio.gather(*(front.__rsgi__(*request) for request in requests))

    asyncio.run(run())
    return counted


def echo(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    """Answer with the body, except at /refused, where it is not read."""
    if environ["PATH_INFO"] == "/refused":
        start_response("403 Forbidden", [])
        return [b"no"]
    body = read_body(environ, 1 << 20)
    start_response("200 OK", [("X-Length", str(len(body)))])
    return [body[:10], body[10:]]


def test_a_request_is_told_as_wsgi_has_it() -> None:
    sent = [("host", "x"), ("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2"), ("content-type", "a/b")]
    environ = environ_of(Scope("/caf\u00e9/\u4eba", headers=Headers(sent), client="[2001:db8::1]:80"))
    assert decode_path(environ) == "/caf\u00e9/\u4eba"
    expected = {
        "REQUEST_METHOD": "GET", "QUERY_STRING": "a=%ff", "REMOTE_ADDR": "2001:db8::1", "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080", "HTTP_HOST": "x", "HTTP_X_FORWARDED_FOR": "1.1.1.1,2.2.2.2", "CONTENT_TYPE": "a/b",
        "SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": "",
    }  # fmt: skip
    assert {name: environ[name] for name in expected} == expected
    assert "HTTP_CONTENT_TYPE" not in environ


@pytest.mark.parametrize("size", [0, 1, SMALL_BODY, SMALL_BODY + 1, 1 << 20])
def test_a_body_of_any_size_reaches_the_application_whole(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    exchange = Exchange(body[: size // 2] or body, body[size // 2 :]) if size else Exchange()
    served(echo, (post(size), exchange))
    assert exchange.answer == (200, [("X-Length", str(size))], body)


def test_a_large_body_is_not_asked_for_where_the_application_does_not_want_it() -> None:
    refused, too_large = Exchange(b"x"), Exchange(b"x")
    served(echo_or_413, (post(SMALL_BODY + 1, "/refused"), refused), (post(2 << 20), too_large))
    assert (refused.answer[0], too_large.answer[0]) == (403, 413)
    assert not refused.asked
    assert not too_large.asked


def echo_or_413(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    if int(environ["CONTENT_LENGTH"]) > 1 << 20:
        start_response("413 Request Entity Too Large", [])
        return []
    return echo(environ, start_response)


def test_while_more_bodies_than_threads_are_slow_others_are_answered() -> None:
    slow = [(post(100), Exchange(b"x", b"y" * 99, late=0.3)) for _ in range(20)]
    order: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        order.append(environ["CONTENT_LENGTH"])
        return echo(environ, start_response)

    served(app, *slow, (post(3), Exchange(b"abc")))
    assert order == ["3", *["100"] * 20]
    assert {exchange.answer[0] for _, exchange in slow} == {200}


def test_a_body_that_stands_still_is_408_with_the_connection_closed_and_counted() -> None:
    still = Exchange(b"x", b"y", late=30)
    assert served(echo, (post(100), still), grace=0.1) == ["bodies 408"]
    status, headers, body = still.answer
    assert (status, ("Connection", "close") in headers) == (408, True)
    assert b"1 came" in body


def test_what_the_application_raises_is_500_without_its_message_and_the_thread_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        if environ["PATH_INFO"] == "/bug":
            raise RuntimeError("-".join(["canary", "user"]))
        return echo(environ, start_response)

    bugs, well = [(Scope("/bug"), Exchange()) for _ in range(5)], Exchange(b"abc")
    with caplog.at_level(logging.DEBUG):
        served(app, *bugs, (post(3), well))
    assert {exchange.answer[0] for _, exchange in bugs} == {500}
    assert well.answer[0] == 200
    assert "RuntimeError" in caplog.text
    assert "canary-user" not in caplog.text + "".join(str(exchange.answer) for _, exchange in bugs)
