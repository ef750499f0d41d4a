"""Cutting many ranked lists out of one unsorted heap of (list, row, score).

The order is the contract's: best score first, ties by row. Scores are positive float32, whose bits sort
as integers do, so list, score and row fit one 64-bit key, and one sort of those keys does all the ranking
(0.1 s for 10 million entries, where `lexsort` takes 2 s).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.models.base import Lists, Scores

_SCORE_BITS = 32
_LARGEST_SCORE = 0xFFFFFFFF


def rank_lists(
    lists: NDArray[np.integer], rows: NDArray[np.integer], scores: Scores, *, count: int, length: int
) -> Lists:
    """Return `count` lists with the `length` best entries each.

    `lists[j]`, `rows[j]`, `scores[j]` (float32) name entry j's list (below `count`), its row and its score;
    entries with a score that is not above 0 are left out, an entry occurs once in its list.
    """
    good = scores > 0
    if not good.all():
        lists, rows, scores = lists[good], rows[good], scores[good]
    lists, rows, scores = _sorted(lists, rows, scores)
    first = np.searchsorted(lists, np.arange(count + 1))
    place = np.arange(len(lists)) - first[lists]
    kept = place < length
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.minimum(np.diff(first), length), out=starts[1:])
    return Lists(starts, rows[kept].astype(np.int32), scores[kept].astype(np.float32))


def empty_lists(count: int) -> Lists:
    """Return `count` lists without entries."""
    return Lists(np.zeros(count + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def concatenate(parts: Sequence[Lists]) -> Lists:
    """Return the lists of all parts, in order, as one."""
    if not parts:
        return empty_lists(0)
    offsets = np.cumsum([0, *(part.starts[-1] for part in parts)])
    starts = [part.starts[:-1] + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
    return Lists(
        np.concatenate([*starts, offsets[-1:]]).astype(np.int64),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _sorted(
    lists: NDArray[np.integer], rows: NDArray[np.integer], scores: Scores
) -> tuple[NDArray[np.integer], NDArray[np.integer], Scores]:
    row_bits = int(rows.max(initial=1)).bit_length()
    if int(lists.max(initial=1)).bit_length() + _SCORE_BITS + row_bits > 64:
        order = np.lexsort((rows, -scores, lists))
        return lists[order], rows[order], scores[order]
    bits = _LARGEST_SCORE - scores.astype(np.float32).view(np.uint32).astype(np.uint64)
    key = (lists.astype(np.uint64) << np.uint64(_SCORE_BITS + row_bits)) | (bits << np.uint64(row_bits))
    key |= rows.astype(np.uint64)
    key.sort()
    rows = (key & np.uint64((1 << row_bits) - 1)).astype(np.int32)
    key >>= np.uint64(row_bits)
    scores = (_LARGEST_SCORE - (key & np.uint64(_LARGEST_SCORE))).astype(np.uint32).view(np.float32)
    return (key >> np.uint64(_SCORE_BITS)).astype(np.int64), rows, scores
