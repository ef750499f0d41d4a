"""What must fit together in a website's file: names that refer to each other, ids, types, tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.identifiers import parse_user_id
from personalization_pipelines.models.named_items import BLACKLIST
from personalization_pipelines.models.parameters import ItemReference
from personalization_pipelines.website.scenario_parameters import Scenario
from personalization_pipelines.website.sentences import did_you_mean, shown
from personalization_pipelines.website.strict_yaml import Path
from personalization_pipelines.website.values import DEFAULT_WEIGHTS, Website

Found = Iterator[tuple[Path, str]]


@dataclass(frozen=True)
class Names:
    """Every name the file gives, also those whose value is wrong: a reference to them is no second problem."""

    models: tuple[str, ...]
    scenarios: tuple[str, ...]


def check(website: Website, names: Names) -> Found:
    """Yield path and sentence of everything in a website's values that does not fit together."""
    yield from _unknown(("event_weights",), website.event_weights, DEFAULT_WEIGHTS, "event")
    yield from _twice(("languages",), website.languages)
    yield from _twice(("output_attributes",), website.output_attributes or [])
    yield from _twice(("content", "export_hosts"), [host.text for host in website.content.export_hosts])
    for name, model in website.models.items():
        yield from _items(website, ("models", name, "items"), model.named_items)
    for name, scenario in website.scenarios.items():
        yield from _scenario(website, names, ("scenarios", name), scenario)
    yield from _tests(website, names)


def _unknown(path: Path, used: object, known: object, what: str) -> Found:
    words = list(known)  # type: ignore[call-overload]
    for word in used:  # type: ignore[attr-defined]
        if word not in words:
            yield (*path, word), f"there is no {what} {shown(word)}{did_you_mean(word, words)}"


def _twice(path: Path, entries: list[str]) -> Found:
    for position, entry in enumerate(entries):
        if entry in entries[:position]:
            yield (*path, position), f"{shown(entry)} is listed twice"


def _items(website: Website, path: Path, items: Sequence[ItemReference]) -> Found:
    seen: set[tuple[int, str]] = set()
    for position, item in enumerate(items):
        if item.type not in website.item_types:
            known = ", ".join(f"{number} ({name})" for number, name in website.item_types.items())
            yield (*path, position, "type"), f"there is no item type {item.type}; `item_types` has {known}"
        try:
            key = (item.type, website.item_id(str(item.id)))
        except InvalidIdentifier as error:
            yield (*path, position, "id"), f"{error}{_quotes(website)}"
            continue
        if key in seen:
            yield (*path, position), f"item {key[1]} of type {key[0]} is listed twice"
        seen.add(key)


def _quotes(website: Website) -> str:
    return "" if website.item_ids == "alphanumeric" else " (ids with letters need `item_ids: alphanumeric`)"


def _scenario(website: Website, names: Names, path: Path, scenario: Scenario) -> Found:
    types = list(website.item_types.values())
    if scenario.input not in types:
        yield (*path, "input"), f"there is no item type {shown(scenario.input)}{did_you_mean(scenario.input, types)}"
    for position, name in enumerate(scenario.output):
        if name not in types:
            yield (*path, "output", position), f"there is no item type {shown(name)}{did_you_mean(name, types)}"
    yield from _twice((*path, "output"), scenario.output)
    for number, level in enumerate(scenario.strategy):
        used = [reference.model for reference in level.models]
        here = (*path, "strategy", number, "models")
        yield from _twice(here, used)
        for position, name in enumerate(used):
            yield from _reference(website, names, (*here, position), name)


def _is_blacklist(website: Website, name: str) -> bool:
    return name in website.models and website.models[name].type == BLACKLIST


def _reference(website: Website, names: Names, path: Path, name: str) -> Found:
    if name not in names.models:
        known = [other for other in names.models if not _is_blacklist(website, other)]
        yield path, f"there is no model {shown(name)}{did_you_mean(name, known, otherwise='the models are')}"
    elif _is_blacklist(website, name):
        yield path, f"{shown(name)} is a blacklist: it holds in every scenario and can not answer in one"


def _tests(website: Website, names: Names) -> Found:
    for position, test in enumerate(website.tests):
        path: Path = ("tests", position)
        if test.scenario not in names.scenarios:
            known = did_you_mean(test.scenario, names.scenarios, otherwise="the scenarios are")
            yield (*path, "scenario"), f"there is no scenario {shown(test.scenario)}{known}"
        if not test.expect.model_fields_set:
            yield (*path, "expect"), "the test expects nothing; give `at_least` or `never_category`"
        try:
            parse_user_id(test.user, website.placeholder_users)
        except InvalidIdentifier as error:
            yield (*path, "user"), str(error)
        for number, item in enumerate(test.context):
            try:
                website.item_id(str(item))
            except InvalidIdentifier as error:
                yield (*path, "context", number), f"{error}{_quotes(website)}"
