"""How far a writer's open segment is on the disk, told to its readers: the eight bytes of `<writer>.durable`.

What stands in an open segment beyond this mark was not acknowledged yet, and is cut off again if its write or
sync fails: whoever read it already would count events that were refused. The mark itself is never synced: after
a crash `repair` seals the segment, and a sealed segment is read to its end. The writer holds a lock on the
file as long as it lives, so that what a dead one left behind can be removed.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

MARK = ".durable"
_BYTES = struct.Struct("<Q")
_SIZE_BITS = 40
"""Of one number, written and read in one step: the low bits are the size, the others the segment's number."""


def mark_path(directory: Path, writer: str) -> Path:
    """Return where a writer's mark lives."""
    return directory / f"{writer}{MARK}"


def encode_mark(number: int, size: int) -> bytes:
    """Return the mark that says: of segment `number`, `size` bytes are on the disk."""
    return _BYTES.pack(number << _SIZE_BITS | size)


def durable_size(directory: Path, writer: str, number: int) -> int | None:
    """Return how much of an open segment may be read; None where its writer keeps no mark.

    A segment before the marked one is whole, and one after it not begun.
    """
    try:
        with mark_path(directory, writer).open("rb") as file:
            data = file.read(_BYTES.size)
    except FileNotFoundError:
        return None
    if len(data) < _BYTES.size:  # made, and not written yet
        return 0
    marked, size = divmod(_BYTES.unpack(data)[0], 1 << _SIZE_BITS)
    if number != marked:
        return 0 if number > marked else None
    return int(size)


def create_mark(path: Path) -> int:
    """Create a mark's file (it must be new) and return its descriptor."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
