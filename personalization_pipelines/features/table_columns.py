"""What a SELECT reads of a table, and fingerprints of files and of single columns of a Parquet file.

A table is built again when what it reads changed, and most tables read few columns: new prices and texts leave the
categories of a million items alone. So beside each table lies what tells one content of each of its columns from
another, and its readers compare those that they may read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq
from sqlglot import exp


def names_in(tree: exp.Expr) -> frozenset[str] | None:
    """Return every name in a query, in lower case: it can read no column but these. None: it may read any.

    That is where a star or a whole row (a table's name as a value) stands in it.
    """
    tables = {one.alias_or_name.lower() for one in tree.find_all(exp.Table)}
    columns = list(tree.find_all(exp.Column))
    stars = [one for one in tree.find_all(exp.Star) if not isinstance(one.parent, exp.Count)]
    if stars or any(one.name.lower() in tables for one in columns) or any(tree.find_all(exp.Columns)):
        return None
    return frozenset(one.name.lower() for one in tree.find_all(exp.Identifier))


def column_digests(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each column of a Parquet file: of its type, the sizes of its row groups and its pages."""
    file = pq.ParquetFile(path)
    kinds = {field.name: str(field.type) for field in file.schema_arrow}
    found = {name: hashlib.sha256(kind.encode()) for name, kind in kinds.items()}
    with path.open("rb") as raw:
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            for place in range(group.num_columns):
                chunk = group.column(place)
                offsets = chunk.data_page_offset, chunk.dictionary_page_offset
                raw.seek(min(one for one in offsets if one is not None))
                digest = found[chunk.path_in_schema.partition(".")[0]]
                digest.update(b"%d:" % chunk.num_values)
                digest.update(raw.read(chunk.total_compressed_size))
    return {name: digest.hexdigest() for name, digest in found.items()}


def contents(files: Sequence[Path]) -> str:
    """Return what tells one content of some files, which never change, from another."""
    return "+".join(_remembered_sha256(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files)


@lru_cache(maxsize=1024)
def _remembered_sha256(path: Path, size: int, changed: int) -> str:
    return sha256(path)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
