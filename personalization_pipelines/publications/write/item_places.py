"""Finds the rows of many items of a publication at once, by their keys. pyarrow is imported inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.publications.format.arrays import Texts
from personalization_pipelines.publications.read.published_items import item_keys
from personalization_pipelines.publications.write.parquet_columns import integers, texts


class ItemPlaces:
    """The rows of items, by the arrays of `items.bin`. A key only says where to look: the type and the id decide."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._types, self._keys, self._key_rows = arrays["types"], arrays["keys"], arrays["key_rows"]
        self._ids = Texts(arrays["id_starts"], arrays["id_text"])

    def of(self, types: Any, items: Any) -> NDArray[np.int32]:
        """Return the row of each item, -1 where it is unknown; `types` and `items` are columns of a batch."""
        encoded = items.fill_null("").dictionary_encode()
        several = max(len(encoded.dictionary), 1)
        pairs = _column(integers(types, 0) * several + integers(encoded.indices, 0)).dictionary_encode()
        asked = integers(pairs.dictionary, 0)
        order = np.argsort(asked)
        names = texts(encoded.dictionary.take(_column(asked[order] % several)))
        rows = np.empty(len(asked), np.int32)
        rows[order] = self._rows((asked[order] // several).astype(np.int32), names)
        return rows[integers(pairs.indices, 0)]

    def _rows(self, types: NDArray[np.int32], names: Texts) -> NDArray[np.int32]:
        """Return the row of each of different items, -1 where it is unknown; the types ascend."""
        rows = np.full(len(types), -1, np.int32)
        keys = item_keys(types, names)
        places = np.searchsorted(self._keys, keys)
        asked = np.arange(len(types))
        while len(asked := asked[places[asked] < len(self._keys)]):
            asked = asked[self._keys[places[asked]] == keys[asked]]
            found = self._key_rows[places[asked]]
            right = (self._types[found] == types[asked]) & _equal(self._ids, found, names, asked)
            rows[asked[right]] = found[right]
            asked = asked[~right]  # another item has the same key: look at the next place
            places[asked] += 1
        return rows


def _equal(one: Texts, rows: NDArray[np.int32], two: Texts, others: NDArray[np.int64]) -> NDArray[np.bool_]:
    import pyarrow.compute as pc

    same = pc.equal(_binary(one).take(_column(rows)), _binary(two).take(_column(others)))
    return np.asarray(same.to_numpy(zero_copy_only=False), np.bool_)


def _binary(names: Texts) -> Any:
    import pyarrow as pa

    buffers = [None, pa.py_buffer(names.starts), pa.py_buffer(names.blob)]
    return pa.Array.from_buffers(pa.large_binary(), len(names), buffers)


def _column(numbers: NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.array(numbers)
