"""Which candidates may not be shown, in the order of the specification (spec: scenarios, filters 1 to 4 and 8).

1. not valid now, on a blacklist, blacklisted by the visitor, another language, another output type; 2. context items;
3. already consumed, already bought or owned; 4. categories; 8. shown too often in this session. Other filters are
refused when the website's file is loaded, so none is ignored here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from personalization_pipelines.scenarios.plan import PlanFilters
from serving.recommending.question import ContextItem, Question
from serving.recommending.shelf import Ranges, Shelf
from serving.recommending.visitor_past import YEAR, Flags, Past

NAMES = (
    "validity and blacklist", "output type", "blacklist of the visitor", "context items",
    "already consumed", "already bought", "excluded categories", "categories of context items",
    "repeated shows",
)  # fmt: skip
LANGUAGE = "language"

_BOUGHT = Flags.of("buy", "owns")


class Filters:
    """The filters of one question; `dropped` counts, by name, what they kept out."""

    def __init__(
        self,
        shelf: Shelf,
        plan: PlanFilters,
        question: Question,
        context: list[ContextItem],
        past: Past,
        repeated: Collection[int] = (),
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._plan = plan
        self._shelf = shelf
        self._question = question
        self.standing = shelf.standing_of(question.now, question.output_types, question.language)
        """One byte an item row: 1 where validity, blacklist, language and output type let it pass."""
        self.rows = _excluded_rows(plan, question, context, past)
        for row in repeated:
            self.rows.setdefault(row, NAMES[8])
        """The rows that this visitor may not be shown, with the filter's name."""
        self._excluded, self._context = _excluded_ranges(shelf, plan, context)
        self.by_category = bool(self._excluded or self._context)

    def passes(self, row: int) -> bool:
        """Tell whether an item may be shown, and count it if not."""
        reason = self.reason(row)
        if reason:
            self.dropped[reason] += 1
        return not reason

    def names(self) -> list[str]:
        """Return the names of the filters that were at work."""
        always = [NAMES[0], *([LANGUAGE] if self._question.language else []), NAMES[1], NAMES[2]]
        plan = self._plan
        chosen = (plan.exclude_context_items, plan.exclude_consumed, plan.exclude_bought)
        switched = [name for name, on in zip(NAMES[3:6], chosen, strict=True) if on]
        later = (plan.exclude_categories, plan.exclude_context_category, plan.max_repeats)
        return always + switched + [name for name, on in zip(NAMES[6:], later, strict=True) if on]

    def reason(self, row: int) -> str:
        """Return the name of the first filter that keeps an item out, "" if none does."""
        question = self._question
        if not self.standing[row]:
            if not self._shelf.standing(question.now)[row]:
                return NAMES[0]
            return NAMES[1] if self._shelf.types[row] not in question.output_types else LANGUAGE
        if row in self.rows:
            return self.rows[row]
        if self._excluded and self._shelf.in_ranges(row, self._excluded):
            return NAMES[6]
        if self._context and self._shelf.in_ranges(row, self._context):
            return NAMES[7]
        return ""


def _excluded_rows(plan: PlanFilters, question: Question, context: list[ContextItem], past: Past) -> dict[int, str]:
    """Return the rows this visitor may not be shown, with the filter's name; the first filter counts."""
    rows = dict.fromkeys(past.rows_of(_BOUGHT), NAMES[5]) if plan.exclude_bought else {}
    since = question.now - YEAR
    for time, row, event in past.of(("blacklist", "consume") if plan.exclude_consumed else ("blacklist",)):
        if time >= since:
            rows[row] = NAMES[2] if event == "blacklist" or rows.get(row) == NAMES[2] else NAMES[4]
    if plan.exclude_context_items:
        for one in context:
            if rows.get(one.row) != NAMES[2]:
                rows[one.row] = NAMES[3]
    return rows


def _excluded_ranges(shelf: Shelf, plan: PlanFilters, context: list[ContextItem]) -> tuple[Ranges, Ranges]:
    excluded = shelf.ranges(plan.exclude_categories) if plan.exclude_categories else []
    if not plan.exclude_context_category:
        return excluded, []
    paths = tuple(path for one in context if one.row >= 0 for path in shelf.items.paths(one.row))
    return excluded, shelf.ranges(paths)
