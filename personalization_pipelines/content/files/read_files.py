"""Finds import files and opens them: which there are, what they are called, in which format they are written.

How a format is read is in `formats/`, one file a format.
"""

from __future__ import annotations

import glob
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from personalization_pipelines.content.files.formats import DOCUMENTS, format_of_suffix, row_formats
from personalization_pipelines.content.files.formats.row_format import (
    MAX_COLUMNS,
    Csv,
    RowFormat,
    SourceFile,
    first_line,
)
from personalization_pipelines.content.files.object_stores import StoredObject, list_objects
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.addresses import is_address

FileFormat = str
"""What a person says that a file is written in: the name of a format of rows, or of documents of items."""

_COMPRESSED = {".gz", ".zst"}
_DOCUMENTS = {".xml", ".export", ".json"}


def expand_files(home: Home, pattern: str) -> list[Path | StoredObject]:
    """Return the files that a pattern of the website's file names, sorted; relative ones are under the home.

    The address of an object store (`s3://bucket/*.parquet`) gives its objects, and raises what `list_objects` does.
    """
    return [*list_objects(pattern)] if is_address(pattern) else [*_matching(str(home.root / pattern))]


def find_files(given: Sequence[str | Path]) -> list[Path]:
    """Return the files that paths and patterns name, each once, in order.

    Raises ImportRefused where a path does not exist or a pattern names nothing.
    """
    found: dict[Path, None] = {}
    for one in given:
        path = Path(one)
        names = [path] if path.is_file() else _matching(str(one))
        if not names:
            raise ImportRefused(f"{one}: {'a directory, not a file' if path.is_dir() else 'no such file'}")
        found.update(dict.fromkeys(names))
    if not found:
        raise ImportRefused("no file was given")
    return list(found)


def _matching(pattern: str) -> list[Path]:
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - a pattern may be absolute, Path.glob takes no such
    return sorted(path for path in map(Path, found) if path.is_file())


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, unpacked where its name says that it is packed, in hex.

    Raises ImportRefused where it can not be read or unpacked.
    """
    try:
        with path.open("rb") if path.suffix.lower() not in _COMPRESSED else _unpacked(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImportRefused(f"{path}: cannot be unpacked ({first_line(error)}); nothing was imported") from None


def _unpacked(path: Path) -> io.BufferedReader:
    return io.BufferedReader(pa.input_stream(str(path), compression="detect"), 1 << 20)


def open_file(path: Path, options: Csv, format: FileFormat | None = None) -> SourceFile:
    """Look at a file's beginning and return what it is; its name says the format, unless `format` does.

    Raises ImportRefused for an empty, unreadable or damaged file, for a header that names a column twice or
    not at all, and for documents, which hold items only.
    """
    form = _format(path, format)
    try:
        if not path.stat().st_size:
            raise ImportRefused(f"{path}: the file is empty")
        columns, rows = form.look(path, options)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise ImportRefused(f"{path}: cannot be read as {form.name} ({_unreadable(error)})") from None
    _check_header(path, columns)
    opened = SourceFile(path, form, columns, rows, options)
    form.check(opened)
    return opened


def suffix(path: Path) -> str:
    """Return how a file's name ends, in lower case and without what compression adds: `.csv` of `A.CSV.gz`."""
    suffixes = [one.lower() for one in path.suffixes]
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in _COMPRESSED else (suffixes or [""])[-1]


def _format(path: Path, told: FileFormat | None) -> type[RowFormat]:
    if told is not None and told not in DOCUMENTS:
        return row_formats()[told]
    last = f".{told}" if told else suffix(path)
    if last in _DOCUMENTS:
        raise ImportRefused(
            f"{path}: {last[1:]} files hold items only; events and users come as Parquet, CSV or JSON lines (.jsonl)"
        )
    known = format_of_suffix()
    if last not in known:
        raise ImportRefused(f"{path}: expected a name that ends in {', '.join(known)} (also with .gz or .zst)")
    return known[last]


def _check_header(path: Path, columns: list[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1}) if len(columns) <= MAX_COLUMNS else []
    if len(columns) > MAX_COLUMNS:
        raise ImportRefused(f"{path}: {len(columns)} columns; at most {MAX_COLUMNS} are read")
    if not columns or "" in columns:
        raise ImportRefused(f"{path}: a column has no name; the first line must name every column")
    if twice:
        raise ImportRefused(f"{path}: the header names {twice[0][:80]!r} twice; rename one of the two")


def _unreadable(error: Exception) -> str:
    return "its text is not utf-8" if isinstance(error, UnicodeError) else first_line(error)
