"""A closed-loop HTTP load generator: `python -m tests.benchmarks.load PORT CONNECTIONS SECONDS FILE`.

One process, one core, keep-alive connections of which each has one request in flight; FILE holds the paths,
one a line, taken in turns; a path with a tab and a JSON body behind it is posted. Prints JSON: answers per second,
latencies in milliseconds, counts by status.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

SERVER_CORE, CLIENT_CORE = 0, 1


@dataclass(frozen=True)
class Load:
    """What came of it. `per_second` counts answers with a status below 400."""

    per_second: float
    p50: float
    p99: float
    statuses: dict[str, int]


def run_load(port: int, connections: int, seconds: float, paths: Sequence[str]) -> Load:
    """Send the load from a process of its own, on another core than the server's where there are two."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(paths))
        file.flush()
        command = [sys.executable, "-m", "tests.benchmarks.load", str(port), str(connections), str(seconds), file.name]
        done = subprocess.run([*pinned(CLIENT_CORE), *command], capture_output=True, text=True, check=True)
    return Load(**json.loads(done.stdout))


def pinned(core: int) -> list[str]:
    """Return the command prefix that keeps a process on one core; nothing where there is only one."""
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 else []


def main(port: int, connections: int, seconds: float, paths: Sequence[str]) -> Load:
    """Keep `connections` requests in flight for `seconds`."""
    requests = cycle([_request(path) for path in paths])
    poll = select.epoll()
    sockets = {one.fileno(): one for one in _connect(port, connections)}
    sent: dict[int, float] = {}
    for number, one in sockets.items():
        poll.register(number, select.EPOLLIN)
        sent[number] = time.perf_counter()
        one.sendall(next(requests))
    waiting: dict[int, bytes] = {}
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        for number, _ in poll.poll(0.1):
            answer = waiting.pop(number, b"") + sockets[number].recv(65536)
            if not _complete(answer):
                waiting[number] = answer
                continue
            now = time.perf_counter()
            latencies.append(now - sent[number])
            statuses[answer[9:12].decode()] += 1
            sent[number] = now
            sockets[number].sendall(next(requests))
    good = sum(amount for status, amount in statuses.items() if "200" <= status < "400")
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99))
    return Load(good / (now - began), p50, p99, dict(statuses))


def _request(line: str) -> bytes:
    path, _, body = line.partition("\t")
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n"
    return f"{head}\r\n{body}".encode()


def _complete(answer: bytes) -> bool:
    """Tell whether all of an answer is there: its head, and as much body as that says (none where it says nothing)."""
    head, end, body = answer.partition(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length:")
    return bool(end) and len(body) >= int(length.split(b"\r\n", 1)[0] or 0)


def _connect(port: int, connections: int) -> Iterator[socket.socket]:
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield one


if __name__ == "__main__":
    port, connections, seconds, file = sys.argv[1:]
    print(json.dumps(asdict(main(int(port), int(connections), float(seconds), Path(file).read_text().split("\n")))))
