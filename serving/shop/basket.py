"""The shop's basket: it lives in a cookie of the browser, as a shop keeps its own; the service only hears of it."""

from __future__ import annotations

import re
from urllib.parse import unquote

MAX_LINES = 50
_LINE = re.compile(r"([1-9][0-9]{0,9}):([^|*]{1,400})\*([1-9][0-9]{0,2})")


def read_basket(cookie: str) -> dict[tuple[int, str], int]:
    """Return quantities by (item type, item id); anything malformed is left out.

    The cookie holds `type:id*quantity` joined by `|`, ids percent-encoded.
    """
    lines = (_LINE.fullmatch(line) for line in cookie.split("|")[:MAX_LINES])
    return {(int(line[1]), unquote(line[2])): int(line[3]) for line in lines if line}
