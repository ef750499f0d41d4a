"""What a number that stands for a time means, and what it would mean where it is no plausible time.

Each number is judged alone. The windows of the units (seconds, milliseconds … since 1970, from 1990 to 2200), of a
spreadsheet's day numbers and of dates without dashes do not overlap, so a number that was taken for another thing can
be named. The last day of the year 9999 is plausible, too: it is what systems write for "never".
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple

LARGEST = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""
FIRST = 631_152_000_000_000
"""1990, in microseconds."""
END = 7_258_118_400_000_000
"""2200, in microseconds."""
NEVER = LARGEST + 1 - 2 * 86_400_000_000
"""The year 9999's last day, in whichever zone."""

_EPOCH = datetime(1970, 1, 1)
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_DAY_ZERO = datetime(1899, 12, 30)
_DAYS = range(20_000, 80_000)  # 1954 to 2119
_DATES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


class Misread(NamedTuple):
    """A number that is no plausible time: `what` its kind is (the same for all of a kind, so that they can be counted),
    what this one looks like, and what to do about the kind and about this one.
    """

    what: str
    looks: str
    advice: str
    own_advice: str = ""

    @property
    def reason(self) -> str:
        """What is said of all numbers of the kind."""
        return f"{self.what}; {self.advice}"

    @property
    def sentence(self) -> str:
        """What is said of this one."""
        return f"{self.looks}; {self.own_advice or self.advice}"


def moment(number: Decimal, unit: str) -> int | None:
    """Return the microseconds since 1970 of a number in a unit, None where that is no plausible time."""
    microseconds = int(number * _NANOSECONDS[unit] // 1000)
    return microseconds if is_plausible(microseconds) else None


def is_plausible(microseconds: int) -> bool:
    """Say whether a number since 1970 is a time that somebody meant."""
    return FIRST <= microseconds < END or NEVER <= microseconds <= LARGEST


def misread(text: str, unit: str) -> Misread | None:
    """Return what a number that is no plausible time in `unit` looks like; None for what is no number."""
    number = _number(text)
    if number is None:
        return None
    known = _day_number(text, number) or _date(text, number) or _other_unit(text, number, unit)
    return known or _nothing(text, number, unit)


def explain(text: str, unit: str) -> str:
    """Return the sentence about a number that is no plausible time."""
    found = misread(text, unit)
    return found.sentence if found else ""


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text) if len(text) < 40 and text.isascii() and "_" not in text else Decimal("NaN")
    except ArithmeticError:
        return None
    return number if number.is_finite() and number.adjusted() < 30 else None


def _day_number(text: str, number: Decimal) -> Misread | None:
    if int(number) not in _DAYS:
        return None
    said = _written(_DAY_ZERO + timedelta(seconds=round(number * 86_400)))
    what, looks = "is a spreadsheet's day number", f"{text} looks like a spreadsheet's day number ({said})"
    return Misread(what, looks, "write it as a date like 2023-01-01", f"write {said}")


def _date(text: str, number: Decimal) -> Misread | None:
    digits = str(int(number))
    form = _DATES.get(len(digits))
    if form is None or number != int(number) or not "1900" <= digits[:4] <= "2199":
        return None
    try:
        said = _written(datetime.strptime(digits, form))
    except ValueError:
        return None
    mapped = f"or let a mapping say `time: {{format: '{form}'}}`"
    what, looks = "is a date without dashes", f"{text} looks like the date {said}"
    return Misread(what, looks, f"write it like 2026-11-01, {mapped}", f"write {said}, {mapped}")


def _other_unit(text: str, number: Decimal, unit: str) -> Misread | None:
    for other, name in _UNITS.items():
        found = moment(number, other)
        if other != unit and found is not None and found < END:
            said = _written(_EPOCH + timedelta(microseconds=found))
            what, looks = f"is in {name} since 1970, not in {_UNITS[unit]}", f"{text} looks like {name} since 1970"
            return Misread(what, f"{looks} ({said})", f"let a mapping say `time: {{unit: {other}}}`")
    return None


def _nothing(text: str, number: Decimal, unit: str) -> Misread:
    if not number:
        return Misread("is 0", f"{text} would be 1970-01-01", "leave it empty where there is no time")
    what = f"is a number, but no time from 1990 to 2200 in {_UNITS[unit]} since 1970"
    return Misread(what, f"{text} {what}", "write it like 2026-11-01T12:00:00Z")


def _written(moment: datetime) -> str:
    moment = moment.replace(microsecond=0)
    return str(moment.date()) if moment.time() == time.min else str(moment)
