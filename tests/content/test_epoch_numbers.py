"""Numbers that stand for times: the plausible ones are taken, the others are said to be what they look like."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.content.files.epoch_numbers import LARGEST, misread, moment

MISREAD = {
    ("44927", "s"): "44927 looks like a spreadsheet's day number (2023-01-01); write 2023-01-01",
    ("44927.5", "s"): "44927.5 looks like a spreadsheet's day number (2023-01-01 12:00:00); write 2023-01-01 12:00:00",
    ("44927", "ms"): "44927 looks like a spreadsheet's day number (2023-01-01); write 2023-01-01",
    ("20261101", "s"): "20261101 looks like the date 2026-11-01; write 2026-11-01, or let a mapping say "
    "`time: {format: '%Y%m%d'}`",
    (
        "20261101123059",
        "s",
    ): "20261101123059 looks like the date 2026-11-01 12:30:59; write 2026-11-01 12:30:59, or let "
    "a mapping say `time: {format: '%Y%m%d%H%M%S'}`",
    ("1763000000000", "s"): "1763000000000 looks like milliseconds since 1970 (2025-11-13 02:13:20); let a mapping say "
    "`time: {unit: ms}`",
    (
        "1763000000000000",
        "s",
    ): "1763000000000000 looks like microseconds since 1970 (2025-11-13 02:13:20); let a mapping "
    "say `time: {unit: us}`",
    ("1763000000", "ms"): "1763000000 looks like seconds since 1970 (2025-11-13 02:13:20); let a mapping say "
    "`time: {unit: s}`",
    ("0", "s"): "0 would be 1970-01-01; leave it empty where there is no time",
    ("20261301", "s"): "20261301 is a number, but no time from 1990 to 2200 in seconds since 1970; write it like "
    "2026-11-01T12:00:00Z",
}


@pytest.mark.parametrize(("text", "unit"), list(MISREAD))
def test_a_number_that_is_no_plausible_time_is_named(text: str, unit: str) -> None:
    found = misread(text, unit)
    assert moment(Decimal(text), unit) is None  # type: ignore[arg-type]
    assert found is not None
    assert found.sentence == MISREAD[text, unit]
    assert len(text) == 1 or text not in found.reason, "reasons are counted: one for all numbers of a kind"


@pytest.mark.parametrize("text", ["soon", "", "1_0", "NaN", "9" * 40, "1e999", "\u0664\u0664"])
def test_what_is_no_number_looks_like_none(text: str) -> None:
    assert misread(text, "s") is None


def test_the_end_of_the_calendar_is_plausible_for_it_means_never() -> None:
    assert moment(Decimal(253402300799), "s") == LARGEST - 999_999


@given(st.datetimes(datetime(1990, 1, 1), datetime(2199, 12, 31)), st.sampled_from(["s", "ms", "us", "ns"]))
def test_a_plausible_moment_is_read_in_its_unit_and_named_in_every_other(when: datetime, unit: str) -> None:
    seconds = int((when - datetime(1970, 1, 1)).total_seconds())
    scales = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    number = Decimal(seconds * scales[unit])
    assert moment(number, unit) == seconds * 10**6
    for other in set(scales) - {unit}:
        found = misread(str(number), other)
        assert found is not None
        assert f"let a mapping say `time: {{unit: {unit}}}`" in found.sentence
