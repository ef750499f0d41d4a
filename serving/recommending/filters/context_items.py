"""Filter 2: the items that the visitor looks at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from serving.recommending.filters.filter import Asked, Filter


class ContextItems(Filter):
    """The context items of the request."""

    name: ClassVar[str] = "context items"

    def __init__(self, asked: Asked) -> None:
        self._context = asked.context

    @classmethod
    def at_work(cls, asked: Asked) -> Self | None:
        """Return it unless the scenario keeps context items."""
        return cls(asked) if asked.plan.exclude_context_items else None

    def rows(self) -> Iterable[int]:
        """Return the context items."""
        return [one.row for one in self._context]
