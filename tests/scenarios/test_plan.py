"""The plan says the same as the YAML, in numbers, and refuses what nothing serves yet."""

from __future__ import annotations

from typing import Any

import pytest

from personalization_pipelines.foundation.errors import ConfigurationError, CorruptData, NotBuiltYet
from personalization_pipelines.scenarios.plan import PlanCategory, make_plan, read_plan
from personalization_pipelines.website import Website
from tests.conftest import make_website


def scenario(**changes: object) -> dict[str, Any]:
    return {"box": {"input": "product", "output": ["product"], "strategy": [{"models": ["top_bought"]}], **changes}}


def test_a_plan_comes_back_from_json_as_it_was(shop: Website) -> None:
    plan = make_plan(shop)
    assert read_plan(plan.to_json()) == plan
    assert make_plan(make_website()).to_json() == plan.to_json()


def test_models_are_numbered_in_the_order_of_the_file(shop: Website) -> None:
    numbers = {name: model.number for name, model in make_plan(shop).models.items()}
    assert numbers == {"top_bought": 1, "also_bought": 2, "for_you": 3, "new_in": 4, "picks": 5, "never": 6}


def test_item_types_become_numbers_and_outputs_are_in_ascending_order() -> None:
    made = make_plan(make_website(scenarios=scenario(input="article", output=["article", "product"])))
    assert (made.scenarios["box"].input, made.scenarios["box"].output) == (2, (1, 2))


def test_levels_keep_order_context_weight_and_category() -> None:
    strategy = [
        {"models": ["top_bought", {"model": "also_bought", "context": "items", "weight": 3}]},
        {"models": ["new_in"], "category": {"same": True, "levels_up": 2, "reference": "context"}},
        {"models": ["picks"], "category": {"main": True, "depth": 3}},
    ]
    made = make_plan(make_website(scenarios=scenario(strategy=strategy))).scenarios["box"]
    assert made.models() == ("top_bought", "also_bought", "new_in", "picks")
    assert (made.levels[0].models[1].context, made.levels[0].models[1].weight) == ("items", 3)
    categories = [level.category for level in made.levels]
    assert categories == [PlanCategory(), PlanCategory("same", 2, "context"), PlanCategory("main", 3, "request")]


def test_filters_are_carried_over() -> None:
    filters = {"context_items": "keep", "already_bought": "exclude", "exclude_categories": ["/Gift cards/"]}
    made = make_plan(make_website(scenarios=scenario(filters=filters))).scenarios["box"].filters
    assert (made.exclude_context_items, made.exclude_bought, made.exclude_consumed) == (False, True, False)
    assert made.exclude_categories == ("/Gift cards",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"filters": {"minimum_price": 5.0}}, "minimum_price"),
        ({"filters": {"at_least_context_price": True}}, "at_least_context_price"),
        ({"filters": {"diversity": {"category": 3}}}, "diversity"),
        ({"experiment": {"holdout": "5%"}}, "experiment"),
        ({"strategy": [{"models": [{"model": "top_bought", "data": "segments"}]}]}, "segments"),
        ({"strategy": [{"models": ["later"]}]}, "ease"),
    ],
)
def test_what_is_not_served_yet_is_refused_by_name(changes: dict[str, object], said: str) -> None:
    models = {"top_bought": {"type": "popularity"}, "later": {"type": "ease"}}
    with pytest.raises(NotBuiltYet, match=said):
        make_plan(make_website(models=models, scenarios=scenario(**changes)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": [{"models": ["nothing"]}]}, "'nothing'"),
        ({"strategy": [{"models": ["never"]}]}, "blacklist"),
        ({"input": "film"}, "'film'"),
    ],
)
def test_a_scenario_that_names_what_is_not_there_is_a_configuration_error(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        make_plan(make_website(scenarios=scenario(**changes)))


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"website": 1}'])
def test_text_that_is_no_plan_is_corrupt(text: bytes) -> None:
    with pytest.raises(CorruptData, match="publish again"):
        read_plan(text)
