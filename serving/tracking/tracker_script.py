"""The browser tracker at `/tracker.js`: a public file, compressed once, cached for long, checked by its ETag.

The address never changes, so a correction reaches a browser a day after the server has it at the latest, or
a week where the browser fetches it in the background. One weak ETag stands for both encodings of one text.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from serving.openapi.schemas import TEXT, Described, Value, page

if TYPE_CHECKING:
    from serving.services import Services

SCRIPT = Path(__file__).parent / "static" / "tracker.js"
FORMER_NAMES = ("ibexa-tracker.min.js", "ibexa-tracker.js", "yct.js", "yc.js")
"""What the snippets of Ibexa and YOOCHOOSE load, the newest first: of an existing website only the host changes."""
_HEADERS = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": "public, max-age=86400, stale-while-revalidate=604800",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
    # Pages of any origin may load it, also with `integrity` or where they isolate themselves.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def blueprint(_services: Services) -> Blueprint:
    """Return the block that serves the script (section 5 of the HTTP contract)."""
    block = Blueprint("tracker_script", __name__)
    plain = SCRIPT.read_bytes()
    compressed = gzip.compress(plain, 9, mtime=0)
    etag = hashlib.sha256(plain).hexdigest()[:32]

    def tracker_script() -> Response:
        """Answer with the script, or 304 to whoever has this one."""
        squeeze = request.accept_encodings.quality("gzip") > 0
        response = Response(compressed if squeeze else plain, headers=_HEADERS)
        if squeeze:
            response.content_encoding = "gzip"
        response.set_etag(etag, weak=True)
        response.make_conditional(request)
        return response

    for name in ("tracker.js", *FORMER_NAMES):
        block.add_url_rule(f"/{name}", name.replace(".", "_"), tracker_script)
    return block


def describe() -> Described:
    """Return what `/openapi.json` says of the script."""
    unchanged = {"304": {"description": "The sender's copy still holds."}}
    paths: Value = {}
    for name in ("tracker.js", *FORMER_NAMES):
        paths |= page(f"/{name}", "text/javascript", TEXT, unchanged)
    return Described(paths)
