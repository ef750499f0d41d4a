"""Stands between granian and Flask: requests are received in an event loop, and answered in threads.

As a WSGI server granian reads a body in the thread that answers, for as long as its sender likes, and can not be
told to stop: as many slow bodies as there are threads stop a worker. Through RSGI the bodies come in the event loop,
where they may be slow (serving/http/bodies.py), and a thread is needed only once a request is whole.
A small body is received first, for every endpoint takes one. Of a larger one the application is asked before:
it is called, and if it comes to reading its body (so that neither path nor key nor length were refused), it is
stopped there, and called again when the body is here.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from functools import lru_cache
from io import BytesIO
from typing import Any, NamedTuple, Protocol

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]
from werkzeug.exceptions import HTTPException

from serving.http.bodies import Bodies
from serving.http.problems import CONTENT_TYPE, RETRY_AFTER, log_unexpected, problem_body

SMALL_BODY = 64 * 1024
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Headers = list[tuple[str, str]]
WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Answered = Callable[[str, int, float], None]


class Scope(Protocol):
    """What RSGI says about a request."""

    method: str
    path: str
    query_string: str
    scheme: str
    http_version: str
    client: str
    server: str
    headers: Any


class Exchange(Protocol):
    """What RSGI receives a body from and sends an answer to."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer."""


class Response(NamedTuple):
    """One answer of the application."""

    status: int
    headers: Headers
    body: bytes


class BodyWanted(BaseException):
    """The application reads a body that is not here yet; no `except Exception` of it may hold that up."""


class _NotYet:
    def read(self, size: int, /) -> bytes:
        raise BodyWanted(size)


class _Task(NamedTuple):
    environ: dict[str, Any]
    exchange: Exchange
    done: asyncio.Future[bool]


class Front:
    """An RSGI application around a WSGI one, which `threads` threads call.

    `answered(endpoint, status, seconds)` is told of requests that the application never sees whole.
    """

    def __init__(self, app: WsgiApplication, threads: int, answered: Answered, bodies: Bodies | None = None) -> None:
        self._app = app
        self._threads = threads
        self._answered = answered
        self._bodies = bodies or Bodies()
        self._tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._ended: deque[tuple[asyncio.Future[bool], bool]] = deque()
        self._woken = False

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the threads; the server calls this once, before the first request."""
        for number in range(self._threads):
            threading.Thread(target=self._work, args=(loop,), name=f"answering-{number}", daemon=True).start()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        began = time.perf_counter()
        environ = environ_of(scope)
        length = _length(environ)
        if not length:
            await self._call(environ, exchange, b"")
            return
        if length > SMALL_BODY and await self._call(environ, exchange, None):
            return
        with self._bodies.room() as body:
            try:
                whole = await body.receive(exchange, length)
            except HTTPException as refused:
                answer = refusal(refused)
                exchange.response_bytes(*answer)
                self._answered("bodies", answer.status, time.perf_counter() - began)
            else:
                await self._call(environ, exchange, whole)

    async def _call(self, environ: dict[str, Any], exchange: Exchange, body: bytes | None) -> bool:
        """Have a thread answer; False if the application wants a body that was not given (None)."""
        given = environ if body is not None else environ.copy()  # Flask leaves its own things in it
        given["wsgi.input"] = _NotYet() if body is None else BytesIO(body)
        done = asyncio.get_running_loop().create_future()
        self._tasks.put(_Task(given, exchange, done))
        answered: bool = await done
        return answered

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            task = self._tasks.get()
            answered = True
            try:
                task.exchange.response_bytes(*respond(self._app, task.environ))
            except BodyWanted:
                answered = False
            except ProtocolClosed:  # who asked is gone
                pass
            except Exception as error:  # noqa: BLE001 - the thread must go on
                log_unexpected(error)
            self._ended.append((task.done, answered))
            if not self._woken:  # else the loop has not come yet to what it was woken for, and will see this one too
                self._woken = True
                try:
                    loop.call_soon_threadsafe(self._finish)
                except RuntimeError:  # the loop is closed: the worker ends
                    return

    def _finish(self) -> None:
        """Let the requests that threads are through with go on, in the loop."""
        self._woken = False  # before looking: who ends from now on wakes the loop again
        while self._ended:
            done, answered = self._ended.popleft()
            if not done.done():  # it is if the server gave the request up meanwhile
                done.set_result(answered)


def respond(app: WsgiApplication, environ: dict[str, Any]) -> Response:
    """Call a WSGI application; what it raises is logged, and answered 500."""
    started: list[tuple[str, Headers]] = []
    try:
        pieces = app(environ, lambda status, headers, _=None: started.append((status, headers)))
        try:
            body = b"".join(pieces)
        finally:
            if close := getattr(pieces, "close", None):
                close()
    except Exception as error:  # noqa: BLE001 - the thread must go on
        log_unexpected(error)
        return refusal(HTTPException("The server made an error, which it has logged."))
    status, headers = started[-1]
    return Response(int(status[:3]), headers, body)


def refusal(error: HTTPException) -> Response:
    """Return the answer to a request whose body was not received to its end: after it the connection closes."""
    status = error.code or 500
    body = problem_body(status, error.name, error.description or "")
    headers = [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store"), ("Access-Control-Allow-Origin", "*")]
    headers += [("Connection", "close"), *(RETRY_AFTER.items() if status == 503 else ())]
    return Response(status, headers, body)


def environ_of(scope: Scope) -> dict[str, Any]:
    """Return a request as WSGI has it (PEP 3333), without `wsgi.input`.

    The server has decoded the path already, and bad UTF-8 in it became U+FFFD. That is made bad again, so that it
    is refused as such; nobody's id holds U+FFFD but by such a repair elsewhere.
    """
    path = scope.path
    if not path.isascii():
        path = path.encode().replace("\ufffd".encode(), b"\xff").decode("latin-1")
    server, port = _host_and_port(scope.server)
    environ = _SAME | {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": path,
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.url_scheme": scope.scheme,
    }
    for name, value in scope.headers.items():
        key = _key_of_header(name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


_SAME: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}


@lru_cache(maxsize=16)
def _host_and_port(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port


@lru_cache(maxsize=256)
def _key_of_header(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _length(environ: dict[str, Any]) -> int:
    """Return how long the body is that must be received; 0 where the application refuses it or does not look at it."""
    declared = environ.get("CONTENT_LENGTH", "")
    if environ["REQUEST_METHOD"] not in _WITH_BODY or "HTTP_TRANSFER_ENCODING" in environ:
        return 0
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 19 else 0
