"""Changes of content that came over HTTP, kept until a refresh applies them: `lake/<website>/changes/`.

One file a change, complete or not there at all: it is written beside, synced, renamed, and the directory is synced
before the sender hears 202. File names sort by time. A change leaves the queue only after its import is committed,
so a crash in between applies it again, and the import's id (the change's) says that it was there already. What can
not be applied goes to `changes/rejected/`, with the reason beside it.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from personalization_pipelines.foundation.durable import sync, write_durably
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

MAX_NAME = 200
ITEMS_XML = "items_xml"
"""The kind of a queued document of items: they are added, or replace those of the same type, id and language."""
DELETE_ITEM = "delete_item"
"""The kind of a queued deletion: a `Deletion` as JSON."""
EXPORT_FULL = "export_full"
"""The kind of a notified export that replaces an item type (in a language): an `Export` of notification.py as JSON."""
EXPORT_UPDATE = "export_update"
"""The kind of a notified export whose items are added, or replace those of the same type, id and language."""
TRANSFER_ITEMS = "transfer_items"
"""The kind of a queued document of transfers: the history of old ids counts for new ones (transfers.py)."""
ABANDONED_SECONDS = 3600.0
"""A temporary file this old was left by a process that died."""

_FILE = re.compile(r"([0-9]{20}-[0-9a-f]{32})\.([a-z][a-z_]{0,31})")
_KIND = re.compile(r"[a-z][a-z_]{0,31}")
_lock = threading.Lock()
_last = 0


class Deletion(msgspec.Struct, frozen=True):
    """An item that goes: in one language, or (None) in all."""

    item_type: int
    item: str
    language: str | None = None


class _Header(msgspec.Struct, frozen=True):
    name: str


@dataclass(frozen=True)
class Change:
    """One change that waits: its id, its kind, the name its sender gave it, when it came, and where it is."""

    id: str
    kind: str
    name: str
    time: datetime
    path: Path

    def open(self) -> BinaryIO:
        """Return the change's file, read up to the first byte of its body; the caller closes it."""
        file = self.path.open("rb")
        file.readline()
        return file

    def body(self) -> bytes:
        """Return the bytes that were sent."""
        with self.open() as file:
            return file.read()


def enqueue(home: Home, website: Website, kind: str, body: bytes, *, name: str) -> str:
    """Keep a change and return its id once it is on the disk.

    `kind` (lower-case letters and '_') says who applies it, `name` (cut to 200 characters) stands in the import
    history. Changes of one process keep their order. Raises OSError where the disk does not take it; nothing is
    queued then.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(f"change kind {kind[:40]!r}: expected lower-case letters and '_'")
    directory = changes_directory(home, website)
    directory.mkdir(parents=True, exist_ok=True)
    change_id = f"{_moment():020d}-{uuid.uuid4().hex}"
    header = msgspec.json.encode(_Header(name[:MAX_NAME]))
    write_durably(directory / f"{change_id}.{kind}", header, b"\n", body)
    return change_id


def pending(home: Home, website: Website) -> list[Change]:
    """Return the changes that wait, oldest first. Raises CorruptData for a file that no `enqueue` wrote."""
    directory = changes_directory(home, website)
    if not directory.is_dir():
        return []
    _remove_abandoned(directory)
    return [_read(path) for path in sorted(directory.iterdir()) if _FILE.fullmatch(path.name)]


def withdraw(home: Home, website: Website, ids: Collection[str]) -> None:
    """Take changes back that were queued a moment ago; what was applied already stays applied."""
    for change in pending(home, website) if ids else ():
        if change.id in ids:
            done(change)


def done(change: Change) -> None:
    """Remove a change whose import is committed; removing it twice is no error."""
    change.path.unlink(missing_ok=True)
    sync(change.path.parent)


def reject(change: Change, reason: str, body: bytes | None = None) -> Path:
    """Move a change that can not be applied to `rejected/`, with its reason in a text file; return its new place.

    With `body` that is kept instead of what was sent, which may hold a secret.
    """
    directory = change.path.parent / "rejected"
    directory.mkdir(exist_ok=True)
    write_durably(directory / f"{change.path.name}.reason", reason.encode(), b"\n")
    place = directory / change.path.name
    if body is None:
        change.path.replace(place)
    else:
        write_durably(place, msgspec.json.encode(_Header(change.name)), b"\n", body)
        change.path.unlink()
    sync(directory)
    sync(change.path.parent)
    return place


def changes_directory(home: Home, website: Website) -> Path:
    """Where a website's changes wait."""
    return home.lake(website.name) / "changes"


def _moment() -> int:
    """Return microseconds since 1970, larger than at every call before, also where the clock was set back."""
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1000)
        return _last


def _read(path: Path) -> Change:
    change_id, kind = path.name.split(".")
    try:
        with path.open("rb") as file:
            header = msgspec.json.decode(file.readline(), type=_Header)
    except msgspec.DecodeError as error:
        raise CorruptData(f"{path}: no change begins like this ({error}); move the file away") from error
    moment = datetime.fromtimestamp(int(change_id[:20]) / 1e6, UTC)
    return Change(change_id, kind, header.name, moment, path)


def _remove_abandoned(directory: Path) -> None:
    for path in directory.glob(".*.tmp"):
        if path.stat().st_mtime < time.time() - ABANDONED_SECONDS:
            path.unlink(missing_ok=True)
