"""Columns of Parquet tables as arrays, many rows at once. pyarrow is imported inside: the server never comes here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.publications.format.arrays import Coded, Texts

Item = tuple[int, str]


def integers(values: Any, missing: int) -> NDArray[np.int64]:
    """Return an integer, date or timestamp column as int64; nulls become `missing`."""
    import pyarrow as pa

    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us"))
    return np.asarray(values.cast(pa.int64()).fill_null(missing), np.int64)


def texts(values: Any) -> Texts:
    """Return a text column without making a Python string of each row; nulls become ''."""
    import pyarrow as pa

    column = values.cast(pa.large_string()).fill_null("")
    _, starts_buffer, text_buffer = column.buffers()
    starts = np.frombuffer(starts_buffer, np.int64)[column.offset : column.offset + len(column) + 1]
    if not len(starts) or text_buffer is None:
        return Texts.of([""] * len(column))
    return Texts(starts - starts[0], np.frombuffer(text_buffer, np.uint8)[starts[0] : starts[-1]])


def coded(values: Any) -> Coded:
    """Return a text column of which few values differ; nulls become ''."""
    parts = CodedParts()
    parts.add(values)
    return parts.whole()


class NumberParts:
    """A column of numbers (or dates) that comes in parts, as an array of `dtype`."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = dtype
        self._parts: list[NDArray[Any]] = []

    def add(self, values: Any, missing: int) -> None:
        """Take the next part; nulls become `missing`."""
        self._parts.append(integers(values, missing).astype(self._dtype))

    def whole(self) -> NDArray[Any]:
        """Return all of the column."""
        return joined(self._parts, self._dtype)


class TextParts:
    """A text column that comes in parts. It grows in place: at no time are all of it and a copy in memory."""

    def __init__(self) -> None:
        self._blob = bytearray()
        self._lengths: list[NDArray[np.int64]] = []

    def add(self, values: Any) -> None:
        """Take the next part."""
        part = texts(values)
        self._blob += part.blob.data
        self._lengths.append(np.diff(part.starts))

    def whole(self) -> Texts:
        """Return all of the column; no part can be added any more."""
        return Texts(starts_of(joined(self._lengths, np.int64)), np.frombuffer(self._blob, np.uint8))


class CodedParts:
    """A text column of which few values differ, and which comes in parts."""

    def __init__(self) -> None:
        self._codes: list[NDArray[np.int32]] = []
        self._places: dict[str, int] = {}

    def add(self, values: Any) -> None:
        """Take the next part."""
        encoded = values.fill_null("").dictionary_encode()
        names = encoded.dictionary.to_pylist()
        places = (self._places.setdefault(name, len(self._places)) for name in names)
        self._codes.append(np.fromiter(places, np.int32, len(names))[np.asarray(encoded.indices)])

    def whole(self) -> Coded:
        """Return all of the column."""
        return Coded(joined(self._codes, np.int32), tuple(self._places))


def starts_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where lists of these lengths start that lie behind one another, and where the last one ends."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    """Return arrays behind one another."""
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.empty(0, dtype)


def rows_of(types: NDArray[np.int32], ids: Texts, wanted: Collection[Item]) -> Iterator[tuple[int, Item]]:
    """Yield the rows of some items (type, id), ascending, each with its item; those that are not there are left out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not wanted:
        return
    names = {item.encode("utf-8", "surrogatepass") for _, item in wanted}
    buffers = [None, pa.py_buffer(ids.starts), pa.py_buffer(ids.blob)]
    raw = pa.Array.from_buffers(pa.large_binary(), len(ids), buffers)
    found = np.asarray(pc.is_in(raw, value_set=pa.array(sorted(names), pa.large_binary())))
    for row in np.flatnonzero(found).tolist():
        item = int(types[row]), ids[row]
        if item in wanted:
            yield row, item
