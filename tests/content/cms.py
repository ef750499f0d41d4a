"""A CMS that exports its content, as hostile as one likes: a real HTTP server on this machine, byte by byte."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any

Answer = bytes | Callable[[socket.socket], None]


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """Return a whole HTTP answer; `headers` are written with dashes."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if not {"Content_Length", "Transfer_Encoding"} & set(headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(to: str, status: str = "302 Found") -> bytes:
    """Return an answer that sends the caller elsewhere."""
    return answer(b"", status, Location=to)


def content(number: int, kind: int = 1, language: str = "eng-GB", **fields: Any) -> dict[str, Any]:
    """Return one content of an export."""
    return {"contentId": number, "contentTypeId": kind, "language": language, "categoryPath": "/A", **fields}


def export(*contents: dict[str, Any]) -> bytes:
    """Return a document of contents."""
    return json.dumps({"contentList": {"_media-type": "application/json", "content": list(contents)}}).encode()


def document(*contents: dict[str, Any]) -> bytes:
    """Return the answer with a document of contents."""
    return answer(export(*contents), Content_Type="application/json")


class Cms:
    """Answers by path; `requests` are what it was asked, head by head, `connections` how many came."""

    def __init__(self, answers: dict[str, Answer] | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.answers = answers or {}
        self.requests: list[str] = []
        self.connections = 0
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def entry(self) -> str:
        """What a website lists to fetch from here."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """Return the address of a document here."""
        return f"{self.entry}{path}"

    def paths(self) -> list[str]:
        """Return what was asked for, in order."""
        return [one.split(" ")[1] for one in self.requests]

    def __enter__(self) -> Cms:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one in [self._listening, *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                one, _ = self._listening.accept()
                self.connections += 1
                self._open.append(one)
                self._threads.append(threading.Thread(target=self._serve, args=(one,)))
                self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError):  # the other side went, which many tests want
            connection = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (more := connection.recv(65536)):
                        return
                    head += more
                self.requests.append(head.decode("latin-1"))
                path = head.split(b" ")[1].decode("latin-1")
                found = self.answers.get(path, answer(b"", "404 Not Found"))
                if isinstance(found, bytes):
                    connection.sendall(found)
                else:
                    found(connection)
                connection.shutdown(socket.SHUT_RDWR)


def trickle(head: bytes, byte: bytes = b" ", seconds: float = 0.05) -> Callable[[socket.socket], None]:
    """Return an answer that never ends and comes a byte at a time."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(byte)
            threading.Event().wait(seconds)

    return send


def endless(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    """Return an answer that never ends and comes as fast as it can."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)

    return send


def silent(connection: socket.socket) -> None:
    """Say nothing until the other side goes."""
    connection.recv(1)


def notification(*events: dict[str, Any], transaction: str = "20240601-1") -> dict[str, Any]:
    """Return a notification; what an event does not say is a FULL of type 1."""
    full = {"action": "FULL", "format": "EZ", "itemId": 0, "contentTypeId": 1, "lang": "eng-GB"}
    return {"transaction": transaction, "events": [{**full, **event} for event in events]}


def listed(cmss: Iterable[Cms]) -> dict[str, Any]:
    """Return what a website's `content` says to fetch from these."""
    return {"export_hosts": [cms.entry for cms in cmss]}
