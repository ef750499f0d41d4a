"""Hand-made lists: `editorial` in its order, and `blacklist`, which is recommended nowhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.models.forms.learned import ItemIndex, Learned
from personalization_pipelines.models.forms.site_lists import site_lists
from personalization_pipelines.models.matrices.training_data import TrainingData
from personalization_pipelines.models.named_items import Item, banned_items, named_items
from personalization_pipelines.website import Website
from personalization_pipelines.website.model_parameters import Blacklist, Editorial


class EditorialLearner:
    """`editorial`: the configured items, first named first, while they are valid and not blacklisted.

    One that was transferred stands for its new item.
    """

    version = 2
    hourly = False
    features: tuple[str, ...] = ("items", "item_transfers")
    events: tuple[str, ...] = ()

    def __init__(self, model: Editorial, website: Website) -> None:
        self.model, self.website = model, website

    def learn(self, data: TrainingData) -> Learned:
        """Return a list an item type; an item's score is how many of the list's places come after it, and 1."""
        rows = rows_of(named_items(self.model.items, self.website, data.moved), data.index)
        scores = np.zeros(len(data.index), np.float32)
        places = np.arange(len(rows), 0, -1)
        known = rows >= 0
        scores[rows[known][::-1]] = places[known][::-1]  # of an item named twice, the first place counts
        scores[~data.allowed] = 0
        ranking = site_lists(data, scores, self.model.list_length)
        return Learned(ranking, counts={"unknown": int(np.count_nonzero(~known))})


class BlacklistLearner:
    """`blacklist`: the configured items, and the new one of each that was transferred.

    Publications take them out of every answer.
    """

    version = 2
    hourly = False
    features: tuple[str, ...] = ("items", "item_transfers")
    events: tuple[str, ...] = ()

    def __init__(self, model: Blacklist, website: Website) -> None:
        self.model, self.website = model, website

    def learn(self, data: TrainingData) -> Learned:
        """Return the blacklisted items that are known, a list an item type, all with score 1."""
        named = named_items(self.model.items, self.website, data.moved)
        unknown = int(np.count_nonzero(rows_of(named, data.index) < 0))
        scores = marked(banned_items([self.model], self.website, data.moved), data.index).astype(np.float32)
        return Learned(site_lists(data, scores, len(data.index)), counts={"unknown": unknown})


def rows_of(items: Sequence[Item], index: ItemIndex) -> NDArray[np.int64]:
    """Return the rows of items (type, id), -1 for those that the website does not have."""
    wanted = set(items)
    pairs = enumerate(zip(index.types.tolist(), index.ids, strict=True))
    rows = {pair: row for row, pair in pairs if pair in wanted}
    return np.array([rows.get(item, -1) for item in items], np.int64)


def marked(items: Collection[Item], index: ItemIndex) -> NDArray[np.bool_]:
    """Return for each row whether it is one of these items."""
    marks = np.zeros(len(index), np.bool_)
    rows = rows_of([*items], index)
    marks[rows[rows >= 0]] = True
    return marks
