"""One object of a CMS's export becomes an item (section 3 of the HTTP contract).

Recognised are `contentId`, `contentTypeId`, `language`, `categoryPath` (a text or a list), `price` with `currency`
(in the currency's main unit: 12.45), `validFrom`, `validTo` (ISO 8601, without a zone of the website's, or seconds
since 1970) and `baseItem` (the id of the base product of a variant). Every other field is an attribute:

- texts without HTML; a moment like `2024-05-01T12:00:00+02:00` in UTC, so that all compare (`2024-05-01T10:00:00Z`);
- numbers as numbers (from 2^53 on as text), `true` and `false` as texts;
- a list gives several values, an object a key for each of its fields (`image.uri`);
- `null`, what is empty, and the REST envelope's `_media-type` and `_href` give nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any

import orjson

from personalization_pipelines.content.exports.plain_text import plain_text
from personalization_pipelines.content.files.epoch_numbers import is_plausible, misread
from personalization_pipelines.content.xml.strict_xml import MAX_TEXT
from personalization_pipelines.content.xml.xml_grammar import (
    EPOCH,
    KEY_PATTERN,
    LANGUAGE_PATTERN,
    MAX_KEYS,
    NUMBER_BELOW,
    TIME_PATTERN,
    Value,
    XmlItem,
    category_path,
    longest,
    moment_of,
)
from personalization_pipelines.events.judging.rules import MAX_CATEGORIES, MAX_CATEGORY_CHARACTERS
from personalization_pipelines.foundation.currency import FRACTION_DIGITS, to_minor
from personalization_pipelines.foundation.errors import ImportRefused, InvalidIdentifier
from personalization_pipelines.website import Website

CANONICAL = frozenset(
    ("contentId", "contentTypeId", "language", "categoryPath", "price", "currency", "validFrom", "validTo", "baseItem")
)
TYPE_FIELD = "contentTypeId"
IGNORED = frozenset(("_media-type", "_href"))
NO_ATTRIBUTES = CANONICAL | IGNORED

_LANGUAGE = re.compile(LANGUAGE_PATTERN)
_KEY = re.compile(KEY_PATTERN)
_TIME = re.compile(TIME_PATTERN)
_INFINITE = (math.inf, -math.inf)


class Unusable(Exception):
    """An object that is no item: which field, its value, and a reason without the value."""

    def __init__(self, field: str, value: Any, reason: str) -> None:
        super().__init__(reason)
        self.field, self.value, self.reason = field, value, reason


class ExportItems:
    """Reads the objects of one document; it counts the keys of attributes of all of them."""

    def __init__(self, website: Website) -> None:
        self.website = website
        self.keys: set[str] = set()
        self.size = 0
        self.declared = ", ".join(map(str, sorted(website.item_types)))
        self.wanted = "1 to 128 characters without '/' and ','" if website.item_ids == "alphanumeric" else "a number"
        self.moment = lru_cache(maxsize=1024)(partial(moment_of, website=website))

    def item(self, given: Mapping[str, Any]) -> XmlItem:
        """Return the item of an object. Raises Unusable, or ImportRefused for more than 200 different keys."""
        price, currency = self._money(given)
        valid_from, valid_to = self._moment(given, "validFrom"), self._moment(given, "validTo")
        if valid_from is not None and valid_to is not None and valid_to < valid_from:
            raise Unusable("validTo", given["validTo"], "validTo is before validFrom")
        return XmlItem(
            self._type(given.get(TYPE_FIELD)),
            self._id("contentId", given.get("contentId")),
            _language(given.get("language")),
            price,
            currency,
            valid_from,
            valid_to,
            _categories(given.get("categoryPath")),
            self._attributes(given),
            self._id("baseItem", given["baseItem"]) if _present(given.get("baseItem")) else "",
        )

    def _type(self, value: Any) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,10}", value) else value
        if type(number) is int and number in self.website.item_types:
            return number
        raise Unusable(TYPE_FIELD, value, f"{TYPE_FIELD} is none of the website's item types ({self.declared})")

    def _id(self, field: str, value: Any) -> str:
        text = str(int(value)) if type(value) is float and value.is_integer() and abs(value) < NUMBER_BELOW else value
        text = str(text) if type(text) is int else text
        if isinstance(text, str):
            try:
                return self.website.item_id(text)
            except InvalidIdentifier:
                pass  # said below, without the value: reasons are counted
        raise Unusable(field, value, f"{field} is missing or not {self.wanted} (item_ids: {self.website.item_ids})")

    def _money(self, given: Mapping[str, Any]) -> tuple[int | None, str]:
        price, code = given.get("price"), given.get("currency")
        code = code if _present(code) else self.website.currency
        if not isinstance(code, str) or code not in FRACTION_DIGITS:
            raise Unusable("currency", code, "currency is no ISO 4217 code like EUR")
        if not _present(price):
            return None, ""
        if isinstance(price, str | int | float) and not isinstance(price, bool):
            try:
                return to_minor(price.strip() if isinstance(price, str) else price, code), code
            except ValueError:
                pass  # said below
        raise Unusable("price", price, "price is no amount of 0 or more, like 12.45")

    def _moment(self, given: Mapping[str, Any], field: str) -> int | None:
        value = given.get(field)
        if not _present(value):
            return None
        if type(value) is int:
            return self._seconds(field, value)
        if isinstance(value, str):
            try:
                return self.moment(value.strip())
            except ValueError:
                pass  # said below
        raise Unusable(field, value, f"{field} is no date or time like 2026-01-31T23:59:00")

    def _seconds(self, field: str, value: int) -> int:
        if is_plausible(value * 1_000_000) or (field == "validFrom" and value == 0):  # since ever
            return value * 1_000_000
        found = misread(str(value), "s")
        what = found.what if found else "is no time"
        raise Unusable(field, value, f"{field} {what}; expected a date or time like 2026-01-31T23:59:00")

    def _attributes(self, given: Mapping[str, Any]) -> dict[str, list[Value]]:
        found: dict[str, list[Value]] = {}
        self.size = 0
        for key, value in given.items():
            if key not in NO_ATTRIBUTES:
                self._add(found, key, value)
        if self.size > MAX_TEXT:
            for key, values in found.items():
                if longest(values) > MAX_TEXT and len(orjson.dumps(values).decode()) > MAX_TEXT:
                    raise Unusable(key, "", f"a field is longer than {MAX_TEXT:,} characters")
        return found

    def _add(self, found: dict[str, list[Value]], key: str, value: Any) -> None:
        """Put a field's values under its key; a list's under the same, an object's under keys of their own."""
        kind, typed = type(value), value
        if kind is str:
            typed = plain_text(value)
            self.size += 6 * len(typed)
            if typed[10:11] == "T":
                typed = self._date(typed)
        elif kind is dict:
            for name, inside in value.items():
                if name not in IGNORED:
                    self._add(found, f"{key}.{name}", inside)
            return
        elif kind is list:
            for one in value:
                self._add(found, key, one)
            return
        elif value is not None:
            if value in _INFINITE:
                raise Unusable(key[:80], str(value), "a number is too large")
            typed = _number(value)
        if typed is None or typed == "":
            return
        if key not in self.keys:
            self._new_key(key)
        self.size += 32  # with what its text may take as JSON, counted above
        if key in found:
            found[key].append(typed)
        else:
            found[key] = [typed]

    def _date(self, text: str) -> str:
        if not _TIME.fullmatch(text):
            return text
        try:
            moment = EPOCH + timedelta(microseconds=self.moment(text))
        except ValueError:
            return text  # the 30th of February: a text like any other
        return f"{moment.isoformat()}Z"

    def _new_key(self, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise Unusable(key[:80], "", "a field's name cannot name an attribute (1 to 64 characters without ,&=)")
        self.keys.add(key)
        if len(self.keys) > MAX_KEYS:
            raise ImportRefused(f"more than {MAX_KEYS} different names of fields in one document")


def _number(value: bool | int | float) -> Value:
    if isinstance(value, bool):
        return "true" if value else "false"
    if abs(value) >= NUMBER_BELOW:
        return str(value)
    return value if isinstance(value, int) or not value.is_integer() else int(value)


def _present(value: Any) -> bool:
    return value is not None and value != ""


def _language(value: Any) -> str:
    if not _present(value):
        return ""
    if isinstance(value, str) and _LANGUAGE.fullmatch(value):
        return value
    raise Unusable("language", value, "language is no code like eng-GB")


def _categories(value: Any) -> list[str]:
    """Return the paths of a text or a list of texts, each once."""
    texts = [one for one in (value if isinstance(value, list) else [value]) if _present(one)]
    paths = [category_path(text) if isinstance(text, str) else None for text in texts]
    if len(paths) > MAX_CATEGORIES or None in paths:
        raise Unusable(
            "categoryPath",
            value,
            "categoryPath is no path like /A/B "
            f"(printable, at most {MAX_CATEGORY_CHARACTERS:,} characters, at most {MAX_CATEGORIES} paths)",
        )
    return list(dict.fromkeys(path for path in paths if path and path != "/"))
