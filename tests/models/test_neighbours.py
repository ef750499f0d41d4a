"""`also_*` counted by hand, and the blocks it is counted in."""

from __future__ import annotations

import numpy as np
import pytest

from personalization_pipelines.models.matrices import neighbour_search
from personalization_pipelines.models.matrices.similarity import llr
from personalization_pipelines.models.matrices.training_data import TrainingData, training_data
from personalization_pipelines.models.registry import learner
from tests.conftest import make_website

# Five visitors: bread and butter go together, everybody takes salt, caviar was bought once with bread.
BASKETS = {
    "ann": ["bread", "butter", "salt"],
    "bob": ["bread", "butter", "salt"],
    "cleo": ["bread", "butter", "salt", "caviar"],
    "dan": ["salt", "tea"],
    "eve": ["salt", "tea"],
}


def five_visitors() -> TrainingData:
    return training_data([("buy", who, item, 10) for who, items in BASKETS.items() for item in items], day=10)


def similar(item: str, **parameters: object) -> list[tuple[str, float]]:
    website = make_website(models={"m": {"type": "also_bought", **parameters}}, scenarios={})
    data = five_visitors()
    learned = learner(website.models["m"], website).learn(data)
    rows, scores = learned.answer.lists.of(data.index.ids.index(item))
    return [(data.index.ids[row], round(float(score), 4)) for row, score in zip(rows, scores, strict=True)]


def test_cosine_of_common_visitors() -> None:
    assert similar("bread") == [("butter", 1.0), ("salt", round(3 / np.sqrt(15), 4))]


def test_pairs_below_the_minimum_of_common_visitors_are_no_pairs() -> None:
    assert ("caviar", round(1 / np.sqrt(3), 4)) in similar("bread", minimum_common_visitors=1)
    assert similar("bread", minimum_common_visitors=4) == []


def test_shrinkage_believes_few_witnesses_less() -> None:
    assert similar("bread", shrinkage=1.0)[0] == ("butter", 0.75)


def test_jaccard_is_common_of_either() -> None:
    assert similar("bread", similarity="jaccard") == [("butter", 1.0), ("salt", 0.6)]


def test_lift_and_llr_leave_out_what_everybody_takes() -> None:
    assert similar("bread", similarity="lift") == [("butter", round(5 / 3, 4))]
    assert [item for item, _ in similar("bread", similarity="llr")] == ["butter"]


def test_llr_is_dunnings() -> None:
    value = llr(np.array([110.0]), np.array([2552]), np.array([221]), 31777)
    assert float(value[0]) == pytest.approx(270.72, abs=0.01)  # Dunning 1993, table 2: "the swiss"


def test_the_answer_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = similar("salt", minimum_common_visitors=1)
    for size in (1, 3, 7):
        monkeypatch.setattr(neighbour_search, "BLOCK_PRODUCTS", size)
        assert similar("salt", minimum_common_visitors=1) == whole
