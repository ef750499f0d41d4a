"""Hand-made lists: `editorial` in its order, and `blacklist`, which is recommended nowhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.models.base import ItemIndex, Learned
from personalization_pipelines.models.site_lists import site_lists
from personalization_pipelines.models.training_data import TrainingData
from personalization_pipelines.website import Website
from personalization_pipelines.website.models import Blacklist, Editorial, ItemReference


class EditorialLearner:
    """`editorial`: the configured items, first named first, while they are valid and not blacklisted."""

    version = 1
    hourly = False
    features: tuple[str, ...] = ("items",)
    events: tuple[str, ...] = ()

    def __init__(self, model: Editorial, website: Website) -> None:
        self.model, self.website = model, website

    def learn(self, data: TrainingData) -> Learned:
        """Return a list an item type; an item's score is how many of the list's places come after it, and 1."""
        rows = rows_of(self.model.items, data.index, self.website)
        scores = np.zeros(len(data.index), np.float32)
        places = np.arange(len(rows), 0, -1)
        known = rows >= 0
        scores[rows[known][::-1]] = places[known][::-1]  # of an item named twice, the first place counts
        scores[~data.allowed] = 0
        ranking = site_lists(data, scores, self.model.list_length)
        return Learned(ranking, counts={"unknown": int(np.count_nonzero(~known))})


class BlacklistLearner:
    """`blacklist`: the configured items. Publications take them out of every answer."""

    version = 1
    hourly = False
    features: tuple[str, ...] = ("items",)
    events: tuple[str, ...] = ()

    def __init__(self, model: Blacklist, website: Website) -> None:
        self.model, self.website = model, website

    def learn(self, data: TrainingData) -> Learned:
        """Return the blacklisted items that are known, a list an item type, all with score 1."""
        rows = rows_of(self.model.items, data.index, self.website)
        scores = np.zeros(len(data.index), np.float32)
        scores[rows[rows >= 0]] = 1
        ranking = site_lists(data, scores, len(data.index))
        return Learned(ranking, counts={"unknown": int(np.count_nonzero(rows < 0))})


def rows_of(items: Sequence[ItemReference], index: ItemIndex, website: Website) -> NDArray[np.int64]:
    """Return the rows of configured items, -1 for those that the website does not have."""
    wanted = {(item.type, website.item_id(str(item.id))) for item in items}
    pairs = enumerate(zip(index.types.tolist(), index.ids, strict=True))
    rows = {pair: row for row, pair in pairs if pair in wanted}
    return np.array([rows.get((item.type, website.item_id(str(item.id))), -1) for item in items], np.int64)


def blacklisted(website: Website, index: ItemIndex) -> NDArray[np.bool_]:
    """Return for each row whether any `blacklist` model of the website names it."""
    named = [item for model in website.models.values() if isinstance(model, Blacklist) for item in model.items]
    marks = np.zeros(len(index), np.bool_)
    rows = rows_of(named, index, website)
    marks[rows[rows >= 0]] = True
    return marks
