"""Fetches the notified exports that wait, before the catalogue is locked, and keeps apart what can not be had now.

All documents of an event are fetched and read before any of it counts: half a FULL is none. What fails for good
(ImportRefused) is refused when its turn comes; what may work later waits, with the tries counted (tries.py). So that
no older state overwrites a newer one, an export or a deletion that may be about the same items waits behind it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from personalization_pipelines.content.catalogue.change_kinds import (
    Arrived,
    Kind,
    Rejects,
    added,
    deletion_of,
    xml_table,
)
from personalization_pipelines.content.catalogue.merging import Scope
from personalization_pipelines.content.catalogue.transfers import leaving
from personalization_pipelines.content.change_queue import (
    DELETE_ITEM,
    EXPORT_FULL,
    EXPORT_UPDATE,
    TRANSFER_ITEMS,
    Change,
    Deletion,
    changes_directory,
)
from personalization_pipelines.content.exports.fetch_export import Fetcher, Login
from personalization_pipelines.content.exports.notification import Export, check_address, conflicts, opened_secrets
from personalization_pipelines.content.exports.read_export import read_export_items
from personalization_pipelines.content.exports.tries import Tried, is_given_up, read_tries, tried_again, write_tries
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.foundation.errors import (
    CorruptData,
    ExportUnavailable,
    ImportRefused,
    PermanentError,
    PersonalizationError,
)
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

KINDS = (EXPORT_FULL, EXPORT_UPDATE)
SECONDS = 1800.0
"""After which one refresh begins to fetch no other export; those left are the next one's."""
MAX_EVENT_BYTES, MAX_EVENT_SECONDS = 4 << 30, 3600.0
"""Of all documents of one event."""
MAX_HELD_BYTES = 512 << 20
"""Of rows in memory, after which what was fetched is applied before more is."""
MAX_SOURCES = 20
"""Of one event that the history names."""
_log = logging.getLogger(__name__)


class Exports:
    """The exports of one refresh: which arrived, which failed for good, and which wait for another refresh."""

    def __init__(self, home: Home, website: Website, moment: datetime, fetcher: Fetcher) -> None:
        self._home = home
        self._website = website
        self._moment = moment
        self._fetcher = fetcher
        self._arrived: dict[str, Arrived | PermanentError] = {}
        self._later: dict[str, Export] = {}
        self._away: dict[str, str] = {}
        self._until = time.monotonic() + SECONDS

    def kinds(self) -> dict[str, Kind]:
        """Return the kinds of change that are exports; to read one is to take what arrived of it."""
        kind = partial(Kind, read=self._take, known=_known, kept=_kept)
        full = kind("full", merge=partial(added, judged=True), judged=True)
        return {EXPORT_FULL: full, EXPORT_UPDATE: kind("incremental", merge=added, limited=True)}

    def fetch(self, waiting: Sequence[Change]) -> None:
        """Fetch the exports among what waits, oldest first, until enough is held in memory."""
        self._arrived = {}
        tries, held = read_tries(self._home, self._website), 0
        before = dict(tries)
        for change in waiting:
            if change.kind in KINDS and change.id not in self._later and held < MAX_HELD_BYTES:
                self._look(change, tries)
                arrived = self._arrived.get(change.id)
                held += arrived.rows.nbytes if isinstance(arrived, Arrived) else 0
        left = [one.id for one in waiting if one.id not in self._arrived]
        if before or tries:
            write_tries(self._home, self._website, tries, left)

    def ready(self, waiting: Sequence[Change]) -> tuple[list[Change], bool]:
        """Return what may be applied now, in its order, and whether an export comes next that was not looked at yet."""
        ready: list[Change] = []
        for change in waiting:
            if change.kind in KINDS and change.id not in self._arrived and change.id not in self._later:
                return ready, True
            if change.id not in self._later and not self._must_wait(change):
                ready.append(change)
        return ready, False

    def _must_wait(self, change: Change) -> bool:
        """Say whether a deletion or a transfer may be about what a waiting export is about."""
        if change.kind not in _GOING or not self._later:
            return False
        try:
            return any(self._is_behind(change.id, gone) for gone in _GOING[change.kind](change, self._website))
        except PermanentError:
            return False  # it is refused when it is read

    def _is_behind(self, change: str, what: Export | Deletion) -> bool:
        return any(waits < change and conflicts(export, what) for waits, export in self._later.items())

    def _take(self, change: Change, _: Website) -> Arrived:
        arrived = self._arrived[change.id]
        if isinstance(arrived, PersonalizationError):
            raise arrived
        return arrived

    def _look(self, change: Change, tries: dict[str, Tried]) -> None:
        """Fetch one export, or find out why it can not be had: now, or ever."""
        try:
            export = export_of(change)
            if self._is_behind(change.id, export) or time.monotonic() > self._until:
                self._later[change.id] = export
                return
            try:
                self._arrived[change.id] = self._fetch(change, export)
            except ExportUnavailable as error:
                if error.away:
                    self._away[error.away] = str(error)
                tried = tries[change.id] = tried_again(tries.get(change.id), str(error), self._moment)
                if is_given_up(change, tried, self._moment):
                    raise ImportRefused(f"{error}; given up after {tried.count} tries") from None
                _log.warning("website %s: %s; it is tried again (%d)", self._website.name, error, tried.count)
                self._later[change.id] = export
        except PermanentError as error:
            self._arrived[change.id] = error

    def _fetch(self, change: Change, export: Export) -> Arrived:
        """Return the items of all documents of an event. Raises where one of them can not be had or read."""
        if export.item_type is not None and export.item_type not in self._website.item_types:
            raise ImportRefused(f"item type {export.item_type} is none of the website's any more")
        secrets, rejects, left = opened_secrets(export, self._home.key), Rejects(), MAX_EVENT_BYTES
        until = time.monotonic() + MAX_EVENT_SECONDS
        login = Login(secrets.login, secrets.password) if secrets.login or secrets.password else None
        tables = []
        for address in [check_address(text, self._website) for text in secrets.addresses]:
            if address.authority in self._away:
                raise ExportUnavailable(self._away[address.authority])
            if time.monotonic() > until:
                late = f"{address.authority}: its documents were not complete within the time for one event"
                raise ExportUnavailable(late, away=address.authority)
            with TemporaryFile(dir=changes_directory(self._home, self._website)) as file:
                left -= self._fetcher.fetch(address, login, file, most=left)
                file.seek(0)
                tables.append(self._read(file, export, address.shown, rejects))
        rows = pa.concat_tables(tables)
        if rejects.reasons and not rows.num_rows:
            reason, count = rejects.reasons.most_common(1)[0]
            raise ImportRefused(f"{export.sources[0]}: no item could be taken; {count:,} of them: {reason}")
        scope = Scope(export.item_type or 0, export.language) if change.kind == EXPORT_FULL else None
        return Arrived(rows, _sources(export), rejects, export.transaction, scope)

    def _read(self, file: BinaryIO, export: Export, source: str, rejects: Rejects) -> pa.Table:
        reject = partial(rejects.add, source)
        try:
            return xml_table(_wanted(read_export_items(file, self._website, reject), export, reject))
        except PermanentError as error:
            raise ImportRefused(f"{source}: {error}") from None


