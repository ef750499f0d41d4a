"""The kinds of change that the catalogue takes: how each is read, and what it does to the items of before.

A new kind is a line in `KINDS`; applying them exactly once and in order is the business of changes.py alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from personalization_pipelines.content.catalogue.item_tables import INCOMING_SCHEMA, item_tables
from personalization_pipelines.content.catalogue.merging import Changes, Scope, merge_items, remove_items
from personalization_pipelines.content.catalogue.read_items import ITEM_SCHEMA
from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.change_queue import DELETE_ITEM, ITEMS_XML, Change, Deletion
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.content.xml.xml_items import read_xml_items
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.website import Website

MAX_LISTED = 10_000
GONE = pa.schema([(name, ITEM_SCHEMA.field(name).type) for name in ("item_type", "item", "language")])
"""Of items that go; without language in all."""


@dataclass
class Rejects:
    """The items of a document that can not be taken: how many for which reason, and the first of them."""

    reasons: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[str, str, str]] = field(default_factory=list)
    """Source, what it is, and the reason."""

    def add(self, source: str, what: str, reason: str) -> None:
        """Count one, and list it while there is room."""
        self.reasons[reason] += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append((source, what, reason))

    def extend(self, other: Rejects) -> None:
        """Take over what another one counted and listed."""
        self.reasons += other.reasons
        self.listed += other.listed[: MAX_LISTED - len(self.listed)]


@dataclass(frozen=True)
class Arrived:
    """What one change brings: items (ITEM_SCHEMA without first_seen), or keys of those that go."""

    rows: pa.Table
    sources: tuple[str, ...]
    rejects: Rejects = field(default_factory=Rejects)
    notification: str = ""
    scope: Scope | None = None
    """The items that the change replaces as a whole."""


Read = Callable[[Change, Website], Arrived]
Merge = Callable[[VersionedTable, pa.Table, Scope | None, datetime], Changes]


def _nothing_known(_: Change) -> Mapping[str, Any]:
    return {}


def _as_sent(_: Change) -> bytes | None:
    return None


def _nothing_begins(_: Sequence[Change]) -> None:
    return


def _nothing_first(_: str, __: datetime) -> None:
    return


@dataclass(frozen=True)
class Kind:
    """One kind of change: the history's mode, how it is read (PermanentError: refused), what it does."""

    mode: str
    read: Read
    merge: Merge
    judged: bool = False
    """Whether the gates of item imports judge it; such changes are imports of their own."""
    limited: bool = False
    """Whether it may bring only so many attributes and values (attribute_limits.py), where no gates judge it."""
    begin: Callable[[Sequence[Change]], None] = _nothing_begins
    """Is told which changes are read next, for one import."""
    first: Callable[[str, datetime], None] = _nothing_first
    """Stores what comes before the catalogue, with the import's id and moment; after a crash perhaps once more."""
    known: Callable[[Change], Mapping[str, Any]] = _nothing_known
    """Fields of the history's row of a change that is refused."""
    kept: Callable[[Change], bytes | None] = _as_sent
    """What is kept of a refused change, where it must not be all that was sent."""


def added(
    table: VersionedTable, incoming: pa.Table, scope: Scope | None, moment: datetime, *, judged: bool = False
) -> Changes:
    """Return the catalogue with the items that came; without the others of the scope, if there is one.

    `judged`: with what the gates ask about the catalogue of before.
    """
    return merge_items(table, incoming, scope is not None, moment.replace(tzinfo=None), scope, judged=judged)


def without(table: VersionedTable, gone: pa.Table, _: Scope | None, __: datetime) -> Changes:
    """Return the catalogue without the items whose keys came; a key without language is of all languages."""
    return remove_items(table, gone)


def xml_table(items: Iterable[XmlItem]) -> pa.Table:
    """Return items as rows of the catalogue (ITEM_SCHEMA without first_seen), in their order."""
    return pa.concat_tables([INCOMING_SCHEMA.empty_table(), *item_tables(items)])


def deletion_of(change: Change) -> Deletion:
    """Return what a queued deletion says. Raises CorruptData."""
    try:
        return msgspec.json.decode(change.body(), type=Deletion)
    except msgspec.DecodeError as error:
        raise CorruptData(f"change {change.id}: no deletion of an item ({error})") from error


def _read_deletion(change: Change, _: Website) -> Arrived:
    return Arrived(pa.Table.from_pylist([msgspec.structs.asdict(deletion_of(change))], GONE), (change.name,))


def _read_document(change: Change, website: Website) -> Arrived:
    with change.open() as file:
        return Arrived(xml_table(read_xml_items(file, website)), (change.name,))


KINDS: dict[str, Kind] = {
    ITEMS_XML: Kind("incremental", _read_document, added, limited=True),
    DELETE_ITEM: Kind("delete", _read_deletion, without),
}
