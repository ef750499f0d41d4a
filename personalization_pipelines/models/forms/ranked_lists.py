"""Cutting many ranked lists out of one unsorted heap of (list, row, score).

The order is the contract's: best score first, ties by row. Scores are positive float32, whose bits sort
as integers do, so list, score and row fit one 64-bit key, and one sort of those keys does all the ranking.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.array_checks import check_length, check_range, check_scores, check_starts
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms.form import Lists, Scores

_SCORE_BITS = 32
_KEY_BITS = 64
SHORTEST_MEAN = 16
"""Entries a list from which on sorting list by list is worth a call for each."""


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
    row_bits = int(rows.max(initial=1)).bit_length()
    if count.bit_length() + _SCORE_BITS + row_bits > _KEY_BITS:
        return _ranked_by_columns(lists, rows, scores, count, length)
    shift = np.uint64(_SCORE_BITS + row_bits)
    key = lists.astype(np.uint64)
    key <<= shift
    bits = (~np.asarray(scores, np.float32).view(np.uint32)).astype(np.uint64)
    bits <<= np.uint64(row_bits)
    key |= bits
    key |= rows.astype(np.uint64)
    _sort(key, lists, count)
    first = np.searchsorted(key, np.arange(count + 1, dtype=np.uint64) << shift)
    starts, kept = _heads(first, length)
    key = key[kept]
    best = (key & np.uint64((1 << row_bits) - 1)).astype(np.int32)
    return Lists(starts, best, (~(key >> np.uint64(row_bits)).astype(np.uint32)).view(np.float32))


def _sort(key: NDArray[np.uint64], lists: NDArray[np.integer], count: int) -> None:
    """Sort the keys in place: list by list where they come list by list, which takes a fifth of the time."""
    if len(key) < SHORTEST_MEAN * count or not (lists[1:] >= lists[:-1]).all():
        key.sort()
        return
    first = np.searchsorted(lists, np.arange(count + 1, dtype=lists.dtype))
    for number in np.flatnonzero(np.diff(first) > 1).tolist():
        key[first[number] : first[number + 1]].sort()


def contenders(lists: NDArray[np.integer], scores: Scores, count: int, length: int) -> NDArray[np.intp]:
    """Return the positions of entries that may be among the `length` best of their list; `lists` is in order.

    Finding the length-th best score of a list is cheaper than sorting it; of lists that are cut to a third,
    this halves the whole ranking.
    """
    first = np.searchsorted(lists, np.arange(count + 1))
    least = np.zeros(count, np.float32)
    for number in np.flatnonzero(np.diff(first) > length).tolist():
        found = scores[first[number] : first[number + 1]]
        least[number] = np.partition(found, len(found) - length)[len(found) - length]
    return np.flatnonzero(scores >= least[lists])


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


def _ranked_by_columns(
    lists: NDArray[np.integer], rows: NDArray[np.integer], scores: Scores, count: int, length: int
) -> Lists:
    """Do the same where list, score and row do not fit one key."""
    order = np.lexsort((rows, -scores, lists))
    starts, kept = _heads(np.searchsorted(lists[order], np.arange(count + 1)), length)
    order = order[kept]
    return Lists(starts, rows[order].astype(np.int32), scores[order].astype(np.float32))


def _heads(first: NDArray[np.integer], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bounds of the lists cut to `length`, and the positions of what is kept; list i begins at first[i]."""
    sizes = np.minimum(np.diff(first), length)
    starts = np.zeros(len(first), np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts, np.arange(starts[-1]) + np.repeat(first[:-1] - starts[:-1], sizes)


def gather(starts: NDArray[np.int64], order: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the starts of lists taken in another order, and where each of their elements is now.

    An `order` of -1 takes an empty list.
    """
    lengths = np.where(order >= 0, starts[order + 1] - starts[order], 0)
    new_starts = np.zeros(len(order) + 1, np.int64)
    np.cumsum(lengths, out=new_starts[1:])
    places = np.repeat(starts[order] - new_starts[:-1], lengths) + np.arange(new_starts[-1])
    return new_starts, places


def moved_lists(lists: Lists, rows: NDArray[np.int32]) -> Lists:
    """Return lists whose row `i` is `rows[i]` now; what is -1 is left out, the order stays."""
    check_range("rows", lists.rows, 0, len(rows), thorough=True)
    found = rows[lists.rows]
    keep = found >= 0
    before = np.zeros(len(found) + 1, np.int64)
    np.cumsum(keep, out=before[1:])
    return Lists(before[lists.starts], found[keep], np.asarray(lists.scores)[keep])


def check_lists(name: str, lists: Lists, count: int, items: int, thorough: bool) -> None:
    """Raise CorruptData unless there are `count` lists of rows below `items`, with scores above 0, best first."""
    check_length(f"{name}_starts", lists.starts, count + 1)
    check_starts(f"{name}_starts", lists.starts, len(lists.rows), thorough)
    check_length(f"{name}_scores", lists.scores, len(lists.rows))
    check_range(f"{name}_rows", lists.rows, 0, items, thorough)
    check_scores(f"{name}_scores", lists.scores, thorough)
    if thorough and not in_order(lists).all():
        raise CorruptData(f"array {name}_scores has lists that are not best first")


def in_order(lists: Lists) -> NDArray[np.bool_]:
    """Return for each entry but the last whether the next one of its list is worse, or as good with a higher row."""
    better = lists.scores[:-1] > lists.scores[1:]
    tied = (lists.scores[:-1] == lists.scores[1:]) & (lists.rows[:-1] < lists.rows[1:])
    bounds = lists.starts[1:-1]
    ordered = np.asarray(better | tied)
    ordered[bounds[(bounds > 0) & (bounds < len(lists.rows))] - 1] = True
    return ordered
