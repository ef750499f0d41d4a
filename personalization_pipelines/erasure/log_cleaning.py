"""Erased events in the event log: each becomes an empty record of the same length, so that every position stays valid.

Only sealed segments are rewritten (beside, synced, renamed); an open one belongs to its writer, who seals it
within a minute. Bytes that are no record are looked through as well.
"""

from __future__ import annotations

import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from personalization_pipelines.erasure.tombstones import BLANK, Forgotten, named_in
from personalization_pipelines.events.log.segments import HEADER, Damage, Segment, read_everything, repair, segments
from personalization_pipelines.foundation.durable import write_durably
from personalization_pipelines.foundation.errors import Busy
from personalization_pipelines.foundation.home import Home

PATIENCE_SECONDS = 60.0


def clean_log(home: Home, forgotten: Forgotten) -> list[Path]:
    """Erase from every sealed segment; return the open ones that still hold somebody to forget.

    Segments of writers that no longer live are sealed first. Raises Busy while another process erases.
    """
    repair(home.log)
    with _alone(home):
        for left in home.log.glob(".*.tmp"):  # by an eraser that was killed
            left.unlink()
        return [segment.path for segment in segments(home.log) if not _clean(segment, forgotten)]


def _clean(segment: Segment, forgotten: Forgotten) -> bool:
    """Erase from one segment; False if it needs it and is still open."""
    try:
        data = segment.path.read_bytes()
    except FileNotFoundError:  # sealed or removed since the listing
        return segment.sealed
    if not forgotten.among(set(named_in(data))):
        return True
    cleaned = _blanked(segment.path, data, forgotten)
    if cleaned == data:
        return True
    if segment.sealed:
        state = segment.path.stat()
        write_durably(segment.path, cleaned)
        os.utime(segment.path, ns=(state.st_atime_ns, state.st_mtime_ns))  # its age decides when it may go
    return segment.sealed


def _blanked(path: Path, data: bytes, forgotten: Forgotten) -> bytes:
    made = bytearray(data)
    for found in read_everything(path):
        if isinstance(found, Damage):
            hidden = found.data
            for visitor in forgotten.among(set(named_in(found.data))):
                hidden = hidden.replace(visitor.encode(), b"-" * len(visitor))
            made[found.offset : found.offset + len(hidden)] = hidden
        elif forgotten.holds(found[1]):
            blank = BLANK.ljust(len(found[1]))
            record = HEADER.pack(len(blank), zlib.crc32(blank)) + blank
            made[found[0] : found[0] + len(record)] = record
    return bytes(made[: len(data)])


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Hold the log for erasing: two who rewrite one segment would undo each other's work."""
    descriptor = os.open(home.root / "erasure.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Busy(f"{home.log}: another process is erasing from the log; try again later") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
