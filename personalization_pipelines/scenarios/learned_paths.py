"""Category paths that clicks gave to items, put behind the catalogue's own paths of the same items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.scenarios.arrays import Texts

COLUMNS = ("item_type", "item", "category")


def add_paths(
    types: NDArray[np.int32],
    ids: Texts,
    starts: NDArray[np.int64],
    paths: Sequence[str],
    learned: Iterable[Mapping[str, Any]],
) -> tuple[NDArray[np.int64], list[str]]:
    """Return where each item's paths start, and all paths, with those of `learned` (rows of COLUMNS) added.

    `paths[starts[row]:starts[row + 1]]` are the paths of an item, before and after. What is learned about an
    item that is not there is left out.
    """
    more: dict[tuple[int, str], list[str]] = defaultdict(list)
    for one in learned:
        more[one["item_type"], one["item"]].append(one["category"])
    if not more:
        return starts, list(paths)
    found: list[list[str]] = []
    for row, item in enumerate(zip(types.tolist(), ids, strict=True)):
        own = list(paths[int(starts[row]) : int(starts[row + 1])])
        found.append(own + [path for path in more.get(item, ()) if path not in own])
    ends = np.cumsum([len(one) for one in found], dtype=np.int64)
    return np.concatenate((np.zeros(1, np.int64), ends)), [path for one in found for path in one]
