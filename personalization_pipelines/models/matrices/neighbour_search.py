"""All pairs of items that visitors share, exactly, in blocks of bounded size.

Why not `implicit`'s all-pairs kernel: it keeps the K best by weight alone and does not see how many visitors
stand behind a pair. On shops with a long tail the pairs of one common visitor fill its lists, and what
`minimum_common_visitors` asks for has been thrown away before we see it. A block of the sparse product holds
every pair, costs no more CPU (measured in `bench_models`), and sorts ties by row.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.models.forms.form import Lists, Scores
from personalization_pipelines.models.forms.ranked_lists import concatenate, contenders, rank_lists
from personalization_pipelines.models.matrices.user_items import UserItems

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK_PRODUCTS = 1_000_000
THREADS = 2
"""Two blocks at a time; the sparse product releases the interpreter lock. Results do not depend on it."""

PairScore = Callable[[Scores, NDArray[np.int32], NDArray[np.int32]], Scores]


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
    return type(left)((left.data[entries], left.indices[entries], starts), shape=left.shape)


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
