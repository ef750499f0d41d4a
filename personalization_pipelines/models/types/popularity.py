"""`popularity`: most wanted items of the site and of every category (spec: models, Popularity).

score(i) = sum over (visitor, item, day) of 2^(-age / half_life), age in whole days. A visitor counts once per item
and day, however often they came back, unless `count: quantity` asks for pieces. What nobody in particular did
(no visitor id) cannot be told apart and counts event by event.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.fields import Span
from personalization_pipelines.models.forms.form import Learned
from personalization_pipelines.models.forms.ranked_lists import rank_lists
from personalization_pipelines.models.forms.ranking import Ranking, category_key, site_key, without_empty
from personalization_pipelines.models.matrices.training_data import NOBODY, Interactions, TrainingData
from personalization_pipelines.models.parameters import EventName, KnownWebsite, Learning

BLOCK_ENTRIES = 2_000_000


class Popularity(Learning):
    """`popularity`: most wanted items of the site and of every category."""

    type: Literal["popularity"]
    """Most wanted items of the site and of every category."""
    event: EventName = "click"
    """The event that makes an item wanted."""
    history: Span = timedelta(days=30)
    """How far back the model looks."""
    aging: Literal["none", "slow", "fast"] = "slow"
    """How an event fades: its half-life is infinite, history/2 or history/8."""
    count: Literal["buyers", "quantity"] = "buyers"
    """For `event: buy`: whether a day's buyers or the pieces they bought count."""

    @property
    def half_life(self) -> timedelta | None:
        """Age at which an event counts half; None: all events count alike."""
        divisor = {"none": None, "slow": 2, "fast": 8}[self.aging]
        return self.history / divisor if divisor else None

    @property
    def foresees(self) -> str:
        """The event that makes an item wanted."""
        return self.event

    def learner(self, website: KnownWebsite) -> PopularityLearner:
        """Return what learns it."""
        return PopularityLearner(self)


class PopularityLearner:
    """`popularity` with its parameters."""

    version = 1
    hourly = False
    features: tuple[str, ...] = ("items", "item_categories", "visitor_item_days")

    def __init__(self, model: Popularity) -> None:
        self.model = model
        self.events: tuple[str, ...] = (model.event,)

    def learn(self, data: TrainingData) -> Learned:
        """Return a list for the site and for every category, for each item type (see `Learner`)."""
        found = data.of(self.events, self.model.history)
        if not data.allowed.all():
            found = found.select(data.allowed[found.row])
        scores = self._scores(found, data)
        keys, rows, groups = _groups(data)
        lists = rank_lists(groups, rows, scores[rows], count=len(keys), length=self.model.list_length)
        events, users = _witnesses(found, rows, groups, len(keys), len(data.index))
        nobody = found.events[found.visitor == NOBODY].sum()
        counts = {"events": int(found.events.sum()), "users": _distinct(found.visitor) + int(nobody)}
        return Learned(without_empty(Ranking(tuple(keys), lists, events, users)), counts=counts)

    def _scores(self, found: Interactions, data: TrainingData) -> NDArray[np.float32]:
        if self.model.count == "quantity":
            times = np.maximum(found.quantity, 0)
        else:
            times = np.where(found.visitor == NOBODY, found.events, 1)
        weight = _decay(data.day - found.day, self.model.half_life) * times
        return np.bincount(found.row, weights=weight, minlength=len(data.index)).astype(np.float32)


def _decay(age: NDArray[np.int32], half_life: timedelta | None) -> NDArray[np.float64]:
    if half_life is None:
        return np.ones(len(age))
    days = half_life / timedelta(days=1)
    by_age = np.exp2(-np.arange(int(age.max(initial=0)) + 1) / days)
    return by_age[age]


def _groups(data: TrainingData) -> tuple[list[str], NDArray[np.int32], NDArray[np.int64]]:
    """Return the keys of all lists, and which row belongs to which of them: columns (row, position in keys)."""
    types, site = np.unique(data.index.types, return_inverse=True)
    categories = data.categories
    pairs = categories.codes.astype(np.int64) * len(types) + site[categories.rows]
    found, category = np.unique(pairs, return_inverse=True)
    keys = [site_key(int(kind)) for kind in types]
    keys += [category_key(int(types[pair % len(types)]), categories.names[pair // len(types)]) for pair in found]
    rows = np.concatenate([np.arange(len(data.index), dtype=np.int32), categories.rows])
    return keys, rows, np.concatenate([site, category + len(types)]).astype(np.int64)


def _witnesses(
    found: Interactions, rows: NDArray[np.int32], groups: NDArray[np.int64], count: int, items: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many events, and how many different visitors, stand behind each of `count` groups.

    Visitors come in order, block by block, so the memory for telling them apart is bounded.
    """
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(items + 1))
    groups = groups[order]
    per_item = np.bincount(found.row, weights=found.events, minlength=items)
    events = np.bincount(groups, weights=per_item[rows[order]], minlength=count).astype(np.int64)
    unknown = np.bincount(found.row, weights=np.where(found.visitor == NOBODY, found.events, 0), minlength=items)
    users = np.bincount(groups, weights=unknown[rows[order]], minlength=count).astype(np.int64)
    for visitor, row in _blocks(found):
        size = starts[row + 1] - starts[row]
        places = np.repeat(starts[row] - (np.cumsum(size) - size), size) + np.arange(size.sum())
        pairs = np.repeat(visitor.astype(np.int64), size) * count + groups[places]
        pairs.sort()  # numpy.unique hashes, at four times the price
        users += np.bincount(pairs[np.flatnonzero(np.diff(pairs, prepend=-1))] % count, minlength=count)
    return events, users


def _blocks(found: Interactions) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Yield (visitors, rows) of known visitors, sorted by visitor, a visitor never in two blocks."""
    known = np.flatnonzero(found.visitor != NOBODY)
    known = known[np.argsort(found.visitor[known], kind="stable")]
    visitor, row = found.visitor[known], found.row[known]
    first = 0
    while first < len(visitor):
        last = min(first + BLOCK_ENTRIES, len(visitor)) - 1
        last = int(np.searchsorted(visitor, visitor[last], side="right"))
        yield visitor[first:last], row[first:last]
        first = last


def _distinct(visitors: NDArray[np.int32]) -> int:
    return int(np.count_nonzero(np.bincount(visitors[visitors != NOBODY])))
