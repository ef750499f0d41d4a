"""Reads XML strictly: a document of known elements, each looked at where it begins, and no tree is ever built.

Python's expat: a document costs the memory of one record, whatever its size, and nothing unknown or deep gets far. A
DTD is refused at its first character, which takes external and multiplying entities with it; nothing here opens a
file or a socket. What goes where says a `Grammar`; what it means, a subclass of `StrictReader`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import BinaryIO, Generic, NamedTuple, NoReturn, TypeVar
from xml.parsers import expat

from personalization_pipelines.errors import ImportRefused

MAX_TOKEN = 512 << 10
"""Bytes of one tag or comment."""
MAX_TEXT = 65_536
"""Characters of one text."""
CHUNK = 128 << 10
ENCODINGS = ("utf-8", "us-ascii", "iso-8859-1", "utf-16")

_SCHEMA_HINTS = re.compile(r"http://www\.w3\.org/2001/XMLSchema-instance (schemaLocation|noNamespaceSchemaLocation)")

Record = TypeVar("Record")


class Grammar(NamedTuple):
    """Elements inside each element ("" is the document), and their attributes; `empty` ones hold nothing at all."""

    children: Mapping[str, tuple[str, ...]]
    required: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, tuple[str, ...]]
    empty: frozenset[str]
    record: str
    """The element that is one record."""


class StrictReader(Generic[Record]):
    """One document: where it is (`path`), what is being read, and the records that are complete (`ready`).

    A document has far more elements than records, so what is done for each of them is done here in few calls.
    """

    def __init__(self, grammar: Grammar, begins: Collection[str] = (), ends: Collection[str] = ()) -> None:
        """`begins` and `ends` are the elements that `begin` and `end` are to be told of, all where they are empty."""
        every = frozenset(grammar.children[""]).union(*grammar.children.values())
        self.grammar = grammar
        self._children, self._required = grammar.children, grammar.required
        self._begins, self._ends = frozenset(begins) or every, frozenset(ends) or every
        self.path: list[str] = [""]
        self.text: list[str] = []
        self.given: dict[str, str] = {}
        self.count = 0
        self.ready: list[Record] = []
        self._silent = frozenset(grammar.children) | grammar.empty
        self._blank = self._silent - grammar.empty
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self._declared
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.text.append

    def begin(self, name: str) -> None:
        """Take an element that is allowed here, with its attributes in `given`."""
        raise NotImplementedError

    def end(self, name: str, text: str) -> None:
        """Take the text of an element that ends."""
        raise NotImplementedError

    def whose(self) -> str:
        """Return what a person is told about the record that is being read, like ` of item '7'`."""
        return ""

    def read(self, file: BinaryIO) -> Iterator[Record]:
        """Yield the records of a document in its order. ImportRefused, with line and element, where one is wrong."""
        fed = 0
        while chunk := file.read(CHUNK):
            fed += len(chunk)
            self._parse(chunk, False)
            if fed - self.parser.CurrentByteIndex > MAX_TOKEN + CHUNK:
                self.refuse(f"a tag or comment of more than {MAX_TOKEN:,} bytes")
            self._check_so_far()
            yield from self._take()
        self._parse(b"", True)
        if not self.count:
            name = self.grammar.record
            self.refuse(f"no {name}; expected at least one <{name}>")
        yield from self._take()

    def complete(self, record: Record) -> None:
        """Say that a record is complete."""
        self.ready.append(record)
        self.count += 1

    def refuse(self, sentence: str) -> NoReturn:
        """Raise ImportRefused with the place and what is wrong there."""
        raise ImportRefused(f"{self._place(self.parser.CurrentLineNumber)}: {sentence}")

    def _take(self) -> list[Record]:
        taken, self.ready = self.ready, []
        return taken

    def _parse(self, chunk: bytes, last: bool) -> None:
        try:
            self.parser.Parse(chunk, last)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise ImportRefused(f"{self._place(error.lineno)}: no well-formed XML ({reason})") from None

    def _place(self, line: int) -> str:
        element = f"<{self.path[-1]}>" if self.path[-1] else "the document"
        return f"line {line}, {element}{self.whose()}"

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            self.refuse(f"encoding {encoding[:40]!r}; expected one of {', '.join(ENCODINGS)}")

    def _doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        self.refuse("a DTD (<!DOCTYPE); documents with one are refused")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        path = self.path
        if self.text:
            self._end_text(path[-1])
        if name not in self._children.get(path[-1], ()):
            self._refuse_element(name)
        path.append(name)
        self.given = attributes
        if tuple(attributes) != self._required.get(name, ()):
            self.given = {key: text for key, text in attributes.items() if " " not in key or not _is_hint(key)}
            self._check_attributes(name)
        if name in self._begins:
            self.begin(name)

    def _refuse_element(self, name: str) -> NoReturn:
        expected = self.grammar.children.get(self.path[-1], ())
        inside = ", ".join(f"<{one}>" for one in expected) or "text only"
        self.refuse(f"element {name[:40]!r} is not expected here; expected {inside}")

    def _check_attributes(self, name: str) -> None:
        required, optional = self.grammar.required.get(name, ()), self.grammar.optional.get(name, ())
        for key in self.given:
            if key not in required and key not in optional:
                known = ", ".join((*required, *optional)) or "none"
                self.refuse(f"attribute {key[:40]!r} is not expected; expected {known}")
        for key in required:
            if key not in self.given:
                self.refuse(f"attribute {key!r} is missing")

    def _end_text(self, name: str) -> str:
        """Return the text so far inside an element, checked, and begin another; most are blanks between elements."""
        text = self.text[0] if len(self.text) == 1 else "".join(self.text)
        self.text.clear()
        if name not in self._blank or text.strip(" \t\r\n"):
            self._check_text(text)
        return text

    def _check_so_far(self) -> None:
        """Look at the text that the bytes so far brought; blanks that mean nothing are dropped: they may be many."""
        if self.text:
            self._check_text("".join(self.text))
            if self.path[-1] in self._silent:
                self.text.clear()

    def _check_text(self, text: str) -> None:
        """Refuse a text that the element it stands in can not hold; it is collected first, which costs no call."""
        if self.path[-1] in self._silent:
            if text.strip(" \t\r\n"):
                self.refuse(f"text {text.strip()[:40]!r} is not expected here")
            if self.path[-1] in self.grammar.empty:
                self.refuse("white space is not expected here: the element is empty")
        elif len(text) > MAX_TEXT:
            self.refuse(f"more than {MAX_TEXT:,} characters")

    def _end(self, name: str) -> None:
        text = self._end_text(name) if self.text else ""
        if name in self._ends:
            self.end(name, text)
        self.path.pop()


def _is_hint(key: str) -> bool:
    """Whether an attribute only says where a schema is, which is allowed everywhere."""
    return _SCHEMA_HINTS.fullmatch(key) is not None
