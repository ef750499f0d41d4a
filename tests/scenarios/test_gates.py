"""Each gate on a publication small enough to count by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from personalization_pipelines.foundation.errors import QualityGateFailed
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.publications.gates import (
    Context,
    Gate,
    check_gates,
    coverage,
    empty_contexts,
    require,
    takes_items,
)
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.scenarios.publishing import AS_OF, Item, content, neighbours, ranking, write

NOW = int(AS_OF.timestamp() * 1_000_000)
ITEMS = [
    Item(1, "1", ["/A"]),
    Item(1, "2", ["/A/B"]),
    Item(1, "3", ["/C"]),
    Item(1, "4", valid_to=NOW),  # just over
    Item(1, "5", allowed=False),
    Item(2, "6"),
]
MODELS = {"top": {"type": "popularity"}, "also": {"type": "also_bought"}}
TOP = ranking(site_1=[(0, 3.0), (4, 2.0)], category_1=[(0, 3.0)])
ALSO = neighbours([(1, 1.0), (5, 0.5)], [(4, 1.0)], [(2, 1.0)], [], [], [])


def opened(
    tmp_path: Path, models: dict[str, Ranking | Neighbours], *used: str, items: Sequence[Item] = ITEMS, **more: object
) -> Publication:
    site = shop(*used, **more)
    return Publication.open(write(tmp_path, content(site, items, models=models)))


def shop(*used: str, output: tuple[str, ...] = ("product",), filters: object = None, **changes: object) -> Website:
    box = {"input": "product", "output": list(output), "strategy": [{"models": list(used)}], "filters": filters or {}}
    return make_website(models=MODELS, scenarios={"box": box}, **changes)


def test_coverage_counts_valid_allowed_items_of_output_types(tmp_path: Path) -> None:
    # Items 1, 2 and 3 can be wanted; the ranking lists 1, the neighbours 2 and 3.
    publication = opened(tmp_path, {"top": TOP, "also": ALSO}, "top", "also")
    assert coverage(publication) == (3, 3)


def test_coverage_counts_only_models_that_a_scenario_asks(tmp_path: Path) -> None:
    assert coverage(opened(tmp_path, {"top": TOP, "also": ALSO}, "top")) == (1, 3)


def test_coverage_counts_all_output_types_and_leaves_out_fixed_exclusions(tmp_path: Path) -> None:
    filters = {"exclude_categories": ["/A"]}
    publication = opened(tmp_path, {"also": ALSO}, "also", output=("product", "article"), filters=filters)
    assert coverage(publication) == (2, 2)  # items 3 and 6


def test_an_empty_context_is_an_item_without_any_possible_answer(tmp_path: Path) -> None:
    publication = opened(tmp_path, {"also": ALSO}, "also")
    # 1 leads to 2; 2 leads only to a blacklisted item; 3 only to itself.
    assert empty_contexts(publication, publication.plan.scenarios["box"]).tolist() == [1, 2]


def test_keeping_context_items_makes_an_item_an_answer_to_itself(tmp_path: Path) -> None:
    publication = opened(tmp_path, {"also": ALSO}, "also", filters={"context_items": "keep"})
    assert empty_contexts(publication, publication.plan.scenarios["box"]).tolist() == [1]


def test_a_ranking_answers_every_context_but_its_own_only_item(tmp_path: Path) -> None:
    publication = opened(tmp_path, {"top": TOP}, "top")
    assert empty_contexts(publication, publication.plan.scenarios["box"]).tolist() == [0]
    assert not takes_items(publication, publication.plan.scenarios["box"])


def test_neighbours_that_only_hear_the_history_do_not_answer_a_context_item(tmp_path: Path) -> None:
    box = {
        "input": "product",
        "output": ["product"],
        "strategy": [{"models": [{"model": "also", "context": "history"}]}],
    }
    site = make_website(models=MODELS, scenarios={"box": box})
    publication = Publication.open(write(tmp_path, content(site, ITEMS, models={"also": ALSO})))
    assert not takes_items(publication, publication.plan.scenarios["box"])
    assert len(empty_contexts(publication, publication.plan.scenarios["box"])) == 3


def test_chunks_give_the_same_answer_as_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from personalization_pipelines.publications import gates

    publication = opened(tmp_path, {"also": ALSO}, "also")
    monkeypatch.setattr(gates, "_CHUNK", 2)
    assert empty_contexts(publication, publication.plan.scenarios["box"]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("limits", "serving", "failing"),
    [
        ({}, None, []),
        ({"min_coverage": "67%"}, None, ["coverage"]),
        ({"min_coverage": "66%"}, None, []),
        ({"max_empty_contexts": "66%"}, None, ["empty contexts"]),
        ({"max_empty_contexts": "67%"}, None, []),
        ({}, 7, []),
        ({}, 8, ["item drop"]),
        ({}, 5, []),
    ],
)
def test_a_gate_fails_exactly_beyond_its_limit(
    tmp_path: Path, limits: dict[str, str], serving: int | None, failing: list[str]
) -> None:
    # Two of three items can be recommended, two of three contexts stay without an answer, the catalogue has 6 items.
    site = shop("also", quality={"publication": limits})
    publication = Publication.open(write(tmp_path, content(site, ITEMS, models={"also": ALSO})))
    gates = check_gates(publication, site, serving)
    assert [gate.name for gate in gates if not gate.passed] == failing


def test_an_empty_catalogue_passes_unless_something_served_before(tmp_path: Path) -> None:
    site = shop("also", quality={"publication": {"min_coverage": "90%", "max_empty_contexts": "0%"}})
    publication = Publication.open(write(tmp_path, content(site, [], models={"also": neighbours()})))
    assert all(gate.passed for gate in check_gates(publication, site, None))
    assert not all(gate.passed for gate in check_gates(publication, site, 10))


def answers(rows: list[int]) -> object:
    def answer(publication: Publication, scenario: str, user: str, context: Context) -> list[int]:
        assert (scenario, user, context) == ("box", "anna", ((1, "2"),))
        return rows

    return answer


@pytest.mark.parametrize(
    ("rows", "expect", "passed", "said"),
    [
        ([0, 1], {"at_least": 2}, True, ""),
        ([0], {"at_least": 2}, False, "1 items"),
        ([2, 5], {"never_category": "/A"}, True, ""),
        ([2, 1], {"never_category": "/A"}, False, "Items below /A: 2."),
        ([2], {"never_category": "/unknown"}, True, ""),
    ],
)
def test_recommendation_tests_of_the_yaml_are_gates(
    tmp_path: Path, rows: list[int], expect: dict[str, object], passed: bool, said: str
) -> None:
    site = shop("also", tests=[{"scenario": "box", "user": "anna", "context": [2], "expect": expect}])
    publication = Publication.open(write(tmp_path, content(site, ITEMS, models={"also": ALSO})))
    gate = check_gates(publication, site, None, answers(rows))[-1]  # type: ignore[arg-type]
    assert (gate.name, gate.passed) == ("test 1: box", passed)
    assert said in gate.detail


def test_recommendation_tests_that_nobody_answers_are_listed_as_not_run(tmp_path: Path) -> None:
    site = shop("also", tests=[{"scenario": "box", "expect": {"at_least": 1}}])
    publication = Publication.open(write(tmp_path, content(site, ITEMS, models={"also": ALSO})))
    assert check_gates(publication, site, None)[-1].value == "not run"


def test_a_failure_says_what_and_that_the_old_one_serves() -> None:
    gates = [Gate("coverage", 0.5, 0.6, False, "3 of 6 items."), Gate("item drop", 0.0, 0.2, True)]
    with pytest.raises(QualityGateFailed, match=r"keeps serving: coverage is 50.0%, limit 60.0%. 3 of 6 items."):
        require(gates)
    require(gates[1:])
