"""Times of every spelling become the same microseconds; what is no time is missing, alone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.content.files.mapping import Times
from personalization_pipelines.content.files.times import read_times

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2024, 5, 1, 10)  # noon in Berlin
SECONDS = 1714557600


@pytest.mark.parametrize(
    ("cell", "rules"),
    [
        ("2024-05-01T12:00:00", {}),
        ("2024-05-01 12:00", {}),
        ("2024-05-01T10:00:00Z", {}),
        ("2024-05-01 10:00:00 UTC", {}),
        ("2024-05-01T12:00:00.000000+0200", {}),
        ("2024-05-01 06:00:00 -04:00", {}),
        (" 2024-05-01T12:00:00 ", {}),
        (str(SECONDS), {}),
        (f"{SECONDS}.0", {}),
        (SECONDS, {}),
        (float(SECONDS), {}),
        (f"{SECONDS}000", {"unit": "ms"}),
        (SECONDS * 10**6, {"unit": "us"}),
        (SECONDS * 10**9, {"unit": "ns"}),
        ("01/05/2024 12h00", {"format": "%d/%m/%Y %Hh%M"}),
        ("2024-05-01 11:00:00", {"zone": "Europe/London"}),
        (datetime(2024, 5, 1, 12), {}),
        (datetime(2024, 5, 1, 10, tzinfo=UTC), {}),
    ],
)
def test_every_spelling_of_a_moment_is_that_moment(cell: Any, rules: dict[str, str]) -> None:
    assert read_times(pa.array([cell]), Times(**rules), BERLIN).to_pylist() == [NOON]  # type: ignore[arg-type]


def test_a_date_is_the_midnight_of_the_website() -> None:
    assert read_times(pa.array([date(2024, 5, 1)]), Times(), BERLIN).to_pylist() == [datetime(2024, 4, 30, 22)]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "soon",
        "2024-02-30",
        "2024-13-01 00:00:00",
        "2024-05-01T25:00:00",
        "20240501T12",
        "1e9",
        "\u0662\u0660\u0662\u0664-\u0660\u0665-\u0660\u0661",
        "9" * 40,
    ],
)
def test_what_is_no_time_is_missing_and_its_neighbours_are_read(wrong: str) -> None:
    found = read_times(pa.array([str(SECONDS), wrong, "2024-05-01 12:00:00", "2024-05-01T10:00:00Z"]), Times(), BERLIN)
    assert found.to_pylist() == [NOON, None, NOON, NOON]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300, -1e300])
def test_numbers_beyond_the_calendar_are_missing(number: float) -> None:
    assert read_times(pa.array([number, float(SECONDS)]), Times(), BERLIN).to_pylist() == [None, NOON]


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"]),
)
def test_local_times_are_converted_as_python_does(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    expected = moment.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
    assert read_times(pa.array([moment]), Times(), zone).to_pylist() == [expected]
    assert read_times(pa.array([moment.isoformat(" ", "microseconds")]), Times(), zone).to_pylist() == [expected]
