"""Reads the list of content that a CMS exports as JSON (section 3 of the HTTP contract), object by object.

`contentList.content[]`: ijson's plain events and no tree, so a document costs the memory of one of its objects,
whatever its size, and depth is looked at where it begins. (Not ijson's `items` or `parse`: they keep the path of every
level, which makes deep nesting cost its square.) What JSON readers disagree about is refused: keys that occur twice,
halves of surrogate pairs, numbers of thousands of digits. One that is only too large for what it stands for rejects
its object alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import ijson
from ijson.backends import yajl2_c
from ijson.utils import sendable_list

from personalization_pipelines.content.exports.export_items import ExportItems, Unusable
from personalization_pipelines.content.files.verdicts import Reject
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.website import Website

CHUNK = 16 << 10
"""Few, because the parser's events of one chunk are a list of tuples: this many stay in the processor's caches."""
MAX_TEXT_BYTES = 512 << 10
"""Bytes between two quotation marks."""
MAX_OBJECT_BYTES = 4 << 20
"""Bytes of one object of the list, and of what stands before or after the list."""
MAX_DEPTH = 16
"""Objects and lists inside each other, from the document's own on."""
LIST = "contentList.content"

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
_BOM = b"\xef\xbb\xbf"
_LONG_NUMBER = re.compile(rb"[:\[,\s-][0-9]{4300}")
"""More digits of a whole number than Python converts; the parser would end in an error of its own."""


def read_export_items(file: BinaryIO, website: Website, rejected: Callable[[str, str], None]) -> Iterator[XmlItem]:
    """Yield the items of an export in its order; an empty list has none.

    An object that is no item is told to `rejected`, with its place (`contentList.content[12]: contentId`) and a reason,
    and left out. Raises ImportRefused at the first thing that makes the document none; what was yielded before is
    of no use then.
    """
    for row in read_export_rows(file, website):
        if isinstance(row, Reject):
            place = f"{LIST}[{row.row - 1}]"
            rejected(f"{place}: {row.column}" if row.column else place, row.reason)
        else:
            yield row


def read_export_rows(file: BinaryIO, website: Website) -> Iterator[XmlItem | Reject]:
    """Yield every object of an export, as an item or as what is wrong with it (its row counts from 1)."""
    items, number = ExportItems(website), 0
    for number, given in enumerate(_objects(file), 1):
        if not isinstance(given, dict):
            yield Reject(number, "", "", f"an entry of {LIST} is no object")
            continue
        try:
            yield items.item(given)
        except Unusable as error:
            shown = "" if error.value is None else str(error.value)
            yield Reject(number, error.field, shown, error.reason)
        except ImportRefused as error:
            raise ImportRefused(f"{LIST}[{number - 1}]: {error}") from None


def _objects(file: BinaryIO) -> Iterator[Any]:
    """Yield the entries of the list, each complete."""
    document, events = _Document(), sendable_list()
    # Not use_float: it takes a whole number of more than 64 bits for the end of the document.
    parser, since = yajl2_c.basic_parse_coro(events), 0
    try:
        for data in _whole_texts(file):
            since += len(data)
            _check_surrogates(data, document.place)
            _check_digits(data, document.place)
            parser.send(data)
            document.read(events)
            events.clear()
            if complete := document.take():
                yield from complete
                since = 0
            if since > MAX_OBJECT_BYTES:
                raise ImportRefused(f"{document.place()}: more than {MAX_OBJECT_BYTES >> 20} MiB for one object")
        parser.close()
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise ImportRefused(f"{document.place()}: no well-formed JSON ({_reason(error)})") from None
    except ArithmeticError:
        raise ImportRefused(f"{document.place()}: a number that nobody can hold") from None
    document.read(events)
    document.end()
    yield from document.take()


