"""The calendar that the feature SQL reads (`utc_days`), for no two engines agree on functions of time zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pyarrow as pa

from personalization_pipelines.events.lake.event_schema import TIME

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_SCHEMA = pa.schema(
    [
        ("utc_day", pa.date32()),
        ("changes_at", TIME),
        ("seconds_before", pa.int32()),
        ("seconds_after", pa.int32()),
    ]
)


@lru_cache(maxsize=32)
def utc_days(zone: ZoneInfo, last: date) -> pa.Table:
    """Return each UTC day from 1970 to `last`: when the zone's clock changes in it, its offset before and after.

    Seconds east of UTC. A day without a change has `changes_at` at its end and equal offsets. No zone of
    the tz database changes twice between two UTC midnights in a way that cancels out.
    """
    first = EPOCH.date()
    midnights = [EPOCH + timedelta(days=number) for number in range((last - first).days + 2)]
    offsets = [_offset(zone, midnight) for midnight in midnights]
    changes = [
        _change(zone, start, end) if before != after else end
        for start, end, before, after in zip(midnights, midnights[1:], offsets, offsets[1:], strict=False)
    ]
    columns = [
        [midnight.date() for midnight in midnights[:-1]],
        [naive(change) for change in changes],
        offsets[:-1],
        offsets[1:],
    ]
    return pa.table(columns, schema=DAY_SCHEMA)


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return round(offset.total_seconds()) if offset else 0


def _change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """Return the second at which the zone's offset changes between two UTC midnights, by bisection."""
    before = _offset(zone, start)
    while end - start > timedelta(seconds=1):
        middle = start + timedelta(seconds=round((end - start).total_seconds()) // 2)
        start, end = (middle, end) if _offset(zone, middle) == before else (start, middle)
    return end


def naive(moment: datetime) -> datetime:
    """Return a moment in UTC without its zone, as the tables hold it."""
    return moment.astimezone(UTC).replace(tzinfo=None)
