"""What a website's file may say that this version does not do yet.

The whole of the specification parses, so that a file can be checked in full; what is listed here is
then refused with its line wherever it is *present*, whatever its value: nothing is silently ignored.
A part that gets built loses its line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from personalization_pipelines.models.registry import LATER_TYPES, built_types
from personalization_pipelines.website.scenario_parameters import Filters
from personalization_pipelines.website.strict_yaml import Path

BUILT_FILTERS = (
    "context_items", "already_bought", "already_consumed", "exclude_categories", "exclude_context_category",
    "max_repeats",
)  # fmt: skip


INSTEAD = {
    "predictive_popularity": "popularity", "ultimately_bought": "also_bought", "also_across_types": "also_bought",
    "bundle": "also_basket", "next_item": "also_clicked", "session_knn": "item_knn", "matrix_factorization": "item_knn",
    "ease": "item_knn", "graph_filter": "item_knn",
}  # fmt: skip
"""The built type that answers the question of one that is not built, more simply."""


@dataclass(frozen=True)
class Unbuilt:
    """A place in the file (`*`: any key or list position) and, if given, the values that are not built.

    `instead` are the values that are.
    """

    place: str
    values: tuple[object, ...] = ()
    instead: tuple[str, ...] = ()


UNBUILT: tuple[Unbuilt, ...] = (
    Unbuilt("events.sources.*.format", ("xml", "export"), ("parquet", "csv", "jsonl")),
    Unbuilt("retention.events"),
    Unbuilt("visitor_groups"),
    Unbuilt("segment_groups"),
    Unbuilt("models.*.type", LATER_TYPES),
    Unbuilt("models.*.submodels"),
    Unbuilt("models.*.segments"),
    Unbuilt("models.*.time_slots"),
    Unbuilt("models.*.similarity", ("jaccard", "llr", "lift"), ("cosine",)),
    Unbuilt("models.*.scope", ("session",), ("visitor",)),
    Unbuilt("scenarios.*.strategy.*.models.*.data", ("submodels", "segments"), ("main",)),
    *(Unbuilt(f"scenarios.*.filters.{name}") for name in Filters.model_fields if name not in BUILT_FILTERS),
    Unbuilt("scenarios.*.experiment"),
    Unbuilt("triggers"),
)


def not_built_yet(value: object) -> Iterator[tuple[Path, str]]:
    """Yield path and sentence of everything in the plain `value` of a website's file that is not built."""
    for unbuilt in UNBUILT:
        for path, found in _places(value, tuple(unbuilt.place.split(".")), ()):
            if not unbuilt.values:
                yield path, f"`{path[-1]}` is not built yet; remove it to use the file with this version"
            elif isinstance(found, str | bool) and found in unbuilt.values:
                yield path, f"`{path[-1]}: {str(found).lower()}` is not built yet{_instead(unbuilt, str(found))}"


def is_unbuilt(path: Path) -> bool:
    """Say whether the key at `path` is not built, whatever its value."""
    patterns = (tuple(unbuilt.place.split(".")) for unbuilt in UNBUILT if not unbuilt.values)
    return any(
        len(pattern) == len(path) and all(part in ("*", key) for part, key in zip(pattern, path, strict=True))
        for pattern in patterns
    )


def _instead(unbuilt: Unbuilt, found: str) -> str:
    """Return what one may write instead: of model types the one that does most of it, of few values all."""
    if unbuilt.values == LATER_TYPES:
        near = INSTEAD.get(found)
        return f"; did you mean {near}?" if near else f"; built are {', '.join(built_types())}"
    return f"; built are {', '.join(unbuilt.instead)}" if unbuilt.instead else ""


def _places(value: object, pattern: tuple[str, ...], path: Path) -> Iterator[tuple[Path, object]]:
    """Yield path and value of every place that `pattern` matches; what has another shape matches nothing."""
    if not pattern:
        yield path, value
        return
    first, *rest = pattern
    inside: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inside = [(key, found) for key, found in value.items() if first in ("*", key)]
    elif isinstance(value, list) and first == "*":
        inside = list(enumerate(value))
    for key, found in inside:
        yield from _places(found, tuple(rest), (*path, key))
