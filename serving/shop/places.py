"""Which scenario fills a box on which page, for any website: by its name, else by what its models need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from personalization_pipelines.scenarios.plan import Plan, PlanScenario

Place = Literal["landing", "category", "product", "basket"]

_WORDS: dict[Place, tuple[str, ...]] = {
    "basket": ("basket", "cart", "checkout"),
    "product": ("product", "detail", "item", "article"),
    "landing": ("landing", "home", "start", "front"),
}
_TITLES: dict[Place, str] = {
    "landing": "Picked for you",
    "product": "Goes well with this",
    "basket": "Did you forget something?",
    "category": "Picked for you here",
}


@dataclass(frozen=True)
class Box:
    """A place on a page that asks a scenario."""

    scenario: str
    title: str
    input: int


def boxes(plan: Plan, place: Place) -> list[Box]:
    """Return the boxes of a page.

    The basket borrows the product page's where it has none of its own; a category page shows the landing
    page's if they follow the category of the request.
    """
    found = [scenario for scenario in plan.scenarios.values() if _place(plan, scenario) == place]
    if place == "category":
        landing = (scenario for scenario in plan.scenarios.values() if _place(plan, scenario) == "landing")
        found = [scenario for scenario in landing if _follows_category(scenario)]
    if not found and place == "basket":
        found = [scenario for scenario in plan.scenarios.values() if _place(plan, scenario) == "product"]
    return [Box(scenario.name, _title(scenario, place, len(found)), scenario.input) for scenario in found]


def _place(plan: Plan, scenario: PlanScenario) -> Place:
    for place, words in _WORDS.items():
        if any(word in scenario.name.lower() for word in words):
            return place
    first = scenario.levels[0].models
    return "product" if any(plan.models[reference.model].needs == "items" for reference in first) else "landing"


def _follows_category(scenario: PlanScenario) -> bool:
    """Whether the request's category changes what the scenario answers."""
    filters = (level.category for level in scenario.levels)
    return any(category.kind != "site" and category.reference == "request" for category in filters)


def _title(scenario: PlanScenario, place: Place, count: int) -> str:
    return _TITLES[place] if count == 1 else scenario.name.replace("_", " ").capitalize()
