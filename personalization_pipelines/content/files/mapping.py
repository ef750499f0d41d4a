"""Mapping files: how foreign columns become canonical ones. Read strictly, every problem with file and line.

A mapping renames columns, adds constants, translates values, says how times are written and what separates the levels
of a category (`category_separator: ">"`; default `/`), which rows are dropped (expected, counted) or rejected (counted
and listed), and which columns are attributes.
Canonical columns that the file already has under their own name need no line.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationError, field_validator, model_validator

from personalization_pipelines.content.files.formats.row_format import Csv
from personalization_pipelines.content.report import Kind
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.fields import Strict
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.json_schema import keys_at
from personalization_pipelines.website.sentences import did_you_mean, sentences
from personalization_pipelines.website.strict_yaml import Path as Place
from personalization_pipelines.website.strict_yaml import read_yaml

CANONICAL: dict[Kind, tuple[str, ...]] = {
    "events": (
        "time", "event", "user", "item_type", "item_id", "quantity", "price", "currency", "rating", "percentage",
        "category", "segments", "session", "order", "event_id",
    ),
    "items": (
        "item_type", "item_id", "price", "currency", "valid_from", "valid_to", "category", "categories", "language",
        "base_item",
    ),
    "users": ("user", "source"),
}  # fmt: skip
REQUIRED: dict[Kind, tuple[str, ...]] = {
    "events": ("time", "event", "user", "item_id"),
    "items": ("item_id",),
    "users": ("user",),
}
TOTAL = "total"
"""Only in mappings: the price of a whole line; the price of one piece is total / quantity."""

SHIPPED = package_files("personalization_pipelines.content.files") / "mappings"


class Times(Strict):
    """How the file writes times: numbers since 1970 in `unit`, ISO 8601, or `format` (strptime) in `zone`."""

    unit: Literal["s", "ms", "us", "ns"] = "s"
    format: str | None = None
    zone: str | None = None

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        try:
            ZoneInfo(value or "UTC")
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value!r} is not a time zone; expected a name like Europe/London") from None
        return value


class Condition(Strict):
    """One test of a foreign column. Missing values pass every test but `missing`."""

    column: str
    reason: Annotated[str, Field(min_length=1, max_length=200)]
    equals: str | None = None
    starts_with: str | None = None
    matches: str | None = None
    below: float | int | None = None
    at_most: float | int | None = None
    above: float | int | None = None
    missing: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_test(self) -> Condition:
        if len(self.test) != 1:
            raise ValueError("expected exactly one of equals, starts_with, matches, below, at_most, above, missing")
        if self.matches is not None:
            _check_pattern(self.matches)
        return self

    @property
    def test(self) -> dict[str, Any]:
        """The one test that is given, by its name."""
        return self.model_dump(exclude={"column", "reason"}, exclude_none=True)


def _check_pattern(pattern: str) -> None:
    """Refuse what Arrow's RE2 refuses, which is more than Python's `re` does."""
    try:
        pc.match_substring_regex(pa.scalar(""), pattern)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{pattern!r} is no regular expression ({error})") from None


class Joined(Strict):
    """A text made of several columns; a list of columns stands for the first of them that is present."""

    columns: Annotated[list[str | list[str]], Field(min_length=1)]
    separator: str = ", "
    letters: Literal["as they are", "sentence"] = "as they are"


class PriceFrom(Strict):
    """Sales lines, in a file beside the items' file, whose newest one gives an item its price."""

    file: str
    item_id: str
    time: str
    total: str
    quantity: str

    @field_validator("file")
    @classmethod
    def _beside(cls, value: str) -> str:
        if Path(value).name != value or value in ("", ".", ".."):
            raise ValueError(f"{value!r} is not the name of a file beside the items' file")
        return value


