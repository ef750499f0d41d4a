"""Opens import files: Parquet, CSV and JSON lines, as batches of rows with the file's own columns.

CSV and JSON lines give text (JSON keeps its types where the caller asks, for attributes), Parquet its own
types; `columns.py` makes all three equal. No column or type is taken from a sample. What cannot be read is refused
with a sentence that never repeats a row, because a row may hold a user's id; a row that alone is at fault is marked
(`PROBLEM`), and rejected by whoever reads it.
"""

from __future__ import annotations

import codecs
import csv
import glob
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from personalization_pipelines.content.files.json_lines import (
    Unusable,
    cell_json,
    cell_text,
    object_lines,
    read_keys,
    read_object,
)
from personalization_pipelines.content.files.mapping import Csv
from personalization_pipelines.content.files.object_stores import StoredObject, list_objects
from personalization_pipelines.content.files.quotes import implausible, line_breaks, misplaced_quote
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.addresses import is_address

Format = Literal["parquet", "csv", "jsonl"]
FileFormat = Literal["parquet", "csv", "jsonl", "xml", "export"]
"""What a website's file can say; the last two are documents of items (`item_documents.py`)."""

BATCH_ROWS = 262_144
JSON_BATCH_ROWS = 65_536
PIECE_BYTES = 1 << 20
MAX_COLUMNS = 1000
MAX_HEADER_BYTES = 1 << 20
CSV_BLOCK_BYTES = 8 << 20
"""Rows longer than this are refused, so one unclosed quote does not read the whole file as a field."""
JSON_CELL = {b"cell": b"json"}
"""Field metadata of columns whose cells are JSON text."""
PROBLEM = pa.field("", pa.struct([("column", pa.string()), ("place", pa.string()), ("reason", pa.string())]))
"""A column behind the file's own, of batches with rows that are to be rejected; no column of a file has no name."""

_FORMATS: dict[str, Format] = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
_COMPRESSED = {".gz", ".zst"}
_DOCUMENTS = {".xml", ".export", ".json"}
_FIRST_DAY, _LAST_DAY = -719_161, 2_932_895
"""Since 1970: a day after Python's first one and before its last one, for whatever zone."""
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000}
_COUNTS = re.compile(r"Expected (\d+) columns, got (\d+)")


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
        raise ImportRefused(f"{path}: cannot be unpacked ({_first_line(error)}); nothing was imported") from None


def _unpacked(path: Path) -> io.BufferedReader:
    return io.BufferedReader(pa.input_stream(str(path), compression="detect"), 1 << 20)


class Problem(NamedTuple):
    """Why a row is to be rejected: the column, if it is one; where it is in the file; a reason without values."""

    column: str
    place: str
    reason: str


