"""Offline evaluation: learn from before a cut, ask, and look at what visitors did after it.

Protocol "new items, by time". The test is the last tenth of the data's days (at least 1, at most 30), ending
with yesterday, so that a day's new events change nothing and the result can be kept. The right answers of a
visitor are the items they did the target event on in those days and had not done it on before; items they had
are taken out of the answers. A visitor counts who did anything before the cut and has a right answer. Of many
visitors the first 2,000 in order of their (random) pseudonym are asked: the same people build after build.

The target is the model's own event; for `item_knn` the website's strong event (buy or consume), or where nobody
did it the most frequent one. `also_*` is asked with the visitor's newest items. The floor is popularity of the
target event over the same history, without aging, asked the same questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.models.evaluation.ranking_metrics import DEPTH, Outcomes, outcomes, reach, summary
from personalization_pipelines.models.forms.form import Learned, Rows
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.models.forms.scoring import (
    recency_weights,
    score_neighbours,
)
from personalization_pipelines.models.learner import Learner
from personalization_pipelines.models.matrices.latest import Latest
from personalization_pipelines.models.matrices.training_data import (
    EVENT_NAMES,
    NOBODY,
    Categories,
    Interactions,
    TrainingData,
)
from personalization_pipelines.models.matrices.user_items import UserItems, user_items
from personalization_pipelines.models.parameters import Learning
from personalization_pipelines.models.types.popularity import Popularity, PopularityLearner

VERSION = 2
TEST_SHARE = 0.1
LARGEST_TEST_DAYS = 30
SAMPLE = 2000

Answer = Callable[[int, NDArray[np.int32]], Rows]
"""From (visitor, rows to leave out) to ranked rows."""


@dataclass(frozen=True)
class Questions:
    """A website's questions: what was known (`train`), who is asked, what is right, what they had already."""

    train: TrainingData
    target: str
    visitors: NDArray[np.int64]
    relevant: tuple[NDArray[np.int32], ...]
    had: tuple[NDArray[np.int32], ...]


@dataclass(frozen=True)
class Evaluation:
    """A model's metrics and the floor's, over the same questions, and the outcomes behind them."""

    metrics: dict[str, float]
    floor_metrics: dict[str, float]
    outcomes: Outcomes
    floor_outcomes: Outcomes


def target_event(model: Learning, data: TrainingData, strong_event: str) -> str:
    """Return the event that the model should foresee."""
    if model.foresees is not None:
        return model.foresees
    counts = np.bincount(data.interactions.event, minlength=len(EVENT_NAMES))
    return strong_event if counts[EVENT_NAMES.index(strong_event)] else EVENT_NAMES[int(counts.argmax())]


def period_of_test(data: TrainingData, target: str) -> tuple[int, int] | None:
    """Return the first and last day of the test, None where fewer than two whole days hold the target event."""
    days = data.of([target]).day
    days = days[days < data.day]
    if not len(days) or days.min() == days.max():
        return None
    length = round((int(days.max()) - int(days.min()) + 1) * TEST_SHARE)
    return int(days.max()) - min(max(length, 1), LARGEST_TEST_DAYS) + 1, int(days.max())


def questions(data: TrainingData, target: str, sample: int = SAMPLE) -> Questions | None:
    """Return the questions as of the cut, None where there is nobody to ask."""
    period = period_of_test(data, target)
    if period is None:
        return None
    key = (id(data.interactions), target, data.day, data.day_start, data.visitors, sample)
    _, asked = _asked.get(key, lambda: (data.interactions, _questions(data, target, period, sample)))
    if asked is None:
        return None
    then = asked.train
    train = replace(data, interactions=then.interactions, day=then.day, day_start=then.day_start, hour=then.hour)
    return replace(asked, train=train)


_asked: Latest[tuple[Interactions, Questions | None]] = Latest()
"""Models that learn from the same entries are asked the same; the entries are held so that their id stays theirs."""


def _questions(data: TrainingData, target: str, period: tuple[int, int], sample: int) -> Questions | None:
    first, last = period
    train = data.until(first - 1)
    found = data.of([target])
    test = found.where((found.day >= first) & (found.day <= last) & (found.visitor != NOBODY))
    right = user_items(test, data.visitors, {target: 1.0})
    had = user_items(train.of([target]), data.visitors, {target: 1.0})
    known = np.zeros(data.visitors, np.bool_)
    known[train.interactions.visitor[train.interactions.visitor != NOBODY]] = True
    return ask(train, target, right, had, np.flatnonzero(known), sample)


