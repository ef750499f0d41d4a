"""The columns of the lake's events. Whoever reads or imports events agrees on this one schema.

Kept apart from `events.event`, because the server imports that module and must not load pyarrow.
Times are UTC without a zone, in microseconds. Absent texts are "", absent numbers are null.
"""

from __future__ import annotations

import pyarrow as pa

TIME = pa.timestamp("us")

EVENT_SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("received_at", TIME),
        ("time", TIME),
        ("event", pa.string()),
        ("visitor", pa.string()),
        ("item_type", pa.int32()),
        ("item", pa.string()),
        ("quantity", pa.int32()),
        ("price_minor", pa.int64()),
        ("currency", pa.string()),
        ("rating", pa.int16()),
        ("percentage", pa.int16()),
        ("categories", pa.list_(pa.string())),
        ("segments", pa.list_(pa.int32())),
        ("session", pa.string()),
        ("order_id", pa.string()),
        ("event_id", pa.string()),
        ("scenario", pa.string()),
        ("model", pa.string()),
        ("request_uuid", pa.string()),
        ("language", pa.string()),
        ("trigger", pa.string()),
        ("verified", pa.bool_()),
        ("source_visitor", pa.string()),
        ("is_bot", pa.bool_()),  # null, as in imports and files from before the column: no robot
        ("origin", pa.string()),  # null, as in imports and files from before the column: unknown
    ]
)

QUARANTINE_SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("received_at", TIME),  # of the event where it could be read, else of its ingestion
        ("reason", pa.string()),
        ("payload", pa.binary()),
    ]
)
