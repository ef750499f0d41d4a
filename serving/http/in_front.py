"""What is answered in front of Flask: tracking and recommendations; all else goes on to Flask.

Both are called for every page that somebody looks at, and Flask's routing and request cost about as much as they do.
CPU of a request, in front of Flask and as a Flask view, in turns on the same busy machine: an event 255 and 551 us,
recommendations of a product page 565 and 940 us, with the visitor's own 1.2 and 1.8 ms. As views they would answer
54, 40 and 32 % less (`python -m tests.benchmarks in_front`; a quarter would be reason enough).

A path under the older prefix `/ebl/` is rewritten before anything looks at it, so limits, keys, errors and counters are
those of the newer address. Tracking answers to both prefixes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

from flask import Flask

from personalization_pipelines.events.judging.rules import EVENT_WORDS
from serving.http.raw_request import Reply

RECOMMENDATIONS = "/api/v2/"
OLDER = "/ebl/"
CONTENT_WORDS = frozenset({"item", "items", "transferitems"})
"""The words after the customer id that are about content, not users or events."""
_ENDINGS = (".json", ".jsonp")
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., object]], Iterable[bytes]]
Answering = Callable[[Environ], Reply]


def stand_in_front(app: Flask, track: Answering, recommend: Answering | None = None) -> None:
    """Have tracking and, where it is given, recommendations answered before an application sees them."""
    behind = cast(Application, app.wsgi_app)

    def front(environ: Environ, start_response: Callable[..., object]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith(OLDER):
            environ["PATH_INFO"] = path = modern_path(path)
        answering = track if is_tracking(path) else recommend if path.startswith(RECOMMENDATIONS) else None
        if answering is None:
            return behind(environ, start_response)
        status, headers, body = answering(environ)
        length = [] if status == HTTPStatus.NO_CONTENT else [("Content-Length", str(len(body)))]
        start_response(_STATUS[status], [*headers, *length])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    app.wsgi_app = front  # type: ignore[method-assign]


def is_tracking(path: str) -> bool:
    """Whether a path is for the tracker: all of `/ebl/`, and `/api/{customer}/{event}` for its words."""
    if not path.startswith("/api/"):
        return path.startswith(OLDER)
    parts = path.split("/", 4)
    return len(parts) > 3 and parts[3] in EVENT_WORDS and parts[2] != "v2"


def modern_path(path: str) -> str:
    """Return the path that an old one stands for; a path that is tracking's or nobody's stays as it is.

    A word of tracking or content after the customer id is never a user: tracking `click` has been there for ever.
    """
    _, _, customer, *rest = path.split("/")
    if customer == "v2":
        return f"/api/v2/{'/'.join(rest)}"
    if not rest or rest[0] in EVENT_WORDS:
        return path
    if rest[0] in CONTENT_WORDS:
        return f"/api/{customer}/{'/'.join(rest)}"
    return f"/api/v2/{customer}/{'/'.join(rest)}" if len(rest) > 1 and rest[-1].endswith(_ENDINGS) else path
