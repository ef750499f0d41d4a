"""Hand-made lists: `editorial` in its order, and `blacklist`, which is recommended nowhere."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from personalization_pipelines.models.forms.form import Learned
from personalization_pipelines.models.forms.ranking import site_lists
from personalization_pipelines.models.matrices.training_data import TrainingData
from personalization_pipelines.models.named_items import banned_items, marked, named_items, rows_of
from personalization_pipelines.models.parameters import ItemReference, KnownWebsite, Model


class Editorial(Model):
    """`editorial`: a fixed list, in its order."""

    type: Literal["editorial"]
    """A fixed list, in its order."""
    items: Annotated[list[ItemReference], Field(min_length=1)]
    """The items, best first."""

    @property
    def named_items(self) -> tuple[ItemReference, ...]:
        """The items of the list."""
        return tuple(self.items)

    def learner(self, website: KnownWebsite) -> EditorialLearner:
        """Return what learns it."""
        return EditorialLearner(self, website)


class EditorialLearner:
    """`editorial`: the configured items, first named first, while they are valid and not blacklisted.

    One that was transferred stands for its new item.
    """

    version = 2
    hourly = False
    features: tuple[str, ...] = ("items", "item_transfers")
    events: tuple[str, ...] = ()

    def __init__(self, model: Editorial, website: KnownWebsite) -> None:
        self.model, self.website = model, website

    def learn(self, data: TrainingData) -> Learned:
        """Return a list an item type; an item's score is how many of the list's places come after it, and 1."""
        rows = rows_of(named_items(self.model.items, self.website, data.moved), data.index)
        scores = np.zeros(len(data.index), np.float32)
        places = np.arange(len(rows), 0, -1)
        known = rows >= 0
        scores[rows[known][::-1]] = places[known][::-1]  # of an item named twice, the first place counts
        scores[~data.allowed] = 0
        ranking = site_lists(data.index.types, scores, self.model.list_length)
        return Learned(ranking, counts={"unknown": int(np.count_nonzero(~known))})


class Blacklist(Model):
    """`blacklist`: items that are never recommended anywhere."""

    type: Literal["blacklist"]
    """Items that are never recommended anywhere."""
    items: list[ItemReference]
    """The items."""

    @property
    def named_items(self) -> tuple[ItemReference, ...]:
        """The items of the list."""
        return tuple(self.items)

    def learner(self, website: KnownWebsite) -> BlacklistLearner:
        """Return what learns it."""
        return BlacklistLearner(self, website)


class BlacklistLearner:
    """`blacklist`: the configured items, and the new one of each that was transferred.

    Publications take them out of every answer.
    """

    version = 2
    hourly = False
    features: tuple[str, ...] = ("items", "item_transfers")
    events: tuple[str, ...] = ()

    def __init__(self, model: Blacklist, website: KnownWebsite) -> None:
        self.model, self.website = model, website

    def learn(self, data: TrainingData) -> Learned:
        """Return the blacklisted items that are known, a list an item type, all with score 1."""
        named = named_items(self.model.items, self.website, data.moved)
        unknown = int(np.count_nonzero(rows_of(named, data.index) < 0))
        scores = marked(banned_items([self.model], self.website, data.moved), data.index).astype(np.float32)
        return Learned(site_lists(data.index.types, scores, len(data.index)), counts={"unknown": unknown})
