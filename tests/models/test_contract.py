"""What every model must keep to, run over all of them (`models.base.Learner`).

The data is a checkerboard with its diagonal withheld: visitor v buys the items of v's own parity, except item v. So
what goes with an even item is even, and the one item of the right parity that visitor v lacks is item v.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.models.artifact import ModelArtifact, load_model, save_model
from personalization_pipelines.models.forms.form import Learned, Lists
from personalization_pipelines.models.forms.ranked_lists import check_lists, in_order
from personalization_pipelines.models.forms.ranking import site_key
from personalization_pipelines.models.forms.scoring import score_neighbours
from personalization_pipelines.models.matrices.training_data import FIRST, TrainingData, training_data
from personalization_pipelines.models.registry import learner
from tests.conftest import make_website

TODAY = 19_000
SIZE = 20
MODELS: dict[str, dict[str, object]] = {
    "popularity": {"type": "popularity", "event": "buy"},
    "popularity_by_quantity": {"type": "popularity", "event": "buy", "count": "quantity", "aging": "fast"},
    "also_bought": {"type": "also_bought"},
    "also_jaccard": {"type": "also_bought", "similarity": "jaccard", "shrinkage": 2.0},
    "also_llr": {"type": "also_bought", "similarity": "llr"},
    "also_lift": {"type": "also_bought", "similarity": "lift", "minimum_common_visitors": 1},
    "item_knn": {"type": "item_knn"},
    "item_knn_tfidf": {"type": "item_knn", "weighting": "tfidf"},
    "item_knn_cosine": {"type": "item_knn", "weighting": "cosine"},
    "recently_added": {"type": "recently_added", "item_age": "10d"},
    "editorial": {"type": "editorial", "items": [{"id": "104"}, {"id": "101"}, {"id": "104"}, {"id": "999"}]},
    "blacklist": {"type": "blacklist", "items": [{"id": "103"}, {"id": "101"}]},
}
LEARNING = [name for name in MODELS if name.startswith(("popularity", "also", "item_knn"))]
NEIGHBOURS = [name for name in MODELS if name.startswith(("also", "item_knn"))]
WEBSITE = make_website(models=MODELS, scenarios={})

Entries = list[tuple[str, str, str, int]]


def item(number: int) -> str:
    return str(100 + number)


def checkerboard() -> Entries:
    return [
        ("buy", f"v{visitor:02}", item(number), TODAY - number % 3)
        for visitor in range(SIZE)
        for number in range(SIZE)
        if (visitor + number) % 2 == 0 and visitor != number
    ]


def learn(name: str, data: TrainingData) -> Learned:
    return learner(WEBSITE.models[name], WEBSITE).learn(data)


def data_of(entries: Entries, **more: object) -> TrainingData:
    items = {item(number): 1 for number in range(SIZE)}
    data = training_data(entries, day=TODAY, item_types=items, **more)  # type: ignore[arg-type]
    return replace(data, added=data.day_start - np.arange(SIZE) * 10_000_000_000)


def lists_of(learned: Learned) -> Lists:
    (lists,) = learned.answer.listed()
    return lists


def written(name: str, data: TrainingData, learned: Learned) -> ModelArtifact:
    return ModelArtifact(
        name, WEBSITE.models[name].type, "build", "f", "t", data.index.types, data.index.ids,
        learned.parts, counts=dict(learned.counts),
    )  # fmt: skip


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_scores_are_above_0_and_best_first_with_ties_by_row(name: str) -> None:
    learned = learn(name, data_of(checkerboard()))
    lists = lists_of(learned)
    assert len(lists.rows) and learned.lists
    check_lists(name, lists, len(lists), SIZE, thorough=True)
    assert lists.rows.dtype == np.int32 and lists.scores.dtype == np.float32


def test_a_saved_model_loads_as_it_was(name: str, tmp_path: Path) -> None:
    data = data_of(checkerboard(), categories={item(3): ["/Odd/Three"]})
    learned = learn(name, data)
    save_model(tmp_path, written(name, data, learned))
    loaded = load_model(tmp_path)
    assert (loaded.items, loaded.counts) == (data.index.ids, learned.counts)
    assert list(loaded.parts) == list(learned.parts)
    for ours, theirs in zip(learned.parts.values(), loaded.parts.values(), strict=True):
        assert (ours.form, ours.texts) == (theirs.form, theirs.texts)
        assert all(np.array_equal(array, theirs.arrays()[name]) for name, array in ours.arrays().items())


LIST_PARTS = ("starts", "rows", "scores")


def test_learning_twice_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for run in ("one", "two"):
        data = data_of(checkerboard())
        save_model(tmp_path / run, written(name, data, learn(name, data)))
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / run / "build").iterdir()} for run in ("one", "two")
    )
    assert one == two


def test_no_data_gives_empty_lists(name: str) -> None:
    nothing = training_data([], day=TODAY)
    assert learn(name, nothing).lists == 0
    if name in LEARNING:
        assert learn(name, data_of([])).lists == 0


def test_a_blacklisted_item_is_in_no_list(name: str) -> None:
    banned = item(4)
    learned = learn(name, data_of(checkerboard(), blacklist=[banned]))
    if name != "blacklist":
        assert 4 not in lists_of(learned).rows.tolist()


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_no_item_is_its_own_neighbour_and_neighbours_share_the_parity(name: str) -> None:
    neighbours = learn(name, data_of(checkerboard())).answer
    assert neighbours is not None
    for row in range(SIZE):
        rows, _ = neighbours.lists.of(row)
        assert row not in rows
        assert set(rows % 2) == {row % 2}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_the_withheld_item_is_the_answer_to_a_visitors_history(name: str) -> None:
    neighbours = learn(name, data_of(checkerboard())).answer
    assert neighbours is not None
    for visitor in range(SIZE):
        own = np.array([number for number in range(visitor % 2, SIZE, 2) if number != visitor])
        rows, _ = score_neighbours(neighbours, own, np.ones(len(own), np.float32), exclude=own, top=5)
        assert rows.tolist() == [visitor]


@pytest.mark.parametrize("name", [name for name in LEARNING if name != "popularity_by_quantity"])
@pytest.mark.parametrize("flood", [1, 10_000])
def test_one_visitors_flood_counts_as_one_event_a_day(name: str, flood: int) -> None:
    calm = lists_of(learn(name, data_of([*checkerboard(), ("buy", "robot", item(7), TODAY)])))
    wild = lists_of(learn(name, data_of([*checkerboard(), *[("buy", "robot", item(7), TODAY)] * flood])))
    assert all(np.array_equal(getattr(calm, part), getattr(wild, part)) for part in LIST_PARTS)


@pytest.mark.parametrize("name", LEARNING)
def test_events_before_the_history_and_other_events_do_not_count(name: str) -> None:
    old = [("buy", who, what, day - 400) for _, who, what, day in checkerboard()]
    assert learn(name, data_of(old)).lists == 0
    clicked = [("click", who, what, day) for _, who, what, day in checkerboard()]
    assert (learn(name, data_of(clicked)).lists > 0) == name.startswith("item_knn")


def test_an_unknown_category_has_no_list_and_a_known_one_has_its_ancestors() -> None:
    data = data_of(checkerboard(), categories={item(3): ["/Odd/Three"], item(5): ["/Odd"]})
    ranking = learn("popularity", data).answer
    assert ranking is not None
    assert ranking.keys == ("site:1", "category:1:/Odd", "category:1:/Odd/Three")
    assert [ranking.lists.of(number)[0].tolist() for number in (1, 2)] == [[3, 5], [3]]
    assert ranking.users.tolist() == [20, 10, 9]


def test_editorial_keeps_its_order_and_counts_what_is_unknown() -> None:
    learned = learn("editorial", data_of([]))
    assert lists_of(learned).rows.tolist() == [4, 1]
    assert learned.counts == {"unknown": 1}


def test_an_editorial_item_that_was_transferred_stands_for_its_new_one_in_its_place() -> None:
    moved = {(1, "104"): (1, item(7)), (1, "999"): (1, item(9)), (1, "101"): (1, "nowhere")}
    learned = learn("editorial", replace(data_of([]), moved=moved))
    assert lists_of(learned).rows.tolist() == [7, 9]
    assert learned.counts == {"unknown": 1}, "the new item may come later"


def test_a_blacklisted_item_that_was_transferred_is_out_by_its_old_and_its_new_id() -> None:
    learned = learn("blacklist", replace(data_of([]), moved={(1, "103"): (1, item(7)), (1, "101"): (1, "nowhere")}))
    assert sorted(lists_of(learned).rows.tolist()) == [1, 3, 7]
    assert learned.counts == {"unknown": 1}


def test_recently_added_are_newest_first_within_the_age() -> None:
    data = data_of([])
    learned = learn("recently_added", replace(data, added=data.added + np.where(np.arange(SIZE) == 9, FIRST // 2, 0)))
    assert lists_of(learned).rows.tolist() == [number for number in range(SIZE) if number != 9]


def test_lists_hold_one_item_type_each_and_also_bought_stays_within_a_type() -> None:
    entries = [("buy", f"v{visitor}", what, TODAY) for visitor in range(3) for what in ("a", "b", "x", "y")]
    data = training_data(entries, day=TODAY, item_types={"a": 1, "b": 1, "x": 2, "y": 2})
    ranking = learn("popularity", data).answer
    assert ranking is not None and ranking.keys == (site_key(1), site_key(2))
    assert lists_of(learn("also_bought", data)).rows.tolist() == [1, 0, 3, 2]
    assert len(lists_of(learn("item_knn", data)).rows) == 12


events = st.tuples(
    st.sampled_from(["buy", "click"]),
    st.sampled_from(["", "v1", "v2", "v3", "v4"]),
    st.integers(0, SIZE - 1).map(item),
    st.integers(TODAY - 40, TODAY),
)


@pytest.mark.parametrize("name", LEARNING)
@settings(max_examples=25, deadline=None)
@given(entries=st.lists(events, max_size=60), banned=st.sets(st.integers(0, SIZE - 1).map(item), max_size=4))
def test_any_events_give_lists_in_order_without_the_blacklisted(name: str, entries: Entries, banned: set[str]) -> None:
    data = data_of(entries, blacklist=banned, categories={item(1): ["/A/B"], item(2): ["/A"]})
    lists = lists_of(learn(name, data))
    assert in_order(lists).all() and (lists.scores > 0).all() and np.isfinite(lists.scores).all()
    assert data.allowed[lists.rows].all()
    shuffled = data_of(entries[::-1], blacklist=banned, categories={item(1): ["/A/B"], item(2): ["/A"]})
    assert np.array_equal(lists_of(learn(name, shuffled)).rows, lists.rows)
