"""The live store's SQLite file as a file: is it still the one that is open, is it whole, and how it is thrown away.

Whoever deletes or replaces a database file leaves processes writing into a file that has no name any more, and a
`-wal` and `-shm` beside it that belong to the old one; SQLite calls this a way to corrupt a database
(sqlite.org/howtocorrupt.html, section 1.4). The live store is made again from the log, so such a file and a damaged
one are not repaired: they go, with what belongs to them.

A damaged page may be one that only a reader comes across. Readers say so by an empty file beside it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BESIDE = ("-wal", "-shm")


def is_damage(error: BaseException | None) -> bool:
    """Tell whether SQLite says that the file itself is damaged, not that it is busy, full or away."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in DAMAGE_CODES


def report_damage(path: Path) -> None:
    """Tell the follower that a reader found damage; it looks, and makes the file again where that is so."""
    with contextlib.suppress(OSError):  # the disk is full or gone: the next reader tells it
        _report(path).touch()


def inodes_of(path: Path) -> tuple[int, int] | None:
    """Return which files stand behind a database's name: itself and its `-wal` (0: none); None if there is none.

    A reader that opened the new file while the old `-wal` was still beside it would go on reading both together.
    """
    try:
        return path.stat().st_ino, _inode(Path(f"{os.fspath(path)}{_BESIDE[0]}"))
    except FileNotFoundError:
        return None


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


class LiveFile:
    """The file of one writer's open store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inodes: tuple[int, int] | None = None

    def prepare(self) -> None:
        """Before the file is opened: where there is none, or an emptied one, remove what is left of an earlier one."""
        if not self._holds_something():
            self.discard()

    def opened(self) -> None:
        """Remember which files were opened."""
        self._inodes = inodes_of(self.path)

    def is_current(self) -> bool:
        """Tell whether the opened files still have their names, and were not emptied."""
        return inodes_of(self.path) == self._inodes and self._holds_something()

    def is_suspected(self) -> bool:
        """Tell whether a reader has reported damage."""
        return _report(self.path).exists()

    def acquit(self) -> None:
        """Forget the report: the file was found whole, or was replaced."""
        _report(self.path).unlink(missing_ok=True)

    def discard(self) -> None:
        """After the connection was closed: remove the file and all that belongs to it."""
        for path in (self.path, *(Path(f"{os.fspath(self.path)}{ending}") for ending in _BESIDE)):
            path.unlink(missing_ok=True)
        self.acquit()

    def _holds_something(self) -> bool:
        try:
            return self.path.stat().st_size > 0
        except FileNotFoundError:
            return False


def _report(path: Path) -> Path:
    return Path(f"{os.fspath(path)}-damaged")
