"""The form `neighbours`: one list an item, for answers that start from items (of the request, or of a visitor)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.array_checks import check_length
from personalization_pipelines.models.forms.form import Arrays, Form, Lists, Rows, Scores
from personalization_pipelines.models.forms.ranked_lists import check_lists, gather, moved_lists


@dataclass(frozen=True)
class Neighbours(Form):
    """One list an item row: the items that go with it. `users` counts visitors of the row itself."""

    form: ClassVar[str] = "neighbours"
    schema: ClassVar[Mapping[str, str]] = {"starts": "<i8", "rows": "<i4", "scores": "<f4", "users": "<i8"}

    lists: Lists
    users: NDArray[np.int64]

    def arrays(self) -> Arrays:
        """Return the arrays of the lists, and the visitors of each item."""
        return {**{name: getattr(self.lists, name) for name in ("starts", "rows", "scores")}, "users": self.users}

    @classmethod
    def of(cls, texts: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the neighbours that these arrays hold."""
        return cls(Lists(arrays["starts"], arrays["rows"], arrays["scores"]), arrays["users"])

    def check(self, items: int, thorough: bool = True) -> None:
        """Raise CorruptData unless there is one good list an item."""
        check_lists("neighbours", self.lists, items, items, thorough)
        check_length("neighbours_users", self.users, items)

    def moved(self, rows: NDArray[np.int32], items: int) -> Self:
        """Return the lists in the order of the other rows; an item without a list gets an empty one."""
        known = np.flatnonzero(rows >= 0)
        old = np.full(items, -1, np.int64)
        old[rows[known]] = known
        starts, places = gather(self.lists.starts, old)
        lists = moved_lists(Lists(starts, self.lists.rows[places], self.lists.scores[places]), rows)
        users = np.where(old >= 0, self.users[old], 0) if len(self.users) else np.zeros(items)
        return type(self)(lists, users.astype(np.int64))

    def listed(self) -> Iterator[Lists]:
        """Yield the lists."""
        yield self.lists

    def answered(self, good: NDArray[np.bool_], types: Collection[int], without_self: bool) -> NDArray[np.bool_]:
        """Return the items whose list holds a good one."""
        return self.lists.holding(good, without_self)

    def example(self) -> tuple[str | int, Rows, Scores] | None:
        """Return the list of the most visited item."""
        if not len(self.users):
            return None
        most = int(np.argmax(self.users))
        return (most, *self.lists.of(most))
