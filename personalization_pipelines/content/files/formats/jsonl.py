"""JSON lines: one object a line; a column for every key of any line (`json_lines.py` reads a line)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from personalization_pipelines.content.files.formats.row_format import (
    JSON_CELL,
    MAX_COLUMNS,
    PIECE_BYTES,
    Csv,
    Problem,
    RowFormat,
    SourceFile,
    first_line,
    marked,
)
from personalization_pipelines.content.files.json_lines import (
    Unusable,
    cell_json,
    cell_text,
    object_lines,
    read_keys,
    read_object,
)
from personalization_pipelines.foundation.errors import ImportRefused

JSON_BATCH_ROWS = 65_536


class JsonLines(RowFormat):
    """Files of JSON objects, one a line."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson")

    @classmethod
    def look(cls, path: Path, options: Csv) -> tuple[list[str], int | None]:
        """Return the keys of all lines; a file with a line that is no object is refused."""
        with pa.input_stream(str(path), compression="detect") as stream:
            try:
                return read_keys(io.BufferedReader(stream, PIECE_BYTES), MAX_COLUMNS), None
            except ImportRefused as error:
                raise ImportRefused(f"{path}: {error}; nothing was imported") from None

    @classmethod
    def batches(cls, source: SourceFile, wanted: list[str], typed: set[str]) -> Iterator[pa.RecordBatch]:
        """Yield the wanted keys as text, `typed` ones as JSON."""
        try:
            with pa.input_stream(str(source.path), compression="detect") as stream:
                lines = object_lines(io.BufferedReader(stream, PIECE_BYTES))
                while batch := _json_batch(lines, wanted, typed):
                    yield batch
        except ImportRefused as error:
            raise ImportRefused(f"{source.path}: {error}; nothing was imported") from None
        except (pa.ArrowException, OSError) as error:
            raise ImportRefused(f"{source.path}: {first_line(error)}; nothing was imported") from None


def _json_batch(lines: Iterator[tuple[int, bytes]], wanted: list[str], typed: set[str]) -> pa.RecordBatch | None:
    """Return the next rows, None behind the last one."""
    objects: list[dict[str, Any]] = []
    problems: dict[int, Problem] = {}
    for number, line in islice(lines, JSON_BATCH_ROWS):
        try:
            objects.append(read_object(line, number))
        except Unusable as error:
            problems[len(objects)] = Problem("", f"line {number}", str(error))
            objects.append({})
    if not objects:
        return None
    columns = [_json_cells(objects, name, cell_json if name in typed else cell_text) for name in wanted]
    fields = [pa.field(name, pa.string(), metadata=JSON_CELL if name in typed else None) for name in wanted]
    batch = pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    return marked(batch, problems)


def _json_cells(objects: list[dict[str, Any]], name: str, read: Callable[[Any], str | None]) -> pa.Array:
    return pa.array([None if (value := one.get(name)) is None else read(value) for one in objects], pa.string())
