"""Quality on real purchases, so that a change that spoils it is seen before it is measured (`bench_quality`)."""

from __future__ import annotations

import pytest

from personalization_pipelines.models.evaluation.offline_evaluation import evaluate, period_of_test, questions
from personalization_pipelines.models.registry import learner
from tests.conftest import make_website
from tests.models.public_data import online_retail


def test_item_knn_beats_popularity_on_the_last_30_days_of_online_retail() -> None:
    data = online_retail()
    if data is None:
        pytest.skip("the UCI Online Retail data set is not at hand")
    website = make_website(
        models={"for_you": {"type": "item_knn"}, "top": {"type": "popularity", "event": "buy"}}, scenarios={}
    )
    assert period_of_test(data, "buy") == (data.day - 30, data.day - 1)
    asked = questions(data, "buy")
    assert asked is not None
    for_you, top = (evaluate(asked, model, learner(model, website)) for model in website.models.values())
    assert for_you.metrics["HR@10 low"] > top.metrics["HR@10"] > for_you.floor_metrics["HR@10"]
