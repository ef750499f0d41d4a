"""Write a publication's directory: every file synced, the manifest last. The program names the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from personalization_pipelines import __version__
from personalization_pipelines.publications.format.arrays import layout, pieces
from personalization_pipelines.publications.format.disk import Disk, write_file
from personalization_pipelines.publications.format.publication_arrays import Arrays, Content
from personalization_pipelines.publications.format.publication_manifest import (
    FORMAT,
    MANIFEST,
    SEAL,
    FileEntry,
    Manifest,
    encode_manifest,
)
from personalization_pipelines.publications.read.published import PLAN
from personalization_pipelines.publications.read.published_items import CATEGORIES, ITEMS
from personalization_pipelines.publications.read.published_languages import LANGUAGE_NAMES, LANGUAGES
from personalization_pipelines.publications.read.published_models import MODELS, model_file
from personalization_pipelines.publications.read.published_transfers import TRANSFERS
from personalization_pipelines.publications.read.published_visitors import VISITORS

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and how many there are."""


def write_publication(
    directory: Path,
    content: Content,
    *,
    publication: str,
    as_of: datetime,
    features: dict[str, str] | None = None,
    disk: Disk | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write a whole publication into a directory that must not exist yet; nothing is switched.

    `features` are the SHA-256 of the tables it was made of. Returns the manifest; raises OSError.
    """
    disk = disk or Disk()
    disk.make_directory(directory)
    files: dict[str, FileEntry] = {}
    parts = list(_files(content))
    for number, (name, part) in enumerate(parts):
        if progress:
            progress(f"write {name}", number, len(parts))
        files[name] = _write(disk, directory / name, part)
    manifest = Manifest(
        format=FORMAT,
        id=publication,
        website=content.plan.website,
        as_of=as_of.isoformat(),
        code=__version__,
        items=len(content.items["types"]),
        visitors=len(content.visitors["high"]),
        models={entry.name: entry.build_id for entry, _ in content.models},
        features=dict(sorted((features or {}).items())),
        files=files,
    )
    for name, text in zip((MANIFEST, SEAL), encode_manifest(manifest), strict=True):
        write_file(disk, directory / name, [text])
    disk.sync_directory(directory)
    return manifest


def _files(content: Content) -> Iterator[tuple[str, Arrays | bytes]]:
    yield PLAN, content.plan.to_json()
    yield CATEGORIES, msgspec.json.encode(content.categories)
    yield MODELS, msgspec.json.encode([entry for entry, _ in content.models])
    yield ITEMS, content.items
    if content.languages:
        yield LANGUAGE_NAMES, msgspec.json.encode(content.language_names)
        yield LANGUAGES, content.languages
    yield VISITORS, content.visitors
    if content.transfers:
        yield TRANSFERS, msgspec.json.encode(content.transfers)
    for entry, arrays in content.models:
        yield model_file(entry.number), arrays


def _write(disk: Disk, path: Path, part: Arrays | bytes) -> FileEntry:
    if isinstance(part, bytes):
        return FileEntry(*write_file(disk, path, [part]))
    return FileEntry(*write_file(disk, path, pieces(part)), arrays=layout(part))
