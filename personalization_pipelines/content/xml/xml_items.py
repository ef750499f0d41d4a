"""Reads the document `items version="1"` (section 3 of the HTTP contract), item by item, whoever sent it.

Strictly (strict_xml.py): a document costs the memory of one item. What is enforced is what `xml_schema.py` says; the
few rules that XML Schema 1.0 can not say are named there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import BinaryIO

import orjson

from personalization_pipelines.content.files.canonical_values import CANONICAL_ID
from personalization_pipelines.content.xml.strict_xml import MAX_TEXT, Grammar, StrictReader
from personalization_pipelines.content.xml.xml_grammar import (
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
from personalization_pipelines.events.judging.rules import MAX_CATEGORIES, MAX_CATEGORY_CHARACTERS
from personalization_pipelines.foundation.currency import FRACTION_DIGITS, MAX_MINOR
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.website import Website

_GRAMMAR = Grammar(CHILDREN, REQUIRED, OPTIONAL, frozenset({"attribute"}), "item")
_TEXTS = {name for inside in CHILDREN.values() for name in inside if name not in CHILDREN}
_LANGUAGE = re.compile(LANGUAGE_PATTERN)
_PRICE = re.compile(PRICE_PATTERN)
_NONE = XmlItem(0, "")
"""Stands for the item between items."""


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
        begins = {**dict.fromkeys(CHILDREN["item"], self._once), "item": self._begin_item, "items": self._begin_items}
        ends: dict[str, Callable[[str, str], None]] = {
            **dict.fromkeys(_TEXTS, self._text),
            **dict.fromkeys(("validfrom", "validto"), self._moment),
            "item": self._end_item,
            "price": self._price,
            "categorypath": self._category,
            "deeplinkurl": self._link,
            "imageurl": self._image,
            "attribute": self._attribute,
        }
        super().__init__(_GRAMMAR, begins, ends)
        self.website = website
        self.currency = website.currency
        self.seen: set[str] = set()
        self.keys: set[str] = set()
        self.categories = self.began = 0
        self.item = _NONE
        self.moment = lru_cache(maxsize=1024)(partial(moment_of, website=website))
        self.types = {str(number): number for number in website.item_types}

    def whose(self) -> str:
        """Name the item that is being read."""
        return f" of item {self.item.item[:40]!r}" if self.item is not _NONE else ""

    def _begin_items(self, _: str) -> None:
        if self.given["version"] != "1":
            self.refuse(f"version {self.given['version'][:40]!r}; expected 1")

    def _once(self, name: str) -> None:
        if name in self.seen:
            self.refuse("it occurs twice in its item")
        self.seen.add(name)

    def _begin_item(self, _: str) -> None:
        given, language = self.given, self.given.get("lang", "")
        if given["type"] not in self.types:
            known = ", ".join(sorted(self.types, key=int))
            self.refuse(f"type {given['type'][:40]!r}; expected one of the website's ({known})")
        if "lang" in given and not _LANGUAGE.fullmatch(language):
            self.refuse(f"lang {language[:40]!r}; expected a code like eng-GB")
        self.item = XmlItem(self.types[given["type"]], self._item_id(given["id"]), language)
        if "baseitem" in given:
            self.item.base_item = self._item_id(given["baseitem"])
        self.seen, self.categories, self.began = set(), 0, self.parser.CurrentByteIndex

    def _item_id(self, text: str) -> str:
        if CANONICAL_ID.fullmatch(text):
            return text
        try:
            return self.website.item_id(collapsed(text) if self.website.item_ids == "numeric" else text)
        except InvalidIdentifier as error:
            self.refuse(str(error))

    def _end_item(self, *_: str) -> None:
        item = self.item
        if item.valid_from is not None and item.valid_to is not None and item.valid_to < item.valid_from:
            self.refuse("validto is before validfrom")
        if (
            self.parser.CurrentByteIndex - self.began > MAX_TEXT // 6
        ):  # a character is a byte or more, as JSON 6 or less
            self._check_lengths(item)
        self.complete(item)
        self.item = _NONE

    def _check_lengths(self, item: XmlItem) -> None:
        for key, values in item.attributes.items():
            if longest(values) > MAX_TEXT and len(orjson.dumps(values).decode()) > MAX_TEXT:
                self.refuse(f"the values of key {key!r} are longer than {MAX_TEXT:,} characters")

    def _price(self, _: str, text: str) -> None:
        text, code = collapsed(text), self.given.get("currency", self.currency)
        if code not in FRACTION_DIGITS:
            self.refuse(f"currency {code[:40]!r}; expected an ISO 4217 code like EUR")
        if not _PRICE.fullmatch(text) or int(text) > MAX_MINOR:
            self.refuse(f"{text[:40]!r}; expected a whole number of the currency's smallest unit (1245 is 12.45 EUR)")
        self.item.price_minor, self.item.currency = int(text), code

    def _moment(self, name: str, text: str) -> None:
        text = collapsed(text)
        try:
            moment = self.moment(text)
        except ValueError:
            self.refuse(f"{text[:40]!r}; expected a date or time like 2026-01-31T23:59:00")
        if name == "validfrom":
            self.item.valid_from = moment
        else:
            self.item.valid_to = moment

    def _category(self, _: str, text: str) -> None:
        self.categories += 1
        path = category_path(text)
        if self.categories > MAX_CATEGORIES or path is None:
            self.refuse(
                f"expected at most {MAX_CATEGORIES} printable paths of at most {MAX_CATEGORY_CHARACTERS:,} characters"
            )
        if path != "/" and path not in self.item.categories:
            self.item.categories.append(path)

    def _attribute(self, *_: str) -> None:
        given = self.given
        key, text = given["key"], given["value"]
        value = text if len(given) == 2 and len(text) <= MAX_TEXT else self._typed(given.get("type", "NOMINAL"), text)
        if key not in self.keys:
            self._begin_key(key)
        if value != "":
            self.item.attributes.setdefault(key, []).append(value)

    def _text(self, name: str, text: str) -> None:
        """Take a text whose key is the element's name, or stands in its attributes."""
        self._add(self.given.get("key", name), text)

    def _link(self, name: str, text: str) -> None:
        self._add(name, collapsed(text))

    def _image(self, name: str, text: str) -> None:
        given = self.given
        if "type" in given and not re.fullmatch(IMAGE_PATTERN, given["type"]):
            self.refuse(f"type {given['type'][:40]!r}; expected 1 to 40 letters, digits, '_', '.', '-'")
        self._add(f"{name}_{given['type']}" if "type" in given else name, collapsed(text))

    def _add(self, key: str, value: Value) -> None:
        if key not in self.keys:
            self._begin_key(key)
        if value != "":
            self.item.attributes.setdefault(key, []).append(value)

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
