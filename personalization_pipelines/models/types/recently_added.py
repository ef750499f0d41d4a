"""`recently_added`: items first imported, or valid from, within `item_age`; newest first. Not from events."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import numpy as np

from personalization_pipelines.foundation.fields import Span
from personalization_pipelines.models.forms.form import Learned
from personalization_pipelines.models.forms.ranking import site_lists
from personalization_pipelines.models.matrices.training_data import TrainingData
from personalization_pipelines.models.parameters import KnownWebsite, Model


class RecentlyAdded(Model):
    """`recently_added`: items first imported (or valid) within `item_age`, newest first."""

    type: Literal["recently_added"]
    """Items that are new in the catalogue, newest first."""
    item_age: Span = timedelta(days=10)
    """How long an item is new."""

    def learner(self, website: KnownWebsite) -> RecentlyAddedLearner:
        """Return what learns it."""
        return RecentlyAddedLearner(self)


class RecentlyAddedLearner:
    """`recently_added` with its parameters."""

    version = 1
    hourly = True
    features: tuple[str, ...] = ("items",)
    events: tuple[str, ...] = ()

    def __init__(self, model: RecentlyAdded) -> None:
        self.model = model

    def learn(self, data: TrainingData) -> Learned:
        """Return a list an item type; the score is the share of `item_age` that is left (see `Learner`).

        An item that becomes valid while the model serves scores above 1.
        """
        age = self.model.item_age // timedelta(microseconds=1)
        left = (data.added - (data.hour - age)) / age
        scores = np.where(data.allowed, left, 0).astype(np.float32)
        return Learned(site_lists(data.index.types, scores, self.model.list_length))