def _wanted(items: Iterator[XmlItem], export: Export, reject: Callable[[str, str], None]) -> Iterator[XmlItem]:
    """Yield the items that are what the notification says; one without a language is of the notification's."""
    for item in items:
        item.language = item.language or export.language or ""
        if export.item_type not in (None, item.item_type):
            reject(f"{item.item_type}/{item.item}", "it is of another item type than the notification says")
        elif export.language not in (None, item.language):
            reject(f"{item.item_type}/{item.item}", "it is in another language than the notification says")
        else:
            yield item


def _deleted(change: Change, _: Website) -> list[Deletion]:
    return [deletion_of(change)]


_GOING: dict[str, Callable[[Change, Website], list[Deletion]]] = {DELETE_ITEM: _deleted, TRANSFER_ITEMS: leaving}
"""The kinds of change that remove items, and what says which."""


def export_of(change: Change) -> Export:
    """Return what a queued export says. Raises CorruptData."""
    try:
        return msgspec.json.decode(change.body(), type=Export)
    except msgspec.DecodeError as error:
        raise CorruptData(f"change {change.id}: no notified export ({error})") from error


def _sources(export: Export) -> tuple[str, ...]:
    more = len(export.sources) - MAX_SOURCES
    return (*export.sources[:MAX_SOURCES], *([f"and {more:,} more"] if more > 0 else []))


def _known(change: Change) -> Mapping[str, Any]:
    """Return what the history says of an export that is refused."""
    try:
        export = export_of(change)
    except CorruptData:
        return {}  # the refusal says that
    return {
        "files": _sources(export),
        "notification": export.transaction,
        "mode": "full" if change.kind == EXPORT_FULL else "incremental",
        "item_types": (export.item_type,) if export.item_type else (),
        "languages": (export.language,) if export.language else (),
    }


def _kept(change: Change) -> bytes:
    """Return what is kept of an export that is refused: all but its addresses and credentials."""
    try:
        return msgspec.json.encode(msgspec.structs.replace(export_of(change), sealed=b""))
    except CorruptData:
        return b""
