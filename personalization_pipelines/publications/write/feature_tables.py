"""The feature tables as publishing reads them: each file is, byte by byte, what was built.

pyarrow is imported inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personalization_pipelines.features.stored import StoredTable
from personalization_pipelines.features.table_columns import sha256
from personalization_pipelines.foundation.errors import Busy, CorruptData, PermanentError

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("items", "item_languages", "learned_categories", "visitor_history", "item_transfers")


def feature_fingerprints(features: Path) -> dict[str, str]:
    """Return the SHA-256 of each table that a publication is made of, as the table's builder wrote it beside it.

    Bytes, not inputs: a table built again with the same rows publishes the same. Raises PermanentError where
    a table was never built, Busy while it is being built, CorruptData where it is not what its sidecar says.
    """
    return {name: _stored(features, name).sha256 for name in TABLES}


def _stored(features: Path, name: str) -> StoredTable:
    path = features / f"{name}.parquet"
    sidecar = path.with_suffix(".json")
    if not sidecar.exists():
        if path.exists():
            raise Busy(f"{sidecar}: the feature table {name!r} is being built; publish again when it is done")
        raise PermanentError(f"{path}: the feature table {name!r} was never built; run `personalization build`")
    stored = StoredTable.of(path)
    if stored is None:
        raise CorruptData(f"{path}: is not what the sidecar beside it describes; delete it and build again")
    return stored


def _checked(features: Path, name: str, columns: tuple[str, ...]) -> Path:
    """Return a table's file after looking that it is, byte by byte, what was built and has the columns.

    Parquet pages carry no checksum. Raises what `feature_fingerprints` does.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    stored = _stored(features, name)
    try:
        if sha256(stored.path) != stored.sha256:
            raise CorruptData(f"{stored.path}: does not match the SHA-256 beside it; delete it and build again")
        missing = set(columns) - set(pq.read_schema(stored.path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise CorruptData(f"{stored.path}: cannot be read ({error}); delete it and build again") from error
    if missing:
        raise CorruptData(f"{stored.path}: lacks the columns {sorted(missing)}; delete it and build again")
    return stored.path


def read_table(features: Path, name: str, columns: tuple[str, ...]) -> pa.Table:
    """Return some columns of a table, in its order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(_checked(features, name, columns)) as file:
        return file.read(columns=list(columns), use_threads=False).combine_chunks()


def read_batches(features: Path, name: str, columns: tuple[str, ...], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a table in its order, about `rows` at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(_checked(features, name, columns)) as file:
        yield from file.iter_batches(rows, columns=list(columns))


def column_of(table: pa.Table, name: str) -> Any:
    """Return a column in one piece."""
    import pyarrow as pa

    chunks = table.column(name).chunks
    return (
        chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], table.column(name).type)
    )
