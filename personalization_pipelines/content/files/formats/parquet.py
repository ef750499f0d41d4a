"""Parquet: columns with types of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from personalization_pipelines.content.files.formats.row_format import (
    Csv,
    Problem,
    RowFormat,
    SourceFile,
    first_line,
    marked,
)
from personalization_pipelines.foundation.errors import ImportRefused

BATCH_ROWS = 262_144

_FIRST_DAY, _LAST_DAY = -719_161, 2_932_895
"""Since 1970: a day after Python's first one and before its last one, for whatever zone."""
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000}


class Parquet(RowFormat):
    """Files of Apache Parquet."""

    name = "parquet"
    suffixes = (".parquet", ".pq")

    @classmethod
    def look(cls, path: Path, options: Csv) -> tuple[list[str], int | None]:
        """Return the columns of its schema, and its rows."""
        with pq.ParquetFile(path) as file:
            return list(file.schema_arrow.names), file.metadata.num_rows

    @classmethod
    def batches(cls, source: SourceFile, wanted: list[str], typed: set[str]) -> Iterator[pa.RecordBatch]:
        """Yield the wanted columns with types that are known; `typed` changes nothing."""
        try:
            with pq.ParquetFile(source.path, pre_buffer=False) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
                    batch.validate(full=True)  # text that is no UTF-8
                    yield _plain_types(source.path, batch)
        except (pa.ArrowException, OSError) as error:
            raise ImportRefused(
                f"{source.path}: damaged Parquet ({first_line(error)}); nothing was imported"
            ) from error


def _plain_types(path: Path, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose columns have types that `canonical_values.py` knows; bytes are text, or refused.

    Rows with a time that Python has no value for are marked, and it is missing in them.
    """
    columns, problems = [], {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            cells = _plain_type(column)
        except pa.ArrowException:
            raise ImportRefused(
                f"{path}: column {name[:80]!r} has the type {column.type}, and values that are no text and no number; "
                "nothing was imported"
            ) from None
        if wrong := _without_value(cells):
            cells = cells.take(pa.array([None if row in wrong else row for row in range(len(cells))], pa.int64()))
            reason = "a date, time or duration outside of the years 1 to 9999"
            problems.update({row: Problem(name, "", reason) for row in wrong})
        columns.append(cells)
    return marked(pa.RecordBatch.from_arrays(columns, batch.schema.names), problems)


def _plain_type(cells: pa.Array) -> pa.Array:
    if isinstance(cells, pa.ExtensionArray):
        cells = cells.storage
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    kind = cells.type
    if pa.types.is_binary_view(kind) or pa.types.is_string_view(kind) or pa.types.is_fixed_size_binary(kind):
        cells = cells.cast(pa.binary())
    if pa.types.is_binary(cells.type) or pa.types.is_large_binary(cells.type):
        return cells.cast(pa.string())
    if pa.types.is_float16(kind):
        return cells.cast(pa.float32())
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return cells.cast(pa.timestamp("us", kind.tz), safe=False)
    return cells


def _without_value(cells: pa.Array) -> set[int]:
    """Return the rows whose value is a time that Python has none for."""
    kind = cells.type
    if not _has_times(kind):
        return set()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        numbers = cells.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(kind) else cells.cast(pa.int64())
        most = _LAST_DAY * (1 if pa.types.is_date32(kind) else _PER_DAY[getattr(kind, "unit", "ms")])
        least = _FIRST_DAY * most // _LAST_DAY
        wrong = pc.fill_null(pc.or_(pc.less(numbers, least), pc.greater(numbers, most)), False)
        return set(np.flatnonzero(wrong.to_numpy(zero_copy_only=False)).tolist())
    return {row for row, cell in enumerate(cells) if not _has_value(cell)}


def _has_times(kind: pa.DataType) -> bool:
    if pa.types.is_map(kind):
        return _has_times(kind.key_type) or _has_times(kind.item_type)
    inside = [kind.field(number).type for number in range(kind.num_fields)]
    return pa.types.is_temporal(kind) or any(map(_has_times, inside))


def _has_value(cell: pa.Scalar) -> bool:
    try:
        cell.as_py()
    except (ValueError, OverflowError):
        return False
    return True
