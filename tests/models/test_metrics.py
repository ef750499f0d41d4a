"""Metrics on answers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from personalization_pipelines.models.evaluation.ranking_metrics import (
    metric_drop,
    outcomes,
    paired_difference,
    reach,
    summary,
    wilson,
)

FIRST, THIRD, FIFTEENTH, NEVER = (np.arange(start, start + 20) for start in (0, -2, -14, 100))


def test_the_place_of_the_right_item_decides() -> None:
    found = outcomes([FIRST, THIRD, FIFTEENTH, NEVER], [np.array([0])] * 4)
    assert found.hit.tolist() == [1, 1, 0, 0]
    assert found.ndcg.tolist() == [1, 0.5, 0, 0]
    assert found.recall.tolist() == [1, 1, 1, 0]
    assert found.reciprocal_rank.tolist() == pytest.approx([1, 1 / 3, 1 / 15, 0])


def test_several_right_items_share_recall_and_a_full_list_of_them_is_perfect() -> None:
    found = outcomes([np.arange(20), np.arange(20)], [np.array([1, 50]), np.arange(40)])
    assert found.recall.tolist() == [0.5, 0.5]
    assert found.ndcg[1] == pytest.approx(1)


def test_an_empty_answer_is_a_miss() -> None:
    assert outcomes([np.zeros(0, np.int32)], [np.array([1])]).hit.tolist() == [0]


def test_a_summary_brackets_each_mean() -> None:
    values = summary(outcomes([FIRST, THIRD, NEVER, NEVER], [np.array([0])] * 4))
    assert values["HR@10"] == 0.5
    for name in ("HR@10", "NDCG@10", "Recall@20", "MRR"):
        assert values[f"{name} low"] < values[name] < values[f"{name} high"]


def test_wilsons_interval_is_the_published_one_and_stays_within_0_and_1() -> None:
    assert wilson(1, 10) == pytest.approx((0.0179, 0.4042), abs=1e-4)
    assert wilson(0, 5)[0] == 0 and wilson(5, 5)[1] == 1


def test_a_paired_difference_sees_what_two_intervals_hide() -> None:
    base = np.tile([1.0, 0.0], 200)
    better = base.copy()
    better[1:40:2] = 1
    mean, low, high = paired_difference(better, base)
    assert mean == 0.05 and 0 < low < mean < high
    assert paired_difference(better, base) == (mean, low, high)


def test_reach_counts_shown_items_and_their_rarity() -> None:
    values = reach([np.array([0, 1]), np.array([1, 0])], np.array([4, 1, 0, 0]), 4)
    assert values == {"coverage": 0.5, "novelty": 1.0}
    assert reach([], np.zeros(0, np.int64), 0) == {"coverage": 0.0, "novelty": 0.0}


@pytest.mark.parametrize(
    ("history", "current", "passed"),
    [
        ([], 0.1, True),
        ([], None, True),
        ([0.10, 0.10, 0.10], 0.081, True),
        ([0.10, 0.10, 0.10], 0.079, False),
        ([0.9] * 5 + [0.1] * 7, 0.09, True),  # only the last 7 count
        ([0.0, 0.0], 0.0, True),
    ],
)
def test_a_drop_of_more_than_a_fifth_of_the_median_fails(history: list[float], current: float, passed: bool) -> None:
    drop = metric_drop(history, current)
    assert drop.passed is passed
    assert drop.sentence
