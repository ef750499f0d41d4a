"""Files that are whole and on the disk, or not there: written beside, synced, renamed, and the name synced too."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(path: Path, *parts: bytes) -> None:
    """Write a whole file (its owner alone may read it) under its name at once; return when both are on the disk.

    What is beside it meanwhile is called `.<name>.<pid>.tmp`. Raises OSError; the file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Return when a file's bytes, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
