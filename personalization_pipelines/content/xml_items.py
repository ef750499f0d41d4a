"""Reads the document `items version="1"` (section 3 of the HTTP contract), item by item, whoever sent it.

Strictly (strict_xml.py): a document costs the memory of one item. What is enforced is what `xml_schema.py` says; the
few rules that XML Schema 1.0 can not say are named there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import BinaryIO

import orjson

from personalization_pipelines.content.strict_xml import MAX_TEXT, Grammar, StrictReader
from personalization_pipelines.content.xml_grammar import (
    CHILDREN,
    IMAGE_PATTERN,
    KEY_PATTERN,
    LANGUAGE_PATTERN,
    MAX_KEYS,
    OPTIONAL,
    PRICE_PATTERN,
    REQUIRED,
    TYPES,
    Value,
    XmlItem,
    category_path,
    collapsed,
    longest,
    moment_of,
    number_of,
)
from personalization_pipelines.currency import FRACTION_DIGITS, MAX_MINOR
from personalization_pipelines.errors import InvalidIdentifier
from personalization_pipelines.events.rules import MAX_CATEGORIES, MAX_CATEGORY_CHARACTERS
from personalization_pipelines.website import Website

_GRAMMAR = Grammar(CHILDREN, REQUIRED, OPTIONAL, frozenset({"attribute"}), "item")
_BEGINS = {"items", "item", *CHILDREN["item"]}
_ENDS = {name for inside in CHILDREN.values() for name in inside if name not in CHILDREN} | {"item"}


def read_xml_items(file: BinaryIO, website: Website) -> Iterator[XmlItem]:
    """Yield the items of a document in its order.

    Raises ImportRefused with line and element at the first thing that is wrong; what was yielded before is of no
    use then. A document without any item is wrong, too.
    """
    yield from _Reader(website).read(file)


def check_xml_items(file: BinaryIO, website: Website) -> tuple[int, XmlItem]:
    """Return how many items a document has, and its last. Raises ImportRefused as `read_xml_items` does."""
    count, last = 0, None
    for count, last in enumerate(read_xml_items(file, website), 1):  # noqa: B007 - the last one is returned
        pass
    assert last is not None  # noqa: S101 - a document without an item was refused
    return count, last


class _Reader(StrictReader[XmlItem]):
    """One document of items: the item that is being read, and what was seen of it and of all of them."""

    def __init__(self, website: Website) -> None:
        super().__init__(_GRAMMAR, _BEGINS, _ENDS)
        self.website = website
        self.seen: set[str] = set()
        self.keys: set[str] = set()
        self.categories = self.began = 0
        self.item: XmlItem | None = None
        self.moment = lru_cache(maxsize=1024)(partial(moment_of, website=website))
        self.types = {str(number) for number in website.item_types}

    def whose(self) -> str:
        """Name the item that is being read."""
        return f" of item {self.item.item[:40]!r}" if self.item else ""

    def begin(self, name: str) -> None:
        """Take an element that begins."""
        if name == "items" and self.given["version"] != "1":
            self.refuse(f"version {self.given['version'][:40]!r}; expected 1")
        if name == "item":
            self._begin_item()
        elif name != "items":
            if name in self.seen:
                self.refuse("it occurs twice in its item")
            self.seen.add(name)

    def end(self, name: str, text: str) -> None:
        """Take an element that ends."""
        if self.item is None:
            return
        if name == "attribute":
            self._attribute(self.item)
        elif name == "item":
            self._end_item(self.item)
        elif name == "price":
            self._price(self.item, collapsed(text))
        elif name in ("validfrom", "validto"):
            self._moment(self.item, name, collapsed(text))
        elif name == "categorypath":
            self._category(self.item, text)
        else:
            self._value(self.item, name, text)

    def _begin_item(self) -> None:
        given, language = self.given, self.given.get("lang", "")
        if given["type"] not in self.types:
            known = ", ".join(sorted(self.types, key=int))
            self.refuse(f"type {given['type'][:40]!r}; expected one of the website's ({known})")
        if "lang" in given and not re.fullmatch(LANGUAGE_PATTERN, language):
            self.refuse(f"lang {language[:40]!r}; expected a code like eng-GB")
        self.item = XmlItem(int(given["type"]), self._item_id(given["id"]), language)
        if "baseitem" in given:
            self.item.base_item = self._item_id(given["baseitem"])
        self.seen, self.categories, self.began = set(), 0, self.parser.CurrentByteIndex

    def _item_id(self, text: str) -> str:
        try:
            return self.website.item_id(collapsed(text) if self.website.item_ids == "numeric" else text)
        except InvalidIdentifier as error:
            self.refuse(str(error))

    def _end_item(self, item: XmlItem) -> None:
        if item.valid_from is not None and item.valid_to is not None and item.valid_to < item.valid_from:
            self.refuse("validto is before validfrom")
        if (
            self.parser.CurrentByteIndex - self.began > MAX_TEXT // 6
        ):  # a character is a byte or more, as JSON 6 or less
            self._check_lengths(item)
        self.complete(item)
        self.item = None

    def _check_lengths(self, item: XmlItem) -> None:
        for key, values in item.attributes.items():
            if longest(values) > MAX_TEXT and len(orjson.dumps(values).decode()) > MAX_TEXT:
                self.refuse(f"the values of key {key!r} are longer than {MAX_TEXT:,} characters")

    def _price(self, item: XmlItem, text: str) -> None:
        code = self.given.get("currency", self.website.currency)
        if code not in FRACTION_DIGITS:
            self.refuse(f"currency {code[:40]!r}; expected an ISO 4217 code like EUR")
        if not re.fullmatch(PRICE_PATTERN, text) or int(text) > MAX_MINOR:
            self.refuse(f"{text[:40]!r}; expected a whole number of the currency's smallest unit (1245 is 12.45 EUR)")
        item.price_minor, item.currency = int(text), code

    def _moment(self, item: XmlItem, name: str, text: str) -> None:
        try:
            moment = self.moment(text)
        except ValueError:
            self.refuse(f"{text[:40]!r}; expected a date or time like 2026-01-31T23:59:00")
        if name == "validfrom":
            item.valid_from = moment
        else:
            item.valid_to = moment

    def _category(self, item: XmlItem, text: str) -> None:
        self.categories += 1
        path = category_path(text)
        if self.categories > MAX_CATEGORIES or path is None:
            self.refuse(
                f"expected at most {MAX_CATEGORIES} printable paths of at most {MAX_CATEGORY_CHARACTERS:,} characters"
            )
        if path != "/" and path not in item.categories:
            item.categories.append(path)

    def _attribute(self, item: XmlItem) -> None:
        given = self.given
        key, text = given["key"], given["value"]
        value = text if len(given) == 2 and len(text) <= MAX_TEXT else self._typed(given.get("type", "NOMINAL"), text)
        if key not in self.keys:
            self._begin_key(key)
        if value != "":
            item.attributes.setdefault(key, []).append(value)

    def _value(self, item: XmlItem, name: str, text: str) -> None:
        """Take a text whose key is the element's name, or stands in its attributes."""
        given = self.given
        if name != "imageurl":
            self._add(item, given.get("key", name), collapsed(text) if name == "deeplinkurl" else text)
            return
        if "type" in given and not re.fullmatch(IMAGE_PATTERN, given["type"]):
            self.refuse(f"type {given['type'][:40]!r}; expected 1 to 40 letters, digits, '_', '.', '-'")
        self._add(item, f"imageurl_{given['type']}" if "type" in given else "imageurl", collapsed(text))

    def _add(self, item: XmlItem, key: str, value: Value) -> None:
        if key not in self.keys:
            self._begin_key(key)
        if value != "":
            item.attributes.setdefault(key, []).append(value)

    def _begin_key(self, key: str) -> None:
        if not re.fullmatch(KEY_PATTERN, key):
            self.refuse(f"key {key[:40]!r}; expected 1 to 64 characters without ',', '&', '='")
        self.keys.add(key)
        if len(self.keys) > MAX_KEYS:
            self.refuse(f"more than {MAX_KEYS} different keys in one document")

    def _typed(self, kind: str, value: str) -> Value:
        if kind not in TYPES:
            self.refuse(f"type {kind[:40]!r}; expected one of {', '.join(TYPES)}")
        if kind != "NUMERIC":
            if len(value) > MAX_TEXT:
                self.refuse(f"a value of more than {MAX_TEXT:,} characters")
            return value
        number = number_of(value)
        if number is None:
            self.refuse(f"value {value[:40]!r} of type NUMERIC; expected a number below 2^53")
        return number
