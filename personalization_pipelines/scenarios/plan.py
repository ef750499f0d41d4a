"""What the server must know about a website's scenarios, as plain values that travel inside a publication.

The plan decides nothing at request time: names are resolved to numbers here, once, and whatever this
version cannot serve is refused here, so that the server never meets a key that it would have to ignore.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from personalization_pipelines.foundation.errors import ConfigurationError, NotBuiltYet
from personalization_pipelines.models.named_items import BLACKLIST
from personalization_pipelines.models.parameters import ContextKind, Later
from personalization_pipelines.publications.format.arrays import decode_json
from personalization_pipelines.website import Website
from personalization_pipelines.website.scenario_parameters import (
    CategoryFilter,
    Filters,
    Level,
    ModelReference,
    Scenario,
)

_LATER_FILTERS = (
    "minimum_price", "unknown_price", "variants", "top_sellers", "boost", "demote", "diversity",
)  # fmt: skip


class PlanModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of the website. `number` is its position in the YAML from 1: the `modelid` of links and events."""

    name: str
    number: int
    type: str
    needs: ContextKind
    build_seconds: int


class PlanReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model's part in a level: which context it is asked with and how many turns it has (`weight`)."""

    model: str
    context: Literal["items", "history", "both"] = "both"
    weight: int = 1


class PlanCategory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A level's category filter; `steps` is `levels_up` of `same` and `depth` of `main` (0 for `site`)."""

    kind: Literal["site", "same", "main"] = "site"
    steps: int = 0
    reference: Literal["request", "context"] = "request"


class PlanLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One strategy level: models that are interleaved, and the categories they may answer from."""

    models: tuple[PlanReference, ...]
    category: PlanCategory = PlanCategory()


class PlanFilters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Filters 2 to 4 and 8 of the specification; filter 1 (valid, allowed, output type) always holds."""

    exclude_context_items: bool = True
    exclude_bought: bool = False
    exclude_consumed: bool = False
    exclude_categories: tuple[str, ...] = ()
    exclude_context_category: bool = False
    max_repeats: int | None = None


class PlanScenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scenario; item types are numbers, `output` in ascending order (the first is the default)."""

    name: str
    input: int
    output: tuple[int, ...]
    levels: tuple[PlanLevel, ...]
    filters: PlanFilters = PlanFilters()

    def models(self) -> tuple[str, ...]:
        """Return the names of the models the scenario asks, each once, most important first."""
        return tuple(dict.fromkeys(reference.model for level in self.levels for reference in level.models))


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything of a website's configuration that answering a request needs.

    `output_attributes` None means: every attribute whose values are text (spec: website.yaml).
    """

    website: str
    kind: Literal["commerce", "publisher"]
    currency: str
    item_types: dict[int, str]
    numeric_ids: bool
    output_attributes: tuple[str, ...] | None
    models: dict[str, PlanModel]
    scenarios: dict[str, PlanScenario]

    def to_json(self) -> bytes:
        """Return the plan as JSON, the same bytes for the same plan."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


def read_plan(text: bytes) -> Plan:
    """Return the plan that `to_json` wrote; CorruptData where it is no plan of this version."""
    plan: Plan = decode_json("the scenario plan", text, Plan)
    return plan


def make_plan(website: Website) -> Plan:
    """Return the plan of a website.

    Raises ConfigurationError where a scenario names a model or item type that does not exist, and
    NotBuiltYet where it uses something of the specification that this version cannot serve.
    """
    return Plan(
        website=website.name,
        kind=website.kind,
        currency=website.currency,
        item_types=dict(website.item_types),
        numeric_ids=website.item_ids == "numeric",
        output_attributes=None if website.output_attributes is None else tuple(website.output_attributes),
        models={
            name: PlanModel(name, number, model.type, model.needs, int(model.build.interval.total_seconds()))
            for number, (name, model) in enumerate(website.models.items(), 1)
        },
        scenarios={name: _scenario(website, name, scenario) for name, scenario in website.scenarios.items()},
    )


def _scenario(website: Website, name: str, scenario: Scenario) -> PlanScenario:
    where = f"scenario {name!r} of website {website.name!r}"
    if scenario.experiment is not None:
        raise NotBuiltYet(f"{where}: `experiment` is not built yet; remove it to publish")
    return PlanScenario(
        name=name,
        input=_item_type(website, scenario.input, where),
        output=tuple(sorted({_item_type(website, label, where) for label in scenario.output})),
        levels=tuple(_level(website, level, where) for level in scenario.strategy),
        filters=_filters(scenario.filters, where),
    )


def _item_type(website: Website, label: str, where: str) -> int:
    for number, known in website.item_types.items():
        if known == label:
            return number
    raise ConfigurationError(
        f"{where}: no item type is called {label!r}; known are {list(website.item_types.values())}"
    )


def _level(website: Website, level: Level, where: str) -> PlanLevel:
    references = tuple(_reference(website, reference, where) for reference in level.models)
    return PlanLevel(references, _category(level.category))


def _reference(website: Website, reference: ModelReference, where: str) -> PlanReference:
    model = website.models.get(reference.model)
    if model is None:
        raise ConfigurationError(f"{where}: no model is called {reference.model!r}; known are {list(website.models)}")
    if isinstance(model, Later):
        raise NotBuiltYet(f"{where}: models of type {model.type!r} are not built yet ({reference.model!r})")
    if model.type == BLACKLIST:
        raise ConfigurationError(f"{where}: {reference.model!r} is a blacklist, it cannot recommend anything")
    if reference.data != "main":
        raise NotBuiltYet(
            f"{where}: `data: {reference.data}` of {reference.model!r} is not built yet; use `data: main`"
        )
    return PlanReference(reference.model, reference.context, reference.weight)


def _category(category: Literal["site"] | CategoryFilter) -> PlanCategory:
    if not isinstance(category, CategoryFilter):
        return PlanCategory()
    if category.same:
        return PlanCategory("same", category.levels_up, category.reference)
    return PlanCategory("main", category.depth, category.reference)


def _filters(filters: Filters, where: str) -> PlanFilters:
    used = [name for name in _LATER_FILTERS if getattr(filters, name) is not None]
    used += ["at_least_context_price"] if filters.at_least_context_price else []
    if used:
        raise NotBuiltYet(f"{where}: the filters {', '.join(used)} are not built yet; remove them to publish")
    return PlanFilters(
        exclude_context_items=filters.context_items == "exclude",
        exclude_bought=filters.already_bought == "exclude",
        exclude_consumed=filters.already_consumed == "exclude",
        exclude_categories=tuple("/" + path.strip("/") for path in filters.exclude_categories),
        exclude_context_category=filters.exclude_context_category,
        max_repeats=filters.max_repeats,
    )
