"""Filter 4, second part: the categories of the items that the visitor looks at."""

from __future__ import annotations

from typing import ClassVar, Self

from serving.recommending.filters.filter import Asked, Filter
from serving.recommending.shelf import Ranges, Shelf


class ContextCategory(Filter):
    """Items of the context items' own categories, and of all below them."""

    name: ClassVar[str] = "categories of context items"
    judges: ClassVar[bool] = True

    def __init__(self, shelf: Shelf, ranges: Ranges) -> None:
        self._shelf, self._ranges = shelf, ranges

    @classmethod
    def at_work(cls, asked: Asked) -> Self | None:
        """Return it where `exclude_context_category` is on."""
        if not asked.plan.exclude_context_category:
            return None
        items = asked.shelf.items
        paths = tuple(path for one in asked.context if one.row >= 0 for path in items.paths(one.row))
        return cls(asked.shelf, asked.shelf.ranges(paths))

    def drops(self, row: int) -> bool:
        """Tell whether one of the item's own categories is one of theirs."""
        return bool(self._ranges) and self._shelf.in_ranges(row, self._ranges)
