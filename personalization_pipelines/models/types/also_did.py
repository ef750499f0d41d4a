"""`also_clicked`, `also_bought`, `also_consumed`, `also_basket`: A to B by those who did it on both (spec: models)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from personalization_pipelines.foundation.errors import NotBuiltYet
from personalization_pipelines.models.forms.form import Learned, Scores
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.matrices.neighbour_search import all_pairs, counts_of
from personalization_pipelines.models.matrices.similarity import SIMILARITIES, damped
from personalization_pipelines.models.matrices.training_data import TrainingData
from personalization_pipelines.models.matrices.user_items import user_items
from personalization_pipelines.models.parameters import (
    CONTEXT_ITEMS,
    CONTEXT_RECENCY,
    Asked,
    ContextKind,
    KnownWebsite,
    Learning,
)


class AlsoDid(Learning):
    """`also_*`: items that the same visitors did the same thing on."""

    type: Literal["also_clicked", "also_bought", "also_consumed", "also_basket"]
    """Items that the same visitors clicked, bought, consumed or put in the basket."""
    similarity: Literal["cosine", "jaccard", "llr", "lift"] = "cosine"
    """How alike two items with common visitors are."""
    shrinkage: Annotated[float, Field(ge=0)] = 0.0
    """Draws similarities with few common visitors towards 0."""
    minimum_common_visitors: Annotated[int, Field(ge=1)] = 2
    """Pairs with fewer common visitors do not count."""
    max_items_per_user: Annotated[int, Field(ge=2)] = 200
    """Only so many newest items of a visitor count, so that robots do not make the work quadratic."""
    scope: Literal["visitor", "session"] = "visitor"
    """Whether the same visitor or the same session makes two items alike."""

    @property
    def event(self) -> str:
        """The event that makes two items alike."""
        return {"also_clicked": "click", "also_bought": "buy", "also_consumed": "consume", "also_basket": "basket"}[
            self.type
        ]

    @property
    def needs(self) -> ContextKind:
        """Context items, of the request or of the visitor's history."""
        return "items"

    @property
    def foresees(self) -> str:
        """The event that makes two items alike."""
        return self.event

    def asked_with(self, weights: Mapping[str, float]) -> Asked:
        """Return the newest few items of the event: they stand in for the context items of a request."""
        return Asked({self.event: 1.0}, CONTEXT_RECENCY, CONTEXT_ITEMS)

    def learner(self, website: KnownWebsite) -> AlsoDidLearner:
        """Return what learns it."""
        return AlsoDidLearner(self)


class AlsoDidLearner:
    """`also_*`: A → B by the visitors who did the same event on both (spec: models, Collaborative).

    An item's list holds items of its own type. Similarities: see `similarity`.
    """

    version = 1
    hourly = False
    features: tuple[str, ...] = ("items", "item_categories", "visitor_item_days")

    def __init__(self, model: AlsoDid) -> None:
        if model.scope == "session":
            raise NotBuiltYet(f"{model.type}: `scope: session` is not built yet; use `scope: visitor`")
        self.model = model
        self.events: tuple[str, ...] = (model.event,)

    def learn(self, data: TrainingData) -> Learned:
        """Return one list an item (see `Learner`)."""
        model = self.model
        found = data.of(self.events, model.history)
        pairs = user_items(found, data.visitors, {model.event: 1.0}).newest(model.max_items_per_user)
        seen = np.bincount(pairs.row, minlength=len(data.index)).astype(np.int64)
        visitors = int(np.count_nonzero(np.diff(pairs.starts)))
        similarity = SIMILARITIES[model.similarity]

        def score(dot: Scores, a: NDArray[np.int32], b: NDArray[np.int32]) -> Scores:
            common = dot.astype(np.float64)
            value = damped(similarity(common, seen[a], seen[b], visitors), common, model.shrinkage)
            return value.astype(np.float32)

        useful = seen >= model.minimum_common_visitors
        lists = all_pairs(
            pairs.matrix(len(data.index)),
            rows=useful,
            columns=data.allowed & useful,
            score=score,
            least=model.minimum_common_visitors,
            length=model.list_length,
            groups=data.index.types,
        )
        return Learned(Neighbours(lists, seen), counts=counts_of(pairs, found.events.sum()))
