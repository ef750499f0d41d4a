"""Transfers of items: the history of an old id counts for a new one, and the old item leaves the catalogue.

`lake/<website>/transfers/` holds every transfer that was accepted, in order; of several of one item the last counts.
It is a versioned table, so a build as of a moment before a transfer knows nothing of it. The events stay as they came:
the feature table `item_transfers` says whose they are (dbt_like_sql/staging/), and a publication carries it.

Written under the catalogue's lock only. A row names the change that brought it: where a crash comes after this table
and before the catalogue, the change still waits, so the next refresh leaves its rows out and applies it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from personalization_pipelines.content.catalogue.change_kinds import GONE, Arrived, Kind, Rejects, without
from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.change_queue import TRANSFER_ITEMS, Change, Deletion, pending
from personalization_pipelines.content.files.times import MICROSECONDS
from personalization_pipelines.content.xml.xml_transfers import Item, Transfer, read_xml_transfers
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

TRANSFER_SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("source_type", pa.int32()),
        ("source", pa.string()),
        ("target_type", pa.int32()),
        ("target", pa.string()),
        ("time", MICROSECONDS),
        ("change", pa.string()),
    ]
)
MAX_STEPS = 10
"""Transfers that may follow each other (a to b, b to c …); `item_transfers.sql` follows as many."""
MAX_ITEMS = 100_000
"""Items of a website that were transferred: every worker of the server holds them."""
CIRCLE = "the new item's own history counts for the old one: that would be a circle"
TOO_LONG = f"more than {MAX_STEPS} transfers would follow each other"
TOO_MANY = f"more than {MAX_ITEMS:,} items would be transferred"


def transfers(home: Home, website: Website) -> VersionedTable:
    """Return the table of all accepted transfers (TRANSFER_SCHEMA, in order of `position`), with its versions."""
    return VersionedTable(home.lake(website.name) / "transfers", TRANSFER_SCHEMA)


def transfers_file(home: Home, website: Website, as_of: datetime) -> Path | None:
    """Return the transfers up to a moment; None where there was none by then."""
    table = transfers(home, website)
    known = [one for one in table.versions() if one.imported_at <= as_of]
    return table.directory / known[-1].file if known else None


def newest_transfers(file: Path, count: int) -> list[dict[str, Any]]:
    """Return the last transfers of a file of them as rows for a person: when, which item, to which."""
    rows = pq.read_table(file).to_pylist()[-count:]
    items = [(Transfer((one["source_type"], one["source"]), (one["target_type"], one["target"])), one) for one in rows]
    return [{"time": one["time"], "transfer": str(transfer)} for transfer, one in items]


class Ways:
    """Where the history of items goes: from each source to one target, without circles, MAX_STEPS in a row at most."""

    def __init__(self, targets: Mapping[Item, Item], most: int = MAX_ITEMS) -> None:
        self.targets = dict(targets)
        self._most = most
        self._before: dict[Item, int] = {}
        self._replaced = False
        self._measure()

    def path(self, item: Item) -> list[Item]:
        """Return the items that an item's history goes on to; the last one's it is."""
        found: list[Item] = []
        while item in self.targets and len(found) <= MAX_STEPS:
            item = self.targets[item]
            found.append(item)
        return found

    def refusal(self, asked: Transfer) -> str:
        """Say why a transfer can not be; "" where it can."""
        onward = self.path(asked.target)
        if asked.source in onward:
            return CIRCLE
        if asked.source not in self.targets and len(self.targets) >= self._most:
            return TOO_MANY
        if self._is_short(asked, len(onward)):
            return ""
        if self._replaced:
            self._measure()
        return "" if self._is_short(asked, len(onward)) else TOO_LONG

    def add(self, asked: Transfer) -> None:
        """Let a transfer count that is not refused; it replaces an earlier one of its source."""
        self._replaced = self._replaced or asked.source in self.targets
        self.targets[asked.source] = asked.target
        self._count_from(asked.source)

    def _is_short(self, asked: Transfer, onward: int) -> bool:
        return self._before.get(asked.source, 0) + 1 + onward <= MAX_STEPS

    def _measure(self) -> None:
        """Count the steps before each item again: of a transfer that was replaced they still stand there."""
        self._before, self._replaced = {}, False
        for source in self.targets:
            self._count_from(source)

    def _count_from(self, source: Item) -> None:
        """Let the items after a source know how many steps come before them."""
        steps, item = self._before.get(source, 0), source
        while item in self.targets:
            item, steps = self.targets[item], steps + 1
            if self._before.get(item, 0) >= steps:
                return
            self._before[item] = steps


class Transfers:
    """The transfers of one refresh, as a kind of change (change_kinds.py) of a website's catalogue."""

    def __init__(self, home: Home, website: Website) -> None:
        self._home = home
        self._website = website
        self._table = transfers(home, website)
        self._before = TRANSFER_SCHEMA.empty_table()
        self._ways = Ways({})
        self._new: list[tuple[str, Transfer]] = []

    def kinds(self) -> dict[str, Kind]:
        """Return the kind of change that transfers are: they are kept first, then the old items go."""
        return {TRANSFER_ITEMS: Kind("transfer", self._read, without, begin=self._begin, first=self._keep)}

    def _begin(self, _: Sequence[Change]) -> None:
        """Take what stood before all that waits: what waits and is in the table already was cut short by a crash."""
        waiting = pa.array([one.id for one in pending(self._home, self._website)], pa.string())
        current = self._table.current()
        self._before = current.filter(pc.invert(pc.is_in(current["change"], value_set=waiting)))
        self._ways, self._new = Ways(targets_of(self._before)), []

    def _read(self, change: Change, website: Website) -> Arrived:
        """Let a change's transfers count that can be; return the keys of the items that go, and what can not be."""
        with change.open() as file:
            asked = read_xml_transfers(file, website)
        keys, rejects = list[dict[str, object]](), Rejects()
        for one in asked:
            if reason := self._ways.refusal(one):
                rejects.add(change.name, str(one), reason)
                continue
            if self._ways.targets.get(one.source) != one.target:
                self._ways.add(one)
                self._new.append((change.id, one))
            keys.append(dict(zip(GONE.names, (*one.source, None), strict=True)))
        return Arrived(pa.Table.from_pylist(keys, GONE), (change.name,), rejects)

    def _keep(self, transaction: str, moment: datetime) -> None:
        """Make what was read a version, unless it is one or is nothing new."""
        if self._new and all(one.import_id != transaction for one in self._table.versions()):
            with self._table.locked():
                self._table.add(_extended(self._before, self._new, moment), transaction, moment)


def leaving(change: Change, website: Website) -> list[Deletion]:
    """Return the items that leave the catalogue if all of a change's transfers can be. Raises ImportRefused."""
    with change.open() as file:
        return [Deletion(*one.source) for one in read_xml_transfers(file, website)]


def targets_of(table: pa.Table) -> dict[Item, Item]:
    """Return the target of each source of a table of transfers (TRANSFER_SCHEMA): that of the last one."""
    rows = zip(*(table[name].to_pylist() for name in TRANSFER_SCHEMA.names[1:5]), strict=True)
    return {(kind, item): (target_type, target) for kind, item, target_type, target in rows}


def _extended(table: pa.Table, new: Iterable[tuple[str, Transfer]], moment: datetime) -> pa.Table:
    first = (pc.max(table["position"]).as_py() or 0) + 1
    rows = [
        dict(zip(TRANSFER_SCHEMA.names, (place, *one.source, *one.target, moment, change), strict=True))
        for place, (change, one) in enumerate(new, first)
    ]
    return pa.concat_tables([table, pa.Table.from_pylist(rows, TRANSFER_SCHEMA)])
