"""What each feature table promises: columns, types, keys, ranges (`dbt_like_sql/contracts.yml`), read strictly.

Whoever reads a feature table may rely on its contract; `quality.check_table` proves it after every build, and
a test compares each contract with the columns its SELECT really has.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

import dbt_like_sql
from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.website.strict_yaml import read_yaml

SQL_FOLDER = Path(dbt_like_sql.__file__).parent
CONTRACTS = SQL_FOLDER / "contracts.yml"

ColumnType = Literal["text", "integer", "smallint", "bigint", "boolean", "date", "timestamp", "text[]", "integer[]"]
DUCKDB_TYPES: dict[str, str] = {
    "text": "VARCHAR",
    "integer": "INTEGER",
    "smallint": "SMALLINT",
    "bigint": "BIGINT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "text[]": "VARCHAR[]",
    "integer[]": "INTEGER[]",
}
NUMBERS = {"integer", "smallint", "bigint"}
ExpectationName = Literal[
    "ExpectTableRowCountToBeBetween",
    "ExpectColumnPairValuesAToBeGreaterThanB",
    "ExpectColumnValueLengthsToBeBetween",
]
ARGUMENTS: dict[str, tuple[set[str], set[str]]] = {  # required, optional
    "ExpectTableRowCountToBeBetween": (set(), {"min_value", "max_value"}),
    "ExpectColumnPairValuesAToBeGreaterThanB": ({"column_A", "column_B"}, {"or_equal"}),
    "ExpectColumnValueLengthsToBeBetween": ({"column"}, {"min_value", "max_value"}),
}


class Strict(BaseModel):
    """A frozen value; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Strict):
    """One column: what it means and which values it may hold. Not null unless said."""

    type: ColumnType
    description: Annotated[str, Field(min_length=3)]
    nullable: bool = False
    minimum: int | None = None
    maximum: int | None = None
    values: tuple[str, ...] = ()
    pattern: str | None = None
    min_length: int | None = None
    """Characters at least; a regular expression that says the same costs ten times as much a row."""
    private: bool = False
    """True where values may tell who somebody is: reports then count them and show none."""

    @property
    def is_list(self) -> bool:
        """Whether a value is a list."""
        return self.type.endswith("[]")

    @field_validator("pattern")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        try:
            groups = re.compile(value or "").groups
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        if groups:
            raise ValueError(f"{value!r} has a group that nothing reads; write (?:…) instead of (…)")
        return value

    @model_validator(mode="after")
    def _fits_type(self) -> Column:
        if (self.minimum is not None or self.maximum is not None) and self.type not in NUMBERS:
            raise ValueError(f"minimum and maximum need a number, not {self.type}")
        if (self.values or self.pattern or self.min_length is not None) and self.type != "text":
            raise ValueError(f"values, pattern and min_length need a text, not {self.type}")
        return self


class Expectation(Strict):
    """One further Great Expectations expectation: its class name and its arguments."""

    expect: ExpectationName
    arguments: dict[str, str | int | bool] = {}

    @model_validator(mode="after")
    def _arguments(self) -> Expectation:
        required, optional = ARGUMENTS[self.expect]
        if missing := sorted(required - self.arguments.keys()):
            raise ValueError(f"{self.expect} needs {', '.join(missing)}")
        if unknown := sorted(self.arguments.keys() - required - optional):
            raise ValueError(f"{self.expect} does not take {', '.join(unknown)}")
        return self


class Contract(Strict):
    """One table's promise. `key` columns together are unique and end the table's ORDER BY."""

    description: Annotated[str, Field(min_length=10)]
    key: Annotated[tuple[str, ...], Field(min_length=1)]
    columns: dict[str, Column]
    expectations: tuple[Expectation, ...] = ()

    @model_validator(mode="after")
    def _key_is_columns(self) -> Contract:
        for name in self.key:
            if name not in self.columns:
                raise ValueError(f"key column {name!r} is not among the columns")
            if self.columns[name].nullable:
                raise ValueError(f"key column {name!r} is nullable; a key never is")
        for expectation in self.expectations:
            for argument, value in expectation.arguments.items():
                if argument.startswith("column") and value not in self.columns:
                    raise ValueError(f"{expectation.expect} names {value!r}, which is not among the columns")
        return self


@cache
def load_contracts(path: Path = CONTRACTS) -> dict[str, Contract]:
    """Return every table's contract by name.

    Raises ConfigurationError with one `file:line: key: sentence` line per problem.
    """
    document = read_yaml(path.read_bytes())
    problems = [f"{path}:{problem.line}: {problem.sentence}" for problem in document.problems]
    contracts: dict[str, Contract] = {}
    tables: Any = document.value
    if not isinstance(tables, dict):
        raise ConfigurationError("\n".join([*problems, f"{path}:1: expected one key per feature table"]))
    for name, value in tables.items():
        try:
            contracts[str(name)] = Contract.model_validate(value)
        except ValidationError as error:
            for one in error.errors():
                place = (name, *one["loc"])
                dotted = ".".join(str(part) for part in place)
                problems.append(f"{path}:{document.line(place)}: {dotted}: {one['msg']}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return contracts
