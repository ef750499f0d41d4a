"""How levels, categories, weights and filters compose an answer: from values, without a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.events.live.live_history import LiveEvent
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.models.forms.form import Lists
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.scoring import recency_weights, score_neighbours
from personalization_pipelines.publications.read.published import Publication, PublishedModel
from serving.recommending.candidates.from_neighbours import FromNeighbours
from serving.recommending.preview import answer_json, answering
from serving.recommending.question import Question
from serving.recommending.strategy import compose
from tests.scenarios.publishing import Item, content, ranking, write
from tests.serving.shopfront import ITEMS, MODELS, Installation, scenario, website

NOW = 1_772_000_000_000_000
Ask = Callable[..., list[int]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return a function that publishes one scenario and answers one question with item ids."""

    def answer(
        levels: list[Any], live: tuple[LiveEvent, ...] = (), parts: dict[str, Any] | None = None, **asked: Any
    ) -> list[int]:
        parts = parts or {}
        site = website(scenarios={"one": scenario(*levels, **parts.get("filters", {}))})
        made = content(site, parts.get("items", ITEMS), {}, parts.get("models", MODELS))
        publication = Publication.open(write(Path(mkdtemp(dir=tmp_path)), made))
        question = Question(**{"now": NOW, "number": 10, "output_types": (1,), **asked})
        plan = publication.plan.scenarios["one"]
        return [int(one.item) for one in compose(publication, plan, question, live, parts.get("shown", ())).items]

    return answer


def clicked(*items: int) -> tuple[LiveEvent, ...]:
    """Return clicks, the newest first."""
    return tuple(LiveEvent("click", 1, str(item), NOW - 1_000_000 * place, "") for place, item in enumerate(items))


def test_models_of_a_level_take_turns_and_duplicates_are_skipped(ask: Ask) -> None:
    # also_bought of 4: 5, 1; top_bought: 6, 5, 4, 3, 2, 1
    assert ask([["also_bought", "top_bought"]], items=((1, "4"),)) == [5, 6, 1, 3, 2]


def test_what_was_shown_too_often_in_this_session_gives_way(ask: Ask) -> None:
    shown = tuple(LiveEvent("rendered", 1, item, NOW - place, "one") for place, item in enumerate("665"))
    assert ask([["top_bought"]], parts={"filters": {"max_repeats": 2}, "shown": shown}) == [5, 4, 3, 2, 1]
    also = {"filters": {"max_repeats": 1}, "shown": shown}
    assert 5 not in ask([["also_bought"], ["top_bought"]], items=((1, "4"),), parts=also)
    assert ask([["top_bought"]], parts={"shown": shown})[0] == 6


def test_a_weight_is_that_many_turns(ask: Ask) -> None:
    levels = [[{"model": "top_bought", "weight": 3}, "also_bought"]]
    assert ask(levels, items=((1, "1"),)) == [6, 5, 4, 2, 3]
    assert ask([["also_bought", {"model": "top_bought", "weight": 2}]], items=((1, "1"),)) == [2, 6, 5, 3, 4]


def test_the_next_level_only_fills_what_is_missing(ask: Ask) -> None:
    levels = [["also_bought"], ["picks"], ["top_bought"]]
    assert ask(levels, items=((1, "3"),), number=2) == [4, 5]
    assert ask(levels, items=((1, "4"),), number=4) == [5, 1, 3, 6]


def test_context_says_from_what_a_model_starts(ask: Ask) -> None:
    def level(context: str, model: str = "also_bought") -> list[Any]:
        return [[{"model": model, "context": context}]]

    both = {"items": ((1, "1"),), "live": clicked(3)}
    assert ask(level("items"), **both) == [2, 3]
    assert ask(level("history"), **both) == [4, 5]
    assert ask(level("both"), **both) == [2, 3]  # the request's items; history stands in only where there are none
    assert ask(level("both"), live=clicked(3)) == [4, 5]
    assert ask(level("both", "for_you"), **both) == [2, 4, 3, 5]  # history with the request's item as its newest


