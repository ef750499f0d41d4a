"""All filters of a question in the order of the specification (spec: scenarios, filters), which is `ORDER`.

First of all stands what every answer keeps to: valid now, on no blacklist of the website, of an asked output type, in
the asked language. Last come filters that `ORDER` does not name: those that other packages bring by the entry point
group `personalization.filters`. A website's file that names a filter that is not built is refused when it is loaded.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

from personalization_pipelines.foundation.registration import registered
from serving.recommending.filters.already_bought import AlreadyBought
from serving.recommending.filters.already_consumed import AlreadyConsumed
from serving.recommending.filters.context_category import ContextCategory
from serving.recommending.filters.context_items import ContextItems
from serving.recommending.filters.excluded_categories import ExcludedCategories
from serving.recommending.filters.filter import Asked, Filter
from serving.recommending.filters.repeated_shows import RepeatedShows
from serving.recommending.filters.visitors_blacklist import VisitorsBlacklist

VALIDITY, LANGUAGE, OUTPUT_TYPE = "validity and blacklist", "language", "output type"

ORDER: tuple[type[Filter], ...] = (
    VisitorsBlacklist,
    ContextItems,
    AlreadyConsumed,
    AlreadyBought,
    ExcludedCategories,
    ContextCategory,
    RepeatedShows,
)

PACKAGE = "serving.recommending.filters"
GROUP = "personalization.filters"


@cache
def _kinds() -> tuple[type[Filter], ...]:
    """Return all filters in their order."""
    return (*ORDER, *(one for one in registered(PACKAGE, Filter, GROUP) if one not in ORDER))


class FilterChain:
    """The filters of one question; `dropped` counts, by name, what they kept out."""

    def __init__(self, asked: Asked) -> None:
        self.dropped: Counter[str] = Counter()
        self._question, self._shelf = asked.question, asked.shelf
        self.standing = asked.shelf.standing_of(
            asked.question.now, asked.question.output_types, asked.question.language
        )
        """One byte an item row: 1 where validity, blacklist, language and output type let it pass."""
        self._filters = [one for one in (kind.at_work(asked) for kind in _kinds()) if one is not None]
        self.rows: dict[int, str] = {}
        """The rows that this visitor may not be shown, with the name of the first filter that says so."""
        for one in reversed(self._filters):
            self.rows.update(dict.fromkeys(one.rows(), one.name))
        self._judges = [one for one in self._filters if one.judges]
        self.judges = bool(self._judges)
        """Whether any filter looks at each candidate; if not, `standing` and `rows` say all."""

    def passes(self, row: int) -> bool:
        """Tell whether an item may be shown, and count it if not."""
        reason = self.reason(row)
        if reason:
            self.dropped[reason] += 1
        return not reason

    def names(self) -> list[str]:
        """Return the names of the filters that were at work."""
        always = [VALIDITY, *([LANGUAGE] if self._question.language else []), OUTPUT_TYPE]
        return always + [one.name for one in self._filters]

    def reason(self, row: int) -> str:
        """Return the name of the first filter that keeps an item out, "" if none does."""
        question = self._question
        if not self.standing[row]:
            if not self._shelf.standing(question.now)[row]:
                return VALIDITY
            return OUTPUT_TYPE if self._shelf.types[row] not in question.output_types else LANGUAGE
        named = self.rows.get(row, "")
        if not self._judges:
            return named
        return next((one.name for one in self._filters if named == one.name or (one.judges and one.drops(row))), "")
