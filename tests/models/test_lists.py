"""Ranking: the same lists whatever order the entries come in."""

from __future__ import annotations

import numpy as np

from personalization_pipelines.models.forms import ranked_lists as lists
from personalization_pipelines.models.forms.ranked_lists import rank_lists


def test_entries_list_by_list_are_ranked_as_shuffled_ones_are() -> None:
    random = np.random.default_rng(3)
    count, each = 7, 3 * lists.SHORTEST_MEAN
    of = np.repeat(np.arange(count), each)
    rows = np.concatenate([random.permutation(1000)[:each] for _ in range(count)]).astype(np.int32)
    scores = random.integers(0, 9, len(of)).astype(np.float32)  # ties, and zeros that stay out
    grouped = rank_lists(of, rows, scores, count=count, length=20)
    shuffled = random.permutation(len(of))
    mixed = rank_lists(of[shuffled], rows[shuffled], scores[shuffled], count=count, length=20)
    for one, other in ((grouped.starts, mixed.starts), (grouped.rows, mixed.rows), (grouped.scores, mixed.scores)):
        assert np.array_equal(one, other)
    best, values = grouped.of(0)
    assert sorted(zip(-values, best, strict=True)) == list(zip(-values, best, strict=True)) and len(best) == 20
