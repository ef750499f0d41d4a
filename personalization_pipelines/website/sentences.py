"""Pydantic's errors as sentences for a shop's engineer, at the place in the file they are about."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from personalization_pipelines.models.registry import LATER_TYPES, built_types
from personalization_pipelines.website.json_schema import keys_at
from personalization_pipelines.website.not_built import is_unbuilt
from personalization_pipelines.website.strict_yaml import Path

SECRET_KEYS = {"license_key", "token"}

_KINDS = {
    "string": "text", "string_sub": "text", "int": "a whole number", "float": "a number", "bool": "true or false",
    "list": "a list", "dict": "keys and values below it", "model": "keys and values below it",
    "model_attributes": "keys and values below it", "timedelta": "a time span like 30d",
}  # fmt: skip
_BOUNDS = {
    "greater_than": ("more than", "gt"), "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"), "less_than_equal": ("at most", "le"),
}  # fmt: skip


def sentences(
    error: ValidationError, value: object, keys: Callable[[Path], list[str]] = keys_at
) -> Iterator[tuple[Path, str]]:
    """Yield path and sentence of each thing wrong; `value` is the plain value that was validated.

    `keys` tells which keys may stand at a place.
    """
    by_path: dict[Path, list[Any]] = defaultdict(list)
    for detail in error.errors(include_url=False):
        by_path[_place(detail, value)].append(detail)
    for path, details in by_path.items():
        kinds = [_kind(detail["type"]) for detail in details]
        if len(details) > 1 and all(kinds):  # one error for each option of a union
            yield path, _expected(" or ".join(dict.fromkeys(filter(None, kinds))), details[0], path)
        else:
            yield from ((path, _sentence(detail, path, keys)) for detail in details)


def did_you_mean(word: object, known: Iterable[str], *, otherwise: str = "expected one of") -> str:
    """Return `; did you mean x?` for the known word that is nearest, else all known words."""
    words = list(known)
    if near := nearest(word, words):
        return f"; did you mean {near}?"
    return f"; {otherwise} {', '.join(words)}" if words and otherwise else ""


def nearest(word: object, known: Iterable[str]) -> str:
    """Return the known word that one may have meant, "" for none. Case and dashes are how one mistypes, too."""
    plain = {_plain(one): one for one in known}
    near = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=0.6)
    return plain[near[0]] if near else ""


def _plain(word: object) -> str:
    return str(word).lower().replace("-", "_").replace(" ", "_")


def shown(value: object) -> str:
    """Return a value for a sentence, cut to 60 characters."""
    text = value if isinstance(value, str) else repr(value)
    return f"`{text[:60]}{'…' if len(text) > 60 else ''}`"


def _place(detail: Any, value: object) -> Path:
    """Return where in the file an error is: pydantic's location without the tags of unions and `[key]`."""
    path: list[str | int] = []
    for part in detail["loc"]:
        inside = isinstance(value, dict) and part in value
        if inside or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            value = value[part]  # type: ignore[index]
            path.append(part)
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    return tuple(path)


def _kind(error_type: str) -> str | None:
    return _KINDS.get(error_type.removesuffix("_type")) if error_type.endswith("_type") else None


def _expected(what: str, detail: Any, path: Path) -> str:
    value = detail["input"]
    hint = ""
    if "text" in what and isinstance(value, int | float) and not isinstance(value, bool):
        hint = "; put it in quotes"
    if detail["loc"][-1:] == ("[key]",):
        return f"the key {shown(value)} must be {what}{hint}"
    return f"expected {what}, found {_found(value, path)}{hint}"


def _found(value: object, path: Path) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    name = "text" if isinstance(value, str) else "a number"
    return name if SECRET_KEYS.intersection(map(str, path)) else f"the {name.removeprefix('a ')} {shown(value)}"


def _sentence(detail: Any, path: Path, keys: Callable[[Path], list[str]]) -> str:
    error_type = detail["type"]
    kind = _kind(error_type)
    if kind:
        return _expected(kind, detail, path)
    if error_type in _BOUNDS:
        words, bound = _BOUNDS[error_type]
        return f"{shown(detail['input'])} must be {words} {detail['ctx'][bound]}"
    if error_type == "extra_forbidden":
        return _unknown_key(detail, path, keys)
    write = _SENTENCES.get(error_type)
    text = write(detail) if write else str(detail["msg"]).replace("Input should be", "expected")
    return f"{text[:1].lower()}{text[1:]}" if not write else text


def _unknown_key(detail: Any, path: Path, keys: Callable[[Path], list[str]]) -> str:
    word, known = detail["loc"][-1], keys(detail["loc"][:-1])
    near = nearest(word, known)
    if near and keys is keys_at and is_unbuilt((*path[:-1], near)):
        built = [key for key in known if not is_unbuilt((*path[:-1], key))]
        return f"unknown key; {near} is not built yet{_or_built(word, built)}"
    return f"unknown key{did_you_mean(word, known, otherwise='known here are')}"


def _or_built(word: object, built: list[str]) -> str:
    return did_you_mean(word, built, otherwise="built here are")


def _unknown_type(detail: Any) -> str:
    tag = str(detail["ctx"]["tag"])
    near = nearest(tag, built_types() + LATER_TYPES)
    later = f"; {near} is not built yet" if near in LATER_TYPES else ""
    return f"there is no model type {shown(tag)}{later}{did_you_mean(tag, built_types(), otherwise='built are')}"


def _literal(detail: Any) -> str:
    expected = detail["ctx"]["expected"].replace("'", "")
    known = expected.replace(" or ", ", ").split(", ")
    near = did_you_mean(detail["input"], known, otherwise="")
    return f"expected {expected}, found {shown(detail['input'])}{near}"


def _pattern(detail: Any) -> str:
    examples = {
        "public_host": "a host like //reco.example.org",
        "languages": "a language like eng-GB",
    }
    wanted = examples.get(detail["loc"][0], f"text like {detail['ctx']['pattern']}")
    return f"{shown(detail['input'])} is not {wanted}"


_SENTENCES: dict[str, Callable[[Any], str]] = {
    "missing": lambda detail: "the key is required",
    "invalid_key": lambda detail: f"the key {shown(detail['loc'][-1])} must be text",
    "literal_error": _literal,
    "value_error": lambda detail: str(detail["ctx"]["error"]),
    "string_pattern_mismatch": _pattern,
    "string_too_short": lambda detail: "the text is empty",
    "too_short": lambda detail: (
        f"expected at least {detail['ctx']['min_length']}, found {detail['ctx']['actual_length']}"
    ),
    "union_tag_invalid": _unknown_type,
    "union_tag_not_found": lambda detail: f"a model needs a `type`; built are {', '.join(built_types())}",
    "int_from_float": lambda detail: f"expected a whole number, found {shown(detail['input'])}",
    "string_too_long": lambda detail: f"the text is longer than {detail['ctx']['max_length']} characters",
    "finite_number": lambda detail: "expected a finite number",
}
