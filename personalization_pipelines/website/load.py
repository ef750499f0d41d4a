"""From files to websites: everything that is wrong with a file is said at once, with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path as FilePath

from pydantic import ValidationError

from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.consistency import Names, check
from personalization_pipelines.website.not_built import not_built_yet
from personalization_pipelines.website.sentences import sentences
from personalization_pipelines.website.strict_yaml import Document, Path, read_yaml
from personalization_pipelines.website.values import Website

MAX_PROBLEMS = 200

_ENVIRONMENT = re.compile(r"\$\{([^{}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDERS: dict[str, object] = {"website": "unknown", "customer_id": "0", "license_key": "unknown"}


def load_website(path: FilePath) -> Website:
    """Return the website that the file `path` configures.

    Raises ConfigurationError with one line `file:line: key: sentence` for each thing that is wrong,
    in the order of the file. The file's name must be `<website>.yaml`.
    """
    return load_document(read_yaml(_bytes(path)), path)


def load_websites(home: Home) -> tuple[dict[str, Website], dict[str, ConfigurationError]]:
    """Return the websites of an installation by name, and what is wrong with its other files by file stem.

    One broken file leaves the other websites alone. Of two files with one customer id the first by
    name is good. A `.yml` file is reported, under its full name, since it would not be read.
    """
    good: dict[str, Website] = {}
    broken: dict[str, ConfigurationError] = {}
    customers: dict[str, str] = {}
    for path in sorted(home.websites.glob("[!.]*.yaml")):
        try:
            document = read_yaml(_bytes(path))
            website = load_document(document, path)
            if website.customer_id in customers:
                taken = f"the customer id belongs to the website {customers[website.customer_id]} already"
                document.note(("customer_id",), taken)
                _raise_problems(document, path)
        except ConfigurationError as error:
            broken[path.stem] = error
        else:
            good[website.name] = website
            customers[website.customer_id] = website.name
    for path in sorted(home.websites.glob("[!.]*.yml")):
        broken[path.name] = ConfigurationError(f"{path}: only files named `<website>.yaml` are read; rename it")
    return good, broken


def website_line(home: Home, website: Website, place: Path) -> str:
    """Return `file:line` of a place in a website's file: for what is found wrong after it was loaded."""
    path = home.websites / f"{website.name}.yaml"
    return f"{path}:{read_yaml(_bytes(path)).line(place)}"


def load_document(document: Document, path: FilePath) -> Website:
    """Return the website of a document that was read from `path`, or raise all its problems."""
    if document.problems and not isinstance(document.value, dict):
        _raise_problems(document, path)
    if not isinstance(document.value, dict):
        document.note((), "a website's file holds keys and values, beginning with `website: …`")
        _raise_problems(document, path)
    value = _resolved(document)
    for place, sentence in not_built_yet(value):
        document.note(place, sentence)
    website = _validated(document, value)
    if website.name != path.stem:
        document.note_once(("website",), f"the file is named {path.name}; a website's file is named `<website>.yaml`")
    _raise_problems(document, path)
    return website


def _bytes(path: FilePath) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: the file can not be read: {error.strerror}") from error


def _resolved(document: Document) -> dict[str | int, object]:
    """Return the plain value with the license key's environment reference replaced by the variable's value."""
    assert isinstance(document.value, dict)  # noqa: S101 - load_document has looked
    value = dict(document.value)
    for place, text in _texts(document.value, ()):
        match = _ENVIRONMENT.fullmatch(text)
        if not match or place[0] == "triggers":  # their tokens: not built yet, said elsewhere
            continue
        if place != ("license_key",):
            document.note(place, f"environment references like `{text[:40]}` are read in `license_key` alone")
        elif not _VARIABLE.fullmatch(match[1]):
            document.note(place, "the environment reference names no variable; expected something like ${SHOP_KEY}")
        elif not os.environ.get(match[1]):
            document.note(place, f"the environment variable {match[1]} is not set")
        else:
            value["license_key"] = os.environ[match[1]]
    return value


def _texts(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str) and path:
        yield path, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(inner, (*path, key))


def _validated(document: Document, value: dict[str | int, object]) -> Website:
    """Return the website, noting every problem; what is wrong is left out, so that the rest is checked too."""
    left_out = _LeftOut(value)
    while True:
        try:
            website = Website.model_validate(left_out.rest())
            break
        except ValidationError as error:
            wrong = [(left_out.original(place), text) for place, text in sentences(error, left_out.rest())]
            for place, sentence in wrong:
                document.note_once(place, sentence)
                left_out.add(place)
    if not left_out.keys & {"item_types", "item_ids"}:  # without these nothing can be said about the others
        for place, sentence in check(website, Names(left_out.names("models"), left_out.names("scenarios"))):
            document.note_once(left_out.original(place), sentence)
    return website


class _LeftOut:
    """What of a file is left out because it is wrong: top-level keys, models, scenarios and tests."""

    def __init__(self, value: dict[str | int, object]) -> None:
        self.value = value
        self.keys: set[str | int] = set()
        self.entries: dict[str | int, set[str | int]] = {"models": set(), "scenarios": set(), "tests": set()}

    def add(self, place: Path) -> None:
        """Leave out the entry or the top-level key that `place` is in; all of the file where that does not help."""
        if len(place) > 1 and place[0] in self.entries and place[1] not in self.entries[place[0]]:
            self.entries[place[0]].add(place[1])
        elif place and place[0] not in self.keys:
            self.keys.add(place[0])
        else:
            self.keys.update(self.value)

    def rest(self) -> dict[str | int, object]:
        """Return what is left, with placeholders for what every website must have."""
        left: dict[str | int, object] = {key: self._entries(key) for key in self.value if key not in self.keys}
        return {**{key: text for key, text in _PLACEHOLDERS.items() if key in self.keys}, **left}

    def _entries(self, key: str | int) -> object:
        section, out = self.value[key], self.entries.get(key, set())
        if isinstance(section, dict):
            return {name: entry for name, entry in section.items() if name not in out}
        if isinstance(section, list):
            return [entry for position, entry in enumerate(section) if position not in out]
        return section

    def original(self, place: Path) -> Path:
        """Return the place in the whole file of a place in the rest: tests are counted, so they move."""
        if len(place) < 2 or place[0] != "tests" or not isinstance(place[1], int):
            return place
        tests = self.value["tests"]
        kept = [position for position in range(len(tests)) if position not in self.entries["tests"]]  # type: ignore[arg-type]
        return ("tests", kept[place[1]], *place[2:])

    def names(self, section: str) -> tuple[str, ...]:
        """Return all names of models or scenarios that the file gives, the wrong ones too."""
        entries = self.value.get(section)
        return tuple(map(str, entries)) if isinstance(entries, dict) else ()


def _raise_problems(document: Document, path: FilePath) -> None:
    """Raise ConfigurationError if the document has problems."""
    if not document.problems:
        return
    found = sorted(dict.fromkeys(document.problems), key=lambda problem: problem.line)
    lines = [f"{path}:{problem.line}: {_dotted(problem.path)}{problem.sentence}" for problem in found[:MAX_PROBLEMS]]
    if len(found) > MAX_PROBLEMS:
        lines.append(f"{path}: and {len(found) - MAX_PROBLEMS} more")
    raise ConfigurationError("\n".join(lines))


def _dotted(path: Path) -> str:
    """Return a path as `models.top.history: `, list positions in brackets; nothing for the whole file."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{text.removeprefix('.')}: " if path else ""
