"""How good ranked lists are against what visitors did next, with 95 % intervals; and when a drop is alarming."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOP = 10
DEPTH = 20
Z95 = 1.959964
LARGEST_DROP = 0.20
BUILDS_COMPARED = 7


@dataclass(frozen=True)
class Outcomes:
    """One entry a visitor: did the list's first places hold what the visitor did next?"""

    hit: NDArray[np.float64]
    ndcg: NDArray[np.float64]
    recall: NDArray[np.float64]
    reciprocal_rank: NDArray[np.float64]


@dataclass(frozen=True)
class Drop:
    """Whether a metric fell by more than it may: `value` now, `usual` the median of the last evaluations."""

    value: float | None
    usual: float | None

    @property
    def passed(self) -> bool:
        """False for a fall of more than 20 %; nothing to compare is no fall."""
        return self.value is None or self.usual is None or self.value >= self.usual * (1 - LARGEST_DROP)

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        if self.value is None:
            return "not evaluated: the model does not learn from events, or too few visitors came back"
        if self.usual is None:
            return f"HR@{TOP} is {self.value:.4f}; there is no earlier evaluation to compare it with"
        least = self.usual * (1 - LARGEST_DROP)
        return f"HR@{TOP} is {self.value:.4f}, asked for is {least:.4f}: the last evaluations had {self.usual:.4f}"


def outcomes(answers: Sequence[NDArray[np.integer]], relevant: Sequence[NDArray[np.integer]]) -> Outcomes:
    """Return each visitor's outcome: `answers[v]` are ranked rows, `relevant[v]` (never empty) the right ones.

    HR@10: one of the first 10 is right. NDCG@10: binary gain, ideal = all right ones first. Recall@20: share of
    the right ones among the first 20. MRR: 1 / place of the first right one, 0 past place 20.
    """
    table = np.zeros((4, len(answers)))
    for number, (answer, right) in enumerate(zip(answers, relevant, strict=True)):
        places = np.flatnonzero((answer[:DEPTH, None] == right).any(axis=1))
        if not len(places):
            continue
        ideal = _DISCOUNTS[: min(TOP, len(right))].sum()
        gain = _DISCOUNTS[places[places < TOP]].sum()
        table[:, number] = (places[0] < TOP, gain / ideal, len(places) / len(right), 1 / (places[0] + 1))
    return Outcomes(*table)


def summary(found: Outcomes) -> dict[str, float]:
    """Return each measure's mean and its 95 % interval: Wilson's for the share of hits, else the normal one."""
    values: dict[str, float] = {}
    named = ((f"HR@{TOP}", found.hit), (f"NDCG@{TOP}", found.ndcg), (f"Recall@{DEPTH}", found.recall))
    for name, each in (*named, ("MRR", found.reciprocal_rank)):
        low, high = wilson(int(each.sum()), len(each)) if name.startswith("HR") else normal_interval(each)
        values |= {name: float(each.mean()), f"{name} low": low, f"{name} high": high}
    return values


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval (1927) of a share; honest where hits are few, as here they are."""
    share, z2 = hits / trials, Z95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


def normal_interval(each: NDArray[np.float64]) -> tuple[float, float]:
    """Return the normal 95 % interval of a mean over visitors."""
    half = Z95 * float(each.std()) / math.sqrt(len(each))
    return float(each.mean()) - half, float(each.mean()) + half


def paired_difference(
    one: NDArray[np.float64], other: NDArray[np.float64], *, rounds: int = 2000
) -> tuple[float, float, float]:
    """Return the mean of one - other over the same visitors and its 95 % bootstrap interval (fixed seed)."""
    difference = one - other
    random = np.random.default_rng(20240229)
    means = [difference[random.integers(0, len(difference), len(difference))].mean() for _ in range(rounds)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(difference.mean()), float(low), float(high)


def reach(answers: Sequence[NDArray[np.integer]], audience: NDArray[np.int64], visitors: int) -> dict[str, float]:
    """Return catalogue coverage and novelty of the first 10 places.

    `audience[row]` are the visitors of each allowed item and 0 of the others; coverage is the share of items
    that anybody was shown, novelty the mean of -log2 of the share of visitors who had the item (one at least).
    """
    shown = np.concatenate([answer[:TOP] for answer in answers] or [np.zeros(0, np.int32)])
    share = np.maximum(audience[shown], 1) / max(visitors, 1)
    novelty = float(-np.log2(share).mean()) if len(shown) else 0.0
    return {"coverage": len(np.unique(shown)) / max(len(audience), 1), "novelty": novelty}


def metric_drop(history: Sequence[float], current: float | None) -> Drop:
    """Compare `current` with the median of the last 7 of `history`.

    `history` holds HR@10 of earlier evaluations, oldest first, without the current one; None: never evaluated.
    """
    return Drop(current, statistics.median(history[-BUILDS_COMPARED:]) if history else None)


_DISCOUNTS = 1 / np.log2(np.arange(TOP) + 2)
