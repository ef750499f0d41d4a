"""What was picked as an answer names it; and the neighbours of much visited items, kept ready.

A product page's neighbours are the same for everyone: only the filters depend on the visitor and the moment. So
the first READY of an item's neighbours are kept as an answer names them, for the KEPT items that were asked for
last (some 2 KB each), and go when the publication goes.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice

from personalization_pipelines.publications.read.published import Publication, PublishedModel
from serving.recommending.candidates.asking import MOST_RELEVANT, Candidates
from serving.recommending.candidates.from_neighbours import FromNeighbours
from serving.recommending.question import ContextItem, Recommended
from serving.recommending.shelf import Shelf, shelf_of

READY = 16
"""How many neighbours of an item are kept ready; where the filters leave too few of them, the whole list is read."""

KEPT = 8192
"""Of how many items a worker keeps them, a publication."""

Pick = tuple[int, float, Candidates]
"""An item row, its model's score for it, and what the model said."""


class ReadyNeighbours:
    """The first neighbours of single context items of one publication; safe to use from several threads."""

    def __init__(self, shelf: Shelf, models: Mapping[str, PublishedModel]) -> None:
        self._shelf = shelf
        self._models = models
        self.of = lru_cache(maxsize=KEPT)(self._of)
        """`of(model, row, source)`: the items, best first; shared, so nobody may change them."""

    def _of(self, model: str, row: int, source: str) -> tuple[Recommended, ...]:
        candidates = FromNeighbours(self._models[model], [(row, source)], ())
        return tuple(recommended(self._shelf, [(*one, candidates) for one in islice(candidates.ranked(), READY)]))


def recommended(shelf: Shelf, picked: Sequence[Pick]) -> list[Recommended]:
    """Return picks with their origin and with a relevance that never rises."""
    by_model: dict[Candidates, list[Pick]] = {}
    for pick in picked:
        by_model.setdefault(pick[2], []).append(pick)
    origin: dict[int, tuple[ContextItem, ...]] = {}
    relevance: dict[int, int] = {}
    for candidates, picks in by_model.items():
        rows = [row for row, _, _ in picks]
        origin |= candidates.origins(shelf, rows)
        relevance |= zip(rows, candidates.relevances([said for _, said, _ in picks]), strict=True)
    ids, types, least, items = shelf.ids, shelf.types, MOST_RELEVANT, []
    for row, _, candidates in picked:
        if relevance[row] < least:
            least = relevance[row]
        model = candidates.model
        items.append(Recommended(row, types[row], ids[row], model.name, model.number, least, origin.get(row, ())))
    return items


_ready: weakref.WeakKeyDictionary[Publication, ReadyNeighbours] = weakref.WeakKeyDictionary()


def ready_of(publication: Publication) -> ReadyNeighbours:
    """Return what is kept ready of a publication."""
    ready = _ready.get(publication)
    if ready is None:
        ready = _ready[publication] = ReadyNeighbours(shelf_of(publication), publication.models)
    return ready