class Mapping(Strict):
    """A whole mapping file. `columns` and `constants` are by canonical name, `columns` values are foreign names."""

    kind: Kind
    title: str = ""
    notice: str = ""
    item_ids: Literal["any", "alphanumeric"] = "any"
    columns: dict[str, str] = {}
    constants: dict[str, str | int] = {}
    values: dict[str, dict[str, str]] = {}
    category: list[str] = []
    category_separator: Annotated[str, Field(max_length=8)] = ""
    time: Times = Times()
    csv: Csv = Csv()
    whole_numbers: list[str] = []
    drop: list[Condition] = []
    reject: list[Condition] = []
    ignore: list[str] = []
    newest_by: str | None = None
    price_from: PriceFrom | None = None
    attributes: dict[str, str] | None = None
    joined: dict[str, Joined] = {}
    split: dict[str, str] = {}
    numbers: list[str] = []
    text: list[str] = []

    @field_validator("category_separator")
    @classmethod
    def _separator(cls, value: str) -> str:
        if value and not value.strip():
            raise ValueError("a space separates words, too; expected a text like '>'")
        return value

    @model_validator(mode="after")
    def _names(self) -> Mapping:
        known = {*CANONICAL[self.kind], TOTAL} if self.kind == "events" else set(CANONICAL[self.kind])
        for name in [*self.columns, *self.constants, *self.values]:
            if name not in known:
                raise ValueError(f"{name!r} is no column of {self.kind}; expected one of {', '.join(sorted(known))}")
        if self.category_separator and (self.category or self.kind == "users"):
            raise ValueError("category_separator cuts the column `category`; here nothing is read from it")
        if twice := set(self.columns) & set(self.constants):
            raise ValueError(f"{sorted(twice)[0]!r} is both a column and a constant")
        if self.kind == "events" and (self.attributes or self.joined or self.newest_by or self.price_from):
            raise ValueError("attributes, joined, newest_by and price_from belong to items and users")
        return self

    def foreign(self, canonical: str, found: list[str]) -> str | None:
        """Return the file's column for a canonical one; None where a constant or nothing stands for it."""
        if canonical in self.constants:
            return None
        name = self.columns.get(canonical, canonical)
        return name if name in found and (canonical in self.columns or name not in self.ignore) else None

    def needed(self) -> list[str]:
        """Return the foreign columns that this mapping reads and a file must therefore have, sorted."""
        conditions = [condition.column for condition in (*self.drop, *self.reject)]
        joined = [name for text in self.joined.values() for part in text.columns for name in _listed(part)]
        newest = [self.newest_by] if self.newest_by else []
        named = [*self.columns.values(), *self.category, *(self.attributes or {}).values(), *self.whole_numbers]
        return sorted({*named, *conditions, *joined, *newest})

    def lacking(self, found: list[str]) -> list[str]:
        """Return the required canonical columns for which neither file nor mapping has anything."""
        return [
            name
            for name in REQUIRED[self.kind]
            if name not in self.constants and self.foreign(name, found) is None and name not in self.columns
        ]


def _listed(part: str | list[str]) -> list[str]:
    return [part] if isinstance(part, str) else part


@dataclass(frozen=True)
class NamedMapping:
    """A mapping with where it comes from and the digest of its text (part of the import id)."""

    rules: Mapping
    name: str
    digest: str


def load_mapping(kind: Kind, mapping: str | Path | None) -> NamedMapping:
    """Return the mapping of a path or the name of a shipped one; None is the canonical columns as they are.

    Raises ImportRefused with a `file:line: key: sentence` line for every problem.
    """
    if mapping is None:
        return NamedMapping(Mapping(kind=kind), "", "")
    name, data = _read(str(mapping))
    document = read_yaml(data)
    problems = [(one.line, one.path, one.sentence) for one in document.problems]
    rules = None
    try:
        rules = Mapping.model_validate(document.value)
    except ValidationError as error:
        found = sentences(error, document.value, _keys_at)
        problems += [(document.line(place), place, sentence) for place, sentence in found]
    if problems or rules is None:
        lines = [f"{name}:{line}: {'.'.join(map(str, path)) or 'file'}: {what}" for line, path, what in problems]
        raise ImportRefused("\n".join(lines))
    if rules.kind != kind:
        raise ImportRefused(f"{name}:{document.line(('kind',))}: kind: this maps {rules.kind}, not {kind}")
    return NamedMapping(rules, name, hashlib.sha256(data).hexdigest())


def source_mapping(home: Home, mapping: str | None) -> str | None:
    """Return what `load_mapping` reads for a source of a website's file: relative paths are under the home."""
    return mapping if mapping is None or _is_shipped(mapping) else str(home.root / mapping)


def shipped_mappings(kind: Kind) -> dict[str, Mapping]:
    """Return the mappings that come with the package, by name."""
    names = sorted(entry.name.removesuffix(".yml") for entry in SHIPPED.iterdir() if entry.name.endswith(".yml"))
    return {name: load_mapping(kind, name).rules for name in names if name.endswith(f"_{kind}")}


def fitting_mappings(kind: Kind, found: list[str]) -> list[str]:
    """Return the names of shipped mappings whose columns a file with these columns has, all of them."""
    return [name for name, rules in shipped_mappings(kind).items() if set(rules.needed()) <= set(found)]


def _read(mapping: str) -> tuple[str, bytes]:
    if _is_shipped(mapping):
        return f"{mapping}.yml", (SHIPPED / f"{mapping}.yml").read_bytes()
    try:
        return mapping, Path(mapping).read_bytes()
    except (OSError, ValueError) as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None) or error
        names = sorted(one.name.removesuffix(".yml") for one in SHIPPED.iterdir() if one.name.endswith(".yml"))
        raise ImportRefused(
            f"mapping {mapping!r}: {what}, and none of that name is shipped{did_you_mean(Path(mapping).stem, names)}"
        ) from None


def _is_shipped(mapping: str) -> bool:
    return not set(mapping) & {"/", "\\", "\0"} and (SHIPPED / f"{mapping}.yml").is_file()


def _keys_at(location: Place) -> list[str]:
    return keys_at(location, Mapping.model_json_schema())
