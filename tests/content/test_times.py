"""Times of every spelling become the same microseconds; what is no time is missing, alone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.content.files.mapping import Times
from personalization_pipelines.content.files.times import misread_times, read_times

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
        (202405011200, {"format": "%Y%m%d%H%M"}),
        ("2024-05-01T12:00:00+0200", {"format": "%Y-%m-%dT%H:%M:%S%z"}),
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


@pytest.mark.parametrize(
    "number", ["1763000000000", "1763000000000000", "44927", "20261101", "0", "-5", "1763000000000.5", "9" * 18]
)
def test_a_number_among_iso_times_is_judged_as_it_is_alone(number: str) -> None:
    alone = read_times(pa.array([number]), Times(), BERLIN).to_pylist()
    among = read_times(pa.array(["2024-05-01T10:00:00Z", number, "2024-05-01 12:00:00"]), Times(), BERLIN).to_pylist()
    assert alone == [None]
    assert among == [NOON, None, NOON]


def test_seconds_with_a_fraction_among_iso_times_are_a_time() -> None:
    found = read_times(pa.array(["2024-05-01", f"{SECONDS}.5"]), Times(), BERLIN)
    assert found[1].as_py() == datetime(2024, 5, 1, 10, 0, 0, 500_000)


def test_a_number_that_is_no_plausible_time_is_told_by_what_it_looks_like() -> None:
    cells = pa.array(["44927", "2024-05-01", "45000", "1763000000000", "soon", None])
    found = misread_times(cells, read_times(cells, Times(), BERLIN), Times())
    assert {reason.partition(";")[0]: pc.fill_null(where, False).to_pylist() for reason, where in found.items()} == {
        "is a spreadsheet's day number": [True, False, True, False, False, False],
        "is in milliseconds since 1970, not in seconds": [False, False, False, True, False, False],
    }


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array([1_763_000_000_000, 1714557600], pa.timestamp("s", "UTC")), [None, NOON]),
        (pa.array([2**62, 1714557600], pa.timestamp("s", "UTC")), [None, NOON]),
        (pa.array([2**62, 1714557600000], pa.timestamp("ms", "UTC")), [None, NOON]),
        (pa.array([2**31 - 1, 19844], pa.date32()), [None, datetime(2024, 4, 30, 22)]),
    ],
)
def test_a_typed_time_beyond_the_calendar_is_missing_and_its_neighbours_are_read(
    cells: pa.Array, expected: list[datetime | None]
) -> None:
    assert read_times(cells, Times(), BERLIN).to_pylist() == expected


def test_the_ends_of_the_calendar_stay_in_it_whatever_the_zone() -> None:
    cells = pa.array(["0001-01-01 00:00:00", "9999-12-31 23:59:59"])
    east, west = (read_times(cells, Times(), ZoneInfo(name)).to_pylist() for name in ("Asia/Tokyo", "America/New_York"))
    assert east[0] == datetime(1, 1, 1)
    assert west[1] == datetime(9999, 12, 31, 23, 59, 59, 999_999)


def test_a_zone_that_changes_within_a_quarter_hour_is_followed_to_the_minute() -> None:
    cells = pa.array([datetime(2009, 3, 8, 0, 0, 30), datetime(2009, 3, 8, 1, 5)])  # St. John's: at 00:01, not at 02:00
    expected = [datetime(2009, 3, 8, 3, 30, 30), datetime(2009, 3, 8, 3, 35)]
    assert read_times(cells, Times(), ZoneInfo("America/St_Johns")).to_pylist() == expected


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"]),
)
def test_local_times_are_converted_as_python_does(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    expected = moment.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
    assert read_times(pa.array([moment]), Times(), zone).to_pylist() == [expected]
    assert read_times(pa.array([moment.isoformat(" ", "microseconds")]), Times(), zone).to_pylist() == [expected]
