"""Building blocks of the configuration values: frozen, strict, and readable as JSON schema."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from personalization_pipelines.foundation.identifiers import MAX_USER_BYTES, parse_item_type, parse_name, parse_user_id
from personalization_pipelines.foundation.timespans import BuildSchedule, parse_cron, parse_schedule, parse_span

_PERCENTAGE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?%")
_CRON_ENTRY = re.compile(r"(\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/[1-9][0-9]?)?")
_CRON_RANGES = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day of the month": (1, 31),
    "month": (1, 12),
    "day of the week": (0, 7),
}


DEFAULT_ROBOTS = "default"
MAX_ROBOT_PATTERNS, MAX_ROBOT_PATTERN_CHARACTERS = 100, 200
MAX_PLACEHOLDERS = 100

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


class Strict(BaseModel):
    """A frozen configuration value that refuses unknown keys and silent type changes."""

    # The docstring under an attribute is its description in the JSON schema.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


def _parsed(parse: Any, kind: type) -> BeforeValidator:
    def read(value: object) -> object:
        if isinstance(value, kind):
            return value
        if not isinstance(value, str):
            raise ValueError(f"{value!r} must be text")
        return parse(value)

    return BeforeValidator(read)


def _percentage(value: object) -> float:
    """Read `20%`, or a share already between 0.0 and 1.0; a bare whole number could mean either."""
    if isinstance(value, float):
        share = value
    elif isinstance(value, str) and _PERCENTAGE.fullmatch(value):
        share = float(value[:-1]) / 100
    else:
        raise ValueError(f"{value!r} is not a percentage; expected something like 20%")
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} is not between 0% and 100%")
    return share


def span_text(span: timedelta) -> str:
    """Return a time span as the YAML writes it, in the largest unit that divides it."""
    seconds = int(span.total_seconds())
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"


def _cron(text: str) -> str:
    for name, (low, high), part in zip(_CRON_RANGES, _CRON_RANGES.values(), parse_cron(text).split(), strict=True):
        for entry in part.split(","):
            match = _CRON_ENTRY.fullmatch(entry)
            numbers = [int(number) for number in match.group(2, 3) if number] if match else [-1]
            if any(not low <= number <= high for number in numbers) or numbers != sorted(numbers):
                raise ValueError(f"{text!r} is not a cron line: {part!r} is no {name} ({low} to {high})")
    return text


def category_path(text: str) -> str:
    """Return a category path like `/Women/Shirts`, without a slash at its end."""
    path = text.rstrip("/")
    if not path.startswith("/") or "" in path[1:].split("/"):
        raise ValueError(f"{text!r} is not a category path; expected something like /Women/Shirts")
    return path


def robot_patterns(value: object) -> tuple[str, ...]:
    """Read which user agents are robots': `default`, `none`, or regular expressions (`default` may be among them)."""
    if value in (DEFAULT_ROBOTS, "none"):
        return (DEFAULT_ROBOTS,) if value == DEFAULT_ROBOTS else ()
    if not isinstance(value, list | tuple):
        raise ValueError(f"{str(value)[:60]!r} is neither `default` nor `none` nor a list of regular expressions")
    if len(value) > MAX_ROBOT_PATTERNS:
        raise ValueError(f"{len(value)} regular expressions are too many; expected at most {MAX_ROBOT_PATTERNS}")
    return tuple(map(_robot_pattern, value))


def _robot_pattern(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ROBOT_PATTERN_CHARACTERS:
        limit = f"a regular expression of 1 to {MAX_ROBOT_PATTERN_CHARACTERS} characters"
        raise ValueError(f"{str(value)[:60]!r} is not {limit}")
    try:
        matches_nothing = re.compile(value).search("")
    except re.error as error:
        raise ValueError(f"{value[:60]!r} is not a regular expression: {error}") from None
    if matches_nothing:
        raise ValueError(f"{value[:60]!r} fits every user agent; every visitor would be a robot")
    return value


def placeholder_users(value: object) -> tuple[str, ...]:
    """Read user ids that stand for nobody, as they are compared: in lower case."""
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) and text for text in value):
        raise ValueError(f"{str(value)[:60]!r} is not a list of texts like [guest, anonymous]")
    if len(value) > MAX_PLACEHOLDERS:
        raise ValueError(f"{len(value)} users who are nobody are too many; expected at most {MAX_PLACEHOLDERS}")
    for text in value:
        parse_user_id(text)
    return tuple(dict.fromkeys(text.lower() for text in value))


def event_rate(value: object) -> int | None:
    """Read a number of events a minute; None for `none`."""
    if value == "none":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1_000_000:
        raise ValueError(f"{str(value)[:60]!r} is neither a whole number from 1 to 1000000 nor `none`")
    return value


Span = Annotated[
    timedelta,
    _parsed(parse_span, timedelta),
    PlainSerializer(span_text, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]*[smhdw]$", "description": "a time span like 30d"}),
]
Schedule = Annotated[
    BuildSchedule,
    _parsed(parse_schedule, BuildSchedule),
    PlainSerializer(lambda schedule: schedule.text, when_used="json"),
    WithJsonSchema({"type": "string", "description": "hourly, daily, weekly or like `every 6h`"}),
]
Cron = Annotated[
    str,
    _parsed(_cron, type(None)),
    WithJsonSchema({"type": "string", "description": "a cron line like `0 3 * * *`"}),
]
Percentage = Annotated[
    float,
    BeforeValidator(_percentage),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]{1,3}([.][0-9]+)?%$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ],
            "description": "a percentage like 20%",
        }
    ),
]
CategoryPath = Annotated[str, AfterValidator(category_path)]
Name = Annotated[str, AfterValidator(lambda text: parse_name(text))]
ItemType = Annotated[int, AfterValidator(lambda number: int(parse_item_type(str(number))))]
RobotPatterns = Annotated[
    tuple[str, ...],
    BeforeValidator(robot_patterns),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [DEFAULT_ROBOTS, "none"]},
                {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "maxLength": MAX_ROBOT_PATTERN_CHARACTERS},
                    "maxItems": MAX_ROBOT_PATTERNS,
                },
            ],
            "description": "default, none, or regular expressions (default may be among them)",
        }
    ),
]
PlaceholderUsers = Annotated[
    tuple[str, ...],
    BeforeValidator(placeholder_users),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": MAX_USER_BYTES},
            "maxItems": MAX_PLACEHOLDERS,
        }
    ),
]
EventRate = Annotated[
    int | None,
    BeforeValidator(event_rate),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": 1_000_000}, {"const": "none"}],
            "description": "a number of events, or none",
        }
    ),
]
