"""The beginning of every import: files found, mapping read, columns compared, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from personalization_pipelines.content.files.formats.row_format import SourceFile
from personalization_pipelines.content.files.item_documents import ItemDocument, document_format
from personalization_pipelines.content.files.mapping import TOTAL, NamedMapping, fitting_mappings, load_mapping
from personalization_pipelines.content.files.object_stores import Given, StoredObject, downloaded, list_objects
from personalization_pipelines.content.files.read_files import FileFormat, digest, find_files, open_file
from personalization_pipelines.content.import_history import imports_directory, record_import, refused_row
from personalization_pipelines.content.report import Kind
from personalization_pipelines.foundation.errors import ImportRefused, PermanentError
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.progress import Progress, Silent
from personalization_pipelines.website import Website
from personalization_pipelines.website.addresses import is_address

MAX_NAMED = 30


@dataclass(frozen=True)
class Job:
    """One import that may begin: its files (opened, with digests), its mapping, its clock."""

    home: Home
    website: Website
    kind: Kind
    mapping: NamedMapping
    sources: tuple[SourceFile | ItemDocument, ...]
    digests: tuple[str, ...]
    now: datetime
    progress: Progress
    known: dict[str, Any] = field(default_factory=dict)
    """Fields of the history's row that are known before the import is done; a refused one keeps them."""
    addresses: dict[Path, str] = field(default_factory=dict)
    """Where files were downloaded from."""

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """The files that a mapping gives a meaning: all but documents of items."""
        return tuple(one for one in self.sources if isinstance(one, SourceFile))

    @property
    def names(self) -> tuple[str, ...]:
        """What a person calls the files: paths, or the addresses they came from."""
        return tuple(self.addresses.get(one.path, str(one.path)) for one in self.sources)

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
    files: Sequence[Given],
    mapping: str | Path | None,
    now: datetime | None,
    progress: Progress | None,
    format: FileFormat | None = None,
) -> Iterator[Job]:
    """Yield the job of an import; an import that is refused, here or later, is kept in the history.

    Objects of a store are on this machine until the import is done.
    """
    moment, known, addresses = (now or datetime.now(UTC)).astimezone(UTC), dict[str, Any](), dict[Path, str]()
    try:
        named = load_mapping(kind, mapping)
        _check_website(named, website)
        with ExitStack() as stack:
            paths = _local_files(home, files, addresses, stack)
            sources = tuple(_open(kind, website, path, named, mapping, format) for path in paths)
            digests = tuple(digest(source.path) for source in sources)
            yield Job(home, website, kind, named, sources, digests, moment, progress or Silent(), known, addresses)
    except PermanentError as error:
        for path, address in addresses.items():  # nobody finds a download afterwards
            error.args = (str(error).replace(str(path), address), *error.args[1:])
        rejects = imports_directory(home, website) / f"{known.get('transaction', '')}.rejects.csv"
        if rejects.is_file():
            known["rejects_file"] = rejects.name
        record_import(home, website, refused_row(kind, files, moment, error, str(mapping or ""), known))
        raise


def _local_files(home: Home, given: Sequence[Given], addresses: dict[Path, str], stack: ExitStack) -> list[Path]:
    """Return files of this machine, each once, in order; objects of stores are downloaded, noted in `addresses`."""
    found: list[Path] = []
    for one in given:
        if isinstance(one, StoredObject) or is_address(one):
            objects = [one] if isinstance(one, StoredObject) else list_objects(str(one))
            if not objects:
                raise ImportRefused(f"{one}: no such object")
            local = stack.enter_context(downloaded(home, objects))
            addresses.update(local)
            found += local
        else:
            found += find_files([one])
    return list(dict.fromkeys(found)) or find_files([])


def _open(
    kind: Kind, website: Website, path: Path, named: NamedMapping, mapping: object, format: FileFormat | None
) -> SourceFile | ItemDocument:
    form = document_format(path, format) if kind == "items" else None
    if form is None:
        source = open_file(path, named.rules.csv, format)
        _check_columns(source, named, kind)
        return source
    if mapping is not None:
        raise ImportRefused(f"{path}: a mapping ({mapping}) names columns, of which {form} has none; leave it out")
    return ItemDocument(path, form, website)


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
