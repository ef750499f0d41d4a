"""What must hold of a model's arrays before anybody follows an index in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms.learned import Lists


def require(condition: bool | np.bool_, path: Path, problem: str) -> None:
    """Raise CorruptData that names file and problem unless `condition` holds."""
    if not condition:
        raise CorruptData(f"{path}: {problem}; build the model again")


def check_starts(path: Path, starts: NDArray[np.int64], count: int, end: int) -> None:
    """Require `count` parts that lie one after the other from 0 to `end`."""
    require(len(starts) == count + 1, path, f"has {len(starts)} bounds for {count} parts")
    require(starts[0] == 0 and starts[-1] == end, path, f"does not reach from 0 to {end}")
    require(bool(np.all(starts[1:] >= starts[:-1])), path, "has bounds that go backwards")


def check_lists(path: Path, lists: Lists, count: int, items: int) -> None:
    """Require `count` lists of rows below `items` with finite scores above 0, best first, ties by row."""
    check_starts(path, lists.starts, count, len(lists.rows))
    require(len(lists.rows) == len(lists.scores), path, "has not as many scores as rows")
    if not len(lists.rows):
        return
    require(lists.rows.min() >= 0 and lists.rows.max() < items, path, f"has rows that are not below {items}")
    require(bool(np.isfinite(lists.scores).all()) and lists.scores.min() > 0, path, "has scores that are not above 0")
    require(bool(in_order(lists).all()), path, "has lists that are not best first")


def in_order(lists: Lists) -> NDArray[np.bool_]:
    """Return for each entry but the last whether the next one of its list is worse, or as good with a higher row."""
    better = lists.scores[:-1] > lists.scores[1:]
    tied = (lists.scores[:-1] == lists.scores[1:]) & (lists.rows[:-1] < lists.rows[1:])
    bounds = lists.starts[1:-1]
    ordered = np.asarray(better | tied)
    ordered[bounds[(bounds > 0) & (bounds < len(lists.rows))] - 1] = True
    return ordered
