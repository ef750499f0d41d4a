"""What a document `items version="1"` may hold: elements, attributes, texts, and the item they make.

The parser (`xml_items.py`), the schema that the website's owner is given (`xml_schema.py`) and the writer
(`write_xml.py`) all read it here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from personalization_pipelines.events.judging.rules import MAX_CATEGORY_CHARACTERS
from personalization_pipelines.website import Website

MAX_KEYS = 200
"""Attribute keys of one document, as of one file."""
NUMBER_BELOW = 2**53

CHILDREN: dict[str, tuple[str, ...]] = {
    "": ("items",),
    "items": ("item",),
    "item": (
        "description", "price", "validfrom", "validto", "categorypaths", "imageurls", "deeplinkurl", "content",
        "attributes",
    ),
    "categorypaths": ("categorypath",),
    "imageurls": ("imageurl",),
    "content": ("content-data",),
    "attributes": ("attribute",),
}  # fmt: skip
REQUIRED = {"items": ("version",), "item": ("id", "type"), "content-data": ("key",), "attribute": ("key", "value")}
OPTIONAL = {"item": ("lang", "baseitem"), "price": ("currency",), "imageurl": ("type",), "attribute": ("type",)}
TYPES = ("NOMINAL", "NUMERIC", "TEXT")
KEY_PATTERN = "[^,&=\t\n\r\x7f]{1,64}"
IMAGE_PATTERN = "[A-Za-z0-9_.-]{1,40}"
LANGUAGE_PATTERN = "[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}"
NUMBER_PATTERN = r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?"
PRICE_PATTERN = "[0-9]{1,16}"
DATE_PATTERN = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME_PATTERN = (
    DATE_PATTERN + r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?"
)

SHORT = 200
"""Characters of a path up to which it is kept: thousands of items are of the same categories."""

_NUMBER = re.compile(NUMBER_PATTERN)
_SPACES = re.compile("[ \t\r\n]+")
EPOCH = datetime(1970, 1, 1)
_LEAST, _MOST = ((one - EPOCH) // timedelta(microseconds=1) for one in (datetime.min, datetime.max))

Value = str | int | float


class XmlItem(msgspec.Struct):
    """One item of one language. Price in the currency's smallest unit, times in microseconds UTC since 1970.

    `base_item` is the item (of the same type) that this one is a variant of, "" for none.
    """

    item_type: int
    item: str
    language: str = ""
    price_minor: int | None = None
    currency: str = ""
    valid_from: int | None = None
    valid_to: int | None = None
    categories: list[str] = []
    attributes: dict[str, list[Value]] = {}
    base_item: str = ""


def collapsed(text: str) -> str:
    """Return a text as XML Schema's `token` reads it: single blanks inside, none around."""
    if text.isalnum() or not (" " in text or "\n" in text or "\t" in text or "\r" in text):
        return text
    return _SPACES.sub(" ", text).strip(" ")


def category_path(text: str) -> str | None:
    """Return a path of categories as `/A/B`, `/` for none; None where it is too long or holds what nobody can see."""
    return _short_path(text) if len(text) <= SHORT else _path(text)


def _path(text: str) -> str | None:
    text = collapsed(text)
    if len(text) > MAX_CATEGORY_CHARACTERS or not text.isprintable():
        return None
    return "/" + "/".join(part.strip() for part in text.split("/") if part.strip())


_short_path = lru_cache(maxsize=10_000)(_path)


def longest(values: Sequence[Value]) -> int:
    """Return how many characters values have as JSON at most, without writing it."""
    return sum(6 * len(one) + 3 if isinstance(one, str) else 32 for one in values) + 1


def number_of(text: str) -> int | float | None:
    """Return a number below 2^53 as Python has it, whole ones as int; None for what is none."""
    if len(text) < 16 and text.isascii() and text.isdigit():
        return int(text)  # most often
    number = float(text) if _NUMBER.fullmatch(text) else float(NUMBER_BELOW)
    if abs(number) >= NUMBER_BELOW:
        return None
    return int(number) if number.is_integer() else number


def moment_of(text: str, website: Website) -> int:
    """Return a date or time as microseconds UTC; without a zone it is of the website's. ValueError for others."""
    if not re.fullmatch(f"{DATE_PATTERN}|{TIME_PATTERN}", text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    local = (moment.replace(tzinfo=None) - EPOCH) // timedelta(microseconds=1)
    offset = (moment if moment.tzinfo else moment.replace(tzinfo=website.zone)).utcoffset() or timedelta()
    return min(max(local - offset // timedelta(microseconds=1), _LEAST), _MOST)
