"""What the tests of the lake share: events, poison, and what a lake holds."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.lake.event_lake import event_files, quarantine_files
from personalization_pipelines.events.live.follower import Follower
from personalization_pipelines.events.live.live_history import LiveStore
from personalization_pipelines.events.log.event_log import SegmentLog, segments
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

DAY = 86_400_000_000
MONDAY = int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()) * 1_000_000
POISON: list[bytes] = [
    b'{"website":"shop"',
    b'{"website":"shop","event":"click"}',
    b'{"website":"shop","event":"click","received_at":"now","time":1}',
    b'{"website":"shop","event":"click","received_at":1,"time":1,"item_type":99999999999}',
    b'{"website":"shop","event":"click","received_at":1,"time":9999999999999999}',
    b'{"website":"shop","event":"click","received_at":-5,"time":1}',
    b'{"website":"shop","event":"buy","received_at":1,"time":1,"quantity":1e300}',
    b'{"website":"shop","event":"click","received_at":1,"time":1,"segments":["x"]}',
    b'{"website":"shop","event":"click","received_at":1,"time":1,"item":"\xff\xfe"}',
    b'{"website":"shop","event":"click","received_at":1,"time":1,"item":"\\ud800"}',
    b'{"website":"shop","event":"click","received_at":1,"time":1}{"website":"shop"}',
    b'{"website":"shop","event":"click","received_at":1,"time":1,"website":"forum"}',
    b"not json",
    b"[" * 5000,
    encode(Event("shop", "click", MONDAY, MONDAY, quarantine="price 99 XYZ: unknown currency")),
]


def click(
    number: int, *, website: str = "shop", received_at: int = MONDAY, visitor: str = "v", event_id: str = ""
) -> bytes:
    return encode(Event(website, "click", received_at, received_at, visitor, 1, str(number), event_id=event_id))


def purchases(rows: int) -> pa.Table:
    return pa.table(
        {
            "time": pa.array([MONDAY + n for n in range(rows)], pa.timestamp("us")),
            "event": pa.repeat("buy", rows),
            "visitor": pa.repeat("v", rows),
            "item_type": pa.repeat(1, rows),
            "item": pa.array(range(rows)).cast(pa.string()),
            "quantity": pa.repeat(1, rows),
        }
    )


def write_log(home: Home, records: list[bytes]) -> None:
    log = SegmentLog(home.log)
    log.append(records)
    log.close()


def read(home: Home, website: Website) -> pa.Table:
    return pa.concat_tables(pq.read_table(path, partitioning=None) for path in event_files(home, website))


def stored(home: Home, website: Website) -> list[str]:
    """The items of all stored events; an event stored twice would show twice."""
    return read(home, website)["item"].to_pylist() if event_files(home, website) else []


def quarantined(home: Home, website: Website) -> list[dict]:
    return [
        row for path in quarantine_files(home, website) for row in pq.read_table(path, partitioning=None).to_pylist()
    ]


def age(home: Home, *, days: int) -> None:
    for segment in segments(home.log):
        old = time.time() - days * 86_400
        os.utime(segment.path, (old, old))


def apply_all(home: Home) -> None:
    follower = Follower(home, LiveStore(home.live_database))
    while follower.apply_unread():
        pass
    follower.close()
