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

from personalization_pipelines.content.files.canonical_values import as_text, each_distinct, except_where
from personalization_pipelines.content.files.epoch_numbers import END, FIRST, LARGEST, NEVER, misread, moment
from personalization_pipelines.content.files.mapping import Times

MICROSECONDS = pa.timestamp("us")
FUTURE_TOLERANCE = timedelta(minutes=5)
"""Clocks differ; the tracker accepts as much."""

_PER_UNIT = {"s": 1_000_000, "ms": 1_000, "us": 1}
_PER_DAY = 86_400_000_000
_QUARTER = 900_000_000
_SMALLEST = -62_135_596_800_000_000  # the year 1, in microseconds
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?)?", re.ASCII
)  # fmt: skip
# What Arrow reads exactly as Python does, whatever stands beside it: no zone, and no day that some months lack.
_PLAIN_ISO = (
    r"^[12][0-9]{3}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?)?$"
)
_PLAIN_NUMBER = r"^[0-9]{1,18}$"
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?", re.ASCII)
_ZONE_GAP = re.compile(r" (Z|[+-])")
_NOTHING = pa.scalar(None, pa.int64())
_NO_TEXT = pa.scalar(None, pa.string())


def read_times(cells: pa.Array, rules: Times, zone: ZoneInfo) -> pa.Array:
    """Return `timestamp[us]` in UTC without a zone; null where missing, not readable, or a number that is no plausible
    time (`misread_times` says what those would be). Each cell is read alone: its neighbours change nothing.
    """
    zone = ZoneInfo(rules.zone) if rules.zone else zone
    kind = cells.type
    if pa.types.is_timestamp(kind):
        moments = _scaled(cells.cast(pa.int64()), kind.unit)
        return _stamp(moments if kind.tz else _to_utc(moments, zone))
    if pa.types.is_date32(kind):
        return _stamp(_to_utc(_times(cells.cast(pa.int32()).cast(pa.int64()), _PER_DAY), zone))
    if pa.types.is_date64(kind):
        return _stamp(_to_utc(_scaled(cells.cast(pa.int64()), "ms"), zone))
    if rules.format:
        return _stamp(_by_format(pc.utf8_trim_whitespace(as_text(cells)), rules.format, zone))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _stamp(_since_1970(cells, rules.unit))
    return _stamp(_written(pc.utf8_trim_whitespace(as_text(cells)), rules.unit, zone))


def misread_times(cells: pa.Array, times: pa.Array, rules: Times) -> dict[str, pa.Array]:
    """Return where `read_times` found a number that is no plausible time: a mask for each thing that it looks like."""
    if rules.format or pa.types.is_temporal(cells.type) or not times.null_count:
        return {}
    text = pc.if_else(times.is_null(), pc.utf8_trim_whitespace(as_text(cells)), _NO_TEXT)
    reasons = each_distinct(text, lambda value: (found := misread(value, rules.unit)) and found.reason, pa.string())
    return {reason: pc.equal(reasons, reason) for reason in pc.unique(reasons.drop_null()).to_pylist()}


def _stamp(microseconds: pa.Array) -> pa.Array:
    """Return times; the years before 1 and after 9999 hold none, but for what a zone has moved there."""
    low, high = pc.less(microseconds, _SMALLEST - _PER_DAY), pc.greater(microseconds, LARGEST + _PER_DAY)
    inside = pc.if_else(pc.or_(low, high), _NOTHING, microseconds)
    bounded = pc.min_element_wise(pc.max_element_wise(inside, _SMALLEST, skip_nulls=False), LARGEST, skip_nulls=False)
    return bounded.cast(MICROSECONDS)


def _scaled(number: pa.Array, unit: str) -> pa.Array:
    """Return whole numbers of a unit as microseconds, without floats; null beyond the calendar."""
    return pc.divide(number, 1000) if unit == "ns" else _times(number, _PER_UNIT[unit])


