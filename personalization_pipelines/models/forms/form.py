"""What models answer with, whatever their kind: lists of item rows, and the contract of a form of answer.

Every model learns in *rows*: positions in one `ItemIndex`. A model answers with lists of rows, best
first, scores above 0, ties broken by the row (rows are in order of item type and item id). A *form* is one kind of
answer (a ranking, neighbours of an item …): its arrays are the same in a model's files and in a publication's, so one
class writes, checks and reads both; `serving.recommending.candidates` has one file a form that asks it.
numpy only: the server imports this too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Scores = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]

_CHUNK = 65_536
MAIN = ""
"""The key of a model's main answer among its parts; the others are answers for parts of the visitors or items."""


@dataclass(frozen=True)
class Lists:
    """Many ranked lists in one pair of arrays: list `i` is `rows[starts[i]:starts[i+1]]`, best first."""

    starts: NDArray[np.int64]
    rows: Rows
    scores: Scores

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, number: int) -> tuple[Rows, Scores]:
        """Return rows and scores of one list."""
        part = slice(self.starts[number], self.starts[number + 1])
        return self.rows[part], self.scores[part]

    def holding(self, good: NDArray[np.bool_], without_self: bool) -> NDArray[np.bool_]:
        """Return which lists hold a good row (`without_self`: another than the list's own number).

        In chunks, so that memory does not follow the length of the lists.
        """
        held = np.zeros(len(self), np.bool_)
        for first in range(0, len(self), _CHUNK):
            starts = self.starts[first : first + _CHUNK + 1]
            rows = self.rows[starts[0] : starts[-1]]
            hits = good[rows]
            if without_self:
                own = np.repeat(np.arange(first, first + len(starts) - 1, dtype=np.int32), np.diff(starts))
                hits &= rows != own
            before = np.concatenate(([0], np.cumsum(hits)))
            held[first : first + _CHUNK] = np.diff(before[starts - starts[0]]) > 0
        return held

    def filled(self) -> int:
        """Return how many lists hold at least one item."""
        return int(np.count_nonzero(np.diff(self.starts)))


class Form(ABC):
    """One kind of answer, as arrays whose rows are those of the items beside it."""

    form: ClassVar[str]
    """Its name: what files and the server call it."""
    schema: ClassVar[Mapping[str, str]]
    """Names and types (numpy, little-endian) of its arrays, each of one dimension."""

    @property
    def texts(self) -> tuple[str, ...]:
        """What it has besides arrays: the keys of its lists."""
        return ()

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return its arrays by the names of `schema`."""

    @classmethod
    @abstractmethod
    def of(cls, texts: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the answer that `texts` and `arrays` describe; the opposite of both."""

    @abstractmethod
    def check(self, items: int, thorough: bool = True) -> None:
        """Raise CorruptData where an array does not fit the others, or a row is not below `items`."""

    @abstractmethod
    def moved(self, rows: NDArray[np.int32], items: int) -> Self:
        """Return it in other rows: row `i` becomes `rows[i]` of `items` (-1: the item is gone)."""

    @abstractmethod
    def listed(self) -> Iterator[Lists]:
        """Yield the lists that hold everything it could answer, for the gates."""

    @abstractmethod
    def answered(self, good: NDArray[np.bool_], types: Collection[int], without_self: bool) -> NDArray[np.bool_]:
        """Return which items, as the one context item of a request, get an answer in which a `good` item stands.

        `types` are the item types asked for; `without_self`: an item is no answer to itself.
        """

    @abstractmethod
    def example(self) -> tuple[str | int, Rows, Scores] | None:
        """Return a list for people to look at, with its key or the row that it belongs to; None where there is none."""

    @property
    def lists_held(self) -> int:
        """How many lists hold at least one item."""
        return sum(lists.filled() for lists in self.listed())

    @property
    def best_score(self) -> float:
        """The highest score it gives for a context of one item; 0 where it knows nothing."""
        return max((float(lists.scores.max()) for lists in self.listed() if len(lists.scores)), default=0.0)


@dataclass(frozen=True)
class ItemIndex:
    """What a model's rows mean: row `i` is item `ids[i]` of type `types[i]`, in order of type and id."""

    types: NDArray[np.int32]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Learned:
    """What a model learned: its answer, and how many events and visitors it learned from.

    `variants` are answers of the same form for a part of the visitors, items or hours, by a key that says which.
    """

    answer: Form
    variants: Mapping[str, Form] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Form]:
        """All answers by their keys, the main one first."""
        return {MAIN: self.answer, **self.variants}

    @property
    def lists(self) -> int:
        """How many lists hold at least one item."""
        return sum(part.lists_held for part in self.parts.values())
