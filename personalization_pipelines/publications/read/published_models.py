"""The models of a publication: lists whose rows are rows of the publication's items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms.form import MAIN, Form
from personalization_pipelines.models.forms.parts import PartEntry, parts_of
from personalization_pipelines.models.parameters import ContextKind
from personalization_pipelines.publications.format.arrays import Array

MODELS = "models.json"
MOST_RELEVANT = 1000


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model in `models.json`."""

    name: str
    number: int
    type: str
    needs: ContextKind
    build_id: str
    parameters: dict[str, Any]
    max_score: float
    parts: tuple[PartEntry, ...]


def model_file(number: int) -> str:
    """Return the name of a model's file; the program names files, not the website's owner."""
    return f"model_{number}.bin"


@dataclass(frozen=True)
class PublishedModel:
    """One model; `parts` are its answers by key, `max_score` is the highest score of any (0 without lists)."""

    name: str
    number: int
    type: str
    needs: ContextKind
    build_id: str
    parameters: dict[str, Any]
    max_score: float
    parts: Mapping[str, Form]

    @classmethod
    def of(cls, entry: ModelEntry, arrays: Mapping[str, Array]) -> PublishedModel:
        """Return the model that an entry and the arrays of its file describe."""
        named = {name: getattr(entry, name) for name in ("name", "number", "type", "needs", "build_id", "parameters")}
        return cls(**named, max_score=entry.max_score, parts=parts_of(entry.parts, arrays))

    @property
    def answer(self) -> Form:
        """Its main answer."""
        return self.parts[MAIN]

    @cached_property
    def list_number(self) -> dict[str, int]:
        """Where the list of each key of the main answer stands, for forms that have keys."""
        return {key: number for number, key in enumerate(self.answer.texts)}

    def relevance(self, score: float) -> int:
        """Return one score as an integer 1..1000, order kept (spec: models, notation).

        Scores above `max_score` (sums over several context items) count as 1000.
        """
        if score >= self.max_score:
            return MOST_RELEVANT
        return 1 + int(score / self.max_score * (MOST_RELEVANT - 1))

    def check(self, items: int, thorough: bool) -> None:
        """Raise CorruptData where an array does not fit the others or a row lies outside the items."""
        try:
            for part in self.parts.values():
                part.check(items, thorough)
        except CorruptData as error:
            raise CorruptData(f"model {self.name!r}: {error}; publish again") from error
