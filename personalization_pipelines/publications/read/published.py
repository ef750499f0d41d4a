"""What was published, as the server reads it: lookups in mapped arrays, no model code, nothing read ahead.

numpy, msgspec and orjson only, since the server imports this. A publication that is broken in any way
that `open` can see raises CorruptData, and the server keeps the one it has.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms.parts import schema_of
from personalization_pipelines.publications.format.arrays import decode_json, map_arrays
from personalization_pipelines.publications.format.publication_manifest import (
    Manifest,
    as_of_microseconds,
    check_contents,
    read_manifest,
)
from personalization_pipelines.publications.read.published_items import CATEGORIES, ITEMS, ITEMS_SCHEMA, Items
from personalization_pipelines.publications.read.published_languages import (
    LANGUAGE_NAMES,
    LANGUAGES,
    LANGUAGES_SCHEMA,
    Languages,
)
from personalization_pipelines.publications.read.published_models import (
    MODELS,
    ModelEntry,
    PublishedModel,
    model_file,
)
from personalization_pipelines.publications.read.published_transfers import TRANSFERS, Row, Transferred, transferred
from personalization_pipelines.publications.read.published_visitors import EVENTS, VISITORS, VISITORS_SCHEMA, Visitors
from personalization_pipelines.scenarios.plan import Plan, read_plan

PLAN = "plan.json"

__all__ = ["EVENTS", "PLAN", "Items", "Publication", "PublishedModel", "Visitors", "verify"]


@dataclass(frozen=True, eq=False)
class Publication:
    """One publication, opened. `as_of` is its logical time in microseconds since 1970.

    `transfers` are the new items (type, id) of those whose history counts for another.
    """

    id: str
    website: str
    as_of: int
    plan: Plan
    items: Items
    visitors: Visitors
    models: dict[str, PublishedModel]
    directory: Path
    manifest: Manifest
    transfers: Transferred = field(default_factory=dict)

    @classmethod
    def open(cls, directory: Path, *, thorough: bool = False) -> Publication:
        """Open a publication directory: map its files and check that everything points inside.

        Sizes, names, types and the ends of long arrays are checked here, short arrays wholly; every byte
        only where `thorough`. Raises CorruptData.
        """
        manifest = read_manifest(directory)
        items = _items(directory, manifest, thorough)
        if len(items) != manifest.items:
            raise CorruptData(f"{directory}: {len(items)} items where {manifest.items} belong; publish again")
        visitors = Visitors(map_arrays(directory / VISITORS, _entries(manifest, VISITORS), VISITORS_SCHEMA))
        visitors.check(len(items), thorough)
        if len(visitors) != manifest.visitors:
            raise CorruptData(f"{directory}: {len(visitors)} visitors where {manifest.visitors} belong; publish again")
        return cls(
            id=manifest.id,
            website=manifest.website,
            as_of=as_of_microseconds(manifest),
            plan=read_plan(_bytes(directory, manifest, PLAN)),
            items=items,
            visitors=visitors,
            models=_models(directory, manifest, len(items), thorough),
            directory=directory,
            manifest=manifest,
            transfers=_transfers(directory, manifest) if TRANSFERS in manifest.files else {},
        )


def verify(directory: Path) -> Manifest:
    """Check every byte of a publication: checksums, no foreign files, every index, score and attribute.

    Raises CorruptData with the file or array that is wrong; returns the manifest.
    """
    manifest = read_manifest(directory)
    with ThreadPoolExecutor(1) as threads:  # hashing needs no interpreter, what is looked at beside it does
        contents = threads.submit(check_contents, directory, manifest)
        try:
            Publication.open(directory, thorough=True)
        finally:
            contents.result()  # where bytes are wrong, that is the reason to give
    return manifest


def _items(directory: Path, manifest: Manifest, thorough: bool) -> Items:
    arrays = map_arrays(directory / ITEMS, _entries(manifest, ITEMS), ITEMS_SCHEMA)
    languages = _languages(directory, manifest) if LANGUAGES in manifest.files else None
    items = Items(arrays, _json(directory, manifest, CATEGORIES, tuple[str, ...]), languages)
    items.check(thorough)
    return items


def _languages(directory: Path, manifest: Manifest) -> Languages:
    arrays = map_arrays(directory / LANGUAGES, _entries(manifest, LANGUAGES), LANGUAGES_SCHEMA)
    return Languages(arrays, _json(directory, manifest, LANGUAGE_NAMES, tuple[str, ...]))


def _models(directory: Path, manifest: Manifest, items: int, thorough: bool) -> dict[str, PublishedModel]:
    models = {}
    for entry in _json(directory, manifest, MODELS, list[ModelEntry]):
        name = model_file(entry.number)
        arrays = map_arrays(directory / name, _entries(manifest, name), schema_of(entry.parts))
        models[entry.name] = PublishedModel.of(entry, arrays)
        models[entry.name].check(items, thorough)
    return models


def _transfers(directory: Path, manifest: Manifest) -> Transferred:
    return transferred(_json(directory, manifest, TRANSFERS, list[Row]))


def _entries(manifest: Manifest, name: str) -> dict[str, Any]:
    if name not in manifest.files:
        raise CorruptData(f"publication {manifest.id}: its manifest names no file {name!r}; publish again")
    return manifest.files[name].arrays


def _bytes(directory: Path, manifest: Manifest, name: str) -> bytes:
    _entries(manifest, name)
    return (directory / name).read_bytes()


def _json(directory: Path, manifest: Manifest, name: str, kind: Any) -> Any:
    return decode_json(directory / name, _bytes(directory, manifest, name), kind)
