"""How an answer is composed: levels, round robin, fallback (spec: scenarios, strategy). Pure: no clock, no I/O.

Three readings of the specification that it leaves open:
- An `items` model with `context: both` is asked with the request's context items, and with the visitor's
  history where the request names none. A `history` model with `both` takes the request's items as the newest
  part of the history.
- `levels_up` beyond the top of the reference category means the whole site.
- A level with a category filter, in a request without any reference category, answers from the whole site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.scenarios.plan import PlanCategory, PlanLevel, PlanReference, PlanScenario
from serving.recommending.candidates import candidates
from serving.recommending.candidates.asking import Asking, Candidates
from serving.recommending.filters.filter import Asked
from serving.recommending.filters.filter_chain import FilterChain
from serving.recommending.question import Answer, ContextItem, LiveHistory, Question, Recommended
from serving.recommending.ready import Pick, ready_of, recommended
from serving.recommending.sessions import shown_too_often
from serving.recommending.shelf import Ranges, Shelf, shelf_of
from serving.recommending.visitor_past import SOURCES, Past

OTHER_CATEGORY = "other category than the level's"


@dataclass(slots=True)
class _Composition:
    """One answer in the making."""

    publication: Publication
    shelf: Shelf
    scenario: PlanScenario
    question: Question
    past: Past
    context: list[ContextItem]
    filters: FilterChain
    picked: list[Pick] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    levels: list[dict[str, object]] = field(default_factory=list)
    asked: bool = False
    used_history: bool = False


def compose(
    publication: Publication,
    scenario: PlanScenario,
    question: Question,
    live: LiveHistory = (),
    shown: LiveHistory = (),
) -> Answer:
    """Answer a question from a publication, a visitor's live history and what was shown to the visitor."""
    shelf = shelf_of(publication)
    past = Past(publication, shelf, question.visitor, live)
    context = _context_items(shelf, scenario, question, past)
    most = scenario.filters.max_repeats
    shown = shelf.current_events(shown) if most else ()
    repeated = [shelf.rows[item] for item in shown_too_often(question.now, live, shown, most)] if most else ()
    filters = FilterChain(Asked(shelf, scenario.filters, question, context, past, repeated))
    made = _Composition(publication, shelf, scenario, question, past, context, filters)
    items = _of_one_item(made) or _of_all_levels(made)
    used_history = made.used_history or any(one.source != "REQUEST" for one in context)
    return Answer(items, context, made.asked, used_history, made.levels)


def _context_items(shelf: Shelf, scenario: PlanScenario, question: Question, past: Past) -> list[ContextItem]:
    """Return the request's items, then those its history codes mean, each item once."""
    found = {key: ContextItem(shelf.rows[key], *key, "REQUEST") for key in shelf.current(question.items)}
    for code in question.histories:
        for _, row, event in past.of_code(code, scenario.input):
            one = shelf.context_item(row, SOURCES[event])
            found.setdefault((one.item_type, one.item), one)
    return list(found.values())


def _of_one_item(made: _Composition) -> list[Recommended]:
    """Return the usual product page, the neighbours of one item that are kept ready; empty where it is no such page."""
    question, level = made.question, made.scenario.levels[0]
    if len(made.context) != 1 or len(level.models) != 1 or question.explain or question.nearest_category:
        return []
    reference, (row, _, _, source) = level.models[0], made.context[0]
    asks_items = reference.context != "history" and made.publication.models[reference.model].needs == "items"
    if row < 0 or not asks_items or level.category.kind != "site" or made.filters.judges:
        return []
    standing, excluded = made.filters.standing, made.filters.rows
    ready = ready_of(made.publication).of(reference.model, row, source)
    items = [one for one in ready if standing[one.row] and one.row not in excluded]
    if len(items) < question.number:
        return []
    made.asked = True
    return items[: question.number]


def _of_all_levels(made: _Composition) -> list[Recommended]:
    """Return the items of all levels that are needed, with category and explanation where asked for."""
    for level in made.scenario.levels:
        if len(made.picked) >= made.question.number:
            break
        _ask_level(made, level)
    items = recommended(made.shelf, made.picked)
    if made.question.nearest_category or made.question.explain:
        _add_details(made, items)
    return items


def _ask_level(made: _Composition, level: PlanLevel) -> None:
    paths = _level_paths(made, level.category)
    turns = []
    for reference in level.models:
        said = _ask(made, reference, paths)
        if said is not None:
            made.asked = True
            ranges = None if paths is None or said.by_category else made.shelf.ranges(paths)
            turns.append((_passing(made, said, ranges), reference.weight))
    if not made.question.explain:
        _take(made, turns)
        return
    before, dropped = len(made.picked), made.filters.dropped.copy()
    _take(made, turns)
    made.levels.append(_told(made, level, paths, before, dropped))