def ask(
    train: TrainingData, target: str, right: UserItems, had: UserItems, visitors: NDArray[np.intp], sample: int = SAMPLE
) -> Questions | None:
    """Return questions to the first `sample` of `visitors` (in order) who have something new to them in `right`."""
    held, wanted = np.sort(_pairs(had)), _pairs(right)
    new = np.searchsorted(held, wanted, "left") == np.searchsorted(held, wanted, "right")
    visitor, row = right.visitor[new], right.row[new]
    starts = np.searchsorted(visitor, np.arange(len(right.starts), dtype=np.int32))
    chosen = visitors[starts[visitors + 1] > starts[visitors]][:sample]
    if not len(chosen):
        return None
    relevant = tuple(row[starts[number] : starts[number + 1]] for number in chosen)
    owned = tuple(had.row[had.starts[number] : had.starts[number + 1]] for number in chosen)
    return Questions(train, target, chosen, relevant, owned)


def _pairs(found: UserItems) -> NDArray[np.int64]:
    return found.visitor.astype(np.int64) << 32 | found.row


def evaluate(asked: Questions, model: Learning, learner: Learner) -> Evaluation:
    """Return how well the model, learned as of the cut, answers; and how well popularity does."""
    floor = Popularity(type="popularity", event=asked.target, history=model.history, aging="none")  # type: ignore[arg-type]
    metrics, found = _measure(asked, model, learner)
    floor_metrics, floor_found = _measure(asked, floor, PopularityLearner(floor))
    return Evaluation(metrics, floor_metrics, found, floor_found)


def evaluation_fingerprint(data: TrainingData, target: str, model: Learning, learner: Learner) -> str | None:
    """Return what the metrics depend on, None where there is nothing to ask about.

    That is what was known yesterday, what could be listed at the cut, the model's parameters and code. Making the
    questions first would tell no more, and costs half of what learning does.
    """
    period = period_of_test(data, target)
    if period is None:
        return None
    return fingerprint(
        version=VERSION,
        code=learner.version,
        parameters=model.model_dump(mode="json", exclude={"build"}),
        weights=dict(data.weights),
        target=target,
        period=period,
        allowed=hashlib.sha256(data.at_end_of(period[0] - 1).allowed.tobytes()).hexdigest(),
        known=data.interactions.digest(data.day - 1),
    )


def answering(learned: Learned, model: Learning, train: TrainingData) -> Answer:
    """Return the function that answers as the server would, from what was learned."""
    neighbours = learned.answer
    if not isinstance(neighbours, Neighbours):
        rows = _whole_site(neighbours) if isinstance(neighbours, Ranking) else np.zeros(0, np.int32)
        return _but(rows, len(train.index))
    asked = model.asked_with(train.weights)
    profiles = user_items(train.of(list(asked.weights), model.history), train.visitors, asked.weights)

    def answer(visitor: int, without: NDArray[np.int32]) -> Rows:
        rows, times = profiles.of(visitor, asked.items)
        return score_neighbours(neighbours, rows, recency_weights(times, asked.recency), without, DEPTH)[0]

    return answer


def _but(rows: Rows, items: int) -> Answer:
    """Return the function that answers everybody with the first of `rows`, but for what they have."""
    had = np.zeros(items, np.bool_)

    def answer(visitor: int, without: NDArray[np.int32]) -> Rows:
        had[without] = True
        found = rows[~had[rows]][:DEPTH]
        had[without] = False
        return found

    return answer


def _measure(asked: Questions, model: Learning, learner: Learner) -> tuple[dict[str, float], Outcomes]:
    train = asked.train
    # of a ranking only the site's lists are asked; those of categories would cost as much again
    known = replace(train, categories=Categories()) if isinstance(model, Popularity) else train
    answer = answering(learner.learn(known), model, train)
    pairs = zip(asked.visitors.tolist(), asked.had, strict=True)
    answers = [answer(visitor, had) for visitor, had in pairs]
    found = outcomes(answers, asked.relevant)
    everybody = user_items(train.of(EVENT_NAMES, model.history), train.visitors, dict.fromkeys(EVENT_NAMES, 1.0))
    audience = np.bincount(everybody.row, minlength=len(train.index))
    visitors = int(np.count_nonzero(np.diff(everybody.starts)))
    return {**summary(found), **reach(answers, audience, visitors), "users": float(len(answers))}, found


def _whole_site(ranking: Ranking) -> Rows:
    """Return the rows of the site's lists, of all item types, best first."""
    lists = [ranking.lists.of(number) for number, key in enumerate(ranking.keys) if key.startswith("site:")]
    if not lists:
        return np.zeros(0, np.int32)
    rows, scores = (np.concatenate(part) for part in zip(*lists, strict=True))
    return np.asarray(rows[np.lexsort((rows, -scores))], np.int32)
