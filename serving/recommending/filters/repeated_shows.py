"""Filter 8: what was shown too often in the session that runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from serving.recommending.filters.filter import Asked, Filter


class RepeatedShows(Filter):
    """Items that were delivered `max_repeats` times in this session."""

    name: ClassVar[str] = "repeated shows"

    def __init__(self, asked: Asked) -> None:
        self._repeated = asked.repeated

    @classmethod
    def at_work(cls, asked: Asked) -> Self | None:
        """Return it where the scenario has `max_repeats`."""
        return cls(asked) if asked.plan.max_repeats else None

    def rows(self) -> Iterable[int]:
        """Return what was shown that often (see `sessions`)."""
        return self._repeated
