"""Every error the application answers with: the one envelope of RFC 9457 (`application/problem+json`).

`detail` is a sentence for whoever sent the request: what was wrong, its value, what was expected. What goes
to the log names no path, no query and no message of an exception, for those may hold a visitor's raw id.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus

import orjson
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from personalization_pipelines.foundation.errors import InvalidIdentifier, NotBuiltYet, TransientError

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "1"}
_KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
_log = logging.getLogger(__name__)

_SENTENCES = {
    400: "The request could not be understood: send it as the documentation of the endpoint says.",
    404: "Nothing is served under this path: compare it with the documentation of the endpoints.",
    405: "This path does not answer this method: use one of those in the Allow header.",
    413: "The body is larger than this endpoint accepts: send it in smaller parts.",
    414: "The URL is larger than 8192 bytes: send fewer or shorter parameters.",
    415: "The body has a content type that this endpoint does not read.",
    500: "The server made an error, which it has logged; the same request may fail again.",
}


def problem_body(status: int, title: str, detail: str) -> bytes:
    """Return the JSON envelope of one error."""
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})


def problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error answer; an empty `title` means the status' own name (`Not Found`)."""
    body = problem_body(status, title or HTTPStatus(status).phrase, detail)
    return Response(body, status, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store", **(headers or {})})


def register(app: Flask) -> None:
    """Let every error of the application, also one nobody thought of, leave it in the envelope."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(InvalidIdentifier, lambda error: problem(400, "", str(error)))
    app.register_error_handler(NotBuiltYet, lambda error: problem(501, "Not built yet", str(error)))
    app.register_error_handler(TransientError, _transient)
    app.register_error_handler(Exception, _unexpected)


def log_unexpected(error: BaseException) -> None:
    """Log a bug: the class of the error and where it was raised, not its message, which may hold a raw id."""
    places = "".join(traceback.format_tb(error.__traceback__))
    _log.error("request failed on %s:\n%s", type(error).__name__, places)


def _http_error(error: HTTPException) -> Response | HTTPException:
    if error.response is not None or not error.code or error.code < 400:
        return error  # a redirect, or an answer that somebody aborted with
    told = error.description if error.description != type(error).description else None
    detail = told or _SENTENCES.get(error.code) or error.description or error.name
    headers = {name: value for name, value in error.get_headers() if name in _KEPT_HEADERS}
    return problem(error.code, error.name, detail, headers)


def _transient(error: TransientError) -> Response:
    _log.warning("refused for now: %s", type(error).__name__)
    return problem(503, "", str(error), RETRY_AFTER)


def _unexpected(error: Exception) -> Response:
    log_unexpected(error)
    return problem(500, "", _SENTENCES[500])
