"""The parameters of every model type, as the website's YAML writes them (spec: models).

Only values: the code that learns is in `personalization_pipelines.models`. A type whose class is not in
`BUILT` parses, so that a file can be checked, and is refused with "not built yet" when loaded for use.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from personalization_pipelines.timespans import BuildSchedule, parse_schedule
from personalization_pipelines.website.fields import Schedule, Span, Strict

EventName = Literal["click", "consume", "basket", "wishlist", "rate", "buy"]
ContextKind = Literal["none", "items", "history"]


class Model(Strict):
    """What every model has: a length of its lists, and how often it is built."""

    build: Schedule = Field(default_factory=lambda: parse_schedule("daily"))
    list_length: Annotated[int, Field(ge=1, le=1000)] = 100
    submodels: dict[str, Any] | None = None
    segments: list[str | int] | None = None
    time_slots: list[list[str]] | None = None

    @property
    def needs(self) -> ContextKind:
        """What a request must bring: nothing, context items, or a visitor's history."""
        return "none"


class Learning(Model):
    """A model that learns from the events of the last `history`."""

    history: Span = timedelta(days=365)


class Popularity(Learning):
    """`popularity`: most wanted items of the site and of every category."""

    type: Literal["popularity"]
    event: EventName = "click"
    history: Span = timedelta(days=30)
    aging: Literal["none", "slow", "fast"] = "slow"
    count: Literal["buyers", "quantity"] = "buyers"

    @property
    def half_life(self) -> timedelta | None:
        """Age at which an event counts half; None: all events count alike."""
        divisor = {"none": None, "slow": 2, "fast": 8}[self.aging]
        return self.history / divisor if divisor else None


class AlsoDid(Learning):
    """`also_*`: items that the same visitors did the same thing on."""

    type: Literal["also_clicked", "also_bought", "also_consumed", "also_basket"]
    similarity: Literal["cosine", "jaccard", "llr", "lift"] = "cosine"
    shrinkage: Annotated[float, Field(ge=0)] = 0.0
    minimum_common_visitors: Annotated[int, Field(ge=1)] = 2
    max_items_per_user: Annotated[int, Field(ge=2)] = 200
    scope: Literal["visitor", "session"] = "visitor"

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
    weighting: Literal["bm25", "tfidf", "cosine"] = "bm25"
    neighbours: Annotated[int, Field(ge=1, le=1000)] = 300
    recency: Annotated[float, Field(gt=0)] = 2.0
    max_items_per_user: Annotated[int, Field(ge=2)] = 200

    @property
    def needs(self) -> ContextKind:
        """The visitor's history (context items of the request stand in for it)."""
        return "history"


class RecentlyAdded(Model):
    """`recently_added`: items first imported (or valid) within `item_age`, newest first."""

    type: Literal["recently_added"]
    item_age: Span = timedelta(days=10)


class ItemReference(Strict):
    """One item of a hand-made list; `id` is a number or quoted text."""

    type: Annotated[int, Field(ge=1)] = 1
    id: int | str


class Editorial(Model):
    """`editorial`: a fixed list, in its order."""

    type: Literal["editorial"]
    items: list[ItemReference]


class Blacklist(Model):
    """`blacklist`: items that are never recommended anywhere."""

    type: Literal["blacklist"]
    items: list[ItemReference]


class Later(Model):
    """A type of the specification that is not built yet; its parameters are not looked at."""

    model_config = {**Model.model_config, "extra": "allow"}
    type: Literal[
        "predictive_popularity", "ultimately_bought", "also_across_types", "bundle", "next_item", "session_knn",
        "matrix_factorization", "ease", "graph_filter", "visitor_profile", "similar_content", "random", "best_rated",
        "similar_rated", "history", "recurring_purchase", "b2b_last", "b2b_recurring",
    ]  # fmt: skip


AnyModel = Annotated[
    Popularity | AlsoDid | ItemKnn | RecentlyAdded | Editorial | Blacklist | Later, Field(discriminator="type")
]

__all__ = [
    "AlsoDid", "AnyModel", "Blacklist", "BuildSchedule", "ContextKind", "Editorial", "EventName", "ItemKnn",
    "ItemReference", "Later", "Learning", "Model", "Popularity", "RecentlyAdded",
]  # fmt: skip
