"""Events that a client sent again under the same event id: stored once per visitor within 35 days of arrival.

Beside every Parquet file with event ids lies a file of their digests, `<name>.ids`: sorted, so that looking for the
ids of new events takes steps and not a reading of what is stored, however much that is. It holds nothing that the
Parquet file does not say: where it is missing, or not whole, it is made again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from personalization_pipelines.events.manifest import Disk, LakeFile, Manifest, ids_path

WINDOW = timedelta(days=35)
DIGEST_BYTES = 16

Digests = npt.NDArray[np.uint64]
"""Digests of visitors and event ids: their first halves, and in a second row their other halves; sorted if stored."""


def drop_duplicates(lake: Path, manifest: Manifest, events: pa.Table, disk: Disk) -> pa.Table:
    """Return `events` without those whose visitor and event id came before, in the lake or in `events` itself.

    Events without an event id all stay. Of several with the same id the first one stays. Only files of the
    last 35 days that hold event ids are looked into.
    """
    found, digests = _digests(events)
    if not len(found):
        return events
    order = np.lexsort(digests[::-1])  # stable: the first one of equal ones stays the first
    digests = digests[:, order]
    repeated = np.zeros(len(found), bool)
    repeated[1:] = (digests[:, 1:] == digests[:, :-1]).all(axis=0)
    for file in _recent(manifest, events):
        repeated |= _are_in(_stored(lake, file, disk), digests)
    stays = np.ones(events.num_rows, bool)
    stays[found[order[repeated]]] = False
    return events.filter(pa.array(stays))


def merge_ids(lake: Path, files: list[LakeFile], merged: LakeFile, disk: Disk) -> None:
    """Make the digests of a file out of those of the files that were merged into it."""
    if merged.event_ids:
        parts = [_stored(lake, file, disk) for file in files if file.event_ids]
        _write(lake / ids_path(merged.path), np.concatenate(parts, axis=1), disk)


def _digests(events: pa.Table) -> tuple[npt.NDArray[np.int64], Digests]:
    """Return the rows that have an event id, and their digests (128 bits: no two ids will ever share one)."""
    found = np.flatnonzero(pc.not_equal(events["event_id"], ""))
    named = events.take(pa.array(found)) if len(found) < events.num_rows else events
    keys = pc.binary_join_element_wise(named["visitor"], named["event_id"], "\0").cast(pa.binary()).to_pylist()
    joined = b"".join([blake2b(key, digest_size=DIGEST_BYTES).digest() for key in keys])
    return found, np.frombuffer(joined, "<u8").reshape(-1, 2).T


def _are_in(stored: Digests, sought: Digests) -> npt.NDArray[np.bool_]:
    """Tell which of the sought digests are stored."""
    at = np.minimum(np.searchsorted(stored[0], sought[0]), stored.shape[1] - 1)
    return np.asarray((stored[0][at] == sought[0]) & (stored[1][at] == sought[1]))


def _stored(lake: Path, file: LakeFile, disk: Disk) -> Digests:
    """Return the digests of a file's event ids, read from the disk where they are needed only."""
    path = lake / ids_path(file.path)
    if not path.exists() or path.stat().st_size != file.event_ids * DIGEST_BYTES:
        columns = pq.read_table(lake / file.path, columns=["visitor", "event_id"], partitioning=None)
        _write(path, _digests(columns)[1], disk)
    return np.memmap(path, "<u8", mode="r").reshape(2, -1)


def _write(path: Path, digests: Digests, disk: Disk) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    disk.write_bytes(temporary, np.ascontiguousarray(digests[:, np.lexsort(digests[::-1])]).tobytes())
    disk.sync(temporary)
    disk.replace(temporary, path)


def _recent(manifest: Manifest, events: pa.Table) -> list[LakeFile]:
    oldest = datetime.fromtimestamp(pc.min(events["received_at"]).cast(pa.int64()).as_py() / 1e6, UTC) - WINDOW
    return [file for file in manifest.files if file.event_ids and file.day >= f"{oldest:%Y-%m-%d}"]
