"""What a website's file may say that this version does not do yet.

The whole of the specification parses, so that a file can be checked in full; what is listed here is
then refused with its line wherever it is *present*, whatever its value: nothing is silently ignored.
A part that gets built loses its line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from personalization_pipelines.models.registry import LATER_TYPES
from personalization_pipelines.website.scenario_parameters import Filters
from personalization_pipelines.website.strict_yaml import Path

BUILT_FILTERS = (
    "context_items", "already_bought", "already_consumed", "exclude_categories", "exclude_context_category",
    "max_repeats",
)  # fmt: skip


@dataclass(frozen=True)
class Unbuilt:
    """A place in the file (`*`: any key or list position) and, if given, the values that are not built."""

    place: str
    values: tuple[object, ...] = ()


UNBUILT: tuple[Unbuilt, ...] = (
    Unbuilt("events.sources.*.format", ("xml", "export")),
    Unbuilt("retention.events"),
    Unbuilt("visitor_groups"),
    Unbuilt("segment_groups"),
    Unbuilt("models.*.type", LATER_TYPES),
    Unbuilt("models.*.submodels"),
    Unbuilt("models.*.segments"),
    Unbuilt("models.*.time_slots"),
    Unbuilt("models.*.similarity", ("jaccard", "llr", "lift")),
    Unbuilt("models.*.scope", ("session",)),
    Unbuilt("scenarios.*.strategy.*.models.*.data", ("submodels", "segments")),
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
                yield path, f"`{path[-1]}: {str(found).lower()}` is not built yet"


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
