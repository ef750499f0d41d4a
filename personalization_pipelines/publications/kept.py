"""The publications that are kept: which one serves, going back to an earlier one, and letting old ones go."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from personalization_pipelines.foundation.errors import Busy, CorruptData, PermanentError, TransientError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.format.arrays import decode_json
from personalization_pipelines.publications.format.disk import Disk, replace_file
from personalization_pipelines.publications.format.publication_manifest import (
    CURRENT,
    Manifest,
    is_publication_id,
    read_current,
    read_manifest,
)
from personalization_pipelines.publications.read.published import verify
from personalization_pipelines.website import Website

KEEP = 5
YOUNG = 600.0
"""Seconds for which a publication is never deleted: a reader may just have read its name."""

_LOCK = ".lock"
_ROLLBACK = "rollback.json"
_ERASED = "erased.json"


@dataclass(frozen=True)
class Published:
    """One publication that is kept. `published` is when it was written, `problem` why it cannot be opened.

    `rolled_back_from` is set on the one that serves since a rollback: the id that served before.
    """

    id: str
    directory: Path
    published: datetime
    current: bool
    as_of: str = ""
    items: int = 0
    visitors: int = 0
    bytes: int = 0
    rolled_back_from: str = ""
    problem: str = ""


class _Rollback(msgspec.Struct, frozen=True):
    """The last rollback; it holds for as long as `to` serves."""

    came_from: str
    to: str


def current(home: Home, website: Website) -> Path | None:
    """Return the directory of the publication that serves, None before the first. Raises CorruptData."""
    return read_current(home.publications(website.name))


def listing(home: Home, website: Website) -> list[Published]:
    """Return every publication that is kept, the newest first; broken ones with their problem."""
    root = home.publications(website.name)
    serving = read_current(root)
    back = _last_rollback(root)
    came_from = back.came_from if back and serving and back.to == serving.name else ""
    return [_published(path, path == serving, came_from if path == serving else "") for path in _newest_first(root)]


def rollback(home: Home, website: Website, publication: str, *, disk: Disk | None = None) -> Path:
    """Serve an earlier publication again and return its directory.

    It is verified byte by byte before the switch. Raises PermanentError where it is not kept, CorruptData
    where it is broken, Busy while another process publishes.
    """
    root = home.publications(website.name)
    directory = root / publication
    if not is_publication_id(publication) or not directory.is_dir():
        known = ", ".join(path.name for path in _newest_first(root)) or "none"
        when = _erased(root).get(publication)
        gone = f"; it was deleted at {when}, because it held the history of a user who was erased" if when else ""
        raise PermanentError(
            f"website {website.name!r} has no publication {publication[:60]!r}{gone}; kept are: {known}"
        )
    disk = disk or Disk()
    with one_publisher(root), disk_failures(root):
        verify(directory)
        serving = read_current_or_none(root)
        if serving != directory:
            note = _Rollback(serving.name if serving else "", publication)
            replace_file(disk, root / _ROLLBACK, msgspec.json.encode(note) + b"\n")
        switch_to(disk, directory)
    return directory


def switch_to(disk: Disk, directory: Path) -> bool:
    """Make a publication the one that serves, in one step; tell whether it was not already."""
    if read_current_or_none(directory.parent) == directory:
        return False
    replace_file(disk, directory.parent / CURRENT, f"{directory.name}\n".encode())
    return True


@contextlib.contextmanager
def one_publisher(root: Path) -> Iterator[None]:
    """Hold the website's publishing lock; it goes with the process, however that ends. Raises Busy."""
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{root}: another process publishes this website; run again when it is done") from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk_failures(root: Path) -> Iterator[None]:
    """Turn what the file system refuses into a sentence; what served before keeps serving."""
    try:
        yield
    except OSError as error:
        raise TransientError(
            f"{root}: cannot write a publication ({error.strerror or error}); what was published before keeps serving"
        ) from error


def remove_leftovers(disk: Disk, root: Path) -> None:
    """Remove what publishers that died left half done; the caller holds the lock."""
    for path in sorted(root.glob(".*.tmp")) + sorted(root.glob(".*.old")):
        disk.remove(path)


def prune(disk: Disk, root: Path, keep: set[str]) -> int:
    """Delete all but the newest `KEEP` publications; never one of `keep` or a young one. Returns how many went."""
    now, gone = time.time(), 0
    for directory in _newest_first(root)[KEEP:]:
        if directory.name not in keep and now - directory.stat().st_mtime > YOUNG:
            aside = _aside(directory)  # the name goes in one step; readers that have it open keep their mapping
            disk.rename(directory, aside)
            disk.remove(aside)
            gone += 1
    return gone


def kept_directories(root: Path) -> list[Path]:
    """Return the directories of the publications that are kept, the newest first."""
    return _newest_first(root)


def delete_erased(disk: Disk, directory: Path) -> None:
    """Delete a publication that held somebody who was erased, and remember why; the caller holds the lock."""
    root = directory.parent
    erased = _erased(root) | {directory.name: f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}
    replace_file(disk, root / _ERASED, msgspec.json.encode(erased) + b"\n")
    aside = _aside(directory)
    disk.rename(directory, aside)
    disk.remove(aside)


def put_in_place(disk: Disk, beside: Path, final: Path) -> None:
    """Give a finished directory its name; a damaged publication of that name makes room."""
    aside = _aside(final)
    if final.exists():
        disk.rename(final, aside)
    disk.rename(beside, final)
    disk.sync_directory(final.parent)
    disk.remove(aside)


def read_current_or_none(root: Path) -> Path | None:
    """Return the directory that serves; None too where `CURRENT` is damaged, since publishing repairs that."""
    try:
        return read_current(root)
    except CorruptData:
        return None


def _aside(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.old")


def _newest_first(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    kept = [path for path in root.iterdir() if is_publication_id(path.name)]
    return sorted(kept, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def _published(directory: Path, serves: bool, came_from: str) -> Published:
    published = datetime.fromtimestamp(directory.stat().st_mtime, UTC)
    try:
        manifest: Manifest = read_manifest(directory)
    except CorruptData as error:
        return Published(directory.name, directory, published, serves, rolled_back_from=came_from, problem=str(error))
    return Published(
        id=directory.name,
        directory=directory,
        published=published,
        current=serves,
        as_of=manifest.as_of,
        items=manifest.items,
        visitors=manifest.visitors,
        bytes=sum(entry.bytes for entry in manifest.files.values()),
        rolled_back_from=came_from,
    )


def _erased(root: Path) -> dict[str, str]:
    """Return the publications that an erasure deleted, by id, and when."""
    try:
        return msgspec.json.decode((root / _ERASED).read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError:  # it only explains; the publications themselves say which are kept
        return {}


def _last_rollback(root: Path) -> _Rollback | None:
    try:
        text = (root / _ROLLBACK).read_bytes()
    except FileNotFoundError:
        return None
    note: _Rollback = decode_json(f"{root / _ROLLBACK} (delete it)", text, _Rollback)
    return note
