"""Receipts: for each tombstone every place where the visitor may be, and since when it is known to be clean.

`lake/<website>/erasures/<id>.receipt.json`, replaced at every step. A tombstone is pending until all places are
clean; then the import history gets a row of kind `erasure`. A receipt names nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from personalization_pipelines.content.import_history import ImportRow, is_recorded, record_import
from personalization_pipelines.erasure.tombstones import Tombstone, directory, tombstones
from personalization_pipelines.foundation.durable import write_durably
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

LOG, LIVE, EVENTS, USERS, REBUILDS = "event log", "live store", "lake: events and quarantine", "users", "rebuilds"
FEATURES, MODELS, PUBLICATIONS = "features", "models", "publications"
STORED = (LOG, LIVE, EVENTS, USERS, REBUILDS)
MADE = (FEATURES, MODELS, PUBLICATIONS)
PLACES = (*STORED, *MADE)


class Receipt(msgspec.Struct):
    """What became of one tombstone; `clean` holds the places that are, each with since when that is known."""

    id: str
    requested: datetime
    clean: dict[str, datetime] = {}
    completed: datetime | None = None

    @property
    def missing(self) -> list[str]:
        """The places that are not known to be clean."""
        return [place for place in PLACES if place not in self.clean]


def receipts(home: Home, website: Website) -> list[Receipt]:
    """Return the receipts of a website's tombstones, oldest first."""
    return [receipt_of(home, website, stone) for stone in tombstones(home, website.name)]


def receipt_of(home: Home, website: Website, stone: Tombstone) -> Receipt:
    """Return a tombstone's receipt; one without clean places before the first refresh."""
    path = _path(home, website, stone.id)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Receipt)
    except FileNotFoundError:
        return Receipt(stone.id, datetime.fromtimestamp(stone.time / 1_000_000, UTC))
    except msgspec.DecodeError as error:
        raise CorruptData(f"{path}: {error}; delete this receipt, the next refresh writes it again") from error


def pending(home: Home, website: Website, *places: str) -> list[Tombstone]:
    """Return the tombstones that are not complete; with `places`, those for which one of them is not clean."""
    wanted = places or PLACES
    return [
        stone
        for stone in tombstones(home, website.name)
        if not set(wanted) <= receipt_of(home, website, stone).clean.keys()
    ]


def mark_clean(home: Home, website: Website, stones: Iterable[Tombstone], place: str) -> None:
    """Note that a place is clean of the tombstones' visitors; complete the receipts that this was missing from."""
    now = datetime.now(UTC)
    for stone in stones:
        receipt = receipt_of(home, website, stone)
        receipt.clean = {**receipt.clean, place: receipt.clean.get(place, now)}
        if not receipt.missing and receipt.completed is None:
            receipt.completed = now
            if not is_recorded(home, website, stone.id):
                notes = tuple(f"{name}: clean at {time:%Y-%m-%d %H:%M:%S} UTC" for name, time in receipt.clean.items())
                record_import(home, website, ImportRow(now, "erasure", (), transaction=stone.id, notes=notes))
        write_durably(_path(home, website, stone.id), msgspec.json.encode(receipt))


def _path(home: Home, website: Website, identifier: str) -> Path:
    return directory(home, website.name) / f"{identifier}.receipt.json"
