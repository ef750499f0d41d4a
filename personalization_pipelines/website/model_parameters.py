"""The parameters of every model type, as the website's YAML writes them (spec: models).

Only values: the code that learns is in `personalization_pipelines.models`. A type of `Later` parses, so
that the rest of a file can be checked, and `website.built` refuses it with "not built yet".
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from personalization_pipelines.foundation.timespans import BuildSchedule, parse_schedule
from personalization_pipelines.website.fields import Schedule, Span, Strict

EventName = Literal["click", "consume", "basket", "wishlist", "rate", "buy"]
ContextKind = Literal["none", "items", "history"]


_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")


class Model(Strict):
    """What every model has: a length of its lists, and how often it is built."""

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


class Learning(Model):
    """A model that learns from the events of the last `history`."""

    history: Span = timedelta(days=365)
    """How far back the model looks."""


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


class ItemKnn(Learning):
    """`item_knn`: neighbours of the visitor's own items, newest weighing most."""

    type: Literal["item_knn"]
    """Neighbours of the visitor's own items, newest weighing most."""
    weighting: Literal["bm25", "tfidf", "cosine"] = "bm25"
    """How much an item's popularity takes from its similarities."""
    neighbours: Annotated[int, Field(ge=1, le=1000)] = 300
    """How many neighbours an item has."""
    recency: Annotated[float, Field(gt=0)] = 2.0
    """An item of rank r in the visitor's history weighs exp(-r / recency)."""
    max_items_per_user: Annotated[int, Field(ge=2)] = 200
    """Only so many newest items of a visitor count."""

    @property
    def needs(self) -> ContextKind:
        """The visitor's history (context items of the request stand in for it)."""
        return "history"


class RecentlyAdded(Model):
    """`recently_added`: items first imported (or valid) within `item_age`, newest first."""

    type: Literal["recently_added"]
    """Items that are new in the catalogue, newest first."""
    item_age: Span = timedelta(days=10)
    """How long an item is new."""


class ItemReference(Strict):
    """One item of a hand-made list; `id` is a number or quoted text."""

    type: Annotated[int, Field(ge=1)] = 1
    """The item's type, one of `item_types`."""
    id: int | str
    """The item's id."""


class Editorial(Model):
    """`editorial`: a fixed list, in its order."""

    type: Literal["editorial"]
    """A fixed list, in its order."""
    items: Annotated[list[ItemReference], Field(min_length=1)]
    """The items, best first."""


class Blacklist(Model):
    """`blacklist`: items that are never recommended anywhere."""

    type: Literal["blacklist"]
    """Items that are never recommended anywhere."""
    items: list[ItemReference]
    """The items."""


class Later(Model):
    """A type of the specification that is not built yet; its parameters are not looked at."""

    model_config = {**Model.model_config, "extra": "allow"}
    type: Literal[
        "predictive_popularity", "ultimately_bought", "also_across_types", "bundle", "next_item", "session_knn",
        "matrix_factorization", "ease", "graph_filter", "visitor_profile", "similar_content", "random", "best_rated",
        "similar_rated", "history", "recurring_purchase", "b2b_last", "b2b_recurring",
    ]  # fmt: skip
    """A type that is not built yet."""


AnyModel = Annotated[
    Popularity | AlsoDid | ItemKnn | RecentlyAdded | Editorial | Blacklist | Later, Field(discriminator="type")
]

__all__ = [
    "AlsoDid", "AnyModel", "Blacklist", "BuildSchedule", "ContextKind", "Editorial", "EventName", "ItemKnn",
    "ItemReference", "Later", "Learning", "Model", "Popularity", "RecentlyAdded",
]  # fmt: skip
