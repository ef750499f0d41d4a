"""Candidates of the form `neighbours`: what goes with the items of the request, or of the visitor's past."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import ClassVar, Self

import numpy as np

from personalization_pipelines.models.forms.form import Form
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.scoring import score_neighbours
from personalization_pipelines.models.parameters import CONTEXT_RECENCY
from personalization_pipelines.publications.read.published import PublishedModel
from serving.recommending.candidates.asking import FIRST_LOOK, MOST_RELEVANT, Asking, Candidates, paired
from serving.recommending.question import ContextItem
from serving.recommending.shelf import Shelf
from serving.recommending.visitor_past import SOURCES, Entry

ORIGIN_ITEMS = 3
"""How many context items an origin names at most, strongest first."""
LEAST_WEIGHT = 0.01

Spoken = tuple[int, str, float]
"""A context item that a model is asked with: item row, source (`REQUEST`, `CLICK` …), weight."""


class FromNeighbours(Candidates):
    """The neighbours of context items, scores added up (spec: models, collaborative).

    Items of the request weigh 1 each. Those of the visitor's history weigh exp(-rank / recency), newest first;
    items of one moment share a rank, and where both are asked, the request's items are the newest.
    """

    form: ClassVar[type[Form]] = Neighbours

    def __init__(self, model: PublishedModel, asked: Sequence[tuple[int, str]], past: Iterable[Entry]) -> None:
        assert isinstance(model.answer, Neighbours)  # noqa: S101  # `candidates` chose this class by the form
        self.model, self._neighbours = model, model.answer
        self._spoken = _spoken(model, self._neighbours, asked, past)
        self._most = model.max_score * sum([weight for _, _, weight in self._spoken])

    @classmethod
    def ask(cls, model: PublishedModel, asking: Asking) -> Self | None:
        """Return the neighbours of the request's items and of the visitor's, None where there are neither."""
        asked, past, used_history = asking.items(model)
        if not asked and not used_history:
            return None
        made = cls(model, asked, past)
        made.used_history = used_history
        return made

    def ranked(self) -> Iterator[tuple[int, float]]:
        """Yield item rows, best first, each with its score."""
        neighbours = self._neighbours
        if not self._spoken:
            return iter(())
        if len(self._spoken) == 1:
            row, _, weight = self._spoken[0]
            rows, scores = neighbours.lists.of(row)
            return paired(rows, scores if weight == 1.0 else scores * np.float32(weight))
        return self._added_up(neighbours)

    def _added_up(self, neighbours: Neighbours) -> Iterator[tuple[int, float]]:
        asked = np.array([row for row, _, _ in self._spoken], np.int64)
        weights = np.array([weight for _, _, weight in self._spoken], np.float32)
        done = 0
        for top in (FIRST_LOOK, len(neighbours.users)):
            rows, scores = score_neighbours(neighbours, asked, weights, top=top)
            yield from zip(rows[done:].tolist(), scores[done:].tolist(), strict=True)
            if len(rows) < top:
                return
            done = len(rows)

    def relevances(self, said: Sequence[float]) -> list[int]:
        """Return scores as 1..1000: 1000 is the model's best neighbour for every item it was asked with."""
        most, steps = self._most, MOST_RELEVANT - 1
        return (
            [1 + int(one / most * steps) if one < most else MOST_RELEVANT for one in said]
            if most > 0
            else [1] * len(said)
        )

    def origins(self, shelf: Shelf, rows: Sequence[int]) -> dict[int, tuple[ContextItem, ...]]:
        """Return, for each of some rows that `ranked` gave, the context items that spoke for it, strongest first.

        Only items of the strongest one's type and source, because an answer names one type and one source.
        """
        if not rows:
            return {}
        if len(self._spoken) == 1:
            row, source, _ = self._spoken[0]
            return dict.fromkeys(rows, (shelf.context_item(row, source),))
        return {row: self._alike(shelf, sorted(said)) for row, said in self._said_for(self._neighbours, rows).items()}

    def _said_for(self, neighbours: Neighbours, rows: Sequence[int]) -> dict[int, list[tuple[float, int]]]:
        """Return, a row, (-weighted score, place in the context) of everything that spoke for it."""
        starts, lists = neighbours.lists.starts.data, neighbours.lists
        parts = [slice(starts[row], starts[row + 1]) for row, _, _ in self._spoken]
        ends = list(accumulate((part.stop - part.start for part in parts), initial=0))
        found = np.concatenate([lists.rows[part] for part in parts])
        wanted = np.array(sorted(rows), np.int32)
        hits = np.flatnonzero(wanted.take(wanted.searchsorted(found), mode="clip") == found).tolist()
        said: dict[int, list[tuple[float, int]]] = {row: [] for row in rows}
        all_rows, all_scores = lists.rows.data, lists.scores.data
        for hit in hits:
            place = bisect_right(ends, hit) - 1
            where = parts[place].start + hit - ends[place]
            said[all_rows[where]].append((-all_scores[where] * self._spoken[place][2], place))
        return said

    def _alike(self, shelf: Shelf, said: list[tuple[float, int]]) -> tuple[ContextItem, ...]:
        row, source, _ = self._spoken[said[0][1]]
        first = shelf.context_item(row, source)
        if len(said) == 1:
            return (first,)
        others = [self._spoken[place] for _, place in said[1:]]
        alike = [row for row, one, _ in others if one == source and shelf.types[row] == first.item_type]
        return (first, *(shelf.context_item(row, source) for row in alike[: ORIGIN_ITEMS - 1]))

    def users(self, origin: Sequence[ContextItem]) -> int:
        """Return how many visitors the items of an origin had."""
        return sum(int(self._neighbours.users[one.row]) for one in origin)


def _spoken(
    model: PublishedModel, neighbours: Neighbours, asked: Sequence[tuple[int, str]], past: Iterable[Entry]
) -> list[Spoken]:
    """Return the context items that have neighbours, with their weights, strongest first: 1 for each of the request."""
    starts = neighbours.lists.starts.data
    spoken = [(row, source, 1.0) for row, source in asked if row >= 0 and starts[row] < starts[row + 1]]
    if past:
        spoken += _remembered(model, starts, {row for row, _ in asked}, past, LEAST_WEIGHT if spoken else 0.0)
    return spoken


def _remembered(
    model: PublishedModel, starts: memoryview[int], seen: set[int], past: Iterable[Entry], least: float
) -> Iterator[Spoken]:
    """Yield the items of a visitor's history that have neighbours, with their weights, newest first.

    The weights are those of `recency_weights` in the offline evaluation, in plain Python: for a dozen items numpy
    costs five times as much. What weighs a hundredth of the strongest and less is left out: it could change no
    more than the order of near equals, and costs as much as the others.
    """
    recency = float(model.parameters.get("recency", CONTEXT_RECENCY))
    rank, moment = (0 if seen - {-1} else -1), None
    for time, row, event in past:
        if row in seen:
            continue
        seen.add(row)
        if time != moment:
            rank, moment = rank + 1, time
        weight = math.exp(-rank / recency)
        if weight <= least:
            return
        if starts[row] < starts[row + 1]:
            least = least or weight * LEAST_WEIGHT
            yield row, SOURCES[event], weight
