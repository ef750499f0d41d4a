"""Scenarios as the website's YAML writes them: strategy levels and filters (spec: scenarios)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from personalization_pipelines.website.fields import Strict


class ModelReference(Strict):
    """One model of a strategy level; plain text in YAML means the model's main lists with all context."""

    model: str
    data: Literal["main", "submodels", "segments"] = "main"
    context: Literal["items", "history", "both"] = "both"
    weight: Annotated[int, Field(ge=1, le=10)] = 1

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"model": value} if isinstance(value, str) else value


class CategoryFilter(Strict):
    """Which categories a level may answer from, seen from the request's reference category.

    `site`: all. `same` with `levels_up`: the reference or an ancestor, and below. `main` with `depth`:
    the reference's first elements, and below. `reference: context` takes the context items' categories.
    """

    same: Literal[True] | None = None
    levels_up: Annotated[int, Field(ge=0, le=20)] = 0
    main: Literal[True] | None = None
    depth: Annotated[int, Field(ge=1, le=20)] = 1
    reference: Literal["request", "context"] = "request"

    @model_validator(mode="after")
    def _one_of(self) -> CategoryFilter:
        if (self.same is None) == (self.main is None):
            raise ValueError("a category filter is `site`, `{same: true, levels_up: n}` or `{main: true, depth: n}`")
        return self


class Level(Strict):
    """One strategy level: its models answer in parallel, interleaved one by one."""

    models: Annotated[list[ModelReference], Field(min_length=1)]
    category: Literal["site"] | CategoryFilter = "site"


class Filters(Strict):
    """What may not be recommended; applied in the order of the specification."""

    context_items: Literal["exclude", "keep"] = "exclude"
    already_bought: Literal["exclude", "keep"] = "keep"
    already_consumed: Literal["exclude", "keep"] = "keep"
    exclude_categories: list[str] = []
    exclude_context_category: bool = False
    minimum_price: float | None = None
    unknown_price: Literal["exclude", "keep"] | None = None
    at_least_context_price: bool = False
    variants: Literal["only", "none"] | None = None
    top_sellers: dict[str, Any] | None = None
    max_repeats: int | None = None
    boost: list[dict[str, Any]] | None = None
    demote: list[dict[str, Any]] | None = None
    diversity: dict[str, Any] | None = None


class Scenario(Strict):
    """One place on the website that asks for recommendations. Types are names of `item_types`."""

    input: str
    output: Annotated[list[str], Field(min_length=1)]
    strategy: Annotated[list[Level], Field(min_length=1)]
    filters: Filters = Filters()
    experiment: dict[str, Any] | None = None
