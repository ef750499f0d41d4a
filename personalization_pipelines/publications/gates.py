"""The gates before a publication is switched to: pure functions from publications to rows of name, value, limit.

- `coverage`: of the catalogue items that are valid at the publication's time, not on a blacklist and of a
  type that some scenario gives out, the share that stands in at least one list of a model of such a scenario.
- `empty contexts`: of the valid, allowed items of a scenario's input type, the share that gets no answer as
  the only context item, from any level; the worst of the scenarios that ask a model with context. Category
  filters of levels are not applied, since they depend on the request; fixed exclusions are.
- `item drop`: how much smaller the catalogue is than that of the publication that serves now.
- `test n`: the recommendation tests of the website's YAML, answered by the function the caller brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import QualityGateFailed
from personalization_pipelines.models.forms.form import Lists
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.scenarios.plan import PlanReference, PlanScenario
from personalization_pipelines.website import Website
from personalization_pipelines.website.values import RecommendationTest

Flags = NDArray[np.bool_]
Context = tuple[tuple[int, str], ...]
Answer = Callable[[Publication, str, str, Context], Sequence[int]]
"""Answers one question: publication, scenario, user, context items (type, id) → item rows, best first (50 at most)."""

_CHUNK = 100_000


@dataclass(frozen=True)
class Gate:
    """One gate's verdict; `detail` says what a failing one found, in words."""

    name: str
    value: float | str
    limit: float | str
    passed: bool
    detail: str = ""

    def row(self) -> dict[str, object]:
        """Return the gate for a table."""
        return asdict(self)


def check_gates(
    publication: Publication, website: Website, serving_items: int | None, answer: Answer | None = None
) -> list[Gate]:
    """Return the verdict of every gate of `website` on a publication.

    `serving_items` is the catalogue size of the publication that serves now (None: there is none). Without
    `answer` the recommendation tests are listed as not run.
    """
    limits = website.quality.publication
    gates = [_coverage_gate(publication, limits.min_coverage), _context_gate(publication, limits.max_empty_contexts)]
    gates.append(_drop_gate(len(publication.items), serving_items, website.quality.items.max_drop))
    for number, test in enumerate(website.tests, 1):
        gates.append(_test_gate(publication, website, f"test {number}: {test.scenario}", test, answer))
    return gates


def require(gates: Sequence[Gate]) -> None:
    """Raise QualityGateFailed with a sentence for each gate that did not pass."""
    failed = [
        f"{gate.name} is {_text(gate.value)}, limit {_text(gate.limit)}. {gate.detail}"
        for gate in gates
        if not gate.passed
    ]
    if failed:
        raise QualityGateFailed("not published, what was published before keeps serving: " + " ".join(failed))


def coverage(publication: Publication) -> tuple[int, int]:
    """Return how many catalogue items any model of any scenario can recommend, and of how many (module docstring)."""
    wanted, reached = (np.zeros(len(publication.items), bool) for _ in range(2))
    for scenario in publication.plan.scenarios.values():
        good = answerable(publication, scenario)
        wanted |= good
        listed = np.zeros(len(good), bool)
        for lists in _lists(publication, scenario):
            listed[lists.rows] = True
        reached |= good & listed
    return int(reached.sum()), int(wanted.sum())


def empty_contexts(publication: Publication, scenario: PlanScenario) -> NDArray[np.intp]:
    """Return the rows of the valid items that, as the one context item of a scenario, get no answer from any level."""
    good = answerable(publication, scenario)
    items = publication.items
    empty = _valid(publication) & items.allowed & (items.types == scenario.input)
    for level in scenario.levels:
        for reference in level.models:
            empty &= ~_answered(publication, scenario, reference, good)
    return np.flatnonzero(empty)


def takes_items(publication: Publication, scenario: PlanScenario) -> bool:
    """Tell whether a scenario asks a model that needs context, with the context items of the request."""
    return any(
        publication.plan.models[reference.model].needs != "none" and reference.context != "history"
        for level in scenario.levels
        for reference in level.models
    )


def answerable(publication: Publication, scenario: PlanScenario) -> Flags:
    """Return which items a scenario may give out at the publication's time, whoever asks."""
    items = publication.items
    good: Flags = _valid(publication) & items.allowed & np.isin(items.types, scenario.output)
    for path in scenario.filters.exclude_categories:
        low, high = items.below(path)
        hits = (items.category_codes >= low) & (items.category_codes < high)
        good &= ~_any(items.category_starts, hits)
    return good


