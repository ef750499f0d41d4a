"""Publications made by hand for tests: a handful of items whose right answers one can see."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.models.forms.form import MAIN, Lists
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.publications.format.arrays import Coded, Texts
from personalization_pipelines.publications.format.publication_arrays import (
    Content,
    item_arrays,
    model_arrays,
    visitor_arrays,
)
from personalization_pipelines.publications.read.published import EVENTS
from personalization_pipelines.publications.read.published_items import ALWAYS as ALWAYS
from personalization_pipelines.publications.read.published_languages import language_arrays
from personalization_pipelines.publications.write.writing import write_publication
from personalization_pipelines.scenarios.plan import make_plan
from personalization_pipelines.website import Website

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = "20260301T120000000000Z-0123456789abcdef"


def visitor(user: str) -> str:
    """Return the pseudonym of a user of the test website."""
    return pseudonym(b"k" * 32, "00001", user)


@dataclass(frozen=True)
class Item:
    """One item of a test catalogue."""

    type: int
    id: str
    categories: Sequence[str] = ()
    price_minor: int = -1
    valid_from: int = ALWAYS.min
    valid_to: int = ALWAYS.max
    allowed: bool = True
    attributes: dict[str, list[object]] = field(default_factory=dict)
    language: str = ""
    further: dict[str, dict[str, list[object]]] = field(default_factory=dict)
    """Attributes in further languages, by language."""


def lists(*given: Sequence[tuple[int, float]]) -> Lists:
    """Return lists of (row, score)."""
    starts = np.cumsum([0, *map(len, given)]).astype(np.int64)
    flat = [pair for one in given for pair in one]
    rows = np.array([row for row, _ in flat], np.int32)
    return Lists(starts, rows, np.array([score for _, score in flat], np.float32))


def ranking(**given: Sequence[tuple[int, float]]) -> Ranking:
    """Return a ranking; `site_1=[…]` is the list `site:1`."""
    keys = tuple(key.replace("_", ":", 1) for key in given)
    ones = np.ones(len(keys), np.int64)
    return Ranking(keys, lists(*given.values()), ones * 10, ones * 3)


def neighbours(*given: Sequence[tuple[int, float]]) -> Neighbours:
    """Return neighbours of each row."""
    return Neighbours(lists(*given), np.arange(len(given), dtype=np.int64))


def content(
    website: Website,
    items: Sequence[Item],
    histories: dict[str, Sequence[tuple[int, str, int]]] | None = None,
    models: dict[str, Ranking | Neighbours] | None = None,
    transfers: Sequence[tuple[int, str, int, str]] = (),
) -> Content:
    """Return what a publication of these values holds; histories are (row, event, time) by user, newest first."""
    plan = make_plan(website)
    arrays, categories = item_arrays(
        np.array([item.type for item in items], np.int32),
        Texts.of([item.id for item in items]),
        price_minor=np.array([item.price_minor for item in items], np.int64),
        valid_from=np.array([item.valid_from for item in items], np.int64),
        valid_to=np.array([item.valid_to for item in items], np.int64),
        allowed=np.array([item.allowed for item in items], bool),
        path_starts=np.cumsum([0, *(len(item.categories) for item in items)]),
        paths=Coded.of([path for item in items for path in item.categories]),
        attributes=Texts.of([json.dumps(item.attributes) for item in items]),
    )
    histories = histories or {}
    flat = [event for history in histories.values() for event in history]
    visitors = visitor_arrays(
        [visitor(user) for user in histories],
        np.cumsum([0, *(len(history) for history in histories.values())]),
        np.array([row for row, _, _ in flat], np.int32),
        np.array([EVENTS.index(event) for _, event, _ in flat], np.uint8),
        np.array([time for _, _, time in flat], np.int64),
    )
    entries = []
    for name, part in (models or {}).items():
        entries.append(model_arrays(plan.models[name], "build-1", {"recency": 2.0}, {MAIN: part}))
    return Content(plan, arrays, categories, visitors, entries, *languages(items), transfers)


def languages(items: Sequence[Item]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the arrays and names of the items' languages."""
    further = [(row, name, texts) for row, item in enumerate(items) for name, texts in sorted(item.further.items())]
    return language_arrays(
        Coded.of([item.language for item in items]),
        np.array([row for row, _, _ in further], np.int32),
        Coded.of([name for _, name, _ in further]),
        Texts.of([json.dumps(texts) for _, _, texts in further]),
    )


def write(directory: Path, made: Content) -> Path:
    """Write a publication and return its directory."""
    write_publication(directory / ID, made, publication=ID, as_of=AS_OF)
    return directory / ID


def directory_digest(directory: Path) -> str:
    """Return the SHA-256 over names and bytes of every file below a directory."""
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(directory)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
