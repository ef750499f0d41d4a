"""Filter 1, the visitor's part: what the visitor blacklisted within a year."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from serving.recommending.filters.filter import Asked, Filter
from serving.recommending.visitor_past import YEAR


class VisitorsBlacklist(Filter):
    """Items that the visitor blacklisted; always at work."""

    name: ClassVar[str] = "blacklist of the visitor"

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    @classmethod
    def at_work(cls, asked: Asked) -> Self:
        """Return it: a blacklist holds in every scenario."""
        return cls(asked)

    def rows(self) -> Iterable[int]:
        """Return what was blacklisted since a year ago."""
        since = self._asked.question.now - YEAR
        return [row for time, row, _ in self._asked.past.of(("blacklist",)) if time >= since]
