"""Candidates of the form `ranking`: the lists of the site, or of the asked categories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

from personalization_pipelines.models.forms.form import Form
from personalization_pipelines.models.forms.ranking import Ranking, category_key, site_key
from personalization_pipelines.publications.read.published import PublishedModel
from serving.recommending.candidates.asking import Asking, Candidates, paired
from serving.recommending.question import ContextItem


class FromRanking(Candidates):
    """A model's own lists: of the site (`paths` None), or of categories, united by score."""

    form: ClassVar[type[Form]] = Ranking

    def __init__(self, model: PublishedModel, types: tuple[int, ...], paths: tuple[str, ...] | None) -> None:
        assert isinstance(model.answer, Ranking)  # noqa: S101  # `candidates` chose this class by the form
        self.model, self._ranking = model, model.answer
        if paths is None:
            keys = [site_key(item_type) for item_type in types]
        else:
            keys = [category_key(item_type, path) for item_type in types for path in paths]
        self.keys = tuple(key for key in keys if key in model.list_number)
        self.by_category = paths is not None

    @classmethod
    def ask(cls, model: PublishedModel, asking: Asking) -> Self:
        """Return the lists of the asked categories where the model has such lists, else the site's."""
        by_category = asking.paths is not None and _has_category_lists(model)
        return cls(model, asking.question.output_types, asking.paths if by_category else None)

    def ranked(self) -> Iterator[tuple[int, float]]:
        """Yield item rows, best first, each with its score."""
        numbers = [self.model.list_number[key] for key in self.keys]
        if len(numbers) == 1:
            return paired(*self._ranking.lists.of(numbers[0]))
        return iter(self._united(numbers))

    def _united(self, numbers: list[int]) -> list[tuple[int, float]]:
        """Return the items of several lists by their best score, ties by row."""
        best: dict[int, float] = {}
        for number in numbers:
            rows, scores = self._ranking.lists.of(number)
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
                best[row] = max(best.get(row, score), score)
        return sorted(best.items(), key=lambda one: (-one[1], one[0]))

    def relevances(self, said: Sequence[float]) -> list[int]:
        """Return scores as 1..1000: 1000 is the model's best score in any list."""
        return [self.model.relevance(one) for one in said]

    def users(self, origin: Sequence[ContextItem]) -> int:
        """Return how many visitors stand behind the lists."""
        return sum(int(self._ranking.users[self.model.list_number[key]]) for key in self.keys)


def _has_category_lists(model: PublishedModel) -> bool:
    return model.type == "popularity"
