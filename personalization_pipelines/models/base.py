"""The contract of a model: what it is given, what it returns. numpy only: the server imports this too.

Every model learns in *rows*: positions in one `ItemIndex`. A model answers with lists of rows, best
first, scores above 0, ties broken by the row (rows are in order of item type and item id).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Lists:
    """Many ranked lists in one pair of arrays: list `i` is `rows[starts[i]:starts[i+1]]`, best first."""

    starts: NDArray[np.int64]
    rows: Rows
    scores: Scores

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, number: int) -> tuple[Rows, Scores]:
        """Return rows and scores of one list."""
        part = slice(self.starts[number], self.starts[number + 1])
        return self.rows[part], self.scores[part]


@dataclass(frozen=True)
class Ranking:
    """Lists by key: `site:<type>` for an item type's whole site, `category:<type>:<path>` for a category.

    `events` and `users` tell how many of each stand behind a list (what `explain` shows).
    """

    keys: tuple[str, ...]
    lists: Lists
    events: NDArray[np.int64]
    users: NDArray[np.int64]


@dataclass(frozen=True)
class Neighbours:
    """One list an item row: the items that go with it. `users` counts visitors of the row itself."""

    lists: Lists
    users: NDArray[np.int64]


def site_key(item_type: int) -> str:
    """Return the key of an item type's list for the whole site."""
    return f"site:{item_type}"


def category_key(item_type: int, path: str) -> str:
    """Return the key of an item type's list for a category path like `/Women/Shirts` and all below."""
    return f"category:{item_type}:{path}"
