"""What a stranger's package adds to the builds: a model type with a form of answer of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.array_checks import check_range
from personalization_pipelines.models.forms.form import Arrays, Form, Learned, Lists, Rows, Scores
from personalization_pipelines.models.matrices.training_data import TrainingData
from personalization_pipelines.models.parameters import KnownWebsite, Model


@dataclass(frozen=True)
class OneList(Form):
    """One list of rows, best first, for every question there is."""

    form: ClassVar[str] = "one_list"
    schema: ClassVar[Mapping[str, str]] = {"best": "<i4"}
    best: Rows

    def arrays(self) -> Arrays:
        return {"best": self.best}

    @classmethod
    def of(cls, texts: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(arrays["best"])

    def check(self, items: int, thorough: bool = True) -> None:
        check_range("one_list_best", self.best, 0, items, thorough)

    def moved(self, rows: NDArray[np.int32], items: int) -> Self:
        moved = rows[self.best]
        return type(self)(moved[moved >= 0])

    def listed(self) -> Iterator[Lists]:
        scores = np.arange(len(self.best), 0, -1, dtype=np.float32)
        yield Lists(np.array([0, len(self.best)], np.int64), self.best, scores)

    def answered(self, good: NDArray[np.bool_], types: Collection[int], without_self: bool) -> NDArray[np.bool_]:
        return np.full(len(good), bool(good[self.best].any()))

    def example(self) -> tuple[str | int, Rows, Scores] | None:
        (lists,) = self.listed()
        return ("", *lists.of(0)) if len(self.best) else None


class Backwards(Model):
    """`backwards`: the last items of the catalogue first."""

    type: Literal["backwards"]
    """The last items of the catalogue first."""

    def learner(self, website: KnownWebsite) -> BackwardsLearner:
        return BackwardsLearner(self.list_length)


class BackwardsLearner:
    version = 1
    hourly = False
    features: tuple[str, ...] = ("items",)
    events: tuple[str, ...] = ()

    def __init__(self, length: int) -> None:
        self.length = length

    def learn(self, data: TrainingData) -> Learned:
        rows = np.flatnonzero(data.allowed)[::-1][: self.length].astype(np.int32)
        return Learned(OneList(rows))
