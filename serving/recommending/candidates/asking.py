"""How a model is asked, and what it answers with: the contract of every form of answer on the server's side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.models.forms.form import Form
from personalization_pipelines.models.parameters import CONTEXT_ITEMS, PROFILE_ITEMS
from personalization_pipelines.publications.read.published import PublishedModel
from serving.recommending.question import ContextItem, Question
from serving.recommending.shelf import Shelf
from serving.recommending.visitor_past import Entry, Past

MOST_RELEVANT = 1000
FIRST_LOOK = 32
"""How many candidates are ranked at first; the others only if the filters leave too few of these."""


@dataclass(frozen=True)
class Asking:
    """What one model of a level is asked with; `paths` None means the whole site, `source` is a reference's context."""

    question: Question
    paths: tuple[str, ...] | None
    context: Sequence[ContextItem]
    source: str
    past: Past
    input_type: int

    def items(self, model: PublishedModel) -> tuple[list[tuple[int, str]], Iterator[Entry], bool]:
        """Return what a model that starts from items is asked with.

        These are the request's items as (row, source), the visitor's entries, and whether there are any of these.
        """
        asked = [(one.row, one.source) for one in self.context] if self.source != "history" else []
        if self.source == "items" or (self.source == "both" and model.needs == "items" and asked):
            return asked, iter(()), False
        limit = PROFILE_ITEMS if model.needs == "history" else CONTEXT_ITEMS
        past = self.past.interests(self.input_type, limit)
        newest = next(past, None)
        return (asked, iter(()), False) if newest is None else (asked, chain((newest,), past), True)


class Candidates(ABC):
    """What one model has to say to a question: item rows, best first, how relevant each is, and why."""

    form: ClassVar[type[Form]]
    """The form of answer that it reads."""
    model: PublishedModel
    keys: tuple[str, ...] = ()
    """The lists that it answers from."""
    by_category = False
    """Whether it answers from the asked categories by itself."""
    used_history = False
    """Whether the visitor's past is part of the question."""

    @classmethod
    @abstractmethod
    def ask(cls, model: PublishedModel, asking: Asking) -> Self | None:
        """Return what a model says, None where it can not be asked: no context for it at all."""

    @abstractmethod
    def ranked(self) -> Iterator[tuple[int, float]]:
        """Yield item rows, best first, each with its score."""

    @abstractmethod
    def relevances(self, said: Sequence[float]) -> list[int]:
        """Return scores that `ranked` gave as integers 1..1000, order kept."""

    def origins(self, shelf: Shelf, rows: Sequence[int]) -> dict[int, tuple[ContextItem, ...]]:
        """Return, for each of some rows that `ranked` gave, the context items that spoke for it, strongest first."""
        return {}

    @abstractmethod
    def users(self, origin: Sequence[ContextItem]) -> int:
        """Return how many visitors stand behind an answer of this origin."""


def paired(rows: NDArray[np.integer], values: NDArray[np.generic]) -> Iterator[tuple[int, float]]:
    """Yield rows with their values as Python numbers; few are ever needed, so not all are made at once."""
    for first in range(0, len(rows), FIRST_LOOK):
        part = slice(first, first + FIRST_LOOK)
        yield from zip(rows[part].tolist(), values[part].tolist(), strict=True)
