"""Imports the sources of a website's file at a refresh, and leaves in their store the objects that are unchanged.

What a store said of the objects of a source (size; ETag, generation or time of change) is remembered beside the import
history, with what the import led to. Objects are not downloaded again while that holds, and while downloading them
would change nothing: events, as long as the lake has that import; items, as long as no other import has made a version
of the catalogue since, for a file that is imported again overrides what came in between. Files of this machine are not
remembered: they are compared byte by byte, which costs no download.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from personalization_pipelines import __version__
from personalization_pipelines.content.catalogue.items import catalogue, import_items
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.files.mapping import load_mapping, source_mapping
from personalization_pipelines.content.files.object_stores import StoredObject
from personalization_pipelines.content.import_history import imports_directory
from personalization_pipelines.content.report import Kind
from personalization_pipelines.events.lake.event_lake import imports
from personalization_pipelines.foundation.durable import write_durably
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.values import Source

FILE = "sources.json"
Found = Sequence[Path | StoredObject]
_log = logging.getLogger(__name__)


class Remembered(msgspec.Struct, frozen=True):
    """What a source was when it was imported last.

    `objects` are address, bytes and version; `rules` all else that the import depends on; `led_to` is the catalogue's
    newest version then, or the newest import of the lake.
    """

    rules: str
    led_to: str
    objects: list[tuple[str, int, str]]


def refresh_items(home: Home, website: Website, source: Source, files: Found, now: datetime) -> None:
    """Import the items of a source, unless its objects are unchanged. Raises what `import_items` does."""
    table = catalogue(home, website)
    rules, key, before = _rules(home, website, source, "items"), f"items {source.mode} {source.files}", table.newest()
    known = _remembered(home, website).get(key)
    fresh = files
    if known and known.rules == rules and before and known.led_to == before.file:
        fresh = _items_left(known, source, files)
    if not fresh:
        return
    mapping = source_mapping(home, source.mapping)
    report = import_items(home, website, fresh, mapping=mapping, mode=source.mode, format=source.format, now=now)
    after = table.newest()
    if after and (after == before or after.import_id == report.import_id):  # else another import came in between
        objects = _all_told(files)
        _remember(home, website, key, Remembered(rules, after.file, objects if len(objects) == len(files) else []))


def refresh_events(home: Home, website: Website, source: Source, files: Found) -> None:
    """Import the events of a source, but those of unchanged objects. Raises what `import_events` does."""
    rules, key = _rules(home, website, source, "events"), f"events {source.files}"
    known = _remembered(home, website).get(key)
    fresh = files
    if known and known.rules == rules and any(one.import_id == known.led_to for one in imports(home, website)):
        seen = set(known.objects)
        fresh = [one for one in files if _told(one) not in seen]
    if files and not fresh:
        return
    mapping = source_mapping(home, source.mapping)
    import_events(home, website, fresh, mapping=mapping, format=source.format, skip_equal="of grown files")
    if stored := imports(home, website):
        _remember(home, website, key, Remembered(rules, stored[-1].import_id, _all_told(files)))


def _items_left(known: Remembered, source: Source, files: Found) -> Found:
    """Return what is to be read: nothing, the objects that came after all others (they change only what they bring),
    or everything."""
    told = [_told(one) for one in files]
    if told == known.objects:
        return []
    if source.mode == "incremental" and told[: len(known.objects)] == known.objects:
        return files[len(known.objects) :]
    return files


def _told(one: Path | StoredObject) -> tuple[str, int, str] | None:
    """Return what a store says of an object, None where nobody can tell by it whether its bytes are the same."""
    if isinstance(one, StoredObject) and one.reliable:
        return one.address, one.bytes, one.version
    return None


def _all_told(files: Found) -> list[tuple[str, int, str]]:
    return [told for one in files if (told := _told(one))]


def _rules(home: Home, website: Website, source: Source, kind: Kind) -> str:
    """Return a text that is another whenever the same bytes might be imported in another way; "" for no import."""
    try:
        mapping = load_mapping(kind, source_mapping(home, source.mapping))
    except ImportRefused:
        return ""  # the import says what is wrong with it
    return fingerprint(
        website=website.model_dump_json(), source=source.model_dump_json(), mapping=mapping.digest, program=__version__
    )


def _remembered(home: Home, website: Website) -> dict[str, Remembered]:
    path = imports_directory(home, website) / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Remembered])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        _log.warning("%s: %s; every source is read again", path, error)
        return {}


def _remember(home: Home, website: Website, key: str, source: Remembered) -> None:
    """Remember a source; nothing where no object is sure to be the same as long as it is told to be."""
    path, before = imports_directory(home, website) / FILE, _remembered(home, website)
    known = {name: one for name, one in before.items() if name != key}
    if source.objects and source.rules:
        known[key] = source
    if known != before:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, msgspec.json.encode(known))
