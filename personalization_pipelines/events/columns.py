"""From records of the log to columns of the lake: what can be trusted, and what is put aside with its reason.

A record is never dropped: it becomes a row of the events or a row of the quarantine, or it belongs to another
website. One bad record costs its neighbours nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec
import pyarrow as pa

from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.schema import EVENT_SCHEMA, QUARANTINE_SCHEMA

CHUNK = 4096  # records turned into columns at a time: more live objects would keep Python's collector busy
LATEST = 4_102_444_800_000_000  # 2100-01-01: a later time is an error, and Python's dates end in 9999
# How every record begins that `events.event.encode` made: other websites' need not be decoded.
_BEGINNING = re.compile(rb'\{"website":"([a-z][a-z0-9-]{0,62})"')
_NAMES = [name for name in EVENT_SCHEMA.names if name != "record_id"]


class Rejected(NamedTuple):
    """A record that is no trustworthy event."""

    record_id: str
    received_at: int
    reason: str
    payload: bytes


class _Owner(msgspec.Struct):
    website: str | None = None


class _Arrival(msgspec.Struct):
    received_at: int = -1


class Columns:
    """Collects records of one website; `take` turns them into Arrow tables.

    A record that names no website at all is put into the quarantine of every website of the installation,
    for nobody else would look at it.
    """

    def __init__(self, website: str, now: int) -> None:
        self._website = website
        self._now = now
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
        own, website = self._own, self._website
        for offset, payload in records:
            if payload.startswith(own) or _owner(payload) in (website, None):
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
        else:
            self._record_ids.append(record_id)
            self._events.append(event)
            self._payloads.append(payload)

    def _flush(self) -> None:
        """Turn the collected events into columns; where that fails, one by one, to find the bad ones."""
        record_ids, events, payloads = self._record_ids, self._events, self._payloads
        self._record_ids, self._events, self._payloads = [], [], []
        try:
            tables = [_table(record_ids, events)] if events else []
        except (ValueError, OverflowError, TypeError):
            one_by_one = map(self._one, record_ids, events, payloads)
            tables = [table for table in one_by_one if table is not None]
        self._tables += tables
        self._rows += sum(table.num_rows for table in tables)

    def _one(self, record_id: str, event: Event, payload: bytes) -> pa.Table | None:
        try:
            return _table([record_id], [event])
        except (ValueError, OverflowError, TypeError) as error:
            self._reject(record_id, payload, f"out of bounds: {error}")
            return None

    def _reject(self, record_id: str, payload: bytes, reason: str) -> None:
        self._rejected.append(Rejected(record_id, self._arrival(payload), reason, payload))

    def _arrival(self, payload: bytes) -> int:
        try:
            received_at = msgspec.json.decode(payload, type=_Arrival).received_at
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._now
        return received_at if 0 <= received_at < LATEST else self._now


def _owner(payload: bytes) -> str | None:
    """Return the website that a record names; None if it names none."""
    if beginning := _BEGINNING.match(payload):
        return beginning[1].decode()
    try:
        return msgspec.json.decode(payload, type=_Owner).website
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _table(record_ids: Sequence[str], events: Sequence[Event]) -> pa.Table:
    """Return events as columns; ValueError or OverflowError if a value does not fit its column."""
    arrays = [pa.array(record_ids, pa.string()), *(_array(name, events) for name in _NAMES)]
    return pa.table(arrays, EVENT_SCHEMA)


def _array(name: str, events: Sequence[Event]) -> pa.Array:
    values = list(map(_GETTERS[name], events))
    if name in ("received_at", "time") and (min(values) < 0 or max(values) >= LATEST):
        raise ValueError(f"{name} is not a time between 1970 and 2100")
    return pa.array(values, EVENT_SCHEMA.field(name).type)


_GETTERS = {name: attrgetter(name) for name in _NAMES}
