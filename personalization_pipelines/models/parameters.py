"""The parameters that all model types share, as the website's YAML writes them (spec: models).

A model type is a class derived from `Model` or `Learning`, in a file of its own below `models.types` (or in a package
that names it under the entry point group `personalization.models`): its parameters, and the learner that takes them.
A type of `Later` parses, so that the rest of a file can be checked, and `website.not_built` refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from personalization_pipelines.foundation.errors import NotBuiltYet
from personalization_pipelines.foundation.fields import Schedule, Span, Strict
from personalization_pipelines.foundation.timespans import parse_schedule

if TYPE_CHECKING:
    from personalization_pipelines.models.learner import Learner

EventName = Literal["click", "consume", "basket", "wishlist", "rate", "buy"]
ContextKind = Literal["none", "items", "history"]
CONTEXT_RECENCY = 2.0
"""How fast the items of a visitor's past lose weight where the model does not say it."""
PROFILE_ITEMS = 32
"""How many of a visitor's newest items are asked: the next ones weigh too little to change an answer."""
CONTEXT_ITEMS = 3
"""How many of a visitor's newest items stand in for the context items that a request does not bring."""


_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")


class KnownWebsite(Protocol):
    """What a model type may know of its website, whose file is read with all model types: it can not be imported."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of its days."""

    @property
    def event_weights(self) -> Mapping[str, float]:
        """What each event type weighs."""

    def item_id(self, text: str) -> str:
        """Return an item's id as it is stored. Raises InvalidIdentifier for one that the website can not have."""


class ItemReference(Strict):
    """One item of a hand-made list; `id` is a number or quoted text."""

    type: Annotated[int, Field(ge=1)] = 1
    """The item's type, one of `item_types`."""
    id: int | str
    """The item's id."""


@dataclass(frozen=True)
class Asked:
    """What of a visitor's past a model is asked with: events by weight, `recency` of ranks, number of newest items."""

    weights: Mapping[str, float]
    recency: float
    items: int


class Model(Strict):
    """What every model has: a length of its lists, and how often it is built."""

    type: str
    """Which kind of model it is."""
    build: Schedule = Field(default_factory=lambda: parse_schedule("daily"))
    """How often the model is built: hourly, daily, weekly or like `every 6h`."""
    list_length: Annotated[int, Field(ge=1, le=1000)] = 100
    """How many items each of its lists keeps."""
    submodels: dict[str, Any] | None = None
    """Lists of their own for values of item attributes."""
    segments: list[str | int] | None = None
    """Lists of their own for segments of visitors."""
    time_slots: list[list[str]] | None = None
    """Lists of their own for hours of the day, like [["08:00", "11:00"]]."""

    @field_validator("time_slots")
    @classmethod
    def _slots(cls, value: list[list[str]] | None) -> list[list[str]] | None:
        latest = ""
        for slot in sorted(value or []):
            if len(slot) != 2 or not all(_CLOCK.fullmatch(time) for time in slot) or slot[0] >= slot[1]:
                raise ValueError(f'{slot} is not a time slot; expected something like ["08:00", "11:00"]')
            if slot[0] < latest:
                raise ValueError(f"the time slot {slot} overlaps the one that ends at {latest}")
            latest = slot[1]
        return value

    @property
    def needs(self) -> ContextKind:
        """What a request must bring: nothing, context items, or a visitor's history."""
        return "none"

    @property
    def named_items(self) -> tuple[ItemReference, ...]:
        """The items that the website's file names in it."""
        return ()

    def learner(self, website: KnownWebsite) -> Learner:
        """Return what learns this model. Every type but those that are not built says so."""
        raise NotBuiltYet(f"the model type `{self.type}` is not built yet")


class Learning(Model):
    """A model that learns from the events of the last `history`."""

    history: Span = timedelta(days=365)
    """How far back the model looks."""

    @property
    def foresees(self) -> str | None:
        """The event that its evaluation asks about; None: the website's strong event, or the most frequent one."""
        return None

    def asked_with(self, weights: Mapping[str, float]) -> Asked:
        """Return with what of a visitor the model is asked where its answer starts from items (see `Asked`)."""
        return Asked(weights, CONTEXT_RECENCY, PROFILE_ITEMS)


class Later(Model):
    """A type of the specification that is not built yet; its parameters are not looked at."""

    model_config = {**Model.model_config, "extra": "allow"}
    type: Literal[
        "predictive_popularity", "ultimately_bought", "also_across_types", "bundle", "next_item", "session_knn",
        "matrix_factorization", "ease", "graph_filter", "visitor_profile", "similar_content", "random", "best_rated",
        "similar_rated", "history", "recurring_purchase", "b2b_last", "b2b_recurring",
    ]  # fmt: skip
    """A type that is not built yet."""
