"""Looks up a host's addresses within a time: the system's resolver has no limit that a caller could set.

`getaddrinfo` waits as long as the machine's configuration says (so many seconds for each attempt and server), and for
ever in some name services. So it runs in a thread of its own, and who waits goes on without it when the time is over.
What hangs is left to end by itself; at most LOOK_UPS do at a time, so that they can not pile up.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait

LOOK_UPS = 16
"""At once, those that hang among them."""
_free = threading.BoundedSemaphore(LOOK_UPS)

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system's resolver orders them. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def resolve_within(seconds: float, host: str, port: int, by: Resolve = resolve) -> Sequence[str] | None:
    """Return the addresses of a host as `by` finds them, None without an answer in time. Raises what `by` does."""
    until = time.monotonic() + seconds
    if not _free.acquire(timeout=max(seconds, 0)):
        return None
    answer: Future[Sequence[str]] = Future()
    threading.Thread(target=_look_up, args=(answer, by, host, port), name=f"look-up of {host}", daemon=True).start()
    if not wait([answer], max(until - time.monotonic(), 0)).done:
        return None
    return answer.result()


def _look_up(answer: Future[Sequence[str]], by: Resolve, host: str, port: int) -> None:
    try:
        answer.set_result(by(host, port))
    except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for the answer
        answer.set_exception(error)
    finally:
        _free.release()
