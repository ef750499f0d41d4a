"""Columns with some rows taken out and fresh ones put in, at the cost of copying; numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.publications.format.arrays import Chain, Coded, LongTexts, Texts
from personalization_pipelines.publications.write.parquet_columns import starts_of


class Splice:
    """Where the rows of a new column come from: of `old` rows those that stay, between them `fresh` ones.

    `stays` is a flag an old row. Fresh row `i` stands before the old row `before[i]`, or, which is the same, where an
    old row was that does not stay; `before` ascends, and is `len(stays)` for what stands behind all.
    """

    def __init__(self, stays: NDArray[np.bool_], before: NDArray[np.int64]) -> None:
        kept = np.flatnonzero(stays)
        self.old = len(stays)
        fresh = np.arange(self.old, self.old + len(before))
        self.order: NDArray[np.int64] = np.insert(kept, np.searchsorted(kept, before), fresh)
        """For each new row: its old row, or the number of old rows and its place among the fresh ones."""
        begins = np.diff(self.order, prepend=-2) != 1
        begins |= self.order == self.old  # a run of old rows ends, whatever the number of the first fresh one
        self._begins = np.flatnonzero(begins)
        self._ends = np.append(self._begins, len(self.order))[1:]

    def rows(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the new row of each old one (-1 where it went) and of each fresh one."""
        rows = np.full(self.old + int(np.count_nonzero(self.order >= self.old)), -1, np.int32)
        rows[self.order] = np.arange(len(self.order))
        return rows[: self.old], rows[self.old :]

    def numbers(self, old: NDArray[Any], fresh: NDArray[Any]) -> NDArray[Any]:
        """Return a column of numbers, in the type of the old ones."""
        return np.concatenate([old, fresh.astype(old.dtype, copy=False)])[self.order]

    def texts(self, old: Texts, fresh: Texts) -> Texts:
        """Return a column of texts."""
        starts, blob = self._lists(old.starts, old.blob, fresh.starts, fresh.blob)
        return Texts(starts, blob.whole())

    def long_texts(self, old: Texts, fresh: Texts) -> LongTexts:
        """Return a column of texts of which nothing is copied yet."""
        return LongTexts(*self._lists(old.starts, old.blob, fresh.starts, fresh.blob))

    def coded(self, old: Coded, fresh: Coded) -> Coded:
        """Return a column of texts of which few differ."""
        fresh_codes, names = _recoded(old, fresh)
        return compact(Coded(self.numbers(old.codes, fresh_codes), names))

    def coded_lists(
        self, old: tuple[NDArray[np.int64], Coded], fresh: tuple[NDArray[np.int64], Coded]
    ) -> tuple[NDArray[np.int64], Coded]:
        """Return a column of lists of such texts: where the list of each row starts, and all of them."""
        fresh_codes, names = _recoded(old[1], fresh[1])
        starts, codes = self._lists(old[0], old[1].codes, fresh[0], fresh_codes)
        return starts, compact(Coded(codes.whole(), names))

    def _lists(
        self, starts: NDArray[np.int64], values: NDArray[Any], more: NDArray[np.int64], fresh: NDArray[Any]
    ) -> tuple[NDArray[np.int64], Chain]:
        lengths = self.numbers(np.diff(starts), np.diff(more))
        first, last = self.order[self._begins], self.order[self._ends - 1]
        # old rows and fresh ones each have starts of their own; behind the last old one is an end, not a start
        begins, ends = np.concatenate([starts[:-1], more[:-1]]), np.concatenate([starts[1:], more[1:]])
        runs = zip((first >= self.old).tolist(), begins[first].tolist(), ends[last].tolist(), strict=True)
        both = (values, fresh)
        return starts_of(lengths), Chain([both[source][begin:end] for source, begin, end in runs], values.dtype)


def _recoded(old: Coded, fresh: Coded) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return the codes of fresh texts among the names of both, which begin with the old ones."""
    places = {name: code for code, name in enumerate(old.names)}
    codes = np.array([places.setdefault(name, len(places)) for name in fresh.names], np.int32)
    return codes[fresh.codes], tuple(places)


def compact(texts: Coded) -> Coded:
    """Return texts without the names that none of them is."""
    used = np.bincount(texts.codes, minlength=len(texts.names)) > 0
    codes = (np.cumsum(used) - 1).astype(np.int32)[texts.codes]
    return Coded(codes, tuple(name for name, is_used in zip(texts.names, used.tolist(), strict=True) if is_used))
