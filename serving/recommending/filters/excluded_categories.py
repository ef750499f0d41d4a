"""Filter 4, first part: categories that a scenario never recommends from, with all below them."""

from __future__ import annotations

from typing import ClassVar, Self

from serving.recommending.filters.filter import Asked, Filter
from serving.recommending.shelf import Ranges, Shelf


class ExcludedCategories(Filter):
    """Items of the categories of `exclude_categories`."""

    name: ClassVar[str] = "excluded categories"
    judges: ClassVar[bool] = True

    def __init__(self, shelf: Shelf, ranges: Ranges) -> None:
        self._shelf, self._ranges = shelf, ranges

    @classmethod
    def at_work(cls, asked: Asked) -> Self | None:
        """Return it where the scenario names categories."""
        paths = asked.plan.exclude_categories
        return cls(asked.shelf, asked.shelf.ranges(paths)) if paths else None

    def drops(self, row: int) -> bool:
        """Tell whether one of the item's own categories is excluded, or lies below one that is."""
        return bool(self._ranges) and self._shelf.in_ranges(row, self._ranges)
