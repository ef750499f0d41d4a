"""The contract of a filter: what it looks at, when it is at work, and which items it keeps out.

A filter keeps out rows that it can name at once (`rows`: what the visitor bought), or judges a candidate when it comes
(`drops`: its category). It never orders anything, and never lets pass what another one keeps out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from personalization_pipelines.scenarios.plan import PlanFilters
from serving.recommending.question import ContextItem, Question
from serving.recommending.shelf import Shelf
from serving.recommending.visitor_past import Past


@dataclass(frozen=True)
class Asked:
    """What filters look at: the scenario's switches, the question with its context items, and the visitor's past.

    `repeated` are the rows that were shown too often in the session that runs.
    """

    shelf: Shelf
    plan: PlanFilters
    question: Question
    context: Sequence[ContextItem]
    past: Past
    repeated: Collection[int] = ()


class Filter(ABC):
    """One filter at work on one question."""

    name: ClassVar[str]
    """What `explain` calls it."""
    judges: ClassVar[bool] = False
    """True: it looks at each candidate (`drops`); False: it names all rows at once (`rows`)."""

    @classmethod
    @abstractmethod
    def at_work(cls, asked: Asked) -> Self | None:
        """Return the filter for a question, None where the scenario does not want it."""

    def rows(self) -> Iterable[int]:
        """Return the rows that may not be shown."""
        return ()

    def drops(self, row: int) -> bool:
        """Tell whether a row may not be shown; asked only of filters that judge."""
        return False
