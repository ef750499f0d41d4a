"""A question and its answer as values, so that HTTP, the command line and publication tests ask alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from personalization_pipelines.events.live.live_history import LiveEvent

HISTORY_CODES = ("CLICKED", "CONSUMED", "OWNS", "RATED", "BASKET", "WISHLIST")
DEFAULT_NUMBER = 10
MAX_NUMBER = 50

LiveHistory = Sequence[LiveEvent]
"""What a visitor did lately, newest first; empty for nobody, and where the live store is away."""


class Question(NamedTuple):
    """One request for recommendations; every field is already checked.

    `visitor` is the pseudonym ("" for nobody), `now` microseconds since 1970 (UTC). `items` are context
    items in canonical form (item type, item id), `histories` some of `HISTORY_CODES`; `categories` are
    reference paths like `/Women/Shirts`; `language` is "" for any.
    """

    now: int
    visitor: str = ""
    number: int = DEFAULT_NUMBER
    items: tuple[tuple[int, str], ...] = ()
    histories: tuple[str, ...] = ()
    output_types: tuple[int, ...] = ()
    categories: tuple[str, ...] = ()
    context_categories: bool = False
    nearest_category: bool = False
    explain: bool = False
    language: str = ""


class ContextItem(NamedTuple):
    """An item the answer starts from; `row` is -1 where the publication does not know it."""

    row: int
    item_type: int
    item: str
    source: str


@dataclass(slots=True)
class Recommended:
    """One recommended item. `relevance` is 1..1000 and never rises down the list."""

    row: int
    item_type: int
    item: str
    model: str
    number: int
    relevance: int
    origin: tuple[ContextItem, ...] = ()
    category: str = ""
    explanation: dict[str, Any] | None = None


@dataclass(slots=True)
class Answer:
    """What was found. `asked` is False where no model of the scenario could be asked at all (HTTP 409)."""

    items: list[Recommended]
    context: list[ContextItem]
    asked: bool
    used_history: bool
    levels: list[dict[str, Any]] = field(default_factory=list)