@pytest.mark.parametrize(
    ("category", "paths", "expected"),
    [
        ({"same": True}, ["/Women/Shirts"], [5, 2, 1]),
        ({"same": True}, ["/Women/Trousers"], [4, 3]),
        ({"same": True, "levels_up": 1}, ["/Women/Shirts"], [5, 4, 3, 2, 1]),
        ({"same": True, "levels_up": 2}, ["/Women/Shirts"], [6, 5, 4, 3, 2, 1]),
        ({"main": True, "depth": 1}, ["/Women/Trousers/Long"], [5, 4, 3, 2, 1]),
        ({"main": True, "depth": 2}, ["/Women/Trousers/Long"], [4, 3]),
        ({"main": True, "depth": 9}, ["/Women/Shirts"], [5, 2, 1]),
        ({"same": True}, ["/Sale", "/Women/Trousers"], [5, 4, 3]),
        ({"same": True}, [], [6, 5, 4, 3, 2, 1]),
        ({"same": True}, ["/No such"], []),
    ],
)
def test_category_filters_of_popularity(
    ask: Ask, category: dict[str, Any], paths: list[str], expected: list[int]
) -> None:
    assert ask([{"models": ["top_bought"], "category": category}], categories=tuple(paths)) == expected


def test_other_models_are_filtered_by_category(ask: Ask) -> None:
    same = {"models": ["also_bought"], "category": {"same": True}}
    assert ask([same], items=((1, "1"), (1, "3")), categories=("/Sale",)) == [4, 5]
    assert ask([same], items=((1, "1"), (1, "3")), categories=("/Women/Shirts",)) == [2, 5]
    new = {"models": ["new_in"], "category": {"same": True}}
    assert ask([new], categories=("/Sale",)) == []


def test_context_categories_are_the_reference_where_asked_for(ask: Ask) -> None:
    level = {"models": ["top_bought"], "category": {"same": True}}
    assert ask([level], items=((1, "1"),), number=2) == [6, 5]
    assert ask([level], items=((1, "1"),), context_categories=True) == [5, 2]
    own = {"models": ["top_bought"], "category": {"same": True, "reference": "context"}}
    assert ask([own], items=((1, "3"),)) == [4]


@pytest.mark.parametrize(
    ("filters", "asked", "expected"),
    [
        ({}, {"items": ((1, "5"),)}, [6, 4, 3, 2, 1]),
        ({"context_items": "keep"}, {"items": ((1, "5"),)}, [6, 5, 4, 3, 2, 1]),
        ({"exclude_categories": ["/Sale"]}, {}, [6, 3, 2, 1]),
        ({"exclude_categories": ["/Women/Trousers"]}, {}, [6, 5, 2, 1]),
        ({"exclude_context_category": True}, {"items": ((1, "3"),)}, [6, 5, 2, 1]),
        ({"already_bought": "exclude"}, {"live": (LiveEvent("buy", 1, "6", NOW, ""),)}, [5, 4, 3, 2, 1]),
        ({"already_bought": "exclude"}, {"live": (LiveEvent("owns", 1, "6", NOW, ""),)}, [5, 4, 3, 2, 1]),
        ({"already_consumed": "exclude"}, {"live": (LiveEvent("consume", 1, "6", NOW, ""),)}, [5, 4, 3, 2, 1]),
        (
            {"already_consumed": "exclude"},
            {"live": (LiveEvent("consume", 1, "6", NOW - 366 * 86400 * 10**6, ""),)},
            [6, 5, 4, 3, 2, 1],
        ),
        ({}, {"live": (LiveEvent("buy", 1, "6", NOW, ""),)}, [6, 5, 4, 3, 2, 1]),
    ],
)
def test_filters(ask: Ask, filters: dict[str, Any], asked: dict[str, Any], expected: list[int]) -> None:
    assert ask([["top_bought"]], parts={"filters": filters}, **asked) == expected


