"""Disks that fail at the n-th operation, or lose power there (after SQLite's anomaly loop and crash VFS)."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from personalization_pipelines.publications.format.disk import Disk


class FailingDisk(Disk):
    """The `fail_at`-th operation fails as a full disk does, a write after half of its bytes.

    With `for_good` all operations after it fail too. `operations` counts them.
    """

    def __init__(self, fail_at: int, *, for_good: bool = False) -> None:
        self.fail_at = fail_at
        self.for_good = for_good
        self.operations = 0

    def _next(self) -> bool:
        self.operations += 1
        return self.operations == self.fail_at or (self.for_good and self.operations > self.fail_at)

    def _step(self) -> None:
        if self._next():
            raise OSError(errno.ENOSPC, "No space left on device")

    def make_directory(self, path: Path) -> None:
        self._step()
        super().make_directory(path)

    def open_new(self, path: Path) -> int:
        self._step()
        return super().open_new(path)

    def write(self, descriptor: int, piece: memoryview | bytes) -> int:
        if self._next():
            os.write(descriptor, piece[: len(piece) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(descriptor, piece)

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)


class PowerCut(BaseException):
    """The machine went off: nothing after it runs, not even cleaning up."""


class UnpluggedDisk(Disk):
    """Loses power at the `cut_at`-th operation, and with it all that was not synced.

    A file keeps half of what was written since its last sync; a name that was made or changed is forgotten
    unless its directory was synced since. What was renamed over comes back.
    """

    def __init__(self, cut_at: int, spare: Path) -> None:
        self.cut_at = cut_at
        self.operations = 0
        self._spare = spare
        self._off = False
        self._open: dict[int, Path] = {}
        self._synced_bytes: dict[Path, int] = {}
        self._names: list[tuple[str, Path, Path]] = []

    def _step(self) -> None:
        if self._off:
            raise PowerCut
        self.operations += 1
        if self.operations == self.cut_at:
            self.cut()
            raise PowerCut

    def cut(self) -> None:
        """Lose power now: tear the files where they are, then take the names back, the last one first."""
        self._off = True
        self._forget()

    def make_directory(self, path: Path) -> None:
        self._step()
        super().make_directory(path)
        self._names.append(("made", path, path))

    def open_new(self, path: Path) -> int:
        self._step()
        descriptor = super().open_new(path)
        self._open[descriptor] = path
        self._synced_bytes[path] = 0
        self._names.append(("made", path, path))
        return descriptor

    def write(self, descriptor: int, piece: memoryview | bytes) -> int:
        self._step()
        return super().write(descriptor, piece)

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)
        self._synced_bytes[self._open[descriptor]] = os.fstat(descriptor).st_size

    def sync_directory(self, path: Path) -> None:
        self._step()
        self._names = [change for change in self._names if change[2].parent != path]

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        before = self._spare / f"{len(self._names)}-{target.name}"
        if target.is_file():
            shutil.copy2(target, before)
        super().rename(source, target)
        self._synced_bytes = {_moved(path, source, target): size for path, size in self._synced_bytes.items()}
        self._names.append((str(before) if before.exists() else "", source, target))

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)

    def _forget(self) -> None:
        for path, size in self._synced_bytes.items():
            if path.exists():
                os.truncate(path, size + (path.stat().st_size - size) // 2)
        for what, source, target in reversed(self._names):
            if not target.exists():
                continue
            if what == "made":
                Disk().remove(target)
            else:
                target.rename(source)
                if what:
                    shutil.copy2(what, target)


def _moved(path: Path, source: Path, target: Path) -> Path:
    return target / path.relative_to(source) if path.is_relative_to(source) else path
