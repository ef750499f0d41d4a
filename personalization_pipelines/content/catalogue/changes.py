"""Applies the changes of the catalogue that came over HTTP, oldest first, each exactly once.

Neighbours of one kind in the queue are one import (a change that gates judge is one of its own): one version of the
catalogue and one row of the history. What would break a limit of attributes is refused before, alone. What is about to
be applied is written down first (`changes/applying.json`, with its row), so that after a crash the next refresh knows
whether the catalogue has it: then only the row and the removal from the queue are caught up. Notified exports are
fetched before (exports.py), while nothing is locked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personalization_pipelines.content.catalogue.attribute_limits import AttributeLimits, Excess
from personalization_pipelines.content.catalogue.change_kinds import KINDS, Arrived, Kind, Rejects, xml_table
from personalization_pipelines.content.catalogue.item_gates import gate_failure, judge_items, require
from personalization_pipelines.content.catalogue.items import catalogue
from personalization_pipelines.content.catalogue.merging import KEY, Changes
from personalization_pipelines.content.catalogue.read_items import Incoming
from personalization_pipelines.content.catalogue.transfers import Transfers
from personalization_pipelines.content.change_queue import Change, changes_directory, pending, reject
from personalization_pipelines.content.exports.fetch_export import Fetcher
from personalization_pipelines.content.exports.waiting_exports import Exports
from personalization_pipelines.content.files.mapping import Mapping as Rules
from personalization_pipelines.content.files.verdicts import RejectsFile
from personalization_pipelines.content.import_history import ImportRow, imports_directory, record_import
from personalization_pipelines.content.journal import Journal
from personalization_pipelines.content.report import GateRow
from personalization_pipelines.foundation.errors import PermanentError, QualityGateFailed
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

JOURNAL = "applying.json"
MAX_BYTES = 256 << 20
"""Bytes of the documents of one import."""
ADVICE = "nothing was changed. If that is right, change the limit, and let it be sent again"

__all__ = ["JOURNAL", "apply_changes", "xml_table"]


def apply_changes(
    home: Home, website: Website, *, now: datetime | None = None, fetcher: Fetcher | None = None
) -> list[ImportRow]:
    """Apply what waits for the catalogue and return the rows of the import history that it made.

    Exports are fetched by `fetcher` (from the website's hosts); those that can not be fetched now wait for the next
    refresh, and what is about the same items waits with them. A change that the website's configuration of today or
    a gate refuses is moved to `rejected/` with its reason, and the others are applied. Raises Busy while another
    import writes the catalogue.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    exports = Exports(home, website, moment, fetcher or Fetcher(website.content.export_hosts))
    kinds = KINDS | exports.kinds() | Transfers(home, website).kinds()
    journal = Journal(changes_directory(home, website) / JOURNAL)
    rows: list[ImportRow] = []
    while (waiting := _waiting(home, website, kinds)) or journal.exists():
        exports.fetch(waiting)
        with catalogue(home, website).locked():
            caught_up = journal.catch_up(home, website, catalogue(home, website), waiting)
            left = [one for one in _waiting(home, website, kinds) if one.id not in caught_up]
            ready, more = exports.ready(left)
            apply = _Applying(home, website, kinds, journal, moment)
            rows += [row for batch in _batches(ready, kinds) for row in apply.batch(batch)]
        if not more:
            break
    return rows


def _waiting(home: Home, website: Website, kinds: Mapping[str, Kind]) -> list[Change]:
    return [one for one in pending(home, website) if one.kind in kinds]


def _batches(waiting: Sequence[Change], kinds: Mapping[str, Kind]) -> Iterator[list[Change]]:
    for name, run in groupby(waiting, key=lambda one: one.kind):
        batch: list[Change] = []
        size = 0
        for change in run:
            batch.append(change)
            size += change.path.stat().st_size
            if size > MAX_BYTES or kinds[name].judged:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


class _Applying:
    """What one call of `apply_changes` applies with, under the catalogue's lock."""

    def __init__(
        self, home: Home, website: Website, kinds: Mapping[str, Kind], journal: Journal, moment: datetime
    ) -> None:
        self.home = home
        self.website = website
        self.kinds = kinds
        self.journal = journal
        self.moment = moment

    def batch(self, batch: Sequence[Change]) -> Iterator[ImportRow]:
        """Apply changes of one kind as one import; yield the rows of the refused ones first."""
        began, good, arrived = time.monotonic(), list[Change](), list[Arrived]()
        kind = self.kinds[batch[0].kind]
        kind.begin(batch)
        for change in batch:
            try:
                arrived.append(kind.read(change, self.website))
                good.append(change)
            except PermanentError as error:
                yield self._refuse(change, kind, error)
        limits = AttributeLimits(self.home, self.website, catalogue(self.home, self.website))
        excesses = limits.excesses([one.rows for one in arrived]) if kind.limited and good else {}
        for number, excess in excesses.items():
            yield self._refuse_excess(good[number], kind, arrived[number], excess)
        fitting = [number for number in range(len(good)) if number not in excesses]
        if fitting:
            yield self._import(kind, [good[n] for n in fitting], [arrived[n] for n in fitting], began)
        if kind.limited and fitting:
            limits.keep()
        elif fitting:
            limits.keep_whole()

    def _import(self, kind: Kind, good: Sequence[Change], arrived: Sequence[Arrived], began: float) -> ImportRow:
        table = catalogue(self.home, self.website)
        incoming = _last(pa.concat_tables([one.rows for one in arrived]))
        changes = kind.merge(table, incoming, arrived[0].scope, self.moment)
        row = _row(kind, good, arrived, incoming, changes, self.moment)
        row = msgspec.structs.replace(
            row, rejects_file=self._list_rejects(row.transaction, *(one.rejects for one in arrived))
        )
        if kind.judged:
            row = msgspec.structs.replace(row, gates=self._judge(incoming, changes))
        row = msgspec.structs.replace(row, seconds=time.monotonic() - began)
        try:
            require(self.website, row.gates, ADVICE)
        except QualityGateFailed as error:
            return self._refuse(good[0], kind, error, row)
        self.journal.write(row)
        kind.first(row.transaction, self.moment)
        if changes.any:
            changes.store(table, row.transaction, self.moment)
        record_import(self.home, self.website, row)
        self.journal.finish(good)
        return row

    def _refuse_excess(self, change: Change, kind: Kind, arrived: Arrived, excess: Excess) -> ImportRow:
        """Refuse a change for what its items bring beyond a limit; the rejects file lists them."""
        rejects = Rejects()
        for what, reason in excess.items.values():
            rejects.add(arrived.sources[0], what, reason)
        row = _row(kind, [change], [replace(arrived, rejects=rejects)], arrived.rows, None, self.moment)
        row = msgspec.structs.replace(
            row,
            rows=arrived.rows.num_rows,
            gates=tuple(excess.gates),
            rejects_file=self._list_rejects(change.id, rejects),
        )
        return self._refuse(change, kind, gate_failure(self.website, excess.gates, ADVICE), row)

    def _judge(self, incoming: pa.Table, changes: Changes) -> tuple[GateRow, ...]:
        found, before = Incoming(incoming, incoming.num_rows), catalogue(self.home, self.website)
        return judge_items(self.website, Rules(kind="items"), found, changes, before)

    def _list_rejects(self, transaction: str, *listed: Rejects) -> str:
        """Write what could not be taken, and return the file's name; "" where there is nothing."""
        with RejectsFile(imports_directory(self.home, self.website) / f"{transaction}.rejects.csv") as rejects:
            for one in listed:
                for source, what, reason in one.listed:
                    rejects.add_item(source, what, reason)
        return rejects.written.name if rejects.written else ""

    def _refuse(self, change: Change, kind: Kind, error: PermanentError, row: ImportRow | None = None) -> ImportRow:
        """Record a change that is refused, and move it away."""
        known = {"files": (change.name,), **kind.known(change)}
        row = row or ImportRow(self.moment, "items", **known)
        row = msgspec.structs.replace(row, transaction=change.id, error=str(error)[:2000], parts={})
        record_import(self.home, self.website, row)
        reject(change, str(error), kind.kept(change))
        return row


def _row(
    kind: Kind,
    good: Sequence[Change],
    arrived: Sequence[Arrived],
    incoming: pa.Table,
    changes: Changes | None,
    moment: datetime,
) -> ImportRow:
    transaction = fingerprint(changes=[one.id for one in good])
    rejects = Rejects()
    types, languages = (set(incoming[name].unique().to_pylist()) for name in ("item_type", "language"))
    for one in arrived:
        rejects.extend(one.rejects)
        if one.scope:
            types.add(one.scope.item_type)
            languages.add(one.scope.language)
    return ImportRow(
        moment,
        "items",
        tuple(dict.fromkeys(source for one in arrived for source in one.sources)),
        transaction=transaction,
        notification=", ".join(dict.fromkeys(one.notification for one in arrived if one.notification))[:1000],
        mode=kind.mode,
        item_types=tuple(sorted(types)),
        languages=tuple(sorted(filter(None, languages))),
        rows=incoming.num_rows + rejects.reasons.total(),
        added=changes.added if changes else 0,
        changed=changes.changed if changes else 0,
        removed=changes.removed if changes else 0,
        rejected=rejects.reasons.total(),
        reasons=dict(rejects.reasons),
        parts=dict.fromkeys((one.id for one in good), transaction),
    )


def _last(table: pa.Table) -> pa.Table:
    """Return the last row of every type, id and language, in the order of the rows."""
    keys = table.select(list(KEY)).append_column("row", pa.array(np.arange(len(table))))
    rows = keys.sort_by([(name, "ascending") for name in keys.column_names])
    again = np.logical_and.reduce([_same_as_next(rows[name]) for name in KEY])
    if not again.any():
        return table
    last = np.ones(len(rows), bool)
    last[np.asarray(rows["row"])[:-1][again]] = False
    return table.filter(pa.array(last))


def _same_as_next(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return a flag for each row but the last; null is a value as any other."""
    whole = column.combine_chunks()
    one, other = whole[:-1], whole[1:]
    both_null = pc.and_(one.is_null(), other.is_null())
    return np.asarray(pc.or_(pc.fill_null(pc.equal(one, other), False), both_null), np.bool_)
