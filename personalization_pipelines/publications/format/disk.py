"""The file operations of publishing, each one a method: a test lets the n-th fail and looks at what is left."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path


class Disk:
    """The real file system. Every method raises OSError as the operating system does."""

    def make_directory(self, path: Path) -> None:
        """Make one directory; its parent must exist."""
        path.mkdir()

    def open_new(self, path: Path) -> int:
        """Create a file that must not exist yet and return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, descriptor: int, piece: memoryview | bytes) -> int:
        """Write what the system takes in one call and return how many bytes that was."""
        return os.write(descriptor, piece)

    def sync(self, descriptor: int) -> None:
        """Return when everything written is on the disk."""
        os.fsync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or directory another name in one step, in place of a file of that name."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, or a directory with everything in it; nothing to do where there is none."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def write_file(disk: Disk, path: Path, pieces: Iterable[memoryview | bytes]) -> tuple[int, str]:
    """Write a new file, durably, and return its size and SHA-256 (taken from memory, not read back)."""
    digest, size = hashlib.sha256(), 0
    descriptor = disk.open_new(path)
    try:
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            _write_all(disk, descriptor, memoryview(piece))
        disk.sync(descriptor)
    finally:
        os.close(descriptor)
    return size, digest.hexdigest()


def replace_file(disk: Disk, path: Path, text: bytes) -> None:
    """Replace a small file in one step: readers see the old bytes or the new ones, after a crash too."""
    beside = path.with_name(f".{path.name}.tmp")
    disk.remove(beside)
    write_file(disk, beside, [text])
    disk.rename(beside, path)
    disk.sync_directory(path.parent)


def _write_all(disk: Disk, descriptor: int, piece: memoryview) -> None:
    while piece:
        piece = piece[disk.write(descriptor, piece) :]
