"""The contract of a format of rows: what a file's columns are, and its rows in batches.

CSV and JSON lines give text (JSON keeps its types where the caller asks, for attributes), Parquet its own types;
`canonical_values.py` makes all equal. No column or type is taken from a sample. What cannot be read is refused with a
sentence that never repeats a row, because a row may hold a user's id; a row that alone is at fault is marked
(`PROBLEM`), and rejected by whoever reads it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import pyarrow as pa
from pydantic import Field, field_validator

from personalization_pipelines.foundation.fields import Strict

MAX_COLUMNS = 1000
PIECE_BYTES = 1 << 20
JSON_CELL = {b"cell": b"json"}
"""Field metadata of columns whose cells are JSON text."""
PROBLEM = pa.field("", pa.struct([("column", pa.string()), ("place", pa.string()), ("reason", pa.string())]))
"""A column behind the file's own, of batches with rows that are to be rejected; no column of a file has no name."""


class Problem(NamedTuple):
    """Why a row is to be rejected: the column, if it is one; where it is in the file; a reason without values."""

    column: str
    place: str
    reason: str


class Csv(Strict):
    """What differs from comma-separated UTF-8."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"

    @field_validator("encoding")
    @classmethod
    def _encoding(cls, value: str) -> str:
        try:
            "a".encode(value)
        except (LookupError, UnicodeError):  # an unknown name, or one like base64 that makes bytes of bytes
            raise ValueError(f"{value!r} is no encoding; expected a name like utf-8 or latin-1") from None
        return value


@dataclass(frozen=True)
class SourceFile:
    """One file to import: its format, its columns, and how to read its rows."""

    path: Path
    format: type[RowFormat]
    columns: list[str]
    rows: int | None
    csv: Csv

    def batches(self, wanted: Sequence[str], typed: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the wanted columns in batches, in the file's order.

        Columns in `typed` keep JSON's types as JSON text (field metadata `JSON_CELL`). Raises ImportRefused where
        the file turns out to be broken.
        """
        return self.format.batches(self, list(wanted), set(typed))


class RowFormat(ABC):
    """One way in which files of rows are written."""

    name: ClassVar[str]
    """What people call it; also the name of its file, or of its entry point."""
    suffixes: ClassVar[tuple[str, ...]]
    """How names of such files end, in lower case."""

    @classmethod
    @abstractmethod
    def look(cls, path: Path, options: Csv) -> tuple[list[str], int | None]:
        """Return the columns of a file, and how many rows it has where it says so.

        Raises ImportRefused where what is wrong can be said; pyarrow's, OS and Unicode errors are made a sentence.
        """

    @classmethod
    def check(cls, source: SourceFile) -> None:
        """Raise ImportRefused for what is wrong with a whole file, before anything of it is imported."""
        return  # most formats have nothing to look for

    @classmethod
    @abstractmethod
    def batches(cls, source: SourceFile, wanted: list[str], typed: set[str]) -> Iterator[pa.RecordBatch]:
        """Yield what `SourceFile.batches` says."""


def marked(batch: pa.RecordBatch, problems: Mapping[int, Problem]) -> pa.RecordBatch:
    """Return a batch with a column more, if some of its rows are to be rejected."""
    if not problems:
        return batch
    cells = [problems[row]._asdict() if row in problems else None for row in range(batch.num_rows)]
    return pa.RecordBatch.from_arrays(
        [*batch.columns, pa.array(cells, PROBLEM.type)], schema=batch.schema.append(PROBLEM)
    )


def first_line(error: Exception) -> str:
    """Return what an error says, in one line that is not long."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
