"""The document `users` (section 4 of the HTTP contract): read strictly (strict_xml.py), and written again.

What is written is read again as the same users. The user's own id stands in these values only; nothing here stores it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import BinaryIO
from xml.sax.saxutils import quoteattr

import msgspec

from personalization_pipelines.content.users.user_values import SAID_BY_JSON, TYPES, Attributes, Value
from personalization_pipelines.content.xml.strict_xml import MAX_TEXT, Grammar, StrictReader
from personalization_pipelines.content.xml.xml_grammar import (
    DATE_PATTERN,
    KEY_PATTERN,
    MAX_KEYS,
    moment_of,
    number_of,
)
from personalization_pipelines.events.judging.visitors import visitor_of
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.website import Website

MAX_VALUES = 1000
"""Values of one user."""

_GRAMMAR = Grammar(
    {"": ("users",), "users": ("user",), "user": ("attributes",), "attributes": ("attribute",)},
    {"user": ("id",), "attribute": ("key", "value")},
    {"users": ("version",), "attribute": ("type",)},
    frozenset({"attribute"}),
    "user",
)
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class XmlUser(msgspec.Struct):
    """One user of a document. `types` names the attributes that are neither NOMINAL nor NUMERIC."""

    user: str
    attributes: Attributes = {}
    types: dict[str, str] = {}


class Told(msgspec.Struct, frozen=True):
    """What one source says of a user; `source` is "" for the one that was asked for."""

    attributes: Attributes
    types: dict[str, str] = {}
    source: str = ""


def read_xml_users(file: BinaryIO, website: Website) -> Iterator[XmlUser]:
    """Yield the users of a document in its order.

    Raises ImportRefused with line and element at the first thing that is wrong; what was yielded before is of no
    use then. A document without any user is wrong, too.
    """
    yield from _Reader(website).read(file)


class _Reader(StrictReader[XmlUser]):
    """One document of users: the one that is being read, the types of its keys, and how many values it has."""

    def __init__(self, website: Website) -> None:
        super().__init__(_GRAMMAR)
        self.website = website
        self.moment = partial(moment_of, website=website)
        self.user: XmlUser | None = None
        self.kinds: dict[str, str] = {}
        self.values = 0
        self.told = False

    def whose(self) -> str:
        """Say which user of the document it is: its number, for ids of users go into no message."""
        return f" of user {self.count + 1}" if self.user else ""

    def begin(self, name: str) -> None:
        """Take an element that begins."""
        if name == "users" and self.given.get("version", "1") != "1":
            self.refuse(f"version {self.given['version'][:40]!r}; expected 1")
        elif name == "user":
            self._begin_user(self.given["id"])
        elif name == "attributes" and self.told:
            self.refuse("it occurs twice in its user")
        elif name == "attributes":
            self.told = True
        elif name == "attribute" and self.user:
            self._value(self.user, self.given["key"], self.given["value"], self.given.get("type", "NOMINAL"))

    def end(self, name: str, text: str) -> None:
        """Take an element that ends."""
        if name == "user" and self.user:
            self.complete(self.user)
            self.user = None

    def _begin_user(self, user: str) -> None:
        try:
            known = visitor_of(user, self.website, b"")
        except InvalidIdentifier:
            known = ""
        if not known:
            self.refuse(
                "id is no user id: expected 1 to 512 bytes without control characters and '\\', and no placeholder"
            )
        self.user, self.kinds, self.values, self.told = XmlUser(user, {}, {}), {}, 0, False

    def _value(self, user: XmlUser, key: str, text: str, kind: str) -> None:
        if kind not in TYPES:
            self.refuse(f"type {kind[:40]!r}; expected one of {', '.join(TYPES)}")
        if key not in self.kinds:
            self._new_key(user, key, kind)
        if self.kinds[key] != kind:
            self.refuse(f"key {key!r} is {self.kinds[key]} and {kind}; expected one type for all its values")
        user.attributes[key].append(self._typed(kind, text))
        self.values += 1
        if self.values > MAX_VALUES:
            self.refuse(f"more than {MAX_VALUES:,} values of one user")

    def _new_key(self, user: XmlUser, key: str, kind: str) -> None:
        if not re.fullmatch(KEY_PATTERN, key):
            self.refuse(f"key {key[:40]!r}; expected 1 to 64 characters without ',', '&', '='")
        if len(user.attributes) == MAX_KEYS:
            self.refuse(f"more than {MAX_KEYS} different keys of one user")
        user.attributes[key], self.kinds[key] = [], kind
        if kind not in SAID_BY_JSON:
            user.types[key] = kind

    def _typed(self, kind: str, text: str) -> Value:
        if not text or len(text) > MAX_TEXT:
            self.refuse(f"a value of {len(text):,} characters; expected 1 to {MAX_TEXT:,}")
        if kind in ("DATE", "DATETIME"):
            return self._moment(kind, text)
        if kind != "NUMERIC":
            return text
        number = number_of(text)
        if number is None:
            self.refuse(f"value {text[:40]!r} of type NUMERIC; expected a number below 2^53")
        return number

    def _moment(self, kind: str, text: str) -> str:
        """Return a date or time as it was written, for it has to come back so."""
        try:
            self.moment(text)
        except ValueError:
            self.refuse(f"value {text[:40]!r} of type {kind}; expected one like 2026-01-31 or 2026-01-31T23:59:00")
        if kind == "DATE" and not re.fullmatch(DATE_PATTERN, text):
            self.refuse(f"value {text[:40]!r} of type DATE; expected one like 2026-01-31")
        return text


def write_xml_users(users: Iterable[tuple[str, list[Told]]]) -> bytes:
    """Return the document of some users, UTF-8: each with what sources say. U+FFFD for what no XML can hold."""
    lines = [line for user, told in users for line in _user(user, told)]
    text = "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', "<users>", *lines, "</users>\n"])
    return _NOT_IN_XML.sub("\ufffd", text).encode()


def _user(user: str, told: list[Told]) -> Iterator[str]:
    yield f"  <user id={_quoted(user)}>"
    yield "    <attributes>"
    for one in told:
        source = f" source={_quoted(one.source)}" if one.source else ""
        for key, values in one.attributes.items():
            for value in values:
                kind = one.types.get(key) or ("NOMINAL" if isinstance(value, str) else "NUMERIC")
                shown = "" if kind == "NOMINAL" else f' type="{kind}"'
                yield f"      <attribute key={_quoted(key)} value={_quoted(str(value))}{shown}{source}/>"
    yield "    </attributes>"
    yield "  </user>"


def _quoted(text: str) -> str:
    """Return a text as an attribute's value; a reader makes blanks of line ends and tabs that are not escaped."""
    return quoteattr(text, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
