"""Applying tombstones: what is stored at the beginning of a refresh, what is made of it at the end.

Each place is looked at until it is clean and its receipt says so; what can not be cleaned now (a log segment that its
writer still holds, a live store that is away) is left for the next refresh, and nothing else waits for it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sqlalchemy.exc import SQLAlchemyError

from personalization_pipelines.content.users.user_changes import forget_waiting
from personalization_pipelines.content.users.user_tables import users_table
from personalization_pipelines.erasure.lake_cleaning import (
    clean_events,
    clean_rebuilds,
    clean_users,
    who_in_tables,
    who_is_stored,
)
from personalization_pipelines.erasure.log_cleaning import clean_log
from personalization_pipelines.erasure.receipts import (
    EVENTS,
    FEATURES,
    LIVE,
    LOG,
    MODELS,
    PUBLICATIONS,
    REBUILDS,
    USERS,
    mark_clean,
    pending,
    receipt_of,
)
from personalization_pipelines.erasure.tombstones import Forgotten, Tombstone
from personalization_pipelines.events.live.follower import Follower
from personalization_pipelines.events.live.live_erasure import applied_in
from personalization_pipelines.events.live.live_store import LiveStore
from personalization_pipelines.foundation.errors import CorruptData, LiveStoreUnavailable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.models.artifact import current_build
from personalization_pipelines.models.training import is_current
from personalization_pipelines.publications.format.arrays import map_arrays
from personalization_pipelines.publications.format.disk import Disk
from personalization_pipelines.publications.format.publication_manifest import read_current, read_manifest
from personalization_pipelines.publications.kept import delete_erased, kept_directories, one_publisher
from personalization_pipelines.publications.read.published_visitors import VISITORS, VISITORS_SCHEMA
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build

FOLLOWER_SECONDS = 5.0
"""How long the follower of a running server is waited for; it looks twice a second."""


def apply_tombstones(home: Home, website: Website) -> int:
    """Erase from all that is stored whom pending tombstones name; return how many tombstones were pending.

    Raises Busy where an import or another eraser holds a place for long.
    """
    waiting = pending(home, website)
    if (stones := pending(home, website, LOG)) and not clean_log(home, Forgotten(home, website.name, stones)):
        mark_clean(home, website, stones, LOG)
    if stones := pending(home, website, LIVE):
        mark_clean(home, website, _live_applied(home, stones), LIVE)
    if stones := pending(home, website, USERS):
        with users_table(home, website).locked():
            forget_waiting(home, website, Forgotten(home, website.name, stones))
    for place, clean in ((EVENTS, clean_events), (USERS, clean_users), (REBUILDS, clean_rebuilds)):
        if stones := pending(home, website, place):
            clean(home, website.name, Forgotten(home, website.name, stones))
            mark_clean(home, website, stones, place)
    return len(waiting)


def complete_tombstones(build: Build) -> None:
    """After a publication: see that features, models and publications hold nobody to forget; complete receipts.

    Earlier publications of such visitors are deleted, and earlier builds of models. Who came back since is a new
    visitor and may be there.
    """
    home, website = build.home, build.website
    stones = [stone for stone in pending(home, website) if not {EVENTS, USERS} - _clean(home, website, stone).keys()]
    if not stones:
        return
    forgotten = Forgotten(home, website.name, stones)
    returned = who_is_stored(home, website.name, forgotten)
    if who_in_tables(build.features, forgotten) <= returned:
        mark_clean(home, website, stones, FEATURES)
    stones = [stone for stone in stones if FEATURES in _clean(home, website, stone)]
    if stones and _are_models_clean(build, max(_clean(home, website, stone)[FEATURES] for stone in stones)):
        mark_clean(home, website, stones, MODELS)
        if _clean_publications(build, forgotten.only(stones), returned):
            mark_clean(home, website, stones, PUBLICATIONS)


def _clean(home: Home, website: Website, stone: Tombstone) -> dict[str, datetime]:
    return receipt_of(home, website, stone).clean


def _live_applied(home: Home, stones: list[Tombstone]) -> list[Tombstone]:
    """Return the tombstones that the live store has applied; where no server runs, apply them here."""
    with _as_follower(home) as alone:
        try:
            if alone:
                _apply_live(home)
                return stones
            return _applied_by_follower(home, stones)
        except (LiveStoreUnavailable, CorruptData):  # a damaged file is the follower's to make again
            return []


def _apply_live(home: Home) -> None:
    if not home.database and not (home.root / "live.db").exists():
        return
    try:
        store = LiveStore(home.live_database)
    except SQLAlchemyError as error:
        raise LiveStoreUnavailable(f"the live store can not be opened: {error}") from error
    try:
        Follower(home, store).erase()
    finally:
        store.close()


def _applied_by_follower(home: Home, stones: list[Tombstone]) -> list[Tombstone]:
    until = time.monotonic() + FOLLOWER_SECONDS
    while True:
        done = applied_in(home.live_database)
        found = [stone for stone in stones if stone.id in done]
        if len(found) == len(stones) or time.monotonic() > until:
            return found
        time.sleep(0.2)


@contextmanager
def _as_follower(home: Home) -> Iterator[bool]:
    """Hold the place of the live store's one writer; False where a follower has it."""
    descriptor = os.open(home.root / "follower.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _are_models_clean(build: Build, since: datetime) -> bool:
    """Tell whether every model was made of clean features, and drop the earlier builds of each."""
    for name in build.website.models:
        directory = build.models / name
        made = current_build(directory)
        if made is None:
            continue
        written = datetime.fromtimestamp(made.stat().st_mtime, UTC)
        if written < since and not is_current(build, name):
            return False
        for other in directory.iterdir():
            if other.is_dir() and other != made:
                shutil.rmtree(other, ignore_errors=True)
    return True


def _clean_publications(build: Build, forgotten: Forgotten, returned: set[str]) -> bool:
    """Delete earlier publications of whom to forget; tell whether the one that serves is clean."""
    root = build.home.publications(build.website.name)
    with one_publisher(root):
        serving = read_current(root)
        if serving and not who_is_published(serving, forgotten) <= returned:
            return False
        for directory in kept_directories(root):
            if directory != serving and _holds_any(directory, forgotten):
                delete_erased(Disk(), directory)
    return True


def _holds_any(directory: Path, forgotten: Forgotten) -> bool:
    """Tell whether a publication holds somebody to forget; one that can not be read counts as if."""
    try:
        return bool(who_is_published(directory, forgotten))
    except CorruptData:
        return True


def who_is_published(directory: Path, forgotten: Forgotten) -> set[str]:
    """Return whom of those to forget a publication has a history of. Raises CorruptData."""
    entries = read_manifest(directory).files
    if VISITORS not in entries:
        raise CorruptData(f"{directory}: its manifest names no file {VISITORS!r}; publish again")
    arrays = map_arrays(directory / VISITORS, entries[VISITORS].arrays, VISITORS_SCHEMA)
    halves = np.stack([arrays["high"], arrays["low"]], axis=1).astype(">i8").tobytes()
    names = (urlsafe_b64encode(halves[at : at + 16])[:22].decode() for at in range(0, len(halves), 16))
    return set(forgotten.among(names))
