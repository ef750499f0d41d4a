"""Arrays on disk: one file holds several one-dimensional arrays, and a reader that trusts none of them.

A file is nothing but the arrays' little-endian bytes at multiples of 64; names, types, lengths and
offsets stand in the manifest. One mapping (and one file descriptor) serves all arrays of a file, nothing
is read before it is used, and no byte is ever run as code: there is no pickle and no header to parse.

What must hold of the elements is looked at by `foundation.array_checks`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.array_checks import check_starts
from personalization_pipelines.foundation.errors import CorruptData

ALIGNMENT = 64
_AT_ONCE = 4096

Array = NDArray[Any]
Schema = Mapping[str, str]


class ArrayEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an array lies in its file."""

    dtype: str
    length: int
    offset: int


class Texts(Sequence[str]):
    """Many texts in two arrays: text `i` is the UTF-8 of `blob[starts[i]:starts[i+1]]`, decoded when asked for."""

    def __init__(self, starts: NDArray[np.int64], blob: NDArray[np.uint8]) -> None:
        self.starts = starts
        self.blob = blob
        # A memoryview gives Python numbers in 40 ns; a numpy scalar costs three times that.
        self._starts = starts.data
        self._blob = blob.data

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Return the given texts in this form."""
        encoded = [text.encode() for text in texts]
        starts = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=starts[1:])
        return cls(starts, np.frombuffer(b"".join(encoded), np.uint8))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, row: Any) -> Any:
        return str(self.raw(row), "utf-8")

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))

    def raw(self, row: int) -> memoryview:
        """Return the bytes of one text without copying them."""
        if row < 0:
            raise IndexError(f"row {row} of {len(self)} texts")
        starts = self._starts
        return self._blob[starts[row] : starts[row + 1]]

    def all_raw(self) -> Iterator[bytes]:
        """Yield the bytes of every text, in order; only few are copied at a time."""
        for first in range(0, len(self), _AT_ONCE):
            places = self.starts[first : first + _AT_ONCE + 1]
            copied = self.blob[places[0] : places[-1]].tobytes()
            for start, end in pairwise((places - places[0]).tolist()):
                yield copied[start:end]

    def not_utf8(self) -> int:
        """Return the place of the first text that is not UTF-8, -1 where all are."""
        for first in range(0, len(self), _AT_ONCE):
            last = min(first + _AT_ONCE, len(self))
            if not _is_utf8(self._blob[self._starts[first] : self._starts[last]]):
                return next(row for row in range(first, len(self)) if not _is_utf8(self.raw(row)))
        return -1

    def check(self, name: str, thorough: bool) -> None:
        """Raise CorruptData unless the starts fit the blob."""
        check_starts(name, self.starts, len(self.blob), thorough)


def _is_utf8(text: memoryview) -> bool:
    try:
        str(text, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, eq=False)
class Coded:
    """Many texts of which few differ: text `i` is `names[codes[i]]`. Every name is there once, and some text is it."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Coded:
        """Return the given texts in this form."""
        places: dict[str, int] = {}
        codes = (places.setdefault(text, len(places)) for text in texts)
        return cls(np.fromiter(codes, np.int32, len(texts)), tuple(places))

    def __len__(self) -> int:
        return len(self.codes)

    def recoded(self, codes: Mapping[str, int], dtype: Any) -> NDArray[Any]:
        """Return the code that each text has among other names."""
        return np.array([codes[name] for name in self.names], dtype)[self.codes]


def decode_json(what: object, text: bytes, kind: Any) -> Any:
    """Return JSON as a value of type `kind`; CorruptData, naming `what`, where it is none."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptData(f"{what}: cannot be read ({error}); publish again") from error


def layout(arrays: Mapping[str, Array]) -> dict[str, ArrayEntry]:
    """Return where each array of one file lies, in the order given."""
    entries, offset = {}, 0
    for name, array in arrays.items():
        entries[name] = ArrayEntry(array.dtype.newbyteorder("<").str, len(array), offset)
        offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    return entries


def pieces(arrays: Mapping[str, Array]) -> Iterator[memoryview | bytes]:
    """Yield the bytes of a file that holds these arrays as `layout` says."""
    for array in arrays.values():
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        yield little.view(np.uint8).data
        yield bytes(-array.nbytes % ALIGNMENT)


def map_arrays(path: Path, entries: Mapping[str, ArrayEntry], schema: Schema) -> dict[str, Array]:
    """Map a file and return its arrays, read-only.

    Raises CorruptData unless the entries name exactly the arrays of `schema` (name to dtype) and all of
    them lie inside the file.
    """
    if set(entries) != set(schema):
        raise CorruptData(f"{path}: arrays {sorted(entries)} where {sorted(schema)} belong; publish again")
    buffer = _map(path)
    return {name: _array(path, name, buffer, entries[name], schema[name]) for name in schema}


def _map(path: Path) -> mmap.mmap | bytes:
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                return b""  # an empty file cannot be mapped
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise CorruptData(f"{path}: cannot be read ({error.strerror}); publish again") from error


def _array(path: Path, name: str, buffer: mmap.mmap | bytes, entry: ArrayEntry, dtype: str) -> Array:
    if entry.dtype != dtype:
        raise CorruptData(f"{path}: array {name!r} is {entry.dtype!r} where {dtype!r} belongs; publish again")
    end = entry.offset + entry.length * np.dtype(dtype).itemsize
    if entry.length < 0 or entry.offset < 0 or entry.offset % ALIGNMENT or end > len(buffer):
        raise CorruptData(f"{path}: array {name!r} lies outside the file of {len(buffer)} bytes; publish again")
    return np.frombuffer(buffer, dtype, entry.length, entry.offset) if entry.length else np.empty(0, dtype)
