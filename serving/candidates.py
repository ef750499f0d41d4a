"""What one model has to say to a question: item rows with their relevance, best first, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from personalization_pipelines.models.base import Neighbours, Ranking, category_key, site_key
from personalization_pipelines.models.scoring import recency_weights, score_neighbours
from personalization_pipelines.scenarios.published import PublishedModel
from serving.question import ContextItem

ORIGIN_ITEMS = 3
"""How many context items an origin names at most, strongest first."""
DEFAULT_RECENCY = 2.0
LONGEST = 1000


@dataclass(slots=True)
class Candidates:
    """One model's ranked rows. `context` and `weights` are what neighbours were asked with."""

    model: PublishedModel
    rows: list[int]
    relevance: list[int]
    context: Sequence[ContextItem] = ()
    weights: list[float] = field(default_factory=list)
    keys: tuple[str, ...] = ()


def from_ranking(model: PublishedModel, types: tuple[int, ...], paths: tuple[str, ...] | None) -> Candidates:
    """Return a model's own lists: of the site (`paths` None), or of categories, united by score."""
    assert model.ranking is not None  # noqa: S101 - the plan asks only models that have a ranking this way
    if paths is None:
        keys = [site_key(item_type) for item_type in types]
    else:
        keys = [category_key(item_type, path) for item_type in types for path in paths]
    numbers = [model.list_number[key] for key in keys if key in model.list_number]
    found = tuple(model.ranking.keys[number] for number in numbers)
    rows, relevance = _united(model, model.ranking, numbers)
    return Candidates(model, rows, relevance, keys=found)


def _united(model: PublishedModel, ranking: Ranking, numbers: list[int]) -> tuple[list[int], list[int]]:
    parts = [slice(*ranking.lists.starts[number : number + 2].tolist()) for number in numbers]
    if len(parts) == 1:
        return ranking.lists.rows[parts[0]].tolist(), model.ranking_relevance[parts[0]].tolist()
    best: dict[int, tuple[float, int]] = {}
    for part in parts:
        scores, relevance = ranking.lists.scores[part].tolist(), model.ranking_relevance[part].tolist()
        for row, *said in zip(ranking.lists.rows[part].tolist(), scores, relevance, strict=True):
            best[row] = max(best.get(row, (0.0, 0)), (said[0], said[1]))
    order = sorted(best, key=lambda row: (-best[row][0], row))
    return order, [best[row][1] for row in order]


def from_neighbours(model: PublishedModel, asked: Sequence[ContextItem], past: Sequence[ContextItem]) -> Candidates:
    """Return the neighbours of context items, scores added up (spec: models, collaborative).

    Items of the request weigh 1 each where they are asked alone. Those of the visitor's history weigh
    exp(-rank / recency), newest first, and items of the request stand before them in rank.
    """
    neighbours = model.neighbours
    assert neighbours is not None  # noqa: S101 - the plan asks only models that have neighbours this way
    context = [one for one in (*asked, *past) if one.row >= 0]
    if past:
        weights = recency_weights(len(context), float(model.parameters.get("recency", DEFAULT_RECENCY)))
    else:
        weights = np.ones(len(context), np.float32)
    if len(context) == 1:
        rows, scores = neighbours.lists.of(context[0].row)
    else:
        rows, scores = score_neighbours(neighbours, np.array([one.row for one in context], np.int64), weights)
    total = float(weights.sum()) or 1.0
    relevance = [model.relevance(score / total) for score in scores.tolist()]
    return Candidates(model, rows.tolist(), relevance, context, weights.tolist())


def origins(candidates: Candidates, rows: list[int]) -> dict[int, tuple[ContextItem, ...]]:
    """Return, for each of some rows, the context items that spoke for it, strongest first.

    Only items of the strongest one's type and source, because an answer names one type and one source.
    """
    neighbours = candidates.model.neighbours
    if neighbours is None or not candidates.context or not rows:
        return {}
    if len(candidates.context) == 1:
        return dict.fromkeys(rows, (candidates.context[0],))
    said = _said_for(neighbours, candidates, rows)
    return {row: _alike([candidates.context[place] for _, place in sorted(said[row])]) for row in rows}


def _said_for(neighbours: Neighbours, candidates: Candidates, rows: list[int]) -> dict[int, list[tuple[float, int]]]:
    """Return, a row, (-weighted score, place in the context) of everything that spoke for it."""
    starts, lists = neighbours.lists.starts, neighbours.lists
    wanted = np.array(sorted(rows), np.int32)
    said: dict[int, list[tuple[float, int]]] = {row: [] for row in rows}
    parts = [slice(*starts[one.row : one.row + 2].tolist()) for one in candidates.context]
    found = np.concatenate([lists.rows[part] for part in parts])
    places = np.repeat(np.arange(len(parts)), [part.stop - part.start for part in parts])
    hits = np.flatnonzero(wanted.take(wanted.searchsorted(found), mode="clip") == found)
    ends = np.cumsum([0, *(part.stop - part.start for part in parts)]).tolist()
    for hit, row, place in zip(hits.tolist(), found[hits].tolist(), places[hits].tolist(), strict=True):
        score = float(lists.scores[parts[place].start + hit - ends[place]])
        said[row].append((-score * candidates.weights[place], place))
    return said


def _alike(context: list[ContextItem]) -> tuple[ContextItem, ...]:
    first = context[0]
    alike = [one for one in context if one.source == first.source and one.item_type == first.item_type]
    return tuple(alike[:ORIGIN_ITEMS])


def users_behind(candidates: Candidates, origin: Sequence[ContextItem]) -> int:
    """Return how many visitors stand behind a recommendation: of its origin's items, or of the whole list."""
    if candidates.model.neighbours is not None and origin:
        return sum(int(candidates.model.neighbours.users[one.row]) for one in origin)
    ranking = candidates.model.ranking
    if ranking is None:
        return 0
    return sum(int(ranking.users[candidates.model.list_number[key]]) for key in candidates.keys)
