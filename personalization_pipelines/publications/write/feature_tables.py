"""The feature tables as publishing reads them: each file is, byte by byte, what was built.

pyarrow is imported inside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personalization_pipelines.features.stored import StoredTable
from personalization_pipelines.foundation.errors import Busy, CorruptData, PermanentError

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("items", "item_languages", "learned_categories", "visitor_history", "item_transfers")


def feature_fingerprints(features: Path) -> dict[str, str]:
    """Return the SHA-256 of each table that a publication is made of, as the table's builder wrote it beside it.

    Bytes, not inputs: a table built again with the same rows publishes the same. Raises PermanentError where
    a table was never built, Busy while it is being built.
    """
    return {name: stored_table(features, name).state for name in TABLES}


def _sidecar(features: Path, name: str) -> dict[str, Any]:
    """Return what the table's builder wrote beside its file, its SHA-256 above all."""
    path = features / f"{name}.json"
    try:
        sidecar: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        if path.with_suffix(".parquet").exists():
            raise Busy(f"{path}: the feature table {name!r} is being built; publish again when it is done") from None
        raise PermanentError(
            f"{path}: the feature table {name!r} was never built; run `personalization build`"
        ) from None
    except ValueError as error:
        raise CorruptData(f"{path}: cannot be read ({error}); delete it and build again") from error
    if not isinstance(sidecar.get("sha256"), str):
        raise CorruptData(f"{path}: names no sha256; delete it and build again")
    return sidecar


def stored_table(features: Path, name: str) -> StoredTable:
    """Return a table as its sidecar describes it; raises what `feature_fingerprints` does, CorruptData if it is not."""
    _sidecar(features, name)
    path = features / f"{name}.parquet"
    stored = StoredTable.of(path)
    if stored is None:
        raise CorruptData(f"{path}: is not what the sidecar beside it describes; delete it and build again")
    return stored


def checked(features: Path, name: str, columns: tuple[str, ...]) -> StoredTable:
    """Return a table after looking that each of its files is what was built and has the columns.

    Raises what `feature_fingerprints` does, and CorruptData where that is not so.
    """
    stored = stored_table(features, name)
    _check(stored, stored.files, columns)
    return stored


def _check(stored: StoredTable, files: Iterable[Path], columns: tuple[str, ...]) -> None:
    """Raise CorruptData unless these files of a table are what was built, and it has the columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    digests = stored.digests
    try:
        for file in files:
            _check_bytes(file, digests[file])
        missing = set(columns) - set(pq.read_schema(stored.path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise CorruptData(f"{stored.path}: cannot be read ({error}); delete it and build again") from error
    if missing:
        raise CorruptData(f"{stored.path}: lacks the columns {sorted(missing)}; delete it and build again")


def _check_bytes(path: Path, expected: str) -> None:
    """Raise CorruptData unless a table is, byte by byte, what was built: Parquet pages carry no checksum."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != expected:
            raise CorruptData(f"{path}: does not match the SHA-256 beside it; delete it and build again")


def read_table(features: Path, name: str, columns: tuple[str, ...]) -> pa.Table:
    """Return some columns of a table, in its order."""
    import pyarrow.parquet as pq

    stored = checked(features, name, columns)
    if stored.changes:
        return stored.read(columns).combine_chunks()
    with pq.ParquetFile(stored.path) as file:
        return file.read(columns=list(columns), use_threads=False).combine_chunks()


def read_batches(features: Path, name: str, columns: tuple[str, ...], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a table in its order, about `rows` at a time."""
    yield from checked(features, name, columns).batches(columns, rows)


def column_of(table: pa.Table, name: str) -> Any:
    """Return a column in one piece."""
    import pyarrow as pa

    chunks = table.column(name).chunks
    return (
        chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], table.column(name).type)
    )
