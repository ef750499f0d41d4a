"""CSV: every value is text; what separates values, and the encoding, say the mapping and the file's name."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from personalization_pipelines.content.files.formats.row_format import (
    PIECE_BYTES,
    Csv,
    Problem,
    RowFormat,
    SourceFile,
    marked,
)
from personalization_pipelines.content.files.quotes import implausible, line_breaks, misplaced_quote
from personalization_pipelines.foundation.errors import ImportRefused

MAX_HEADER_BYTES = 1 << 20
CSV_BLOCK_BYTES = 8 << 20
"""Rows longer than this are refused, so one unclosed quote does not read the whole file as a field."""
_COUNTS = re.compile(r"Expected (\d+) columns, got (\d+)")


class CommaSeparated(RowFormat):
    """Files whose first line names the columns."""

    name = "csv"
    suffixes = (".csv", ".tsv")

    @classmethod
    def look(cls, path: Path, options: Csv) -> tuple[list[str], int | None]:
        """Return the names of the first line."""
        return _header(path, options), None

    @classmethod
    def check(cls, source: SourceFile) -> None:
        """Refuse a file that something else separates, and one with quotes that would take other rows into a value."""
        _check_separator(source)
        _check_quotes(source)

    @classmethod
    def batches(cls, source: SourceFile, wanted: list[str], typed: set[str]) -> Iterator[pa.RecordBatch]:
        """Yield the wanted columns as text; `typed` changes nothing."""
        separator = delimiter(source.path, source.csv)
        row, line = 1, 2
        try:
            with pa.input_stream(str(source.path), compression="detect") as stream:
                for batch in pyarrow.csv.open_csv(stream, *_options(source)):
                    problems, breaks = _swallowed(batch, separator, line)
                    row += batch.num_rows
                    line += batch.num_rows + breaks
                    yield marked(batch.select(wanted), problems)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ImportRefused(
                f"{source.path}: {_csv_reason(error, source.csv)} (after line {row}); nothing was imported"
            ) from None


def delimiter(path: Path, options: Csv) -> str:
    """Return what separates values: what the mapping says, else a tab in a `.tsv` file."""
    return "\t" if ".tsv" in path.suffixes and options.delimiter == "," else options.delimiter


def _options(source: SourceFile) -> tuple[Any, Any, Any]:
    return (
        pyarrow.csv.ReadOptions(block_size=CSV_BLOCK_BYTES, encoding=source.csv.encoding),
        pyarrow.csv.ParseOptions(delimiter=delimiter(source.path, source.csv), newlines_in_values=True),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(source.columns, pa.string()),
            include_columns=source.columns,
            strings_can_be_null=True,
            null_values=[""],
            quoted_strings_can_be_null=True,
        ),
    )


def _check_separator(source: SourceFile) -> None:
    """Refuse a header that is one column only because something else separates its names."""
    name = source.columns[0]
    found = next((one for one in ";\t|," if one in name and one != delimiter(source.path, source.csv)), None)
    if len(source.columns) == 1 and found:
        shown = "\\t" if found == "\t" else found
        raise ImportRefused(
            f"{source.path}: the header has one column with '{shown}' in it: is the file separated by it? "
            f'Say so in a mapping (`csv: {{delimiter: "{shown}"}}`)'
        )


def _beginning(path: Path, size: int) -> bytes:
    with pa.input_stream(str(path), compression="detect") as stream:
        return bytes(stream.read(size))


def _header(path: Path, options: Csv) -> list[str]:
    data = _beginning(path, MAX_HEADER_BYTES)
    text = codecs.getincrementaldecoder(options.encoding)("replace").decode(data).removeprefix("\ufeff")
    try:
        header = next(csv.reader(io.StringIO(text), delimiter=delimiter(path, options)), [])
    except csv.Error as error:
        raise ImportRefused(f"{path}: the first line cannot be read ({error})") from None
    if any("\ufffd" in name for name in header):
        raise ImportRefused(f"{path}: {_encoding_reason(options)}")
    return header


def _check_quotes(source: SourceFile) -> None:
    """Look through a whole CSV for quotes that would take other rows into a value."""
    decoder = codecs.getincrementaldecoder(source.csv.encoding)()
    with pa.input_stream(str(source.path), compression="detect") as stream:
        pieces = (decoder.decode(piece) for piece in iter(partial(stream.read, PIECE_BYTES), b""))
        try:
            found = misplaced_quote(pieces, delimiter(source.path, source.csv))
        except UnicodeError:
            found = _encoding_reason(source.csv)
    if found:
        raise ImportRefused(f"{source.path}: {found}; nothing was imported")


def _swallowed(batch: pa.RecordBatch, delimiter: str, line: int) -> tuple[dict[int, Problem], int]:
    """Return the rows with a value that other rows are part of, and how many line breaks the batch's values have.

    `line` is where the batch begins in its file, were no line empty.
    """
    several = {}
    for column, cells in enumerate(batch.columns):
        where = pc.fill_null(pc.match_substring_regex(cells, r"[\r\n]"), False)
        if pc.any(where).as_py():
            rows = np.flatnonzero(where.to_numpy(zero_copy_only=False)).tolist()
            several.update({(row, column): cells[row].as_py() for row in rows})
    problems: dict[int, Problem] = {}
    breaks = 0
    for (row, column), value in sorted(several.items()):
        first = batch.column(0)[row].as_py() or ""
        begin, ends = line + row + breaks, line_breaks(value)
        if reason := implausible(value, column, batch.num_columns, delimiter, first):
            problems[row] = Problem(batch.schema.names[column], f"lines {begin} to {begin + ends}", reason)
        breaks += ends
    return problems, breaks


def _csv_reason(error: Exception, options: Csv) -> str:
    if counts := _COUNTS.search(str(error)):
        return f"a row has {counts[2]} values where the header has {counts[1]}, or a quote is never closed"
    if isinstance(error, UnicodeError) or "UTF8" in str(error) or "UTF-8" in str(error):
        return _encoding_reason(options)
    if "straddl" in str(error) or "block size" in str(error):
        return f"a row is longer than {CSV_BLOCK_BYTES >> 20} MiB, or a quote is never closed"
    return "it is no readable CSV"


def _encoding_reason(options: Csv) -> str:
    return f"its text is not {options.encoding}; name its encoding in the mapping (`csv: {{encoding: latin-1}}`)"
