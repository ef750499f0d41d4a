"""Times of import files become microseconds in UTC: numbers since 1970, ISO 8601, or a format of the mapping.

A time without a zone is in the mapping's zone, else the website's. Offsets come from Python's own zone data, the
same as everywhere else in this project; an hour that occurs twice in autumn is the earlier one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.content.files.canonical_values import as_text, each_distinct
from personalization_pipelines.content.files.mapping import Times

MICROSECONDS = pa.timestamp("us")
FUTURE_TOLERANCE = timedelta(minutes=5)
"""Clocks differ; the tracker accepts as much."""

_PER_UNIT = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}
_QUARTER = 900_000_000
_LARGEST = 253_402_300_799_000_000  # the year 9999, in microseconds
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?)?", re.ASCII
)  # fmt: skip
_PLAIN_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?)?$"
_PLAIN_NUMBER = r"^[0-9]{1,18}$"
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?", re.ASCII)
_ZONE_GAP = re.compile(r" (Z|[+-])")


def read_times(cells: pa.Array, rules: Times, zone: ZoneInfo) -> pa.Array:
    """Return `timestamp[us]` in UTC without a zone; null where missing or not readable."""
    zone = ZoneInfo(rules.zone) if rules.zone else zone
    kind = cells.type
    if pa.types.is_timestamp(kind):
        moments = cells.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
        return _stamp(moments if kind.tz else _to_utc(moments, zone))
    if pa.types.is_date(kind):
        return _stamp(_to_utc(cells.cast(MICROSECONDS).cast(pa.int64()), zone))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _stamp(_since_1970(cells, rules))
    text = pc.utf8_trim_whitespace(as_text(cells))
    if rules.format:
        return _stamp(_to_utc(_by_format(text, rules.format), zone))
    return _stamp(_written(text, rules, zone))


def _stamp(microseconds: pa.Array) -> pa.Array:
    return microseconds.cast(MICROSECONDS)


def _since_1970(cells: pa.Array, rules: Times) -> pa.Array:
    """Return microseconds of epoch numbers; whole ones are computed without floats."""
    scale = _PER_UNIT[rules.unit]
    if pa.types.is_integer(cells.type):
        number = cells.cast(pa.int64(), safe=False)
        number = pc.divide(number, 1000) if rules.unit == "ns" else number
        inside = pc.and_(pc.less_equal(number, _LARGEST // scale), pc.greater_equal(number, -_LARGEST // scale))
        return pc.multiply(pc.if_else(inside, number, pa.scalar(None, pa.int64())), scale)
    number = pc.multiply(cells.cast(pa.float64()), scale / (1000 if rules.unit == "ns" else 1))
    inside = pc.fill_null(pc.less_equal(pc.abs(number), float(_LARGEST)), False)
    return pc.round(pc.if_else(inside, number, pa.scalar(None, pa.float64()))).cast(pa.int64())


def _written(text: pa.Array, rules: Times, zone: ZoneInfo) -> pa.Array:
    """Return microseconds UTC of text; a clean, uniform column is parsed by Arrow, any other value by value."""
    if pc.all(pc.match_substring_regex(text, _PLAIN_NUMBER)).as_py():
        return _since_1970(text.cast(pa.int64()), rules)
    if pc.all(pc.match_substring_regex(text, _PLAIN_ISO)).as_py():
        try:
            return _to_utc(text.cast(MICROSECONDS).cast(pa.int64()), zone)
        except pa.ArrowInvalid:
            pass  # a 30th of February somewhere: find it value by value

    def read(value: str) -> int | None:
        if _NUMBER.fullmatch(value):
            return int(Decimal(value) * _PER_UNIT[rules.unit]) // (1000 if rules.unit == "ns" else 1)
        if not _ISO.fullmatch(value):
            return None
        moment = datetime.fromisoformat(_ZONE_GAP.sub(r"\1", value.replace("UTC", "Z")))
        return _microseconds(moment if moment.tzinfo else moment.replace(tzinfo=zone))

    return each_distinct(text, read, pa.int64())


def _by_format(text: pa.Array, form: str) -> pa.Array:
    def read(value: str) -> int:
        return _microseconds(datetime.strptime(value, form).replace(tzinfo=UTC))

    return each_distinct(text, read, pa.int64())


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _to_utc(local: pa.Array, zone: ZoneInfo) -> pa.Array:
    """Return UTC of local microseconds. Zones change on quarter hours, so one look-up serves a quarter."""
    if zone.key == "UTC":
        return local
    missing = local.is_null().to_numpy(zero_copy_only=False)
    moments = pc.fill_null(local, 0).to_numpy(zero_copy_only=False)
    quarters, where = np.unique(moments // _QUARTER, return_inverse=True)
    offsets = np.array([_offset(int(quarter) * _QUARTER, zone) for quarter in quarters], dtype=np.int64)
    return pa.array(moments - offsets[where], pa.int64(), mask=missing)


def _offset(local: int, zone: ZoneInfo) -> int:
    bounded = min(max(local, -_LARGEST // 8), _LARGEST)  # zones have no rules outside of this
    moment = datetime(1970, 1, 1) + timedelta(microseconds=bounded)
    return (moment.replace(tzinfo=zone).utcoffset() or timedelta()) // timedelta(microseconds=1)
