"""From records of the log to columns of the lake: what can be trusted, and what is put aside with its reason.

A record is never dropped: it becomes a row of the events or a row of the quarantine, or it belongs to another
website, or to somebody who asked to be forgotten after it came. One bad record costs its neighbours nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter, sub
from typing import NamedTuple

import msgspec
import pyarrow as pa

from personalization_pipelines.erasure.tombstones import BLANK, Forgotten
from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.judging.bounds import (
    LATEST,
    MOST_AHEAD,
    find_fault,
    find_text_fault,
    is_calm,
    owner_of,
)
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA, QUARANTINE_SCHEMA

CHUNK = 4096  # records turned into columns at a time: more live objects would keep Python's collector busy
_NAMES = [name for name in EVENT_SCHEMA.names if name != "record_id"]


class Rejected(NamedTuple):
    """A record that is no trustworthy event."""

    record_id: str
    received_at: int
    reason: str
    payload: bytes


class _Arrival(msgspec.Struct):
    received_at: int = -1


class Columns:
    """Collects records of one website; `take` turns them into Arrow tables.

    A record that names no website, or none that can exist, is put into the quarantine of every website of the
    installation, for nobody else would look at it.
    """

    def __init__(self, website: str, now: int, forgotten: Forgotten | None = None) -> None:
        self._website = website
        self._now = now
        self._forgotten = forgotten
        self._own = b'{"website":"%b"' % website.encode()
        self._record_ids: list[str] = []
        self._events: list[Event] = []
        self._payloads: list[bytes] = []
        self._tables: list[pa.Table] = []
        self._rejected: list[Rejected] = []
        self._rows = 0

    def __len__(self) -> int:
        """Rows of both kinds collected since the last `take`."""
        return self._rows + len(self._rejected)

    def add(self, segment: str, records: Iterable[tuple[int, bytes]]) -> None:
        """Collect one segment's records, given as (offset, payload)."""
        own, website, forgotten = self._own, self._website, self._forgotten
        for offset, payload in records:
            if payload.startswith(own) or (owner_of(payload) in (website, None) and not payload.startswith(BLANK)):
                if forgotten and forgotten.holds(payload):
                    continue
                self._add_own(f"{segment}:{offset}", payload)
                if len(self._events) == CHUNK:
                    self._flush()
        self._flush()

    def take(self) -> tuple[pa.Table, pa.Table]:
        """Return what was collected, as rows of EVENT_SCHEMA and of QUARANTINE_SCHEMA, and forget it."""
        events = pa.concat_tables([EVENT_SCHEMA.empty_table(), *self._tables]).combine_chunks()
        columns = list(zip(*self._rejected, strict=True)) or [()] * len(QUARANTINE_SCHEMA)
        quarantined = pa.table(
            [pa.array(column, field.type) for column, field in zip(columns, QUARANTINE_SCHEMA, strict=True)],
            QUARANTINE_SCHEMA,
        )
        self._tables, self._rejected, self._rows = [], [], 0
        return events, quarantined

    def _add_own(self, record_id: str, payload: bytes) -> None:
        try:
            event = decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._reject(record_id, payload, f"unreadable: {error}")
            return
        if event.quarantine:
            self._reject(record_id, payload, event.quarantine)
        elif event.website != self._website:
            self._reject(record_id, payload, f"unreadable: names two websites, the second is {event.website[:63]!r}")
        elif not is_calm(payload) and (fault := find_text_fault(event)):
            self._reject(record_id, payload, f"out of bounds: {fault}")
        else:
            self._record_ids.append(record_id)
            self._events.append(event)
            self._payloads.append(payload)

    def _flush(self) -> None:
        """Turn the collected events into columns; where that fails, without those that do not fit."""
        record_ids, events, payloads = self._record_ids, self._events, self._payloads
        self._record_ids, self._events, self._payloads = [], [], []
        try:
            tables = [_table(record_ids, events)] if events else []
        except (ValueError, OverflowError, TypeError):
            tables = self._fitting(record_ids, events, payloads)
        self._tables += tables
        self._rows += sum(table.num_rows for table in tables)

    def _fitting(self, record_ids: Sequence[str], events: Sequence[Event], payloads: Sequence[bytes]) -> list[pa.Table]:
        good: list[tuple[str, Event]] = []
        for record_id, event, payload in zip(record_ids, events, payloads, strict=True):
            if fault := find_fault(event, payload):
                self._reject(record_id, payload, f"out of bounds: {fault}")
            else:
                good.append((record_id, event))
        return [_table([record_id for record_id, _ in good], [event for _, event in good])] if good else []

    def _reject(self, record_id: str, payload: bytes, reason: str) -> None:
        self._rejected.append(Rejected(record_id, self._arrival(payload), reason, payload))

    def _arrival(self, payload: bytes) -> int:
        try:
            received_at = msgspec.json.decode(payload, type=_Arrival).received_at
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._now
        return received_at if 0 <= received_at < LATEST else self._now


def _table(record_ids: Sequence[str], events: Sequence[Event]) -> pa.Table:
    """Return events as columns; ValueError or OverflowError if a value does not fit its column."""
    arrays = [pa.array(record_ids, pa.string()), *(_array(name, events) for name in _NAMES)]
    return pa.table(arrays, EVENT_SCHEMA)


def _array(name: str, events: Sequence[Event]) -> pa.Array:
    values = list(map(_GETTERS[name], events))
    if name in ("received_at", "time") and (min(values) < 0 or max(values) >= LATEST):
        raise ValueError(f"{name} is not a time between 1970 and 2100")
    if name == "time" and max(map(sub, values, map(_GETTERS["received_at"], events))) > MOST_AHEAD:
        raise ValueError("time is more than a day after received_at")
    return pa.array(values, EVENT_SCHEMA.field(name).type)


_GETTERS = {name: attrgetter(name) for name in _NAMES}
