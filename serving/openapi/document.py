"""The document of the HTTP side, `/openapi.json` (OpenAPI 3.1), made of what every block of views says of itself.

What a program needs to call the service or to test it: every path, parameter with its bounds, body and answer. It names
no customer, website or scenario: it is open to everybody. (docs/decisions/openapi.md: why no library makes it.)
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import orjson
from flask import Blueprint, Response

from personalization_pipelines import __version__
from serving.openapi.schemas import RESPONSES, SHARED, Described, Value, page

_ABOUT = (
    "Tracking, recommendations and content in the wire protocol of Ibexa Personalization. Names of parameters may be "
    "written in any case; parameters nobody knows and those without a value are ignored. A backslash or a control "
    "character anywhere in path or query is refused. Bodies may be sent with `Content-Encoding: gzip`. Content, and "
    "recommendations with `.json` or `.jsonp`, are also found under the older prefix `/ebl/`."
)
_PATH = "/openapi.json"


def blueprint(described: Iterable[Described]) -> Blueprint:
    """Return the block that serves the document; it is made when it is first asked for."""
    block = Blueprint("openapi", __name__)
    made: list[bytes] = []
    making = threading.Lock()

    @block.get(_PATH)
    def openapi() -> Response:
        """Answer with the document."""
        with making:
            if not made:
                made.append(orjson.dumps(document(described)))
        headers = {"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"}
        return Response(made[0], content_type="application/json", headers=headers)

    return block


def document(described: Iterable[Described]) -> Value:
    """Return the document of these blocks as a JSON value."""
    paths, schemas = page(_PATH, "application/json", {"type": "object"}), dict(SHARED)
    for one in described:
        paths |= one.paths
        schemas |= one.schemas
    return {
        "openapi": "3.1.0",
        "info": {"title": "personalization-pipelines", "version": __version__, "description": _ABOUT},
        "tags": [{"name": name} for name in ("tracking", "recommendations", "content", "users", "service")],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": RESPONSES,
            "securitySchemes": {"key": {"type": "http", "scheme": "basic"}},
        },
    }
