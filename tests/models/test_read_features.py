"""What the models of a build share, and when it is read again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from personalization_pipelines.foundation.home import Home
from personalization_pipelines.models.evaluation.offline_evaluation import questions
from personalization_pipelines.models.matrices import read_features
from personalization_pipelines.models.matrices.latest import Latest
from personalization_pipelines.models.matrices.read_features import read_training_data
from personalization_pipelines.models.matrices.training_data import TrainingData, training_data
from personalization_pipelines.website.one_build import Build
from tests.conftest import make_website
from tests.models.features import Did, write_features

AS_OF = datetime(2024, 5, 20, 12, tzinfo=UTC)
TODAY = AS_OF.date()
DID: list[Did] = [
    ("buy", "ann", "1", TODAY - timedelta(days=3)),
    ("buy", "bob", "2", TODAY - timedelta(days=2)),
    ("click", "bob", "1", TODAY - timedelta(days=4)),
    ("click", "", "2", TODAY),
    ("click", "cleo", "1", TODAY - timedelta(days=1)),
    ("buy", "ann", "2", TODAY),
]


@pytest.fixture
def build(home: Home) -> Build:
    """A shop of two items with clicks and purchases."""
    made = Build(home, make_website(), AS_OF)
    write_features(made, DID)
    return made


@pytest.fixture
def reading(build: Build) -> Callable[..., TrainingData]:
    """Reads as a model that learns from some events does."""
    schedule = build.website.models["for_you"].build
    return lambda *events, of=build: read_training_data(of, events, schedule)


def test_models_of_one_build_share_their_entries_and_cannot_change_them(reading: Callable[..., TrainingData]) -> None:
    one, other = reading("buy"), reading("buy")
    assert one.interactions is other.interactions
    with pytest.raises(ValueError, match="read-only"):
        one.interactions.quantity[0] = 9


def test_a_part_read_alone_is_the_part_of_what_is_shared(
    reading: Callable[..., TrainingData], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = [reading(*events).interactions for events in (("buy",), ("click",), ("buy", "click"))]
    monkeypatch.setattr(read_features, "LARGEST_SHARED", 0)
    alone = [reading(*events).interactions for events in (("buy",), ("click",), ("buy", "click"))]
    for one, other in zip(shared, alone, strict=True):
        assert one.digest(TODAY.toordinal()) == other.digest(TODAY.toordinal())
        assert all(len(getattr(one, column.name)) == len(other) for column in fields(one))


def test_changed_features_and_an_earlier_day_are_read_again(build: Build, reading: Callable[..., TrainingData]) -> None:
    assert len(reading("buy").interactions) == 3
    yesterday = Build(build.home, build.website, AS_OF - timedelta(days=1))
    assert len(reading("buy", of=yesterday).interactions) == 2
    write_features(build, [*DID, ("buy", "dan", "1", TODAY)])
    assert len(reading("buy").interactions) == 4


def test_who_is_asked_depends_on_the_events_that_the_model_knows(reading: Callable[..., TrainingData]) -> None:
    bobs_clicks_count = questions(reading("buy", "click"), "buy")
    assert bobs_clicks_count is not None and len(bobs_clicks_count.visitors) == 1
    assert questions(reading("buy"), "buy") is None
    again = questions(reading("buy", "click"), "buy")
    assert again is not None and np.array_equal(again.visitors, bobs_clicks_count.visitors)


def test_a_digest_tells_entries_apart_up_to_its_day_and_sees_no_newcomer_of_later() -> None:
    first = [("buy", "bob", "1", 1), ("buy", "cat", "2", 2)]

    def digest(entries: list[tuple[str, str, str, int]], day: int = 2) -> str:
        return training_data(entries, day=3, item_types={"1": 1, "2": 1}).interactions.digest(day)

    assert digest([*first, ("click", "ann", "1", 3)]) == digest(first)
    assert digest([*first, ("click", "ann", "1", 2)]) != digest(first)
    assert digest(first, day=1) != digest(first)
    assert digest([("buy", "", "1", 1), first[1]]) != digest(first)
    assert digest([("buy", "", "1", 1)]) != digest([("buy", "bob", "1", 1)])


def test_only_the_latest_value_is_kept_and_a_failure_is_not() -> None:
    made: list[int] = []
    kept: Latest[int] = Latest()

    def make(value: int) -> Callable[[], int]:
        def each() -> int:
            made.append(value)
            return value // (value > 0)

        return each

    assert [kept.get(key, make(key)) for key in (1, 1, 2, 1)] == [1, 1, 2, 1]
    with pytest.raises(ZeroDivisionError):
        kept.get(0, make(0))
    kept.get(1, make(1))
    assert made == [1, 2, 1, 0, 1]
