"""What a stranger's package adds to the server: what reads its form of answer, and a filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

from outside import OneList

from personalization_pipelines.models.forms.form import Form
from personalization_pipelines.publications.read.published import PublishedModel
from serving.recommending.candidates.asking import Asking, Candidates, paired
from serving.recommending.filters.filter import Asked, Filter
from serving.recommending.question import ContextItem
from serving.recommending.shelf import Shelf


class FromOneList(Candidates):
    """The list, whatever is asked."""

    form: ClassVar[type[Form]] = OneList

    def __init__(self, model: PublishedModel) -> None:
        self.model = model

    @classmethod
    def ask(cls, model: PublishedModel, asking: Asking) -> Self:
        return cls(model)

    def ranked(self) -> Iterator[tuple[int, float]]:
        (lists,) = self.model.answer.listed()
        return paired(*lists.of(0))

    def relevances(self, said: Sequence[float]) -> list[int]:
        return [self.model.relevance(one) for one in said]

    def users(self, origin: Sequence[ContextItem]) -> int:
        return 0


class NoOddPrice(Filter):
    """Items that cost an odd number of cents."""

    name: ClassVar[str] = "odd price"
    judges: ClassVar[bool] = True

    def __init__(self, shelf: Shelf) -> None:
        self._prices = shelf.items.price_minor

    @classmethod
    def at_work(cls, asked: Asked) -> Self:
        return cls(asked.shelf)

    def drops(self, row: int) -> bool:
        return bool(self._prices[row] % 2)
