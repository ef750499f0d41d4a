"""What a stranger's package adds to the imports: texts with `|` between them, one row a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from personalization_pipelines.content.files.formats.row_format import Csv, RowFormat, SourceFile


class PipeSeparated(RowFormat):
    name = "psv"
    suffixes = (".psv",)

    @classmethod
    def look(cls, path: Path, options: Csv) -> tuple[list[str], int | None]:
        header, *lines = path.read_text().splitlines()
        return header.split("|"), len(lines)

    @classmethod
    def batches(cls, source: SourceFile, wanted: list[str], typed: set[str]) -> Iterator[pa.RecordBatch]:
        rows = [line.split("|") for line in source.path.read_text().splitlines()[1:]]
        columns = {name: [row[source.columns.index(name)] or None for row in rows] for name in wanted}
        yield pa.RecordBatch.from_pydict(columns, pa.schema([(name, pa.string()) for name in wanted]))