@dataclass(frozen=True)
class SourceFile:
    """One file to import: its format, its columns, and how to read its rows."""

    path: Path
    format: Format
    columns: list[str]
    rows: int | None
    csv: Csv

    def batches(self, wanted: Sequence[str], typed: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the wanted columns in batches, in the file's order.

        Columns in `typed` keep JSON's types as JSON text (field metadata `JSON_CELL`). Raises ImportRefused where
        the file turns out to be broken.
        """
        readers = {"parquet": self._parquet, "csv": self._csv, "jsonl": self._jsonl}
        return readers[self.format](list(wanted), set(typed))

    def _parquet(self, wanted: list[str], typed: set[str]) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(self.path, pre_buffer=False) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
                    batch.validate(full=True)  # text that is no UTF-8
                    yield _plain_types(self.path, batch)
        except (pa.ArrowException, OSError) as error:
            raise ImportRefused(f"{self.path}: damaged Parquet ({_first_line(error)}); nothing was imported") from error

    def _csv(self, wanted: list[str], typed: set[str]) -> Iterator[pa.RecordBatch]:
        row, line = 1, 2
        try:
            with pa.input_stream(str(self.path), compression="detect") as stream:
                for batch in pyarrow.csv.open_csv(stream, *self._csv_options(self.columns)):
                    problems, breaks = _swallowed(batch, self.delimiter, line)
                    row += batch.num_rows
                    line += batch.num_rows + breaks
                    yield _marked(batch.select(wanted), problems)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ImportRefused(
                f"{self.path}: {_csv_reason(error, self.csv)} (after line {row}); nothing was imported"
            ) from None

    def _csv_options(self, wanted: list[str]) -> tuple[Any, Any, Any]:
        return (
            pyarrow.csv.ReadOptions(block_size=CSV_BLOCK_BYTES, encoding=self.csv.encoding),
            pyarrow.csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()),
                include_columns=wanted,
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        )

    @property
    def delimiter(self) -> str:
        """What separates the values of a CSV: the mapping's, else a tab in a `.tsv` file."""
        return "\t" if ".tsv" in self.path.suffixes and self.csv.delimiter == "," else self.csv.delimiter

    def _jsonl(self, wanted: list[str], typed: set[str]) -> Iterator[pa.RecordBatch]:
        try:
            with pa.input_stream(str(self.path), compression="detect") as stream:
                lines = object_lines(io.BufferedReader(stream, PIECE_BYTES))
                while batch := _json_batch(lines, wanted, typed):
                    yield batch
        except ImportRefused as error:
            raise ImportRefused(f"{self.path}: {error}; nothing was imported") from None
        except (pa.ArrowException, OSError) as error:
            raise ImportRefused(f"{self.path}: {_first_line(error)}; nothing was imported") from None


def open_file(path: Path, options: Csv, format: FileFormat | None = None) -> SourceFile:
    """Look at a file's beginning and return what it is; its name says the format, unless `format` does.

    Raises ImportRefused for an empty, unreadable or damaged file, for a header that names a column twice or
    not at all, and for documents, which hold items only.
    """
    form = _format(path, format)
    try:
        if not path.stat().st_size:
            raise ImportRefused(f"{path}: the file is empty")
        if form == "parquet":
            with pq.ParquetFile(path) as file:
                columns, rows = list(file.schema_arrow.names), file.metadata.num_rows
        else:
            source = SourceFile(path, form, [], None, options)
            columns, rows = (_csv_header(source) if form == "csv" else _json_keys(path)), None
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise ImportRefused(f"{path}: cannot be read as {form} ({_unreadable(error)})") from None
    _check_header(path, columns)
    opened = SourceFile(path, form, columns, rows, options)
    if form == "csv":
        _check_separator(opened)
        _check_quotes(opened)
    return opened


def suffix(path: Path) -> str:
    """Return how a file's name ends, in lower case and without what compression adds: `.csv` of `A.CSV.gz`."""
    suffixes = [one.lower() for one in path.suffixes]
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in _COMPRESSED else (suffixes or [""])[-1]


def _format(path: Path, told: FileFormat | None) -> Format:
    if told in ("parquet", "csv", "jsonl"):
        return told
    last = f".{told}" if told else suffix(path)
    if last in _DOCUMENTS:
        raise ImportRefused(
            f"{path}: {last[1:]} files hold items only; events and users come as Parquet, CSV or JSON lines (.jsonl)"
        )
    if last not in _FORMATS:
        raise ImportRefused(f"{path}: expected a name that ends in {', '.join(_FORMATS)} (also with .gz or .zst)")
    return _FORMATS[last]


def _check_separator(source: SourceFile) -> None:
    """Refuse a header that is one column only because something else separates its names."""
    name = source.columns[0]
    found = next((one for one in ";\t|," if one in name and one != source.delimiter), None)
    if len(source.columns) == 1 and found:
        shown = "\\t" if found == "\t" else found
        raise ImportRefused(
            f"{source.path}: the header has one column with '{shown}' in it: is the file separated by it? "
            f'Say so in a mapping (`csv: {{delimiter: "{shown}"}}`)'
        )


def _check_header(path: Path, columns: list[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1}) if len(columns) <= MAX_COLUMNS else []
    if len(columns) > MAX_COLUMNS:
        raise ImportRefused(f"{path}: {len(columns)} columns; at most {MAX_COLUMNS} are read")
    if not columns or "" in columns:
        raise ImportRefused(f"{path}: a column has no name; the first line must name every column")
    if twice:
        raise ImportRefused(f"{path}: the header names {twice[0][:80]!r} twice; rename one of the two")


def _beginning(path: Path, size: int) -> bytes:
    with pa.input_stream(str(path), compression="detect") as stream:
        return bytes(stream.read(size))


def _csv_header(source: SourceFile) -> list[str]:
    data = _beginning(source.path, MAX_HEADER_BYTES)
    text = codecs.getincrementaldecoder(source.csv.encoding)("replace").decode(data).removeprefix("\ufeff")
    try:
        header = next(csv.reader(io.StringIO(text), delimiter=source.delimiter), [])
    except csv.Error as error:
        raise ImportRefused(f"{source.path}: the first line cannot be read ({error})") from None
    if any("\ufffd" in name for name in header):
        raise ImportRefused(f"{source.path}: {_encoding_reason(source.csv)}")
    return header


def _plain_types(path: Path, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose columns have types that `columns.py` knows; bytes are text, or refused.

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
    return _marked(pa.RecordBatch.from_arrays(columns, batch.schema.names), problems)


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


def _json_keys(path: Path) -> list[str]:
    """Return the keys of all lines; a file with a line that is no object is refused."""
    with pa.input_stream(str(path), compression="detect") as stream:
        try:
            return read_keys(io.BufferedReader(stream, PIECE_BYTES), MAX_COLUMNS)
        except ImportRefused as error:
            raise ImportRefused(f"{path}: {error}; nothing was imported") from None


def _check_quotes(source: SourceFile) -> None:
    """Look through a whole CSV for quotes that would take other rows into a value."""
    decoder = codecs.getincrementaldecoder(source.csv.encoding)()
    with pa.input_stream(str(source.path), compression="detect") as stream:
        pieces = (decoder.decode(piece) for piece in iter(partial(stream.read, PIECE_BYTES), b""))
        try:
            found = misplaced_quote(pieces, source.delimiter)
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


def _marked(batch: pa.RecordBatch, problems: dict[int, Problem]) -> pa.RecordBatch:
    """Return a batch with a column more, if some of its rows are to be rejected."""
    if not problems:
        return batch
    cells = [problems[row]._asdict() if row in problems else None for row in range(batch.num_rows)]
    return pa.RecordBatch.from_arrays(
        [*batch.columns, pa.array(cells, PROBLEM.type)], schema=batch.schema.append(PROBLEM)
    )


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
    return _marked(batch, problems)


def _json_cells(objects: list[dict[str, Any]], name: str, read: Callable[[Any], str | None]) -> pa.Array:
    return pa.array([None if (value := one.get(name)) is None else read(value) for one in objects], pa.string())


def _unreadable(error: Exception) -> str:
    return "its text is not utf-8" if isinstance(error, UnicodeError) else _first_line(error)


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


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