def _told(
    made: _Composition, level: PlanLevel, paths: tuple[str, ...] | None, before: int, dropped: Counter[str]
) -> dict[str, object]:
    """Return what `explain` says of a level; only candidates that were needed were looked at."""
    return {
        "models": [reference.model for reference in level.models],
        "categories": list(paths) if paths is not None else "site",
        "taken": len(made.picked) - before,
        "dropped": dict(made.filters.dropped - dropped),
    }


def _ask(made: _Composition, reference: PlanReference, paths: tuple[str, ...] | None) -> Candidates | None:
    """Return what a model says, None where it can not be asked: no context for it at all."""
    model = made.publication.models[reference.model]
    asking = Asking(made.question, paths, made.context, reference.context, made.past, made.scenario.input)
    said = candidates(model, asking)
    if said is not None:
        made.used_history = made.used_history or said.used_history
    return said


def _passing(made: _Composition, model: Candidates, ranges: Ranges | None) -> Iterator[Pick]:
    """Yield a model's candidates that may be shown and are not in the answer yet, best first."""
    taken, filters, shelf = made.taken, made.filters, made.shelf
    standing, excluded, plain = filters.standing, filters.rows, ranges is None and not filters.judges
    for row, score in model.ranked():
        if row in taken:
            continue
        if plain and standing[row] and row not in excluded:  # the usual case first
            yield row, score, model
        elif ranges is not None and not shelf.in_ranges(row, ranges):
            filters.dropped[OTHER_CATEGORY] += 1
        elif filters.passes(row):
            yield row, score, model


def _take(made: _Composition, turns: list[tuple[Iterator[Pick], int]]) -> None:
    """Take as many as are missing; one model's candidates are different items, so it needs no turns."""
    if len(turns) != 1:
        _round_robin(made, turns)
        return
    found = list(islice(turns[0][0], made.question.number - len(made.picked)))
    made.picked += found
    made.taken.update([row for row, _, _ in found])


def _round_robin(made: _Composition, turns: list[tuple[Iterator[Pick], int]]) -> None:
    """Take one item after the other, `weight` at a turn, the first model first, until there are enough."""
    while turns:
        going = []
        for passing, weight in turns:
            for _ in range(weight):
                pick = next(passing, None)
                if pick is None:
                    break
                made.taken.add(pick[0])
                made.picked.append(pick)
                if len(made.picked) == made.question.number:
                    return
            else:
                going.append((passing, weight))
        turns = going


def _level_paths(made: _Composition, category: PlanCategory) -> tuple[str, ...] | None:
    """Return the category paths a level may answer from, None for the whole site."""
    if category.kind == "site":
        return None
    references = made.question.categories
    if not references and (made.question.context_categories or category.reference == "context"):
        references = _context_paths(made)
    paths = dict.fromkeys(_moved(path, category) for path in references)
    return None if not paths or "" in paths else tuple(paths)


def _context_paths(made: _Composition) -> tuple[str, ...]:
    items = made.shelf.items
    return tuple(dict.fromkeys(path for one in made.context if one.row >= 0 for path in items.paths(one.row)))


def _moved(path: str, category: PlanCategory) -> str:
    """Return the ancestor of a path that a level's filter means, "" for the root.

    `same` goes `steps` up from the path (0 is the path itself); `main` keeps its first `steps` elements.
    """
    elements = path.strip("/").split("/")
    kept = elements[: category.steps] if category.kind == "main" else elements[: max(0, len(elements) - category.steps)]
    return "".join(f"/{element}" for element in kept)


def _add_details(made: _Composition, items: list[Recommended]) -> None:
    for one, (row, _, said) in zip(items, made.picked, strict=True):
        if made.question.nearest_category:
            one.category = _nearest_category(made, row)
        if made.question.explain:
            one.explanation = _explanation(made, said, one)


def _explanation(made: _Composition, said: Candidates, one: Recommended) -> dict[str, object]:
    return {
        "model": one.model,
        "type": said.model.type,
        "build": said.model.build_id,
        "supportingItems": [item.item for item in one.origin],
        "lists": list(said.keys),
        "usersCounted": said.users(one.origin),
        "filtersPassed": made.filters.names(),
    }


def _nearest_category(made: _Composition, row: int) -> str:
    """Return the item's own category that shares most with a reference category, then the least deep one."""
    references = [path.strip("/").split("/") for path in made.question.categories or _context_paths(made)]
    own = [path.strip("/").split("/") for path in made.shelf.items.paths(row)]

    ranked = [(-max((_common(path, one) for one in references), default=0), len(path), path) for path in own]
    return "/".join(min(ranked)[2]) if ranked else ""


def _common(one: list[str], two: list[str]) -> int:
    """Return how many elements two paths begin with in common."""
    return next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
