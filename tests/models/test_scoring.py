"""Neighbours become a visitor's list: the fast way gives what adding up gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranked_lists import rank_lists
from personalization_pipelines.models.forms.scoring import recency_weights, score_neighbours

ITEMS = 60


def random_neighbours(seed: int, length: int = 30, items: int = ITEMS) -> Neighbours:
    random = np.random.default_rng(seed)
    a, b = np.divmod(np.flatnonzero(random.random(items * items) < 0.5), items)
    scores = random.integers(1, 8, len(a)).astype(np.float32) / 8  # many ties, exact sums
    return Neighbours(rank_lists(a, b, scores, count=items, length=length), np.ones(items, np.int64))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 50),
    rows=st.lists(st.integers(0, ITEMS - 1), unique=True, max_size=12),
    exclude=st.lists(st.integers(0, ITEMS - 1), unique=True, max_size=12),
    top=st.integers(0, 70),
)
def test_scores_are_the_weighted_sums_best_first(seed: int, rows: list[int], exclude: list[int], top: int) -> None:
    neighbours = random_neighbours(seed)
    weights = (2.0 ** -np.arange(len(rows))).astype(np.float32)
    sums = np.zeros(ITEMS)
    for row, weight in zip(rows, weights, strict=True):
        found, scores = neighbours.lists.of(row)
        sums[found] += weight * scores
    sums[exclude] = 0
    expected = np.lexsort((np.arange(ITEMS), -sums))[: np.count_nonzero(sums)][:top]
    got, scores = score_neighbours(neighbours, np.array(rows, np.int64), weights, np.array(exclude, np.int64), top)
    assert got.tolist() == expected.tolist()
    assert scores.tolist() == pytest.approx(sums[expected].tolist())


def test_threads_and_models_of_other_sizes_do_not_disturb_each_other() -> None:
    models = [random_neighbours(seed, items=size) for seed, size in ((1, 60), (2, 500), (3, 20))]
    rows, weights = np.arange(10), np.ones(10, np.float32)
    alone = [score_neighbours(model, rows, weights)[0].tolist() for model in models]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda turn: score_neighbours(models[turn % 3], rows, weights)[0], range(600)))
    assert all(found.tolist() == alone[turn % 3] for turn, found in enumerate(together))


def test_a_wrong_row_to_leave_out_is_an_error_and_spoils_no_later_answer() -> None:
    neighbours = random_neighbours(4)
    rows, weights = np.arange(5), np.ones(5, np.float32)
    before = score_neighbours(neighbours, rows, weights)
    with pytest.raises(IndexError):
        score_neighbours(neighbours, rows, weights, exclude=np.array([10**6]))
    after = score_neighbours(neighbours, rows, weights)
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_items_of_one_moment_weigh_the_same_and_older_ones_less() -> None:
    weights = recency_weights(np.array([9, 9, 9, 5, 1, 1]), 2.0)
    assert weights.tolist() == pytest.approx([1, 1, 1, np.exp(-0.5), np.exp(-1), np.exp(-1)])
    assert recency_weights(np.zeros(0, np.int64), 2.0).tolist() == []
