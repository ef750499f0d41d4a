"""`item_knn`: neighbours of all that visitors have, weighted by what they did (spec: models, Personal).

The weightings (BM25, TF-IDF, cosine) are `implicit`'s; the pairs are counted by `neighbours.all_pairs`. The list
of a visitor is put together when it is asked for (see `scoring`), with the newest items weighing most.

Two choices were made by measuring (HR@10 of items new to the visitor, on Online Retail, Complete Journey and
Deskdrop by time and on RetailRocket's held-out buys; `bench_quality` prints them):

- What happened long ago says less: an entry of the matrix halves in an eighth of `history`. Online Retail
  0.32 → 0.49, Deskdrop 0.02 → 0.06, Complete Journey 0.22 → 0.22; without it popularity wins where seasons do.
- BM25 divides by an item's popularity only a little (B = 0.15, not 0.75): RetailRocket 0.032 → 0.059,
  Complete Journey 0.19 → 0.22, Online Retail 0.53 → 0.49, Deskdrop 0.055 → 0.060.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from personalization_pipelines.models.base import Learned, Neighbours, Scores
from personalization_pipelines.models.neighbours import all_pairs, counts_of
from personalization_pipelines.models.training_data import EVENT_NAMES, TrainingData
from personalization_pipelines.models.user_items import user_items
from personalization_pipelines.website.models import ItemKnn

BM25_K1 = 1.2
BM25_B = 0.15
HALF_LIVES = 8
"""How many half-lives `history` has."""


class ItemKnnLearner:
    """`item_knn` with its parameters."""

    version = 1
    hourly = False
    features: tuple[str, ...] = ("items", "visitor_item_days")

    def __init__(self, model: ItemKnn) -> None:
        self.model = model
        self.events: tuple[str, ...] = EVENT_NAMES

    def learn(self, data: TrainingData) -> Learned:
        """Return one list an item, of all item types (see `Learner`)."""
        model = self.model
        found = data.of(self.events, model.history)
        pairs = user_items(found, data.visitors, data.weights).newest(model.max_items_per_user)
        seen = np.bincount(pairs.row, minlength=len(data.index)).astype(np.int64)
        half_life = model.history / timedelta(days=1) / HALF_LIVES
        decay = np.exp2((pairs.day - data.day) / half_life)
        lists = all_pairs(
            weigh(pairs.matrix(len(data.index)), model.weighting)
            .multiply(pairs.matrix(len(data.index), decay))
            .tocsr(),
            columns=data.allowed & (seen > 0),
            score=_as_it_is,
            length=model.neighbours,
        )
        return Learned(neighbours=Neighbours(lists, seen), counts=counts_of(pairs, found.events.sum()))


def weigh(matrix: csr_matrix, weighting: str) -> csr_matrix:
    """Return the visitors x items matrix weighted so that a dot product of two items is their similarity.

    Rows (visitors) and columns (items) without entries stay so; they do not count as documents or terms.
    """
    active = np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))
    if not len(active):
        return matrix
    weighted = coo_matrix(_WEIGHTINGS[weighting](matrix[:, active].T))
    columns = active[weighted.row]
    return csr_matrix((weighted.data, (weighted.col, columns)), shape=matrix.shape)


def _bm25(items: csr_matrix) -> coo_matrix:
    from implicit.nearest_neighbours import bm25_weight

    return bm25_weight(items, BM25_K1, BM25_B)


def _tfidf(items: csr_matrix) -> coo_matrix:
    from implicit.nearest_neighbours import normalize, tfidf_weight

    return normalize(tfidf_weight(items))


def _cosine(items: csr_matrix) -> coo_matrix:
    from implicit.nearest_neighbours import normalize

    return normalize(items)


_WEIGHTINGS: dict[str, Callable[[csr_matrix], coo_matrix]] = {"bm25": _bm25, "tfidf": _tfidf, "cosine": _cosine}


def _as_it_is(dot: NDArray[np.float64], a: NDArray[np.int64], b: NDArray[np.int32]) -> Scores:
    return dot.astype(np.float32)
