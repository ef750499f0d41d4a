"""Events that a client sent again under the same event id: stored once per visitor within 35 days of arrival.

Lines of orders (orders.py), whose event ids are made of what they say, are stored once within 24 hours.

Beside every Parquet file with event ids lies a file of their digests, `<name>.ids`: sorted, so that looking for the
ids of new events takes steps and not a reading of what is stored, however much that is. Behind the digests stand
16 to 32 bits for each of them, of which it sets two, near each other (a blocked Bloom filter: Putze, Sanders and
Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007): 99 of 100 new ids are known to be new after one
look, and only of the others the digests are searched. The file holds nothing that the Parquet file does not
say: where it is missing, or not whole, it is made again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from personalization_pipelines.events.judging.orders import MARK, are_one
from personalization_pipelines.events.lake.lake_manifest import Disk, LakeFile, Manifest, ids_path

WINDOW = timedelta(days=35)
DIGEST_BYTES = 16
BLOCK_BITS = 9
"""A block of 512 bits is what a processor fetches at once."""

Digests = npt.NDArray[np.uint64]
"""Digests of visitors and event ids: their first halves, and in a second row their other halves."""


class Stored(NamedTuple):
    """The digests of one file in their order, and the 2 ** `width` bits of which each has set two."""

    digests: Digests
    bits: npt.NDArray[np.uint8]
    width: int


def drop_duplicates(lake: Path, manifest: Manifest, events: pa.Table, disk: Disk) -> pa.Table:
    """Return `events` without those whose visitor and event id came before, in the lake or in `events` itself.

    Events without an event id all stay. Of several with the same id the first one stays. Only files of the
    last 35 days that hold event ids are looked into; for a line of an order, those of the days around its own.
    """
    found, digests = _digests(events)
    if not len(found):
        return events
    lines = np.asarray(pc.starts_with(events["event_id"], MARK))[found]
    stays = np.ones(events.num_rows, bool)
    stays[found[~lines][_repeated_ids(lake, manifest, events, digests[:, ~lines], disk)]] = False
    if lines.any():
        told = events.take(pa.array(found[lines]))
        stays[found[lines][_repeated_lines(lake, manifest, told, digests[:, lines], disk)]] = False
    return events.filter(pa.array(stays))


def _repeated_ids(
    lake: Path, manifest: Manifest, events: pa.Table, digests: Digests, disk: Disk
) -> npt.NDArray[np.intp]:
    """Return the places of the digests that came before, in the lake or among themselves."""
    order = np.lexsort(digests[::-1])  # stable: the first one of equal ones stays the first
    digests = digests[:, order]
    repeated = np.zeros(len(order), bool)
    repeated[1:] = (digests[:, 1:] == digests[:, :-1]).all(axis=0)
    for file in _recent(manifest, events):
        repeated |= _are_in(_stored(lake, file, disk), digests)
    return order[repeated]


def _repeated_lines(lake: Path, manifest: Manifest, lines: pa.Table, digests: Digests, disk: Disk) -> list[int]:
    """Return which lines of orders are the same as one that arrived within a day, in the lake or among themselves."""
    keys = list(zip(lines["visitor"].to_pylist(), lines["event_id"].to_pylist(), strict=True))
    arrivals = lines["received_at"].cast(pa.int64()).to_pylist()
    known: dict[tuple[str, str], list[int]] = defaultdict(list)
    for file in _recent(manifest, lines, timedelta(days=1)):
        if _are_in(_stored(lake, file, disk), digests).any():
            for visitor, event_id, arrival in _arrivals(lake / file.path, lines["event_id"]):
                known[visitor, event_id].append(arrival)
    repeated = []
    for place in sorted(range(len(keys)), key=arrivals.__getitem__):
        key, arrival = keys[place], arrivals[place]
        if any(are_one(key[1], arrival, other) for other in known[key]):
            repeated.append(place)
        else:
            known[key].append(arrival)
    return repeated


def _arrivals(path: Path, event_ids: pa.ChunkedArray) -> Iterator[tuple[str, str, int]]:
    """Yield visitor, event id and arrival of the events of a file that have one of these ids."""
    columns = ["visitor", "event_id", "received_at"]
    table = pq.read_table(path, columns=columns, filters=pc.field("event_id").isin(event_ids), partitioning=None)
    visitors, ids, arrivals = (table[name] for name in columns)
    yield from zip(visitors.to_pylist(), ids.to_pylist(), arrivals.cast(pa.int64()).to_pylist(), strict=True)


def merge_ids(lake: Path, files: list[LakeFile], merged: LakeFile, disk: Disk) -> None:
    """Make the digests of a file out of those of the files that were merged into it."""
    if merged.event_ids:
        parts = [_stored(lake, file, disk).digests for file in files if file.event_ids]
        write_digests(lake / ids_path(merged.path), np.concatenate(parts, axis=1), disk)


def write_digests(path: Path, digests: Digests, disk: Disk) -> None:
    """Write digests, in any order, as a file to look them up in."""
    ordered = np.ascontiguousarray(digests[:, np.lexsort(digests[::-1])])
    width = _width(ordered.shape[1])
    bits = np.zeros(2**width // 8, np.uint8)
    for places in _places(ordered, width):
        _set(bits, np.sort(places))
    temporary = path.with_name(f"{path.name}.tmp")
    disk.write_bytes(temporary, ordered.tobytes() + bits.tobytes())
    disk.sync(temporary)
    disk.replace(temporary, path)


def _digests(events: pa.Table) -> tuple[npt.NDArray[np.int64], Digests]:
    """Return the rows that have an event id, and their digests (128 bits: no two ids will ever share one)."""
    found = np.flatnonzero(pc.not_equal(events["event_id"], ""))
    named = events.take(pa.array(found)) if len(found) < events.num_rows else events
    keys = pc.binary_join_element_wise(named["visitor"], named["event_id"], "\0").cast(pa.binary()).to_pylist()
    joined = b"".join([blake2b(key, digest_size=DIGEST_BYTES).digest() for key in keys])
    return found, np.frombuffer(joined, "<u8").reshape(-1, 2).T


def _are_in(stored: Stored, sought: Digests) -> npt.NDArray[np.bool_]:
    """Tell which of the sought digests are stored."""
    likely = _likely(stored, sought)
    (first, second), (first_sought, second_sought) = stored.digests, sought[:, likely]
    at = np.minimum(np.searchsorted(first, first_sought), len(first) - 1)
    found = np.zeros(sought.shape[1], bool)
    found[likely] = (first[at] == first_sought) & (second[at] == second_sought)
    return found


def _likely(stored: Stored, sought: Digests) -> npt.NDArray[np.intp]:
    """Return the positions of the sought digests whose two bits are set: all that are stored, and few others."""
    one, other = (stored.bits[place >> 3] >> (place & 7).astype(np.uint8) for place in _places(sought, stored.width))
    return np.flatnonzero(one & other & 1)


def _set(bits: npt.NDArray[np.uint8], places: npt.NDArray[np.int64]) -> None:
    """Set bits; their places are in order."""
    where, values = places >> 3, np.left_shift(1, places & 7).astype(np.uint8)
    firsts = np.flatnonzero(np.diff(where, prepend=-1))
    bits[where[firsts]] |= np.bitwise_or.reduceat(values, firsts)


def _width(digests: int) -> int:
    return max(BLOCK_BITS, (16 * digests - 1).bit_length())


def _places(digests: Digests, width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each digest's two bits: the second one is in the same block of memory as the first."""
    first = np.asarray(digests[0] >> np.uint64(64 - width), np.int64)
    within = (1 << BLOCK_BITS) - 1
    return first, (first & ~within) | np.asarray(digests[1] & np.uint64(within), np.int64)


def _stored(lake: Path, file: LakeFile, disk: Disk) -> Stored:
    """Return the digests of a file's event ids, read from the disk where they are needed only."""
    path, width = lake / ids_path(file.path), _width(file.event_ids)
    behind = file.event_ids * DIGEST_BYTES
    if not path.exists() or path.stat().st_size != behind + 2**width // 8:
        columns = pq.read_table(lake / file.path, columns=["visitor", "event_id"], partitioning=None)
        write_digests(path, _digests(columns)[1], disk)
    content = np.asarray(np.memmap(path, np.uint8, mode="r"))
    return Stored(content[:behind].view("<u8").reshape(2, -1), content[behind:], width)


def _recent(manifest: Manifest, events: pa.Table, window: timedelta = WINDOW) -> list[LakeFile]:
    oldest = datetime.fromtimestamp(pc.min(events["received_at"]).cast(pa.int64()).as_py() / 1e6, UTC) - window
    return [file for file in manifest.files if file.event_ids and file.day >= f"{oldest:%Y-%m-%d}"]