def _valid(publication: Publication) -> Flags:
    items = publication.items
    flags: Flags = (items.valid_from <= publication.as_of) & (publication.as_of < items.valid_to)
    return flags


def _lists(publication: Publication, scenario: PlanScenario) -> Iterator[Lists]:
    for name in scenario.models():
        model = publication.models[name]
        for part in model.parts.values():
            yield from part.listed()


def _answered(publication: Publication, scenario: PlanScenario, reference: PlanReference, good: Flags) -> Flags:
    """Return which items, as context, get at least one item that may be given out from one model."""
    model = publication.models[reference.model]
    if model.needs != "none" and reference.context == "history":
        return np.zeros(len(good), bool)
    return model.answer.answered(good, scenario.output, scenario.filters.exclude_context_items)


def _any(starts: NDArray[np.int64], hits: Flags) -> Flags:
    """Return for each list whether one of its elements is a hit."""
    flags = np.zeros(len(starts) - 1, bool)
    filled = np.flatnonzero(starts[1:] > starts[:-1])  # `reduceat` has no empty parts
    if len(filled):
        flags[filled] = np.logical_or.reduceat(hits, starts[filled])
    return flags


def _coverage_gate(publication: Publication, limit: float) -> Gate:
    reached, wanted = coverage(publication)
    share = reached / wanted if wanted else 1.0
    passed = share >= limit
    detail = f"{reached:,} of {wanted:,} items can be recommended" + (
        "." if passed else "; build more models or add levels, or lower the limit."
    )
    return Gate("coverage", share, limit, passed, detail)


def _context_gate(publication: Publication, limit: float) -> Gate:
    worst, detail = 0.0, "No scenario asks a model with context."
    for scenario in publication.plan.scenarios.values():
        if not takes_items(publication, scenario):
            continue
        count = int(
            (_valid(publication) & publication.items.allowed & (publication.items.types == scenario.input)).sum()
        )
        rows = empty_contexts(publication, scenario)
        share = len(rows) / count if count else 0.0
        if share >= worst:
            some = ", ".join(publication.items.ids[int(row)] for row in rows[:3])
            worst = share
            detail = f"Scenario {scenario.name!r} has no answer for {len(rows):,} of {count:,} items" + (
                f", such as {some}; add a level that always answers." if some else "."
            )
    return Gate("empty contexts", worst, limit, worst <= limit, detail)


def _drop_gate(items: int, serving: int | None, limit: float) -> Gate:
    if not serving:
        return Gate("item drop", 0.0, limit, True, "Nothing serves yet to compare with.")
    drop = max(0.0, 1 - items / serving)
    detail = f"{items:,} items where {serving:,} serve now"
    if drop <= limit:
        return Gate("item drop", drop, limit, True, f"{detail}.")
    return Gate("item drop", drop, limit, False, f"{detail}; where that is meant, raise `quality.items.max_drop`.")


def _test_gate(
    publication: Publication, website: Website, name: str, test: RecommendationTest, answer: Answer | None
) -> Gate:
    if answer is None:
        return Gate(name, "not run", "", True, "Nobody to answer was given.")
    scenario = publication.plan.scenarios[test.scenario]
    context = tuple((scenario.input, website.item_id(str(item))) for item in test.context)
    rows = answer(publication, test.scenario, test.user, context)
    expect, found = test.expect, []
    if expect.at_least is not None and len(rows) < expect.at_least:
        found.append(f"It gave {len(rows)} items.")
    if expect.never_category is not None:
        low, high = publication.items.below(expect.never_category)
        wrong = [publication.items.ids[row] for row in rows if _inside(publication, row, low, high)]
        found += [f"Items below {expect.never_category}: {', '.join(wrong[:5])}."] if wrong else []
    limit = ", ".join(f"{key} {value}" for key, value in expect.model_dump(exclude_none=True).items())
    return Gate(name, f"{len(rows)} items", limit, not found, " ".join(found))


def _inside(publication: Publication, row: int, low: int, high: int) -> bool:
    codes = publication.items.codes(row)
    return bool(((codes >= low) & (codes < high)).any())


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1%}"
