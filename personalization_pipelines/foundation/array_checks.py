"""What must hold of stored arrays before anybody follows an index in them: a sentence for what does not.

The checks hold on opening for arrays of up to `CHECKED` elements; of longer ones the two ends are looked at, so that
opening stays fast. `thorough` looks at everything: publishing does, before the switch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData

CHECKED = 2_000_000
_END = 65_536

Array = NDArray[Any]


def _looked_at(array: Array, thorough: bool) -> list[Array]:
    if thorough or len(array) <= CHECKED:
        return [array]
    return [array[:_END], array[-_END:]]


def check_length(name: str, array: Array, length: int) -> None:
    """Raise CorruptData unless the array has `length` elements."""
    if len(array) != length:
        raise CorruptData(f"array {name!r} has {len(array)} elements where {length} belong")


def check_range(name: str, array: Array, low: int, high: int, thorough: bool) -> None:
    """Raise CorruptData unless `low <= element < high` everywhere."""
    for part in _looked_at(array, thorough):
        if len(part) and not (low <= int(part.min()) and int(part.max()) < high):
            raise CorruptData(f"array {name!r} has elements outside {low}..{high - 1}")


def check_starts(name: str, starts: NDArray[np.int64], end: int, thorough: bool) -> None:
    """Raise CorruptData unless `starts` begins with 0, never falls and ends with `end`."""
    if not len(starts) or starts[0] != 0 or starts[-1] != end:
        raise CorruptData(f"array {name!r} does not span 0..{end}")
    check_ascending(name, starts, thorough)


def check_ascending(name: str, array: Array, thorough: bool) -> None:
    """Raise CorruptData where an element is smaller than the one before it."""
    for part in _looked_at(array, thorough):
        if bool((part[1:] < part[:-1]).any()):
            raise CorruptData(f"array {name!r} is not in ascending order")


def check_scores(name: str, scores: NDArray[np.float32], thorough: bool) -> None:
    """Raise CorruptData unless every score is a finite number above 0."""
    for part in _looked_at(scores, thorough):
        # The bits of positive floats are ordered like integers: one pass finds zeros, negatives, inf and NaN.
        bits = part.view(np.int32)
        if len(bits) and not (int(bits.min()) > 0 and int(bits.max()) < 0x7F800000):
            raise CorruptData(f"array {name!r} has scores that are not finite numbers above 0")