def _times(number: pa.Array, factor: int) -> pa.Array:
    inside = pc.and_(pc.less_equal(number, LARGEST // factor + 1), pc.greater_equal(number, _SMALLEST // factor))
    return pc.multiply(pc.if_else(inside, number, _NOTHING), factor)


def _since_1970(cells: pa.Array, unit: str) -> pa.Array:
    """Return microseconds of epoch numbers that are plausible; whole ones are computed without floats."""
    if pa.types.is_integer(cells.type):
        moments = _scaled(cells.cast(pa.int64(), safe=False), unit)
    else:
        number = pc.multiply(cells.cast(pa.float64()), _PER_UNIT.get(unit, 0.001))
        known = pc.fill_null(pc.less_equal(pc.abs(number), float(LARGEST)), False)
        moments = pc.round(pc.if_else(known, number, pa.scalar(None, pa.float64()))).cast(pa.int64())
    meant = pc.and_(pc.greater_equal(moments, FIRST), pc.less(moments, END))
    never = pc.and_(pc.greater_equal(moments, NEVER), pc.less_equal(moments, LARGEST))
    return pc.if_else(pc.or_(meant, never), moments, _NOTHING)


def _written(text: pa.Array, unit: str, zone: ZoneInfo) -> pa.Array:
    """Return microseconds UTC of text; what is plainly written is parsed by Arrow, any other value by Python."""

    def read(value: str) -> int | None:
        if _NUMBER.fullmatch(value):
            return moment(Decimal(value), unit)
        if not _ISO.fullmatch(value):
            return None
        found = datetime.fromisoformat(_ZONE_GAP.sub(r"\1", value.replace("UTC", "Z")))
        return _microseconds(found if found.tzinfo else found.replace(tzinfo=zone))

    def numbers(odd: pa.Array) -> pa.Array:
        plain = pc.match_substring_regex(odd, _PLAIN_NUMBER)
        digits = pc.if_else(plain, odd, _NO_TEXT).cast(pa.int64())
        return except_where(plain, _since_1970(digits, unit), odd, lambda left: each_distinct(left, read, pa.int64()))

    plain = pc.match_substring_regex(text, _PLAIN_ISO)
    local = pc.if_else(plain, text, _NO_TEXT).cast(MICROSECONDS).cast(pa.int64())
    return except_where(plain, _to_utc(local, zone), text, numbers)


def _by_format(text: pa.Array, form: str, zone: ZoneInfo) -> pa.Array:
    def read(value: str) -> int:
        found = datetime.strptime(value, form)
        return _microseconds(found if found.tzinfo else found.replace(tzinfo=zone))

    return each_distinct(text, read, pa.int64())


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _to_utc(local: pa.Array, zone: ZoneInfo) -> pa.Array:
    """Return UTC of local microseconds. Nearly all zones change on quarter hours, so one look-up serves a quarter."""
    if zone.key == "UTC" or local.null_count == len(local):
        return local
    missing = local.is_null().to_numpy(zero_copy_only=False)
    moments = pc.fill_null(local, 0).to_numpy(zero_copy_only=False)
    quarters, where = np.unique(moments // _QUARTER, return_inverse=True)
    edges = np.union1d(quarters, quarters + 1)
    offsets = np.array([_offset(int(edge) * _QUARTER, zone) for edge in edges], dtype=np.int64)
    begins, ends = (offsets[np.searchsorted(edges, edge)] for edge in (quarters, quarters + 1))
    shifts = begins[where]
    for place in np.flatnonzero((begins != ends)[where]):
        shifts[place] = _offset(int(moments[place]), zone)
    return pa.array(moments - shifts, pa.int64(), mask=missing)


def _offset(local: int, zone: ZoneInfo) -> int:
    bounded = min(max(local, _SMALLEST), LARGEST)
    naive = datetime(1970, 1, 1) + timedelta(microseconds=bounded)
    return (naive.replace(tzinfo=zone).utcoffset() or timedelta()) // timedelta(microseconds=1)
