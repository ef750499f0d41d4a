"""The beginning of every import: files found, mapping read, columns compared, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from personalization_pipelines.content.import_history import imports_directory, record_import, refused_row
from personalization_pipelines.content.mapping import TOTAL, NamedMapping, fitting_mappings, load_mapping
from personalization_pipelines.content.progress import Progress, Silent
from personalization_pipelines.content.read_files import FileFormat, SourceFile, digest, find_files, open_file
from personalization_pipelines.content.report import Kind
from personalization_pipelines.errors import ImportRefused, PermanentError
from personalization_pipelines.fingerprint import fingerprint
from personalization_pipelines.home import Home
from personalization_pipelines.website import Website

MAX_NAMED = 30


@dataclass(frozen=True)
class Job:
    """One import that may begin: its files (opened, with digests), its mapping, its clock."""

    home: Home
    website: Website
    kind: Kind
    mapping: NamedMapping
    sources: tuple[SourceFile, ...]
    digests: tuple[str, ...]
    now: datetime
    progress: Progress
    known: dict[str, Any] = field(default_factory=dict)
    """Fields of the history's row that are known before the import is done; a refused one keeps them."""

    def import_id(self, *digests: str, **options: object) -> str:
        """Return the id of importing these bytes with this mapping and these options into this website."""
        return fingerprint(
            kind=self.kind, website=self.website.name, files=digests, mapping=self.mapping.digest, options=options
        )

    def notes(self) -> list[str]:
        """Return what is to be said with the result: the mapping's notice."""
        return [self.mapping.rules.notice] if self.mapping.rules.notice else []


@contextmanager
def opened(
    kind: Kind,
    home: Home,
    website: Website,
    files: Sequence[str | Path],
    mapping: str | Path | None,
    now: datetime | None,
    progress: Progress | None,
    format: FileFormat | None = None,
) -> Iterator[Job]:
    """Yield the job of an import; an import that is refused, here or later, is kept in the history."""
    moment, known = (now or datetime.now(UTC)).astimezone(UTC), dict[str, Any]()
    try:
        named = load_mapping(kind, mapping)
        _check_website(named, website)
        sources = tuple(open_file(path, named.rules.csv, format) for path in find_files(files))
        for source in sources:
            _check_columns(source, named, kind)
        digests = tuple(digest(source.path) for source in sources)
        yield Job(home, website, kind, named, sources, digests, moment, progress or Silent(), known)
    except PermanentError as error:
        rejects = imports_directory(home, website) / f"{known.get('transaction', '')}.rejects.csv"
        if rejects.is_file():
            known["rejects_file"] = rejects.name
        record_import(home, website, refused_row(kind, files, moment, error, str(mapping or ""), known))
        raise


def _check_website(named: NamedMapping, website: Website) -> None:
    if named.rules.item_ids == "alphanumeric" and website.item_ids == "numeric":
        raise ImportRefused(
            f"mapping {named.name} brings item ids with letters; set `item_ids: alphanumeric` in the file of website "
            f"{website.name} before its first import"
        )


def _check_columns(source: SourceFile, named: NamedMapping, kind: Kind) -> None:
    found = source.columns
    has = f"it has {', '.join(found[:MAX_NAMED])}{' …' if len(found) > MAX_NAMED else ''}"
    if absent := [name for name in named.rules.needed() if name not in found]:
        raise ImportRefused(
            f"{source.path}: mapping {named.name} reads {', '.join(absent)}, which it does not have; {has}"
        )
    if lacking := [name for name in named.rules.lacking(found) if name != TOTAL]:
        fitting = [name for name in fitting_mappings(kind, found) if name != named.name.removesuffix(".yml")]
        advice = (
            f"the shipped mapping {fitting[0]} fits these columns" if fitting else "a mapping file can rename columns"
        )
        raise ImportRefused(f"{source.path}: {kind} need a column {', '.join(lacking)}; {has}; {advice}")
