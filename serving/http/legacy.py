"""The older prefix `/ebl/`: what is not tracking under it means the same as the address that took its place.

Former clients ask `/ebl/{customer}/{user}/{scenario}.json` for recommendations and send content to
`/ebl/{customer}/item`; tracking (tracking.py) answers to both prefixes itself. A path is rewritten before anything
looks at it, so limits, keys, errors and counters are those of the newer address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from flask import Blueprint, Flask
from flask.sansio.blueprints import BlueprintSetupState

from personalization_pipelines.events.judging.rules import EVENT_WORDS
from serving.services import Services

PREFIX = "/ebl/"
CONTENT_WORDS = frozenset({"item", "items", "transferitems"})
"""The words after the customer id that are about content, not users or events."""
_ENDINGS = (".json", ".jsonp")

Application = Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]


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


def blueprint(_services: Services) -> Blueprint:
    """Return a block that rewrites old paths; register it last, so that it stands in front of the others."""
    block = Blueprint("legacy", __name__)
    block.record_once(_mount)
    return block


def _mount(state: BlueprintSetupState) -> None:
    app = cast(Flask, state.app)
    behind = cast(Application, app.wsgi_app)

    def front(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(PREFIX):
            environ["PATH_INFO"] = modern_path(environ["PATH_INFO"])
        return behind(environ, start_response)

    app.wsgi_app = front  # type: ignore[method-assign]
