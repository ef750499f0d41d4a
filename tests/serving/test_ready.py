"""Neighbours that are kept ready give the same answer as composing it from the levels, and go with the publication."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.events.live.live_history import LiveEvent
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.publications.read.published import Publication
from serving.recommending.question import Question, Recommended
from serving.recommending.ready import READY, ready_of
from serving.recommending.strategy import compose
from tests.scenarios.publishing import Item, content, neighbours, ranking, write
from tests.serving.shopfront import scenario, website

NOW = 1_772_000_000_000_000
COUNT = 40
ROWS = st.integers(0, COUNT - 1)


@pytest.fixture(scope="module")
def publication() -> Publication:
    """Return forty items; the first has all others as neighbours, the second has ten, the others have none."""
    last = NOW + 1
    items = [Item(2 if row == 7 else 1, str(row), valid_to=NOW - 1 if row == 9 else last) for row in range(COUNT)]
    lists: list[list[tuple[int, float]]] = [[] for _ in range(COUNT)]
    lists[0] = [(row, float(COUNT - row)) for row in range(1, COUNT)]
    lists[1] = [(row, 5.0) for row in range(10, 20)]
    models: dict[str, Ranking | Neighbours] = {
        "also_bought": neighbours(*lists),
        "top_bought": ranking(site_1=[(row, float(row + 1)) for row in range(COUNT - 1, -1, -1)]),
    }
    site = website(scenarios={"page": scenario(["also_bought"], ["top_bought"], already_bought="exclude")})
    with TemporaryDirectory() as directory:
        return Publication.open(write(Path(directory), content(site, items, {}, models)))


def said(publication: Publication, question: Question, live: tuple[LiveEvent, ...]) -> list[Recommended]:
    """Return what is recommended, without the explanation."""
    items = compose(publication, publication.plan.scenarios["page"], question, live).items
    return [
        Recommended(one.row, one.item_type, one.item, one.model, one.number, one.relevance, one.origin) for one in items
    ]


@given(st.sampled_from([0, 1, 2]), st.sets(ROWS, max_size=25), st.integers(1, 20))
def test_an_answer_from_what_is_ready_is_the_one_the_levels_give(
    publication: Publication, item: int, bought: set[int], number: int
) -> None:
    live = tuple(LiveEvent("buy", 1, str(row), NOW - 5, "") for row in sorted(bought))
    question = Question(NOW, "", number, ((1, str(item)),), output_types=(1,))
    found = said(publication, question, live)
    assert found == said(publication, question._replace(explain=True), live)  # an explanation needs the levels
    assert not {one.row for one in found} & {*bought, item, 7, 9}


def test_where_the_filters_leave_too_few_the_whole_list_is_read(publication: Publication) -> None:
    live = tuple(LiveEvent("buy", 1, str(row), NOW - 5, "") for row in range(1, READY + 1))
    found = said(publication, Question(NOW, "", 10, ((1, "0"),), output_types=(1,)), live)
    assert [one.row for one in found] == list(range(READY + 1, READY + 11))
    assert {one.model for one in found} == {"also_bought"}


def test_what_is_ready_goes_with_its_publication(tmp_path: Path) -> None:
    opened = Publication.open(write(tmp_path, content(website(), [Item(1, "7"), Item(1, "8")])))
    seen = weakref.ref(ready_of(opened))
    assert seen() is not None
    del opened
    gc.collect()
    assert seen() is None
