"""Reads XML strictly: a document of known elements, each looked at where it begins, and no tree is ever built.

Python's expat: a document costs the memory of one record, whatever its size, and nothing unknown or deep gets far. A
DTD is refused at its first character, which takes external and multiplying entities with it; nothing here opens a
file or a socket. What goes where says a `Grammar`; what it means, a subclass of `StrictReader`. Why not lxml:
docs/decisions/strict-xml.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Generic, NamedTuple, NoReturn, TypeVar
from xml.parsers import expat

from personalization_pipelines.foundation.errors import ImportRefused

MAX_TOKEN = 512 << 10
"""Bytes of one tag or comment."""
MAX_TEXT = 65_536
"""Characters of one text."""
CHUNK = 128 << 10
ENCODINGS = ("utf-8", "us-ascii", "iso-8859-1", "utf-16")

_BLANKS = " \t\r\n"
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


class _Element:
    """An element of a grammar: what may be inside, attributes that were found right, and who is told of it."""

    __slots__ = ("begin", "blank", "end", "inside", "name", "right")

    def __init__(self, name: str, grammar: Grammar) -> None:
        self.name = name
        self.inside: dict[str, _Element] = {}
        self.right = {grammar.required.get(name, ())}
        self.blank = name in grammar.children
        """It holds other elements, with blanks that mean nothing between them."""
        self.begin: Callable[[str], None] | None = None
        self.end: Callable[[str, str], None] | None = None


def _elements(grammar: Grammar) -> dict[str, _Element]:
    names = {"": None, **dict.fromkeys(name for inside in grammar.children.values() for name in inside)}
    elements = {name: _Element(name, grammar) for name in names}
    for name, inside in grammar.children.items():
        elements[name].inside = {child: elements[child] for child in inside}
    return elements


class StrictReader(Generic[Record]):
    """One document: where it is (`path`), what is being read, and the records that are complete (`ready`).

    A document has far more elements than records, so what is done for each of them is done here in few calls.
    """

    def __init__(
        self,
        grammar: Grammar,
        begins: Mapping[str, Callable[[str], None]] | None = None,
        ends: Mapping[str, Callable[[str, str], None]] | None = None,
    ) -> None:
        """`begins` and `ends` are who is told of which element, instead of `begin` and `end`, who are told of all."""
        elements = _elements(grammar)
        for name in elements.keys() - {""}:
            elements[name].begin = self.begin if begins is None else begins.get(name)
            elements[name].end = self.end if ends is None else ends.get(name)
        self.grammar = grammar
        self.path = [elements[""]]
        self.text: list[str] = []
        self.given: dict[str, str] = {}
        self.count = 0
        self.ready: list[Record] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self._declared
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._handlers()
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
        element = f"<{self.path[-1].name}>" if self.path[-1].name else "the document"
        return f"line {line}, {element}{self.whose()}"

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            self.refuse(f"encoding {encoding[:40]!r}; expected one of {', '.join(ENCODINGS)}")

    def _doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        self.refuse("a DTD (<!DOCTYPE); documents with one are refused")

    def _handlers(self) -> tuple[Callable[[str, dict[str, str]], None], Callable[[str], None]]:
        """Return what the parser calls where an element begins and ends: functions, for these are the quickest."""
        path, text = self.path, self.text

        def start(name: str, attributes: dict[str, str]) -> None:
            around = path[-1]
            if text:
                if around.blank and len(text) == 1 and not text[0].strip(_BLANKS):
                    text.clear()
                else:
                    self._end_text()
            element = around.inside.get(name)
            if element is None:
                self._refuse_element(name)
            path.append(element)
            self.given = attributes
            if tuple(attributes) not in element.right:
                self._check_attributes(element)
            if element.begin is not None:
                element.begin(name)

        def end(name: str) -> None:
            element = path[-1]
            if not text:
                found = ""
            elif element.blank and len(text) == 1 and not text[0].strip(_BLANKS):
                found = text.pop()
            else:
                found = self._end_text()
            if element.end is not None:
                element.end(name, found)
            path.pop()

        return start, end

    def _refuse_element(self, name: str) -> NoReturn:
        inside = ", ".join(f"<{one}>" for one in self.path[-1].inside) or "text only"
        self.refuse(f"element {name[:40]!r} is not expected here; expected {inside}")

    def _check_attributes(self, element: _Element) -> None:
        """Refuse attributes that are not the element's; those that only say where a schema is are left out."""
        names = tuple(self.given)
        self.given = {key: text for key, text in self.given.items() if " " not in key or not _is_hint(key)}
        required = self.grammar.required.get(element.name, ())
        optional = self.grammar.optional.get(element.name, ())
        for key in self.given:
            if key not in required and key not in optional:
                known = ", ".join((*required, *optional)) or "none"
                self.refuse(f"attribute {key[:40]!r} is not expected; expected {known}")
        for key in required:
            if key not in self.given:
                self.refuse(f"attribute {key!r} is missing")
        if len(self.given) == len(names):
            element.right.add(names)

    def _end_text(self) -> str:
        """Return the text so far inside an element, checked, and begin another."""
        text = self.text[0] if len(self.text) == 1 else "".join(self.text)
        self.text.clear()
        self._check_text(text)
        return text

    def _check_so_far(self) -> None:
        """Look at the text that the bytes so far brought; blanks that mean nothing are dropped: they may be many."""
        if self.text:
            self._check_text("".join(self.text))
            if self.path[-1].blank:
                self.text.clear()

    def _check_text(self, text: str) -> None:
        """Refuse a text that the element it stands in can not hold; it is collected first, which costs no call."""
        element = self.path[-1]
        empty = element.name in self.grammar.empty
        if element.blank or empty:
            if text.strip(_BLANKS):
                self.refuse(f"text {text.strip()[:40]!r} is not expected here")
            if empty:
                self.refuse("white space is not expected here: the element is empty")
        elif len(text) > MAX_TEXT:
            self.refuse(f"more than {MAX_TEXT:,} characters")


def _is_hint(key: str) -> bool:
    """Whether an attribute only says where a schema is, which is allowed everywhere."""
    return _SCHEMA_HINTS.fullmatch(key) is not None