def test_items_are_shown_while_they_are_valid_and_allowed(ask: Ask) -> None:
    items = [
        Item(1, "1"), Item(1, "2", valid_from=NOW), Item(1, "3", valid_from=NOW + 1), Item(1, "4", valid_to=NOW),
        Item(1, "5", valid_to=NOW + 1), Item(1, "6", allowed=False),
    ]  # fmt: skip
    models = {"top_bought": ranking(site_1=[(row, 6.0 - row) for row in range(6)])}
    parts = {"items": items, "models": models}
    assert ask([["top_bought"]], parts=parts) == [1, 2, 5]


def test_an_item_that_becomes_valid_is_shown_from_that_moment(tmp_path: Path) -> None:
    site = website(scenarios={"one": scenario(["top_bought"])})
    made = content(
        site, [Item(1, "1", valid_from=NOW, valid_to=NOW + 10)], {}, {"top_bought": ranking(site_1=[(0, 1.0)])}
    )
    publication = Publication.open(write(tmp_path, made))
    plan = publication.plan.scenarios["one"]
    shown = [
        len(compose(publication, plan, Question(now=NOW + shift, output_types=(1,))).items)
        for shift in (-1, 0, 9, 10, -1)
    ]
    assert shown == [0, 1, 1, 0, 0]


def test_answers_beyond_the_first_look_are_complete(ask: Ask, tmp_path: Path) -> None:
    items = [Item(1, str(row), ["/a"] if row < 60 else ["/b"]) for row in range(80)]
    rows = [[(other, 80.0 - other) for other in range(80) if other != row] for row in range(80)]
    models = {"also_bought": Neighbours(_lists(rows), np.ones(80, np.int64))}
    parts = {"items": items, "models": models, "filters": {"exclude_categories": ["/a"]}}
    assert ask([["also_bought"]], items=((1, "1"), (1, "2")), number=50, parts=parts) == list(range(60, 80))


def _lists(rows: list[list[tuple[int, float]]]) -> Lists:
    starts = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    flat = [pair for one in rows for pair in one]
    return Lists(
        starts, np.array([row for row, _ in flat], np.int32), np.array([score for _, score in flat], np.float32)
    )


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 19), st.integers(1, 50)), max_size=15, unique_by=lambda pair: pair[0]),
             min_size=20, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 6)), min_size=1, max_size=12, unique_by=lambda pair: pair[0]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_history_is_scored_as_in_the_offline_evaluation(
    lists: list[list[tuple[int, int]]], history: list[tuple[int, int]]
) -> None:
    by_score = [
        sorted(((row, float(score)) for row, score in one), key=lambda pair: (-pair[1], pair[0])) for one in lists
    ]
    neighbours = Neighbours(_lists(by_score), np.ones(20, np.int64))
    model = PublishedModel("m", 1, "item_knn", "history", "b", {"recency": 2.0}, 50.0, {"": neighbours})
    newest_first = sorted(history, key=lambda pair: -pair[1])
    past = [(moment, row, "click") for row, moment in newest_first]
    times = np.array([moment for _, moment in newest_first], np.int64)
    rows = np.array([row for row, _ in newest_first], np.int64)
    expected = score_neighbours(neighbours, rows, recency_weights(times, 2.0))
    found = list(FromNeighbours(model, [], past).ranked())
    assert [row for row, _ in found] == expected[0].tolist()
    assert [score for _, score in found] == pytest.approx(expected[1].tolist(), rel=1e-5)


def test_the_command_line_answers_as_the_server_does(home: Home) -> None:
    shop = Installation(home, website())
    shop.happened("ann", ("click", "3"))
    text = answer_json(home, website(), "landing_page", "ann", "", count=2)
    assert '"itemId": 4' in text
    ask = answering(home, website())
    publication = Publication.open(next(home.publications("shop").glob("2026*")))
    assert [int(row) for row in ask(publication, "product_page", "nobody", ((1, "1"),))][:2] == [1, 2]
    shop.close()
