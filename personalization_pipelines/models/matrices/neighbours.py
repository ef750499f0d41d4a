"""All pairs of items that visitors share, exactly, in blocks of bounded size; and `also_*` on top of it.

Why not `implicit`'s all-pairs kernel: it keeps the K best by weight alone and does not see how many visitors
stand behind a pair. On shops with a long tail the pairs of one common visitor fill its lists, and what
`minimum_common_visitors` asks for has been thrown away before we see it. A block of the sparse product holds
every pair, costs no more CPU (measured in `bench_models`), and sorts ties by row.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from personalization_pipelines.foundation.errors import NotBuiltYet
from personalization_pipelines.models.forms.learned import Learned, Lists, Neighbours, Scores
from personalization_pipelines.models.forms.ranked_lists import concatenate, contenders, rank_lists
from personalization_pipelines.models.matrices.similarity import SIMILARITIES, damped
from personalization_pipelines.models.matrices.training_data import TrainingData
from personalization_pipelines.models.matrices.user_items import UserItems, user_items
from personalization_pipelines.website.model_parameters import AlsoDid

BLOCK_PRODUCTS = 1_000_000
THREADS = 2
"""Two blocks at a time; the sparse product releases the interpreter lock. Results do not depend on it."""

PairScore = Callable[[Scores, NDArray[np.int32], NDArray[np.int32]], Scores]


class AlsoDidLearner:
    """`also_*`: A → B by the visitors who did the same event on both (spec: models, Collaborative).

    An item's list holds items of its own type. Similarities: see `similarity`.
    """

    version = 1
    hourly = False
    features: tuple[str, ...] = ("items", "item_categories", "visitor_item_days")

    def __init__(self, model: AlsoDid) -> None:
        if model.scope == "session":
            raise NotBuiltYet(f"{model.type}: `scope: session` is not built yet; use `scope: visitor`")
        self.model = model
        self.events: tuple[str, ...] = (model.event,)

    def learn(self, data: TrainingData) -> Learned:
        """Return one list an item (see `Learner`)."""
        model = self.model
        found = data.of(self.events, model.history)
        pairs = user_items(found, data.visitors, {model.event: 1.0}).newest(model.max_items_per_user)
        seen = np.bincount(pairs.row, minlength=len(data.index)).astype(np.int64)
        visitors = int(np.count_nonzero(np.diff(pairs.starts)))
        similarity = SIMILARITIES[model.similarity]

        def score(dot: Scores, a: NDArray[np.int32], b: NDArray[np.int32]) -> Scores:
            common = dot.astype(np.float64)
            value = damped(similarity(common, seen[a], seen[b], visitors), common, model.shrinkage)
            return value.astype(np.float32)

        useful = seen >= model.minimum_common_visitors
        lists = all_pairs(
            pairs.matrix(len(data.index)),
            rows=useful,
            columns=data.allowed & useful,
            score=score,
            least=model.minimum_common_visitors,
            length=model.list_length,
            groups=data.index.types,
        )
        return Learned(neighbours=Neighbours(lists, seen), counts=counts_of(pairs, found.events.sum()))


def counts_of(pairs: UserItems, events: int) -> dict[str, int]:
    """Return what `explain` and the build's report say about the data behind neighbours."""
    return {"events": int(events), "users": int(np.count_nonzero(np.diff(pairs.starts))), "pairs": len(pairs)}


def all_pairs(
    matrix: csr_matrix,
    *,
    columns: NDArray[np.bool_],
    length: int,
    rows: NDArray[np.bool_] | None = None,
    score: PairScore | None = None,
    least: float = 0.0,
    groups: NDArray[np.int32] | None = None,
) -> Lists:
    """Return for every item (of `rows`, if given) the `length` best other items of those that `columns` allows.

    `matrix` is visitors x items. A pair's score is the dot product of its columns a and b, or what `score(dot, a, b)`
    makes of it; pairs with a dot product below `least`, or a score that is not above 0, are dropped. With `groups`,
    only pairs within one group are kept. Memory: about 60 bytes for each of `BLOCK_PRODUCTS` products and thread.
    """
    left = _rows_of(matrix.T.tocsr().astype(np.float32), rows)
    left.sort_indices()
    kept = np.flatnonzero(columns).astype(np.int32)
    right = (matrix[:, kept] if len(kept) < len(columns) else matrix).astype(np.float32)
    if groups is not None and len(groups) and groups.min() == groups.max():
        groups = None

    def block(bounds: tuple[int, int]) -> Lists:
        first, last = bounds
        a, b, dot = _pairs(left[first:last] @ right, least)
        if groups is not None:
            wanted = np.flatnonzero(groups[a + np.int32(first)] == groups[kept[b]])
            a, b, dot = a[wanted], b[wanted], dot[wanted]
        scores = dot if score is None else score(dot, a + np.int32(first), kept[b])
        best = contenders(a, scores, last - first, length + 1)  # an item is the first neighbour of its own, and goes
        a, b, scores = a[best], kept[b[best]], scores[best]
        others = np.flatnonzero(a + np.int32(first) != b)
        return rank_lists(a[others], b[others], scores[others], count=last - first, length=length)

    with ThreadPoolExecutor(THREADS) as threads:
        return concatenate(list(threads.map(block, _blocks(left, right))))


def _rows_of(left: csr_matrix, rows: NDArray[np.bool_] | None) -> csr_matrix:
    """Return the matrix with all other rows empty."""
    if rows is None or rows.all():
        return left
    sizes = np.diff(left.indptr)
    entries = np.flatnonzero(np.repeat(rows, sizes))
    starts = np.concatenate(([0], np.cumsum(np.where(rows, sizes, 0))))
    return csr_matrix((left.data[entries], left.indices[entries], starts), shape=left.shape)


def _pairs(product: csr_matrix, least: float) -> tuple[NDArray[np.int32], NDArray[np.int32], Scores]:
    """Return rows, columns and values of a block's entries that are not below `least`; the rows are in order."""
    a = np.repeat(np.arange(product.shape[0], dtype=np.int32), np.diff(product.indptr))
    b, dot = product.indices, product.data
    if least > 0:
        wanted = np.flatnonzero(dot >= least)
        a, b, dot = a[wanted], b[wanted], dot[wanted]
    return a, b, dot


def _blocks(left: csr_matrix, right: csr_matrix) -> list[tuple[int, int]]:
    """Cut the items where the running number of products passes a multiple of `BLOCK_PRODUCTS`."""
    products = np.diff(right.indptr)[left.indices].astype(np.int64)
    running = np.concatenate(([0], np.cumsum(products)))[left.indptr]
    marks = np.arange(BLOCK_PRODUCTS, running[-1], BLOCK_PRODUCTS)
    cuts = np.unique(np.concatenate(([0], np.searchsorted(running, marks), [left.shape[0]])))
    return [(int(first), int(last)) for first, last in pairwise(cuts)]
