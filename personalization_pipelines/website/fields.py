"""Building blocks of the configuration values: frozen, strict, and readable as JSON schema."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from personalization_pipelines.timespans import BuildSchedule, parse_cron, parse_schedule, parse_span


class Strict(BaseModel):
    """A frozen configuration value that refuses unknown keys and silent type changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


def _parsed(parse: Any, kind: type) -> BeforeValidator:
    def read(value: object) -> object:
        if isinstance(value, kind):
            return value
        if not isinstance(value, str):
            raise ValueError(f"{value!r} must be text")
        return parse(value)

    return BeforeValidator(read)


def _percentage(value: object) -> float:
    text = str(value)
    if text.endswith("%"):
        text = text[:-1]
    elif isinstance(value, str):
        raise ValueError(f"{value!r} is not a percentage; expected something like 20%")
    try:
        number = float(text) / 100
    except ValueError:
        raise ValueError(f"{value!r} is not a percentage; expected something like 20%") from None
    if isinstance(value, float) and 0 <= value <= 1:  # already parsed
        return value
    if not 0 <= number <= 1:
        raise ValueError(f"{value!r} is not between 0% and 100%")
    return number


Span = Annotated[
    timedelta,
    _parsed(parse_span, timedelta),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]*[smhdw]$", "description": "a time span like 30d"}),
]
Schedule = Annotated[
    BuildSchedule,
    _parsed(parse_schedule, BuildSchedule),
    PlainSerializer(lambda schedule: schedule.text),
    WithJsonSchema({"type": "string", "description": "hourly, daily, weekly or like `every 6h`"}),
]
Cron = Annotated[
    str,
    _parsed(parse_cron, type(None)),
    WithJsonSchema({"type": "string", "description": "a cron line like `0 3 * * *`"}),
]
Percentage = Annotated[
    float,
    BeforeValidator(_percentage),
    WithJsonSchema({"type": "string", "pattern": "^[0-9.]+%$", "description": "a percentage like 20%"}),
]
