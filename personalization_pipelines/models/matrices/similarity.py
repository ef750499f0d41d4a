"""How alike two items are, from how many visitors they share. Vectorised; arrays of equal length.

`common` visitors did both, `a` and `b` did each, out of `visitors` in all. Every measure is above 0 only where
the two occur together more often than the measure's idea of chance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64] | NDArray[np.float64]
Similarity = Callable[[Counts, Counts, Counts, int], NDArray[np.float64]]


def cosine(common: Counts, a: Counts, b: Counts, visitors: int) -> NDArray[np.float64]:
    """Return common / sqrt(a·b), the cosine of the two binary columns; 0 to 1."""
    return np.asarray(common / np.sqrt(a * b.astype(np.float64)), np.float64)


def jaccard(common: Counts, a: Counts, b: Counts, visitors: int) -> NDArray[np.float64]:
    """Return common / (a + b - common), the share of either's visitors that did both; 0 to 1."""
    return np.asarray(common / (a + b - common), np.float64)


def lift(common: Counts, a: Counts, b: Counts, visitors: int) -> NDArray[np.float64]:
    """Return how many times more often than by chance both occur; 0 where that is not above 1."""
    value = common * float(visitors) / (a * b.astype(np.float64))
    return np.where(value > 1, value, 0)


def llr(common: Counts, a: Counts, b: Counts, visitors: int) -> NDArray[np.float64]:
    """Return Dunning's log-likelihood ratio (1993) of the 2x2 table; 0 where the two avoid each other."""
    only_a, only_b, neither = a - common, b - common, visitors - a - b + common
    cells = _entropy(common) + _entropy(only_a) + _entropy(only_b) + _entropy(neither)
    margins = _entropy(a) + _entropy(b) + _entropy(visitors - a) + _entropy(visitors - b)
    value = 2 * (cells - margins + _entropy(np.float64(visitors)))
    return np.where(common * float(visitors) > a * b.astype(np.float64), np.maximum(value, 0), 0)


def damped(value: NDArray[np.float64], common: Counts, shrinkage: float) -> NDArray[np.float64]:
    """Return `value` times common / (common + shrinkage): few witnesses, less belief (Bell and Koren, 2007)."""
    return value if shrinkage == 0 else value * (common / (common + shrinkage))


def _entropy(count: Counts | np.float64) -> NDArray[np.float64]:
    """Return x·ln x, with 0 at 0."""
    count = np.asarray(count, np.float64)
    return count * np.log(np.maximum(count, 1))


SIMILARITIES: dict[str, Similarity] = {"cosine": cosine, "jaccard": jaccard, "llr": llr, "lift": lift}
