"""A model on disk: what is loaded is what was saved, or nothing is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import numpy as np
import pytest

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.artifact import (
    KEPT_BUILDS,
    ModelArtifact,
    current_build,
    load_model,
    read_head,
    save_model,
)
from personalization_pipelines.models.forms.form import MAIN, Lists
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranking import Ranking


def artifact(build_id: str = "b1", best: float = 3.0) -> ModelArtifact:
    """A model of three items with a ranking and neighbours."""
    ranked = Lists(np.array([0, 2, 3]), np.array([2, 0, 1], np.int32), np.array([best, 1, 2], np.float32))
    near = Lists(np.array([0, 1, 1, 2]), np.array([1, 0], np.int32), np.array([0.5, 0.25], np.float32))
    return ModelArtifact(
        name="m",
        type="popularity",
        build_id=build_id,
        fingerprint="f" + build_id,
        as_of="2024-05-20T12:00:00+00:00",
        item_types=np.array([1, 1, 2], np.int32),
        items=("77", "schön", "猫"),
        parts={
            MAIN: Ranking(("site:1", "category:1:/Käse"), ranked, np.array([9, 3]), np.array([4, 2])),
            "near": Neighbours(near, np.array([3, 0, 1])),
        },
        parameters={"history": "P30D"},
        metrics={"HR@10": 0.25},
        counts={"events": 9, "lists": 4},
    )


def test_every_part_comes_back_memory_mapped(tmp_path: Path) -> None:
    save_model(tmp_path, artifact())
    loaded = load_model(tmp_path)
    assert (loaded.items, loaded.parameters, loaded.metrics) == (artifact().items, {"history": "P30D"}, {"HR@10": 0.25})
    assert list(loaded.parts) == [MAIN, "near"]
    assert loaded.answer.keys == ("site:1", "category:1:/Käse")
    assert loaded.answer.lists.of(0)[0].tolist() == [2, 0]
    assert loaded.parts["near"].lists.of(2)[0].tolist() == [0]
    assert isinstance(loaded.parts["near"].lists.rows, np.memmap)


def test_a_model_without_any_list_comes_back_empty(tmp_path: Path) -> None:
    nothing = Lists(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    empty = np.zeros(0, np.int64)
    made = ModelArtifact(
        "m", "popularity", "b", "f", "t", np.zeros(0, np.int32), (),
        {MAIN: Ranking((), nothing, empty, empty), "near": Neighbours(nothing, empty)},
    )  # fmt: skip
    save_model(tmp_path, made)
    loaded = load_model(tmp_path)
    assert loaded.items == () and loaded.answer.keys == ()


def test_a_build_and_its_model_can_both_be_loaded(tmp_path: Path) -> None:
    place = save_model(tmp_path, artifact())
    assert place == current_build(tmp_path)
    assert load_model(place).build_id == load_model(tmp_path).build_id == read_head(tmp_path)["build_id"] == "b1"


def test_the_newest_builds_are_kept_and_the_last_one_saved_is_current(tmp_path: Path) -> None:
    for number in range(6):
        place = save_model(tmp_path, artifact(f"b{number}"))
        os.utime(place, ns=(number, number))
    save_model(tmp_path, artifact("b4"))
    builds = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert len(builds) == KEPT_BUILDS and builds == ["b3", "b4", "b5"]
    assert load_model(tmp_path).build_id == "b4"


def test_saving_an_intact_build_again_leaves_its_files_alone(tmp_path: Path) -> None:
    place = save_model(tmp_path, artifact())
    before = {path.name: path.stat().st_mtime_ns for path in place.iterdir()}
    save_model(tmp_path, artifact())
    assert {path.name: path.stat().st_mtime_ns for path in place.iterdir()} == before


def test_saving_a_broken_build_again_repairs_it(tmp_path: Path) -> None:
    place = save_model(tmp_path, artifact())
    (place / "ranking_rows.npy").write_bytes(b"")
    with pytest.raises(CorruptData, match="ranking_rows"):
        load_model(tmp_path)
    save_model(tmp_path, artifact())
    assert load_model(tmp_path).build_id == "b1"


def test_flipped_bits_and_cut_files_are_refused(tmp_path: Path) -> None:
    place = save_model(tmp_path, artifact())
    random = Random(1)
    files = sorted(place.iterdir())
    for turn in range(200):
        path = random.choice(files)
        whole = path.read_bytes()
        broken = bytearray(whole)
        if turn % 4:
            bit = random.randrange(len(whole) * 8)
            broken[bit // 8] ^= 1 << bit % 8
        else:
            del broken[random.randrange(len(whole)) :]
        path.write_bytes(broken)
        try:
            loaded = load_model(tmp_path)
        except CorruptData as error:
            assert str(path) in str(error) and "build the model again" in str(error)
        else:
            assert loaded.items == artifact().items and json.loads(broken) == json.loads(whole), path
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("part", "values", "problem"),
    [
        ("rows", np.array([3, 0, 1], np.int32), r"outside 0\.\.2"),
        ("rows", np.array([-1, 0, 1], np.int32), r"outside 0\.\.2"),
        ("scores", np.array([1, 2, 2], np.float32), "not best first"),
        ("scores", np.array([1, np.nan, 2], np.float32), "not finite numbers above 0"),
        ("scores", np.array([1, 0, 2], np.float32), "not finite numbers above 0"),
        ("starts", np.array([0, 4, 3]), "ascending order"),
        ("starts", np.array([0, 2]), "has 2 elements where 3 belong"),
    ],
)
def test_lists_that_cannot_be_right_are_refused_though_their_checksums_are(
    tmp_path: Path, part: str, values: np.ndarray, problem: str
) -> None:
    good = artifact()
    lists = {name: getattr(good.answer.lists, name) for name in ("starts", "rows", "scores")} | {part: values}
    object.__setattr__(good.answer, "lists", Lists(**lists))
    save_model(tmp_path, good)
    with pytest.raises(CorruptData, match=problem):
        load_model(tmp_path)


@pytest.mark.parametrize("pointer", ["", "../elsewhere", "gone", ".hidden"])
def test_a_pointer_to_nowhere_is_refused(tmp_path: Path, pointer: str) -> None:
    save_model(tmp_path, artifact())
    (tmp_path / "CURRENT").write_text(pointer)
    with pytest.raises(CorruptData, match="is not there"):
        load_model(tmp_path)


def test_an_array_of_another_type_or_a_pickle_is_refused(tmp_path: Path) -> None:
    place = save_model(tmp_path, artifact())
    for values in (np.array([1.0, 2.0]), np.array([{"a": 1}], dtype=object)):
        np.save(place / "item_types.npy", values, allow_pickle=True)
        with pytest.raises(CorruptData, match=r"item_types\.npy"):
            load_model(tmp_path)
