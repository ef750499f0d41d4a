"""The form `ranking`: lists by key, for answers that need no context (popularity, new items, hand-made lists)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.array_checks import check_length
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms.form import Arrays, Form, Lists, Rows, Scores
from personalization_pipelines.models.forms.ranked_lists import check_lists, moved_lists, rank_lists


@dataclass(frozen=True)
class Ranking(Form):
    """Lists by key: `site:<type>` for an item type's whole site, `category:<type>:<path>` for a category.

    `events` and `users` tell how many of each stand behind a list (what `explain` shows).
    """

    form: ClassVar[str] = "ranking"
    schema: ClassVar[Mapping[str, str]] = {
        "starts": "<i8", "rows": "<i4", "scores": "<f4", "events": "<i8", "users": "<i8",
    }  # fmt: skip

    keys: tuple[str, ...]
    lists: Lists
    events: NDArray[np.int64]
    users: NDArray[np.int64]

    @property
    def texts(self) -> tuple[str, ...]:
        """The keys of the lists."""
        return self.keys

    def arrays(self) -> Arrays:
        """Return the arrays of the lists, and the witnesses of each."""
        held = {name: getattr(self.lists, name) for name in ("starts", "rows", "scores")}
        return {**held, "events": self.events, "users": self.users}

    @classmethod
    def of(cls, texts: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the ranking of these keys and arrays."""
        lists = Lists(arrays["starts"], arrays["rows"], arrays["scores"])
        return cls(texts, lists, arrays["events"], arrays["users"])

    def check(self, items: int, thorough: bool = True) -> None:
        """Raise CorruptData unless there is one good list a key, and every key is there once."""
        if len(set(self.keys)) < len(self.keys):
            raise CorruptData("two lists of its ranking have the same key")
        check_lists("ranking", self.lists, len(self.keys), items, thorough)
        check_length("ranking_events", self.events, len(self.keys))
        check_length("ranking_users", self.users, len(self.keys))

    def moved(self, rows: NDArray[np.int32], items: int) -> Self:
        """Return the same keys with lists in other rows."""
        return type(self)(self.keys, moved_lists(self.lists, rows), self.events, self.users)

    def listed(self) -> Iterator[Lists]:
        """Yield the lists."""
        yield self.lists

    def answered(self, good: NDArray[np.bool_], types: Collection[int], without_self: bool) -> NDArray[np.bool_]:
        """Return all items where the site's lists hold a good one; the only one is no answer to itself."""
        numbers = [number for number, key in enumerate(self.keys) if key in {site_key(one) for one in types}]
        rows = np.concatenate([np.empty(0, np.int32), *(self.lists.of(number)[0] for number in numbers)])
        rows = rows[good[rows]]
        found = np.full(len(good), len(rows) > 0)
        if without_self and len(rows) == 1:
            found[rows[0]] = False
        return found

    def example(self) -> tuple[str | int, Rows, Scores] | None:
        """Return the first list."""
        return (self.keys[0], *self.lists.of(0)) if self.keys else None


def site_key(item_type: int) -> str:
    """Return the key of an item type's list for the whole site."""
    return f"site:{item_type}"


def category_key(item_type: int, path: str) -> str:
    """Return the key of an item type's list for a category path like `/Women/Shirts` and all below."""
    return f"category:{item_type}:{path}"


def site_lists(types: NDArray[np.int32], scores: Scores, length: int) -> Ranking:
    """Return the `length` best rows of each item type by `scores`, one a row; 0 and below stay out."""
    known, groups = np.unique(types, return_inverse=True)
    rows = np.arange(len(types), dtype=np.int32)
    lists = rank_lists(groups, rows, scores, count=len(known), length=length)
    nobody = np.zeros(len(known), np.int64)
    return without_empty(Ranking(tuple(site_key(int(kind)) for kind in known), lists, nobody, nobody))


def without_empty(ranking: Ranking) -> Ranking:
    """Return the ranking without the keys that nothing stands behind."""
    lists = ranking.lists
    held = np.flatnonzero(np.diff(lists.starts))
    starts = np.concatenate([lists.starts[held], lists.starts[-1:]])
    keys = tuple(ranking.keys[number] for number in held)
    return Ranking(keys, Lists(starts, lists.rows, lists.scores), ranking.events[held], ranking.users[held])
