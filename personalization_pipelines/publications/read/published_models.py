"""The models of a publication: lists whose rows are rows of the publication's items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms.learned import Lists, Neighbours, Ranking
from personalization_pipelines.publications.format.arrays import (
    Array,
    check_length,
    check_range,
    check_scores,
    check_starts,
)
from personalization_pipelines.website.model_parameters import ContextKind

MODELS = "models.json"
MOST_RELEVANT = 1000
_RANKING = {"starts": "<i8", "rows": "<i4", "scores": "<f4", "relevance": "<i2", "events": "<i8", "users": "<i8"}
_NEIGHBOURS = {"starts": "<i8", "rows": "<i4", "scores": "<f4", "users": "<i8"}


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model in `models.json`; `keys` None: it has no ranking."""

    name: str
    number: int
    type: str
    needs: ContextKind
    build_id: str
    parameters: dict[str, Any]
    max_score: float
    keys: tuple[str, ...] | None
    neighbours: bool


def model_file(number: int) -> str:
    """Return the name of a model's file; the program names files, not the website's owner."""
    return f"model_{number}.bin"


def model_schema(entry: ModelEntry) -> dict[str, str]:
    """Return names and types of the arrays that a model of this entry has."""
    schema: dict[str, str] = {}
    if entry.keys is not None:
        schema |= {f"ranking_{name}": dtype for name, dtype in _RANKING.items()}
    if entry.neighbours:
        schema |= {f"neighbour_{name}": dtype for name, dtype in _NEIGHBOURS.items()}
    return schema


def relevance(scores: NDArray[np.float32], max_score: float) -> NDArray[np.int16]:
    """Return scores of a model as integers 1..1000, order kept (spec: models, notation).

    Scores above `max_score` (sums over several context items) count as 1000.
    """
    if not len(scores):
        return np.empty(0, np.int16)
    share = np.minimum(scores.astype(np.float64) / max_score, 1.0)
    scaled: NDArray[np.int16] = (1 + np.floor(share * (MOST_RELEVANT - 1))).astype(np.int16)
    return scaled


@dataclass(frozen=True)
class PublishedModel:
    """One model. `list_number` finds a ranking's list by its key; `ranking_relevance` runs beside its rows.

    `neighbours` has one list an item row. `max_score` is the highest score of the model (0 without lists).
    """

    name: str
    number: int
    type: str
    needs: ContextKind
    build_id: str
    parameters: dict[str, Any]
    max_score: float
    ranking: Ranking | None
    ranking_relevance: NDArray[np.int16]
    neighbours: Neighbours | None
    list_number: dict[str, int]

    @classmethod
    def of(cls, entry: ModelEntry, arrays: Mapping[str, Array]) -> PublishedModel:
        """Return the model that an entry and the arrays of its file describe."""
        ranking = neighbours = None
        if entry.keys is not None:
            lists = Lists(arrays["ranking_starts"], arrays["ranking_rows"], arrays["ranking_scores"])
            ranking = Ranking(entry.keys, lists, arrays["ranking_events"], arrays["ranking_users"])
        if entry.neighbours:
            lists = Lists(arrays["neighbour_starts"], arrays["neighbour_rows"], arrays["neighbour_scores"])
            neighbours = Neighbours(lists, arrays["neighbour_users"])
        return cls(
            name=entry.name,
            number=entry.number,
            type=entry.type,
            needs=entry.needs,
            build_id=entry.build_id,
            parameters=entry.parameters,
            max_score=entry.max_score,
            ranking=ranking,
            ranking_relevance=arrays.get("ranking_relevance", np.empty(0, np.int16)),
            neighbours=neighbours,
            list_number={key: number for number, key in enumerate(entry.keys or ())},
        )

    def relevance(self, score: float) -> int:
        """Return one score as an integer 1..1000, order kept, as `relevance` does for many."""
        if score >= self.max_score:
            return MOST_RELEVANT
        return 1 + int(score / self.max_score * (MOST_RELEVANT - 1))

    def check(self, items: int, thorough: bool) -> None:
        """Raise CorruptData where an array does not fit the others or a row lies outside the items."""
        try:
            if self.ranking is not None:
                self._check_ranking(self.ranking, items, thorough)
            if self.neighbours is not None:
                check_length("neighbour_starts", self.neighbours.lists.starts, items + 1)
                check_length("neighbour_users", self.neighbours.users, items)
                _check_lists("neighbour", self.neighbours.lists, items, thorough)
        except CorruptData as error:
            raise CorruptData(f"model {self.name!r}: {error}") from error

    def _check_ranking(self, ranking: Ranking, items: int, thorough: bool) -> None:
        keys = len(ranking.keys)
        if len(self.list_number) != keys:
            raise CorruptData("two lists of its ranking have the same key; publish again")
        check_length("ranking_starts", ranking.lists.starts, keys + 1)
        check_length("ranking_events", ranking.events, keys)
        check_length("ranking_users", ranking.users, keys)
        check_length("ranking_relevance", self.ranking_relevance, len(ranking.lists.rows))
        check_range("ranking_relevance", self.ranking_relevance, 1, MOST_RELEVANT + 1, thorough)
        _check_lists("ranking", ranking.lists, items, thorough)


def _check_lists(name: str, lists: Lists, items: int, thorough: bool) -> None:
    check_starts(f"{name}_starts", lists.starts, len(lists.rows), thorough)
    check_length(f"{name}_scores", lists.scores, len(lists.rows))
    check_range(f"{name}_rows", lists.rows, 0, items, thorough)
    check_scores(f"{name}_scores", lists.scores, thorough)
