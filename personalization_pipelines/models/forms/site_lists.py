"""Rankings with one list an item type, for models that do not learn from events."""

from __future__ import annotations

import numpy as np

from personalization_pipelines.models.forms.learned import Lists, Ranking, Scores, site_key
from personalization_pipelines.models.forms.ranked_lists import rank_lists
from personalization_pipelines.models.matrices.training_data import TrainingData


def site_lists(data: TrainingData, scores: Scores, length: int) -> Ranking:
    """Return the `length` best rows of each item type by `scores`, one a row; 0 and below stay out."""
    types, groups = np.unique(data.index.types, return_inverse=True)
    rows = np.arange(len(data.index), dtype=np.int32)
    lists = rank_lists(groups, rows, scores, count=len(types), length=length)
    nobody = np.zeros(len(types), np.int64)
    return without_empty(Ranking(tuple(site_key(int(kind)) for kind in types), lists, nobody, nobody))


def without_empty(ranking: Ranking) -> Ranking:
    """Return the ranking without the keys that nothing stands behind."""
    lists = ranking.lists
    held = np.flatnonzero(np.diff(lists.starts))
    starts = np.concatenate([lists.starts[held], lists.starts[-1:]])
    keys = tuple(ranking.keys[number] for number in held)
    return Ranking(keys, Lists(starts, lists.rows, lists.scores), ranking.events[held], ranking.users[held])