def _whole_texts(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's bytes in pieces that end at a quotation mark, so that no escape is cut in two."""
    kept = b""
    if (beginning := file.read(len(_BOM))) != _BOM:
        kept = beginning
    while chunk := file.read(CHUNK):
        end = chunk.rfind(b'"') + 1
        if end:
            yield kept + chunk[:end]
            kept = chunk[end:]
        else:
            kept += chunk
        if len(kept) > MAX_TEXT_BYTES:
            raise ImportRefused(f"a text, a number or blanks of more than {MAX_TEXT_BYTES >> 10} KiB")
    if kept:  # nothing is, to the parser, the end
        yield kept


def _check_surrogates(data: bytes, place: Callable[[], str]) -> None:
    """Refuse half a surrogate pair, which the parser would replace by a question mark without a word."""
    if not _SURROGATE.search(data):
        return
    open_until = -1
    for found in _ESCAPE.finditer(data):
        code = int(found[1], 16) if found[1] else 0
        half = open_until >= 0 and (code not in _LOW or found.start() != open_until)
        if half or (open_until < 0 and code in _LOW):
            break
        open_until = found.end() if code in _HIGH else -1
    else:
        if open_until < 0:
            return
    raise ImportRefused(f"{place()}: a text with half a character (\\ud800 to \\udfff without its other half)")


def _check_digits(data: bytes, place: Callable[[], str]) -> None:
    if _LONG_NUMBER.search(data):
        raise ImportRefused(f"{place()}: a number of thousands of digits")


class _Document:
    """What was read so far: objects and lists that are open, and the entries that nobody took yet."""

    def __init__(self) -> None:
        self.open: list[Any] = [[]]
        self.key = ""
        self.entries: list[Any] | None = None
        self.taken = 0

    def place(self) -> str:
        """Return where the reader is, for a person."""
        if self.entries is None:
            return "before the first item"
        return f"at {LIST}[{self.taken + max(len(self.entries) - 1, 0)}]"

    def read(self, events: list[tuple[str, Any]]) -> None:
        """Add what the parser found to what is open."""
        top, key = self.open[-1], self.key
        for event, value in events:
            if event == "map_key":
                if value in top:
                    raise ImportRefused(f"{self.place()}: key {value[:40]!r} occurs twice in its object")
                key = value
                continue
            if event == "end_map" or event == "end_array":
                self.open.pop()
                top = self.open[-1]
                continue
            if event == "start_map" or event == "start_array":
                value = self._begin(key, {} if event == "start_map" else [])
            elif type(value) is Decimal:
                value = float(value)
            if type(top) is dict:
                top[key] = value
            else:
                top.append(value)
            top = self.open[-1]
        self.key = key

    def _begin(self, key: str, value: Any) -> Any:
        if len(self.open) > MAX_DEPTH:
            raise ImportRefused(f"{self.place()}: nested deeper than {MAX_DEPTH} levels")
        if key == "content" and type(value) is list and self._in_content_list():
            self.entries = value
        self.open.append(value)
        return value

    def _in_content_list(self) -> bool:
        _, *inside = self.open
        return len(inside) == 2 and type(inside[0]) is dict and inside[0].get("contentList") is inside[1]

    def take(self) -> list[Any]:
        """Return the complete entries since the last call."""
        if not self.entries:
            return []
        inside = len(self.open) > 4 and self.open[3] is self.entries
        complete = self.entries[:-1] if inside else self.entries[:]
        del self.entries[: len(complete)]
        self.taken += len(complete)
        return complete

    def end(self) -> None:
        """Say that the document is complete. Raises ImportRefused for one without the list."""
        if self.entries is None:
            raise ImportRefused(f"no list {LIST}; expected the list of content that a CMS exports")


def _reason(error: Exception) -> str:
    """Return the parser's reason without the text it stands in."""
    if isinstance(error, UnicodeDecodeError):
        return "its text is not UTF-8"
    text = error.args[0]
    line = (text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)).strip().splitlines()[:1]
    return (line[0] if line else "cut off")[:120]
