"""Scenarios as the website's YAML writes them: strategy levels and filters (spec: scenarios)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from personalization_pipelines.foundation.fields import CategoryPath, Strict


class ModelReference(Strict):
    """One model of a strategy level; plain text in YAML means the model's main lists with all context."""

    model: str
    """The model's name."""
    data: Literal["main", "submodels", "segments"] = "main"
    """Which of the model's lists answer."""
    context: Literal["items", "history", "both"] = "both"
    """What the model starts from: the request's items, the visitor's history, or both."""
    weight: Annotated[int, Field(ge=1, le=10)] = 1
    """How many turns the model has in the round robin of its level."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"model": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A reference in YAML is the model's name, or the mapping."""
        return {"anyOf": [{"type": "string", "description": "The model's name."}, handler(core_schema)]}


class CategoryFilter(Strict):
    """Which categories a level may answer from, seen from the request's reference category.

    `site`: all. `same` with `levels_up`: the reference or an ancestor, and below. `main` with `depth`:
    the reference's first elements, and below. `reference: context` takes the context items' categories.
    """

    same: Literal[True] | None = None
    """The reference category, or an ancestor of it, and everything below."""
    levels_up: Annotated[int, Field(ge=0, le=20)] = 0
    """With `same`: how many levels above the reference category."""
    main: Literal[True] | None = None
    """The reference category's first elements, and everything below."""
    depth: Annotated[int, Field(ge=1, le=20)] = 1
    """With `main`: how many elements of the reference category's path."""
    reference: Literal["request", "context"] = "request"
    """Where the reference category comes from: the request's `categorypath`, or the context items."""

    @model_validator(mode="after")
    def _one_of(self) -> CategoryFilter:
        if (self.same is None) == (self.main is None):
            raise ValueError("a category filter is `site`, `{same: true, levels_up: n}` or `{main: true, depth: n}`")
        if self.same is None and "levels_up" in self.model_fields_set:
            raise ValueError("`levels_up` belongs to `same: true`")
        if self.main is None and "depth" in self.model_fields_set:
            raise ValueError("`depth` belongs to `main: true`")
        return self


def _category_kind(value: object) -> str:
    return "filter" if isinstance(value, dict | CategoryFilter) else "site"


Category = Annotated[
    Annotated[Literal["site"], Tag("site")] | Annotated[CategoryFilter, Tag("filter")], Discriminator(_category_kind)
]


class Level(Strict):
    """One strategy level: its models answer in parallel, interleaved one by one."""

    models: Annotated[list[ModelReference], Field(min_length=1)]
    """The models, the strongest first."""
    category: Category = "site"
    """Which categories the level may answer from: `site`, `{same: true, levels_up: n}`, `{main: true, depth: n}`."""


class Filters(Strict):
    """What may not be recommended; applied in the order of the specification."""

    context_items: Literal["exclude", "keep"] = "exclude"
    """Whether the items that the visitor looks at may be recommended."""
    already_bought: Literal["exclude", "keep"] = "keep"
    """Whether items that the visitor bought or owns may be recommended."""
    already_consumed: Literal["exclude", "keep"] = "keep"
    """Whether items that the visitor consumed within a year may be recommended."""
    exclude_categories: list[CategoryPath] = []
    """Categories whose items, and those of everything below, are never recommended here."""
    exclude_context_category: bool = False
    """Whether the context items' own categories are excluded."""
    minimum_price: float | None = None
    """Cheaper items are out."""
    unknown_price: Literal["exclude", "keep"] | None = None
    """Whether items without a price are out."""
    at_least_context_price: bool = False
    """Whether items cheaper than the context item are out."""
    variants: Literal["only", "none"] | None = None
    """Only variants of products, or only their base products."""
    top_sellers: dict[str, Any] | None = None
    """The current best sellers are out."""
    max_repeats: Annotated[int, Field(ge=1, le=100)] | None = None
    """An item shown so often in the visitor's session (30 minutes gap) is out."""
    boost: list[dict[str, Any]] | None = None
    """Items whose attribute equals one of the visitor's are ordered higher."""
    demote: list[dict[str, Any]] | None = None
    """Items whose attribute equals one of the visitor's are ordered lower."""
    diversity: dict[str, Any] | None = None
    """At most so many items of one category or attribute."""


class Scenario(Strict):
    """One place on the website that asks for recommendations. Types are names of `item_types`."""

    input: str
    """The type of the context items."""
    output: Annotated[list[str], Field(min_length=1)]
    """The types of the recommended items."""
    strategy: Annotated[list[Level], Field(min_length=1)]
    """The levels, most important first; the next is asked only for what is still missing."""
    filters: Filters = Filters()
    """What may not be recommended."""
    experiment: dict[str, Any] | None = None
    """Variants with shares of the traffic."""
