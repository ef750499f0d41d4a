"""YAML without surprises: plain values and the line of every key, or a sentence for each trap.

Why not `yaml.safe_load`: it keeps the last of two equal keys, turns `NO` into False, `012345` into
5349 and `12:30` into 750, and expands aliases without end. Here scalars follow YAML 1.2's core
schema; whatever YAML 1.1 and 1.2 read differently is a problem, named with its line. Sentences never
repeat a value of the file, because the value may be a secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 30
MAX_VALUES = 200_000
MAX_NUMBER = 2**63 - 1

Path = tuple[str | int, ...]

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_CONSTANTS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_BOOLEAN_WORDS = {"yes", "no", "on", "off"}
_TRAPS = (
    (re.compile(r"[-+]?0[0-9_]+"), "a number with a leading zero, which some YAML readers take as octal"),
    (re.compile(r"[-+]?0[xob][0-9a-fA-F_]+"), "a number that is not decimal"),
    (re.compile(r"[-+]?[0-9][0-9,]*_[0-9_.]*"), "a number with underscores, which YAML readers disagree on"),
    (
        re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?"),
        "a time, which some YAML readers take as a number of base 60",
    ),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"), "a date, which some YAML readers take apart"),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), "not a finite number"),
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where (line from 1, path of keys and list positions) and a sentence."""

    line: int
    path: Path
    sentence: str


@dataclass
class Document:
    """What a YAML text holds: plain values, the line of every path, and what was wrong with it.

    With problems the value is still as complete as it can be, so that the rest can be checked too.
    """

    value: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _noted: set[Path] = field(default_factory=set)

    def line(self, path: Path) -> int:
        """Return the line of `path`, or of the nearest thing above it that the text has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def note(self, path: Path, sentence: str, line: int | None = None) -> None:
        """Add a problem at `path`."""
        self.problems.append(Problem(line or self.line(path), path, sentence))
        self._noted.add(path)

    def note_once(self, path: Path, sentence: str) -> None:
        """Add a problem, unless `path` has one already: one cause, one sentence."""
        if path not in self._noted:
            self.note(path, sentence)


class _Bounded(Exception):
    """The text goes past a bound; reading stops."""


def read_yaml(data: bytes) -> Document:
    """Read one YAML document of at most 1 MiB; never raises, whatever the bytes are."""
    document = Document()
    if len(data) > MAX_BYTES:
        document.note((), f"the file has {len(data)} bytes; at most {MAX_BYTES} are read")
        return document
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        document.note((), "the text is not UTF-8; save the file in that encoding", line)
        return document
    try:
        _Reader(document).read(_events(text))
    except _Bounded:
        pass  # its problem is noted where it was found
    except yaml.YAMLError as error:
        _note_syntax(document, error, text)
    return document


def _events(text: str) -> Iterator[Any]:
    return yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _note_syntax(document: Document, error: yaml.YAMLError, text: str) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
    lines = text.splitlines()
    wrong = lines[line - 1] if line <= len(lines) else ""
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    if "\t" in wrong[: len(wrong) - len(wrong.lstrip())]:
        what = "lines are indented with spaces, this one has a tab"
    document.note((), f"this is not YAML: {what}", line)


class _Reader:
    """Builds plain values from YAML events, noting lines and problems on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values = 0

    def read(self, events: Iterator[Any]) -> None:
        for event in events:
            if not isinstance(event, yaml.NodeEvent):
                continue
            if self.values:
                line = event.start_mark.line + 1  # type: ignore[union-attr]  # a node that was read has a mark
                self.document.note((), "a second document begins; a file holds one", line)
                return
            self.document.value = self._node(event, events, (), 0)

    def _node(self, event: Any, events: Iterator[Any], path: Path, depth: int) -> object:
        self.document.lines.setdefault(path, event.start_mark.line + 1)
        self._bound(path, depth)
        if isinstance(event, yaml.AliasEvent):
            self.document.note(path, "aliases (`*name`) are not read; write the value out")
            return None
        if event.anchor is not None:
            self.document.note(path, "anchors (`&name`) are not read; remove it")
        if event.tag is not None:
            self.document.note(path, "tags (`!name`) are not read; remove it")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path, depth + 1)
        return self._mapping(events, path, depth + 1)

    def _bound(self, path: Path, depth: int) -> None:
        self.values += 1
        if depth > MAX_DEPTH:
            self.document.note(path, f"values are nested more than {MAX_DEPTH} deep")
            raise _Bounded
        if self.values > MAX_VALUES:
            self.document.note(path, f"the file holds more than {MAX_VALUES} values")
            raise _Bounded

    def _sequence(self, events: Iterator[Any], path: Path, depth: int) -> list[object]:
        found: list[object] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            found.append(self._node(event, events, (*path, len(found)), depth))
        return found

    def _mapping(self, events: Iterator[Any], path: Path, depth: int) -> dict[str | int, object]:
        found: dict[str | int, object] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key, line = self._key(event, events, path, depth), event.start_mark.line + 1
            here: Path = path if key is None else (*path, key)
            if key is not None and key in found:
                self.document.note(here, f"the key is given twice, first on line {self.document.line(here)}", line)
            else:
                self.document.lines[here] = self.document.lines.get(here, line)
            value = self._node(next(events), events, here, depth)
            if key is not None:
                found.setdefault(key, value)
        return found

    def _key(self, event: Any, events: Iterator[Any], path: Path, depth: int) -> str | int | None:
        line = event.start_mark.line + 1
        if not isinstance(event, yaml.ScalarEvent):
            self.document.note(path, "a key must be text or a whole number", line)
            self._node(event, events, path, depth)
            return None
        before = len(self.document.problems)
        key = self._node(event, events, (*path, event.value), depth)
        if event.value == "<<" and event.implicit[0]:
            self.document.note((*path, "<<"), "merge keys (`<<`) are not read; write the values out", line)
        if isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool)):
            return key
        if len(self.document.problems) == before:
            self.document.note(path, "a key must be text or a whole number; put it in quotes", line)
        return None

    def _scalar(self, event: Any, path: Path) -> object:
        text: str = event.value
        if _CONTROL.search(text):
            self.document.note(path, "control characters are not allowed")
            return _CONTROL.sub("", text)
        if not event.implicit[0]:  # quoted, or a block of text
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text.lower() in _BOOLEAN_WORDS:
            self.document.note(path, f'`{text}` is a truth value to some YAML readers; write true, false or "{text}"')
            return text
        return self._number_or_text(text, path)

    def _number_or_text(self, text: str, path: Path) -> object:
        for trap, what in _TRAPS:
            if trap.fullmatch(text):
                self.document.note(path, f"this is {what}; put it in quotes to keep it as text")
                return text
        if _WHOLE.fullmatch(text):
            if len(text) > 20 or abs(int(text)) > MAX_NUMBER:
                self.document.note(path, "the number is too large; put it in quotes to keep it as text")
                return text
            return int(text)
        if not _FLOAT.fullmatch(text):
            return text
        if not math.isfinite(float(text)):
            self.document.note(path, "the number is too large; put it in quotes to keep it as text")
            return text
        return float(text)
