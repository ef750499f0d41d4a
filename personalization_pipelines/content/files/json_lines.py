"""JSON lines: one object a line, each read whole, so that a key counts wherever it first appears.

What is no JSON refuses the file, with its line. What is JSON but holds a value that nothing can keep (half a character,
a number without end) makes `Unusable`: that row alone is rejected. Keys that differ by case are different keys.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO

import msgspec

from personalization_pipelines.foundation.errors import ImportRefused

LINE_BYTES = 16 << 20
MAX_DEPTH = 100
"""Lists and objects inside each other, the line's own included."""
MAX_DIGITS = 4300
"""Of one whole number: Python reads no longer ones."""

_BOM = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder().decode


class Unusable(Exception):
    """A row with a value that nothing can keep; the text is the reason, and never repeats the value."""


class _Twice(Exception):
    """An object that names a key twice."""


def object_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that hold something, with their numbers; a byte order mark before them is skipped.

    Raises ImportRefused for a line of more than 16 MiB.
    """
    for number, line in enumerate(iter(partial(file.readline, LINE_BYTES + 1), b""), 1):
        if len(line) > LINE_BYTES:
            raise ImportRefused(f"line {number} is longer than {LINE_BYTES >> 20} MiB")
        text = line.removeprefix(_BOM) if number == 1 else line
        if not text.isspace() and text:
            yield number, text


def read_keys(file: BinaryIO, most: int) -> list[str]:
    """Return the keys of all objects, in the order in which they appear; it stops after `most` of them.

    Raises ImportRefused, with the line, where a line is no JSON object or names a key twice.
    """
    keys: dict[str, None] = {}
    for number, line in object_lines(file):
        try:
            found = read_object(line, number)
        except Unusable:
            continue
        if _may_repeat(line, found):
            _refuse_repeated(line, number)
        if not found.keys() <= keys.keys():
            keys.update(dict.fromkeys(found))
        if len(keys) > most:
            break
    return list(keys)


def read_object(line: bytes, number: int) -> dict[str, Any]:
    """Return a line's object. Raises Unusable for a row to reject, ImportRefused for a line that is no object."""
    try:
        found = _decode(line)
    except (ValueError, RecursionError):
        found = _read_carefully(line, number)
    if not isinstance(found, dict):
        raise ImportRefused(f"line {number} is no JSON object; expected one object a line")
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH:
        _check_values(found)
    return found


def cell_text(value: Any) -> str:
    """Return a value of an object, not null, as the text that it would be in a CSV."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    return cell_json(value)


def cell_json(value: Any) -> str:
    """Return a value of an object, not null, as JSON."""
    return msgspec.json.encode(value).decode()


def _read_carefully(line: bytes, number: int) -> Any:
    """Read a line that the quick reader refuses: is it no JSON, or does it hold what nothing can keep?"""
    try:
        text = line.decode()
        found = json.loads(text)
    except UnicodeDecodeError:
        raise ImportRefused(f"line {number}: its text is not utf-8") from None
    except RecursionError:
        raise Unusable(f"a value is nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError:
        raise ImportRefused(
            f"line {number} is no JSON object (it is no JSON lines: expected one object a line)"
        ) from None
    except ValueError:
        raise Unusable(f"a number has more than {MAX_DIGITS:,} digits") from None
    _check_values(found)
    return found


def _check_values(found: Any) -> None:
    for one in _inside(found):
        if isinstance(one, float) and not math.isfinite(one):
            raise Unusable("a number is NaN, infinite, or too large to be one")
        if isinstance(one, str) and not _is_whole(one):
            raise Unusable("a text holds half a character (\\ud800 to \\udfff without its other half)")


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _inside(found: Any) -> Iterator[Any]:
    """Yield every value and key. Raises Unusable for what is nested too deep."""
    level = [found]
    for _ in range(MAX_DEPTH + 1):
        yield from level
        yield from (key for one in level if isinstance(one, dict) for key in one)
        level = _next_level(level)
        if not level:
            return
    raise Unusable(f"a value is nested deeper than {MAX_DEPTH} levels")


def _next_level(level: list[Any]) -> list[Any]:
    inside = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list)))
    return [value for values in inside for value in values]


def _may_repeat(line: bytes, found: dict[str, Any]) -> bool:
    """Say whether a line has more quotation marks than its keys and texts need, each of which has two."""
    texts = sum([type(value) is str for value in found.values()])
    return line.count(b'"') != 2 * (len(found) + texts)


def _refuse_repeated(line: bytes, number: int) -> None:
    def each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise _Twice
        return found

    try:
        json.loads(line.decode(), object_pairs_hook=each)
    except _Twice:
        raise ImportRefused(f"line {number}: an object names a key twice") from None
