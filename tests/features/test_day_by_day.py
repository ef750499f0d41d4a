"""Tables built day by day from a catalogue kept as changes are, row by row, those of a rebuild from nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from personalization_pipelines.features.building import check_feature, run_all
from personalization_pipelines.features.sql_models import feature_names, feature_path, load_feature
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.timespans import parse_schedule
from personalization_pipelines.models.matrices.read_features import read_training_data
from personalization_pipelines.publications.format.publication_manifest import read_manifest
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.publications.write.feature_tables import feature_fingerprints
from personalization_pipelines.publications.write.item_table import read_items
from personalization_pipelines.publications.write.publishing import publish
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.conftest import make_website
from tests.content.test_catalogue_changes import DAY, MONDAY, STEPS, delete, kept, new_home, send, step


def built(home: Home, website: Website, day: int) -> Build:
    build = Build(home, website, MONDAY + day * DAY)
    run_all(build)
    return build


def assert_as_from_nothing(build: Build) -> None:
    """Compare every table, and what models and a publication make of them, with a rebuild from nothing."""
    anew = Build(build.home, build.website, build.as_of, rebuild=True)
    run_all(anew)
    for name in feature_names():
        assert feature_path(build, name).read_bytes() == feature_path(anew, name).read_bytes(), name
        assert check_feature(build, name).passed, name
    ours, theirs = (read_items(one.features, "EUR", frozenset()) for one in (build, anew))
    assert ours.categories == theirs.categories
    assert all(np.array_equal(ours.arrays[name], array) for name, array in theirs.arrays.items())
    learned = [read_training_data(one, ["buy"], parse_schedule("hourly")).index.ids for one in (build, anew)]
    assert learned[0] == learned[1] == tuple(load_feature(anew, "items")["item"].to_pylist())


@settings(max_examples=3, deadline=None, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
@given(st.lists(STEPS, min_size=2, max_size=5), st.integers(1, 3))
def test_tables_built_day_by_day_are_those_built_from_nothing(
    tmp_path_factory: Any, steps: list[tuple[str, Any]], most: int
) -> None:
    directory, website = tmp_path_factory.mktemp("homes"), make_website()
    home = new_home(directory / "home")
    with kept(0, most=most):
        for day, one in enumerate(steps):
            step(home, website, directory, day, one)
            build = built(home, website, day)
        assert_as_from_nothing(build)


def test_a_publication_after_changes_has_the_bytes_of_one_made_from_nothing(home: Home) -> None:
    shop = make_website(models={}, scenarios={})
    with kept(0):
        send(home, shop, {1: 5, 2: 5, 3: 5}, 0)
        publish(built(home, shop, 0))
        send(home, shop, {2: 6, 30: 7}, 1)
        delete(home, shop, 1, 1)
        last = built(home, shop, 1)
        anew = Build(home, shop, last.as_of, rebuild=True)
        run_all(anew)
        ours, theirs = publish(last).directory, publish(anew).directory
        for name in read_manifest(theirs).files:
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
        items = Publication.open(ours, thorough=True).items
        assert [items.row(1, item) for item in ("1", "2", "3", "30")] == [-1, 0, 1, 2]


def test_a_table_with_its_changes_beside_it_as_version_0_1_wrote_them_is_built_whole(home: Home, shop: Website) -> None:
    send(home, shop, {1: 5, 2: 5}, 0)
    build = built(home, shop, 0)
    path, whole = feature_path(build, "items"), feature_path(build, "items").read_bytes()
    beside = [as_before(path, kind) for kind in ("rows", "gone")]
    with pytest.raises(CorruptData, match="not what the sidecar beside it describes; delete it and build again"):
        feature_fingerprints(build.features)
    done = {one.name for one in run_all(build) if not one.unchanged}
    assert done == {"items"} and path.read_bytes() == whole
    assert not any(one.exists() for one in beside)


def as_before(path: Path, kind: str) -> Path:
    """Lay a change beside a table as the version before did, whose sidecar counted the bytes of all files."""
    beside = path.with_suffix(f".{kind}-0123.parquet")
    beside.write_bytes(path.read_bytes())
    sidecar = path.with_suffix(".json")
    told = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**told, "bytes": told["bytes"] + beside.stat().st_size, "changes": [{}]}))
    return beside
