"""Category paths that clicks gave to items, beside the catalogue's own paths of the same items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.publications.format.arrays import Coded, Texts
from personalization_pipelines.publications.write.parquet_columns import rows_of

COLUMNS = ("item_type", "item", "category")


def add_paths(
    types: NDArray[np.int32],
    ids: Texts,
    starts: NDArray[np.int64],
    paths: Coded,
    learned: Iterable[Mapping[str, Any]],
) -> tuple[NDArray[np.int64], Coded]:
    """Return where each item's paths start, and all paths, with those of `learned` (rows of COLUMNS) added.

    `paths[starts[row]:starts[row + 1]]` are the paths of an item, before and after; one may then be there twice. What
    is learned about an item that is not there is left out.
    """
    more: dict[tuple[int, str], list[str]] = defaultdict(list)
    for one in learned:
        more[one["item_type"], one["item"]].append(one["category"])
    found = [(row, path) for row, item in rows_of(types, ids, more) for path in more[item]]
    if not found:
        return starts, paths
    rows = np.fromiter((row for row, _ in found), np.int64, len(found))
    places = {name: code for code, name in enumerate(paths.names)}
    codes = np.fromiter((places.setdefault(path, len(places)) for _, path in found), np.int32, len(found))
    new_starts = starts.copy()
    new_starts[1:] += np.cumsum(np.bincount(rows, minlength=len(types)))
    return new_starts, Coded(np.insert(paths.codes, starts[rows + 1], codes), tuple(places))
