"""Time as people write it in the website's YAML: spans (`30d`) and build schedules (`every 6h`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_EVERY = re.compile(r"every ([1-9][0-9]{0,2}[mhd])")
_CRON_FIELD = re.compile(r"[0-9*/,-]+")
_NAMED = {"hourly": ("0 * * * *", "1h"), "daily": ("0 4 * * *", "1d"), "weekly": ("0 4 * * 1", "1w")}


def parse_span(text: str) -> timedelta:
    """Return the time span that text like `90s`, `15m`, `36h`, `30d` or `2w` means."""
    match = _SPAN.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a time span; expected a number and s, m, h, d or w, like 30d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@dataclass(frozen=True)
class BuildSchedule:
    """How often something is built: a cron line in the website's time zone and its usual interval."""

    text: str
    cron: str
    interval: timedelta


def parse_schedule(text: str) -> BuildSchedule:
    """Return the schedule that `hourly`, `daily`, `weekly` or `every 30m|6h|2d` means."""
    if text in _NAMED:
        cron, interval = _NAMED[text]
        return BuildSchedule(text, cron, parse_span(interval))
    match = _EVERY.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a build schedule; expected hourly, daily, weekly or like `every 6h`")
    return BuildSchedule(text, _cron_every(int(match[1][:-1]), match[1][-1]), parse_span(match[1]))


def parse_cron(text: str) -> str:
    """Return a five-field cron line, or say what is wrong with it."""
    fields = text.split()
    if len(fields) != 5 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        raise ValueError(f"{text!r} is not a cron line; expected five fields like `0 3 * * *`")
    return text


def _cron_every(number: int, unit: str) -> str:
    limit = {"m": 60, "h": 24, "d": 31}[unit]
    if number >= limit or (unit != "d" and limit % number):
        raise ValueError(f"`every {number}{unit}` does not divide the day evenly; use a divisor of {limit}")
    step = "*" if number == 1 else f"*/{number}"
    return {"m": f"{step} * * * *", "h": f"0 {step} * * *", "d": f"0 4 {step} * *"}[unit]
