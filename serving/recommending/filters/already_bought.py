"""Filter 3, second part: what the visitor bought or owns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from serving.recommending.filters.filter import Asked, Filter
from serving.recommending.visitor_past import Flags

_BOUGHT = Flags.of("buy", "owns")


class AlreadyBought(Filter):
    """Items that the visitor bought or owns, however long ago."""

    name: ClassVar[str] = "already bought"

    def __init__(self, asked: Asked) -> None:
        self._past = asked.past

    @classmethod
    def at_work(cls, asked: Asked) -> Self | None:
        """Return it where `already_bought: exclude`."""
        return cls(asked) if asked.plan.exclude_bought else None

    def rows(self) -> Iterable[int]:
        """Return what was bought."""
        return self._past.rows_of(_BOUGHT)
