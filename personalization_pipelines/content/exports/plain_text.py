"""HTML of a CMS becomes the text that a person reads: without tags, scripts, styles, comments and entities.

Every part of the pattern ends somewhere whatever follows, so hostile text costs no more than long text.
"""

from __future__ import annotations

import re
from html import unescape

_MARKUP = re.compile(
    r"""
    <(?P<unseen>script|style)\b[^<>]*>.*?(?:</(?P=unseen)\s*>|\Z)   # to the end of the text where it is never closed
    | <!--.*?(?:-->|\Z)
    | (?P<mark><!\[CDATA\[|\]\]>)
    | (?P<inline></?(?:a|abbr|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|label|mark|q|s|samp|small|span|strong
        |strike|sub|sup|time|tt|u|var|wbr)(?:\s(?:[^<>"']++|"[^"]*+"|'[^']*+')*+)?/?>)
    | <[a-z/!?](?:[^<>"']++|"[^"]*+"|'[^']*+')*+>
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def plain_text(text: str) -> str:
    """Return a text without HTML. One that holds no HTML keeps its lines; one that does becomes one line."""
    if "<" in text or "&" in text:
        bare = _MARKUP.sub(_instead, text)
        if bare != text:
            text = " ".join(unescape(bare).split())
        elif "&" in text:
            text = unescape(text)
    text = text.strip()
    return text if text.isprintable() else _CONTROLS.sub("", text).strip()


def _instead(found: re.Match[str]) -> str:
    """Return what stands where markup was: nothing inside a word (`a<b>b</b>`), a blank between two parts of a page."""
    return "" if found["inline"] or found["mark"] else " "
