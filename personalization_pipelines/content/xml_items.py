"""Reads the document `items version="1"` (section 3 of the HTTP contract), item by item, whoever sent it.

Python's expat and no tree: a document costs the memory of one item, whatever its size, and each element is looked
at where it begins, so nothing unknown or deep is ever built. A DTD is refused at its first character, which takes
external and multiplying entities with it; nothing here opens a file or a socket. What is enforced is what
`xml_schema.py` says; the few rules that XML Schema 1.0 can not say are named there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import BinaryIO, NoReturn
from xml.parsers import expat

import orjson

from personalization_pipelines.content.xml_grammar import (
    CHILDREN,
    IMAGE_PATTERN,
    KEY_PATTERN,
    LANGUAGE_PATTERN,
    MAX_KEYS,
    MAX_TEXT,
    NUMBER_BELOW,
    NUMBER_PATTERN,
    OPTIONAL,
    PRICE_PATTERN,
    REQUIRED,
    TYPES,
    Value,
    XmlItem,
    collapsed,
    moment_of,
)
from personalization_pipelines.currency import FRACTION_DIGITS, MAX_MINOR
from personalization_pipelines.errors import ImportRefused, InvalidIdentifier
from personalization_pipelines.events.rules import MAX_CATEGORIES, MAX_CATEGORY_CHARACTERS
from personalization_pipelines.website import Website

MAX_TOKEN = 512 << 10
"""Bytes of one tag or comment."""
CHUNK = 128 << 10
ENCODINGS = ("utf-8", "us-ascii", "iso-8859-1", "utf-16")

_SCHEMA_HINTS = re.compile(r"http://www\.w3\.org/2001/XMLSchema-instance (schemaLocation|noNamespaceSchemaLocation)")


def read_xml_items(file: BinaryIO, website: Website) -> Iterator[XmlItem]:
    """Yield the items of a document in its order.

    Raises ImportRefused with line and element at the first thing that is wrong; what was yielded before is of no
    use then. A document without any item is wrong, too.
    """
    reader, fed = _Reader(website), 0
    while chunk := file.read(CHUNK):
        fed += len(chunk)
        reader.feed(chunk, fed)
        yield from reader.take()
    reader.close()
    yield from reader.take()


def check_xml_items(file: BinaryIO, website: Website) -> tuple[int, XmlItem]:
    """Return how many items a document has, and its last. Raises ImportRefused as `read_xml_items` does."""
    count, last = 0, None
    for count, last in enumerate(read_xml_items(file, website), 1):  # noqa: B007 - the last one is returned
        pass
    assert last is not None  # noqa: S101 - a document without an item was refused
    return count, last


class _Reader:
    """One document: where it is (`path`), the item that is being read, and those that are complete."""

    def __init__(self, website: Website) -> None:
        self.website = website
        self.path: list[str] = [""]
        self.text: list[str] = []
        self.length = 0
        self.given: dict[str, str] = {}
        self.seen: set[str] = set()
        self.keys: set[str] = set()
        self.categories = 0
        self.item: XmlItem | None = None
        self.count = 0
        self.ready: list[XmlItem] = []
        self.moment = lru_cache(maxsize=1024)(partial(moment_of, website=website))
        self.types = {str(number) for number in website.item_types}
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self._declared
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def take(self) -> list[XmlItem]:
        """Return the items that were completed since the last call."""
        taken, self.ready = self.ready, []
        return taken

    def feed(self, chunk: bytes, fed: int) -> None:
        """Read the next bytes; `fed` counts all so far."""
        self._parse(chunk, False)
        if fed - self.parser.CurrentByteIndex > MAX_TOKEN + CHUNK:
            self._refuse(f"a tag or comment of more than {MAX_TOKEN:,} bytes")

    def close(self) -> None:
        """Say that there are no more bytes."""
        self._parse(b"", True)
        if not self.count:
            self._refuse("no item; expected at least one <item>")

    def _parse(self, chunk: bytes, last: bool) -> None:
        try:
            self.parser.Parse(chunk, last)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise ImportRefused(f"{self._place(error.lineno)}: no well-formed XML ({reason})") from None

    def _place(self, line: int) -> str:
        element = f"<{self.path[-1]}>" if self.path[-1] else "the document"
        return f"line {line}, {element}" + (f" of item {self.item.item[:40]!r}" if self.item else "")

    def _refuse(self, sentence: str) -> NoReturn:
        raise ImportRefused(f"{self._place(self.parser.CurrentLineNumber)}: {sentence}")

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            self._refuse(f"encoding {encoding[:40]!r}; expected one of {', '.join(ENCODINGS)}")

    def _doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        self._refuse("a DTD (<!DOCTYPE); documents with one are refused")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        expected = CHILDREN.get(self.path[-1], ())
        if name not in expected:
            inside = ", ".join(f"<{one}>" for one in expected) or "text only"
            self._refuse(f"element {name[:40]!r} is not expected here; expected {inside}")
        self.path.append(name)
        self.given = {key: text for key, text in attributes.items() if " " not in key or not _is_hint(key)}
        self._check_attributes(name)
        self.text, self.length = [], 0
        if name == "items" and self.given["version"] != "1":
            self._refuse(f"version {self.given['version'][:40]!r}; expected 1")
        if name == "item":
            self._begin_item()
        elif len(self.path) == 4:
            if name in self.seen:
                self._refuse("it occurs twice in its item")
            self.seen.add(name)

    def _check_attributes(self, name: str) -> None:
        required, optional = REQUIRED.get(name, ()), OPTIONAL.get(name, ())
        if tuple(self.given) == required:
            return
        for key in self.given:
            if key not in required and key not in optional:
                self._refuse(f"attribute {key[:40]!r} is not expected; expected {', '.join((*required, *optional))}")
        for key in required:
            if key not in self.given:
                self._refuse(f"attribute {key!r} is missing")

    def _characters(self, text: str) -> None:
        if self.path[-1] in CHILDREN or self.path[-1] == "attribute":
            if text.strip(" \t\r\n"):
                self._refuse(f"text {text.strip()[:40]!r} is not expected here")
            if self.path[-1] == "attribute":
                self._refuse("white space is not expected here: the element is empty")
            return
        self.length += len(text)
        if self.length > MAX_TEXT:
            self._refuse(f"more than {MAX_TEXT:,} characters")
        self.text.append(text)

    def _end(self, name: str) -> None:
        if self.item is not None:
            text = "".join(self.text)
            if name == "item":
                self._end_item(self.item)
            elif name == "price":
                self._price(self.item, collapsed(text))
            elif name in ("validfrom", "validto"):
                self._moment(self.item, name, collapsed(text))
            elif name == "categorypath":
                self._category(self.item, collapsed(text))
            elif name not in CHILDREN:
                self._value(self.item, name, text)
        self.path.pop()

    def _begin_item(self) -> None:
        given, language = self.given, self.given.get("lang", "")
        if given["type"] not in self.types:
            known = ", ".join(sorted(self.types, key=int))
            self._refuse(f"type {given['type'][:40]!r}; expected one of the website's ({known})")
        text = collapsed(given["id"]) if self.website.item_ids == "numeric" else given["id"]
        try:
            item = self.website.item_id(text)
        except InvalidIdentifier as error:
            self._refuse(str(error))
        if "lang" in given and not re.fullmatch(LANGUAGE_PATTERN, language):
            self._refuse(f"lang {language[:40]!r}; expected a code like eng-GB")
        self.item = XmlItem(int(given["type"]), item, language)
        self.seen, self.categories = set(), 0

    def _end_item(self, item: XmlItem) -> None:
        if item.valid_from is not None and item.valid_to is not None and item.valid_to < item.valid_from:
            self._refuse("validto is before validfrom")
        for key, values in item.attributes.items():
            if _longest(values) > MAX_TEXT and len(orjson.dumps(values).decode()) > MAX_TEXT:
                self._refuse(f"the values of key {key!r} are longer than {MAX_TEXT:,} characters")
        self.ready.append(item)
        self.count += 1
        self.item = None

    def _price(self, item: XmlItem, text: str) -> None:
        code = self.given.get("currency", self.website.currency)
        if code not in FRACTION_DIGITS:
            self._refuse(f"currency {code[:40]!r}; expected an ISO 4217 code like EUR")
        if not re.fullmatch(PRICE_PATTERN, text) or int(text) > MAX_MINOR:
            self._refuse(f"{text[:40]!r}; expected a whole number of the currency's smallest unit (1245 is 12.45 EUR)")
        item.price_minor, item.currency = int(text), code

    def _moment(self, item: XmlItem, name: str, text: str) -> None:
        try:
            moment = self.moment(text)
        except ValueError:
            self._refuse(f"{text[:40]!r}; expected a date or time like 2026-01-31T23:59:00")
        if name == "validfrom":
            item.valid_from = moment
        else:
            item.valid_to = moment

    def _category(self, item: XmlItem, text: str) -> None:
        self.categories += 1
        if self.categories > MAX_CATEGORIES or len(text) > MAX_CATEGORY_CHARACTERS or not text.isprintable():
            self._refuse(
                f"expected at most {MAX_CATEGORIES} printable paths of at most {MAX_CATEGORY_CHARACTERS:,} characters"
            )
        path = "/" + "/".join(part.strip() for part in text.split("/") if part.strip())
        if path != "/" and path not in item.categories:
            item.categories.append(path)

    def _value(self, item: XmlItem, name: str, text: str) -> None:
        key, value = self._keyed(name, text)
        if key not in self.keys:
            if not re.fullmatch(KEY_PATTERN, key):
                self._refuse(f"key {key[:40]!r}; expected 1 to 64 characters without ',', '&', '='")
            self.keys.add(key)
            if len(self.keys) > MAX_KEYS:
                self._refuse(f"more than {MAX_KEYS} different keys in one document")
        if value != "":
            item.attributes.setdefault(key, []).append(value)

    def _keyed(self, name: str, text: str) -> tuple[str, Value]:
        """Return what an element says of its item, as key and value."""
        given = self.given
        if name == "attribute":
            return given["key"], self._typed(given.get("type", "NOMINAL"), given["value"])
        if name == "imageurl":
            if "type" in given and not re.fullmatch(IMAGE_PATTERN, given["type"]):
                self._refuse(f"type {given['type'][:40]!r}; expected 1 to 40 letters, digits, '_', '.', '-'")
            return f"imageurl_{given['type']}" if "type" in given else "imageurl", collapsed(text)
        return given.get("key", name), collapsed(text) if name == "deeplinkurl" else text

    def _typed(self, kind: str, value: str) -> Value:
        if kind not in TYPES:
            self._refuse(f"type {kind[:40]!r}; expected one of {', '.join(TYPES)}")
        if kind != "NUMERIC":
            if len(value) > MAX_TEXT:
                self._refuse(f"a value of more than {MAX_TEXT:,} characters")
            return value
        number = float(value) if re.fullmatch(NUMBER_PATTERN, value) else float(NUMBER_BELOW)
        if abs(number) >= NUMBER_BELOW:
            self._refuse(f"value {value[:40]!r} of type NUMERIC; expected a number below 2^53")
        return int(number) if number.is_integer() else number


def _is_hint(key: str) -> bool:
    """Whether an attribute only says where a schema is, which is allowed everywhere."""
    return _SCHEMA_HINTS.fullmatch(key) is not None


def _longest(values: Sequence[Value]) -> int:
    """Return how many characters values have as JSON at most, without writing it."""
    return sum(6 * len(one) + 3 if isinstance(one, str) else 32 for one in values) + 1
