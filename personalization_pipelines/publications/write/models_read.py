"""The models of a build as the arrays of a publication: their item rows become rows of the publication."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import PermanentError
from personalization_pipelines.models.artifact import ModelArtifact, current_build, load_model
from personalization_pipelines.models.named_items import BLACKLIST, banned_items, moved_items
from personalization_pipelines.publications.format.arrays import Texts
from personalization_pipelines.publications.format.publication_arrays import Arrays, model_arrays
from personalization_pipelines.publications.read.published_models import ModelEntry
from personalization_pipelines.publications.write.item_table import ItemTable
from personalization_pipelines.scenarios.plan import Plan
from personalization_pipelines.website.one_build import Build


def model_builds(build: Build, plan: Plan) -> dict[str, str]:
    """Return the current build id of every model that a publication takes: all but blacklists.

    Raises PermanentError where a scenario asks a model that was never built; a model that no scenario
    asks may be missing.
    """
    found = {}
    for name in plan.models:
        if build.website.models[name].type == BLACKLIST:
            continue
        directory = current_build(build.models / name)
        if directory is not None:
            found[name] = directory.name
        elif users := [scenario.name for scenario in plan.scenarios.values() if name in scenario.models()]:
            raise PermanentError(
                f"scenario {users[0]!r} needs model {name!r}, which was never built; "
                f"run `personalization build --website {build.website.name} --select {name}`"
            )
    return found


def read_model(build: Build, plan: Plan, name: str, build_id: str, items: ItemTable) -> tuple[ModelEntry, Arrays]:
    """Return one model with the rows of `items`; what the publication does not know is left out of its lists."""
    artifact = load_model(build.models / name / build_id)
    if artifact.type != plan.models[name].type:
        raise PermanentError(
            f"model {name!r} was built as {artifact.type!r} and is now configured as {plan.models[name].type!r}; "
            f"run `personalization build --website {build.website.name} --select {name}`"
        )
    parts, mapping = artifact.parts, _row_mapping(artifact, items)
    if mapping is not None:
        parts = {key: part.moved(mapping, len(items.types)) for key, part in parts.items()}
    return model_arrays(plan.models[name], artifact.build_id, dict(artifact.parameters), parts)


def blacklisted(build: Build) -> frozenset[tuple[int, str]]:
    """Return type and id of every item on one of the website's blacklists, and of what they were transferred to."""
    return banned_items(build.website.models.values(), build.website, moved_items(build.features))


def _row_mapping(artifact: ModelArtifact, items: ItemTable) -> NDArray[np.int32] | None:
    """Return the publication's row of each row of a model (-1 unknown); None where they are the same."""
    ids = _texts(artifact.items)
    if np.array_equal(artifact.item_types, items.types) and _same(ids, items.ids):
        return None
    rows = {pair: row for row, pair in enumerate(zip(items.types.tolist(), items.ids, strict=True))}
    pairs = zip(artifact.item_types.tolist(), artifact.items, strict=True)
    return np.fromiter((rows.get(pair, -1) for pair in pairs), np.int32, len(artifact.items))


@lru_cache(maxsize=2)  # the models of a build have the same items
def _texts(items: tuple[str, ...]) -> Texts:
    return Texts.of(items)


def _same(one: Texts, two: Texts) -> bool:
    return np.array_equal(one.starts, two.starts) and np.array_equal(one.blob, two.blob)
