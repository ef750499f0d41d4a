"""Who has which items: the matrix behind every neighbour model, and the profiles that it is asked with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.models.matrices.training_data import EVENT_NAMES, NOBODY, Interactions

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class UserItems:
    """Distinct (visitor, row) pairs: visitors in order, each visitor's newest item first, ties by row.

    `starts[v]:starts[v+1]` are visitor v's pairs; `weight` is the highest weight of the events on the pair;
    `last_time` (microseconds) and `day` are the newest event's.
    """

    starts: NDArray[np.int64]
    visitor: NDArray[np.int32]
    row: NDArray[np.int32]
    weight: NDArray[np.float64]
    last_time: NDArray[np.int64]
    day: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.row)

    def newest(self, limit: int) -> UserItems:
        """Return the pairs with at most the `limit` newest items of each visitor.

        A robot with 100,000 items then costs what a keen customer costs: the work of counting pairs grows
        with the square of a visitor's items.
        """
        place = np.arange(len(self.row)) - self.starts[self.visitor]
        kept = place < limit
        if kept.all():
            return self
        starts = np.zeros_like(self.starts)
        np.cumsum(np.minimum(np.diff(self.starts), limit), out=starts[1:])
        return UserItems(
            starts,
            self.visitor[kept],
            self.row[kept],
            self.weight[kept],
            self.last_time[kept],
            self.day[kept],
        )

    def of(self, visitor: int, limit: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return rows and times of a visitor's `limit` newest items, newest first."""
        part = slice(self.starts[visitor], min(self.starts[visitor] + limit, self.starts[visitor + 1]))
        return self.row[part], self.last_time[part]

    def matrix(self, items: int) -> csr_matrix:
        """Return the visitors x items matrix of the weights (float64); its entries are in the order of the pairs."""
        from scipy.sparse import csr_matrix  # the server reads parameters of models, and must not load scipy

        return csr_matrix((self.weight, self.row, self.starts), shape=(len(self.starts) - 1, items))


def user_items(found: Interactions, visitors: int, weights: Mapping[str, float]) -> UserItems:
    """Return the pairs of all entries whose event type has a weight above 0; nobody's entries are left out."""
    by_event = np.array([weights.get(name, 0.0) for name in EVENT_NAMES])
    weight = by_event[found.event]
    columns: tuple[NDArray[Any], ...] = (found.visitor, found.row, found.last_time, found.day, weight)
    chosen = (found.visitor != NOBODY) & (weight > 0)
    if not chosen.all():
        kept = np.flatnonzero(chosen)
        columns = tuple(column[kept] for column in columns)
    visitor, row, time, day, weight = columns
    key = visitor.astype(np.int64) << 32 | row
    if not (key[1:] >= key[:-1]).all():
        order = np.argsort(key, kind="stable")
        key, time, day, weight = (column[order] for column in (key, time, day, weight))
    first = np.flatnonzero(np.diff(key, prepend=-1))
    if len(first) < len(key):
        key = key[first]
        weight, time, day = (np.maximum.reduceat(column, first) for column in (weight, time, day))
    order = _newest_first(key, time)
    key = key[order]
    visitor, row = (key >> 32).astype(np.int32), (key & 0xFFFFFFFF).astype(np.int32)
    starts = np.searchsorted(visitor, np.arange(visitors + 1, dtype=np.int32)).astype(np.int64)
    return UserItems(starts, visitor, row, weight[order], time[order], day[order])


def _newest_first(key: NDArray[np.int64], time: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the order by visitor, newest first, then row; `key` (visitor, row) is in order already.

    Where visitor and age fit one number, one stable sort does it, in a third of the time.
    """
    visitor = key >> 32
    age = int(time.max(initial=0)) - time
    bits = int(age.max(initial=0)).bit_length()
    if bits + int(visitor.max(initial=0)).bit_length() < 63:
        return np.argsort(visitor << bits | age, kind="stable")
    return np.lexsort((age, visitor))
