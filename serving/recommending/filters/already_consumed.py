"""Filter 3, first part: what the visitor consumed within a year."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from serving.recommending.filters.filter import Asked, Filter
from serving.recommending.visitor_past import YEAR


class AlreadyConsumed(Filter):
    """Items that the visitor read, watched or heard."""

    name: ClassVar[str] = "already consumed"

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    @classmethod
    def at_work(cls, asked: Asked) -> Self | None:
        """Return it where `already_consumed: exclude`."""
        return cls(asked) if asked.plan.exclude_consumed else None

    def rows(self) -> Iterable[int]:
        """Return what was consumed since a year ago."""
        since = self._asked.question.now - YEAR
        return [row for time, row, _ in self._asked.past.of(("consume",)) if time >= since]
