"""The weightings of `item_knn`, against the library they come from."""

from __future__ import annotations

import numpy as np
import pytest
from implicit.nearest_neighbours import bm25_weight, normalize, tfidf_weight
from scipy.sparse import csr_matrix

from personalization_pipelines.models.matrices.training_data import training_data
from personalization_pipelines.models.registry import learner
from personalization_pipelines.models.types import item_knn
from personalization_pipelines.models.types.item_knn import weigh
from tests.conftest import make_website


def purchases() -> csr_matrix:
    """300 visitors, 2,000 items, every item bought at least once."""
    random = np.random.default_rng(5)
    visitor, item = random.integers(0, 300, 9000), np.concatenate([np.arange(2000), random.integers(0, 2000, 7000)])
    matrix = csr_matrix((np.ones(9000), (visitor, item)), shape=(300, 2000))
    matrix.data[:] = random.choice([1.0, 5.0, 10.0], len(matrix.data))
    return matrix


@pytest.mark.parametrize("weighting", ["bm25", "tfidf", "cosine"])
def test_weights_are_those_of_implicit_but_for_the_smoothed_rarity(weighting: str) -> None:
    matrix = purchases()
    reference = {
        "bm25": lambda items: bm25_weight(items, item_knn.BM25_K1, item_knn.BM25_B),
        "tfidf": lambda items: normalize(tfidf_weight(items)),
        "cosine": normalize,
    }[weighting](matrix.T)
    ours, theirs = weigh(matrix, weighting).toarray(), reference.T.toarray()
    assert np.allclose(ours, theirs, rtol=0.02)
    assert (ours > 0).sum() == (theirs > 0).sum() == matrix.nnz


def test_what_happened_long_ago_says_less() -> None:
    website = make_website(models={"m": {"type": "item_knn", "history": "80d"}}, scenarios={})
    pairs = [("old", 0), ("new", 40)]
    entries = [("buy", f"{item}{v}", each, day) for item, day in pairs for v in range(3) for each in ("start", item)]
    learned = learner(website.models["m"], website).learn(training_data(entries, day=40))
    data = training_data(entries, day=40)
    rows, scores = learned.answer.lists.of(data.index.ids.index("start"))
    assert [data.index.ids[row] for row in rows] == ["new", "old"]
    assert scores[1] / scores[0] == pytest.approx(2.0 ** (-2 * 40 / 10))  # both sides of the pair, half-life 10 days


def test_the_newest_items_of_a_visitor_with_too_many_are_what_counts() -> None:
    website = make_website(models={"m": {"type": "item_knn", "max_items_per_user": 2}}, scenarios={})
    entries = [("buy", "robot", f"{day}", day) for day in range(10, 20)] + [("buy", "other", "15", 19)]
    data = training_data(entries, day=20)
    learned = learner(website.models["m"], website).learn(data)
    assert [len(learned.answer.lists.of(row)[0]) for row in range(10)] == [0] * 8 + [1, 1]
