"""A batch's body as objects: JSON lines or a JSON array, read strictly.

Refused is what two readers of the same body could take for different things: names given twice, controls,
backslashes, broken UTF-8, numbers that no text stands for; and what would take many times its size in memory.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from personalization_pipelines.foundation.errors import InvalidIdentifier

MAX_BYTES = 5 << 20
MAX_EVENTS = 10_000
MAX_CONTAINERS = 10 * MAX_EVENTS
"""Objects and arrays in a body: a body of brackets alone would take thirty times its size in memory."""

Sent = dict[str, Any]
"""One event as it was sent."""

_POSITION = re.compile(r" - at `\$\[([0-9]+)\].*")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_array = msgspec.json.Decoder(list[dict[str, Any]]).decode
_lines = msgspec.json.Decoder(dict[str, Any]).decode_lines
_encode = msgspec.json.Encoder().encode


def read_body(body: bytes) -> list[Sent]:
    """Return the objects of a body; InvalidIdentifier with a sentence if it is not what it should be."""
    if body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise InvalidIdentifier(f"body with more than {MAX_CONTAINERS} objects and arrays: expected fewer")
    in_lines = not body.lstrip().startswith(b"[")
    try:
        sent = _lines(body) if in_lines else _array(body)
        if b"\\" in body or b"\x7f" in body or not _is_kept(body, sent):
            _check_texts(body.split(b"\n") if in_lines else [body])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidIdentifier(_json_fault(error)) from None
    return sent


def _is_kept(body: bytes, sent: list[Sent]) -> bool:
    """Tell whether every name of a body without escapes is in what was read from it: none was given twice.

    Each name has a colon behind it and two quotes around it. So no more colons than names were kept, or no more
    quotes than are in what was kept, leave nothing that was dropped. (Colons are counted in less time, but are
    also in times and addresses.)
    """
    return body.count(b":") == sum(map(len, sent)) or body.count(b'"') == _encode(sent).count(b'"')


def _json_fault(error: Exception) -> str:
    if isinstance(error, InvalidIdentifier):
        return str(error)
    if isinstance(error, RecursionError):
        return "body: expected JSON that is not nested this deeply"
    if isinstance(error, UnicodeDecodeError):
        return "body: expected UTF-8"
    found = _POSITION.search(str(error))
    where = f"event {int(found[1]) + 1} of the batch" if found else "body"
    return f"{where}: {_POSITION.sub('', str(error))[:200]}; expected a JSON array of objects, or one object a line"


def _check_texts(documents: Sequence[bytes]) -> None:
    """Refuse names given twice, controls and backslashes, in a second reading of a body that may hold them."""
    for document in documents:
        if document.strip():
            json.loads(document, object_pairs_hook=_check_pairs, parse_int=_nothing, parse_float=_nothing)


def _check_pairs(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise InvalidIdentifier(f"body: {twice[:40]!r} is given twice in one object: expected it once")
    for name, value in pairs:
        for text in (name, *(value if isinstance(value, list) else (value,))):
            if isinstance(text, str) and _FORBIDDEN.search(text):
                raise InvalidIdentifier(f"body: {name[:40]!r}: control characters and '\\' are not allowed")


def _nothing(_text: str) -> None:
    return None
