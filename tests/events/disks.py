"""Disks that break: what the event log must survive, after SQLite's I/O-error and crash tests (sqlite.org/testing)."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

from personalization_pipelines.events.log.segments import Disk

SEALED_SUFFIX = ".segment"


class PowerLoss(BaseException):
    """The machine stopped in the middle of a call."""


class CountingDisk(Disk):
    """Calls `self.strike(...)` instead of the n-th call; `calls` counts all of them."""

    def __init__(self, strike_at: int) -> None:
        self.calls = 0
        self.strike_at = strike_at

    @property
    def struck(self) -> bool:
        return self.calls >= self.strike_at

    def strike(self, descriptor: int = -1, data: bytes | memoryview = b"") -> None:
        raise NotImplementedError

    def _count(self, descriptor: int = -1, data: bytes | memoryview = b"") -> None:
        self.calls += 1
        if self.calls == self.strike_at:
            self.strike(descriptor, data)

    def open(self, path: Path) -> int:
        self._count()
        return super().open(path)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._count(descriptor, data)
        return super().write(descriptor, data)

    def fdatasync(self, descriptor: int) -> None:
        self._count()
        super().fdatasync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        self._count()
        super().truncate(descriptor, size)

    def open_mark(self, path: Path) -> int:
        self._count()
        return super().open_mark(path)

    def write_mark(self, descriptor: int, mark: bytes) -> None:
        self._count()
        super().write_mark(descriptor, mark)

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        super().rename(old, new)

    def sync_directory(self, directory: Path) -> None:
        self._count()
        super().sync_directory(directory)


class FailingDisk(CountingDisk):
    """The n-th call fails with an I/O error, and `also_next` calls after it; a write leaves a torn half behind."""

    def __init__(self, strike_at: int, also_next: int = 0) -> None:
        super().__init__(strike_at)
        self._last = strike_at + also_next

    def _count(self, descriptor: int = -1, data: bytes | memoryview = b"") -> None:
        self.calls += 1
        if self.strike_at <= self.calls <= self._last:
            self.strike(descriptor, data)

    def strike(self, descriptor: int = -1, data: bytes | memoryview = b"") -> None:
        if data:
            os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.EIO, os.strerror(errno.EIO))


class LosingDisk(CountingDisk):
    """At the n-th call the power goes; `lose` then takes what was not synced: bytes, new names and renames."""

    def __init__(self, strike_at: int, seed: int) -> None:
        super().__init__(strike_at)
        self._random = random.Random(seed)
        self._paths: dict[int, Path] = {}
        self._durable: dict[int, int] = {}
        self._names: list[tuple[Path | None, Path]] = []

    def strike(self, descriptor: int = -1, data: bytes | memoryview = b"") -> None:
        raise PowerLoss

    def open(self, path: Path) -> int:
        descriptor = super().open(path)
        self._paths[descriptor], self._durable[descriptor] = path, 0
        self._names.append((None, path))
        return descriptor

    def fdatasync(self, descriptor: int) -> None:
        super().fdatasync(descriptor)
        self._durable[descriptor] = os.fstat(descriptor).st_size

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._names.append((old, new))

    def sync_directory(self, directory: Path) -> None:
        super().sync_directory(directory)
        self._names.clear()

    def lose(self) -> None:
        """Leave on the disk what a power loss may leave: some of the unsynced bytes, some of the unsynced names."""
        for descriptor, durable in self._durable.items():
            path = self._paths[descriptor]
            for candidate in (path, path.with_suffix(SEALED_SUFFIX)):
                if candidate.exists():
                    size = candidate.stat().st_size
                    os.truncate(candidate, self._random.randint(min(durable, size), size))
        for old, new in reversed(self._names):
            if self._random.random() < 0.5:
                new.rename(old) if old else new.unlink()
            else:
                break  # names reach the disk in the order in which they were made
