"""Every feature means what `tests/sql/` says, on DuckDB and on PostgreSQL."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from personalization_pipelines.features.sql_models import feature_names
from tests.features.engines import SqlEngine, closure, duckdb_engine, postgres_engine, translated

CASES = Path(__file__).parents[1] / "sql"


@dataclass(frozen=True)
class Case:
    """One text pair: statements that give rows, a query, and the rows it must return."""

    title: str
    given: list[str]
    query: str
    expected: str

    @property
    def features(self) -> list[str]:
        """The feature tables of the query and all they read, in the order to build them."""
        tables = {table.name for table in sqlglot.parse_one(self.query, dialect="duckdb").find_all(sqlglot.exp.Table)}
        needed = {name for table in tables for name in [*closure(table), table]}
        return [name for name in feature_names() if name in needed]


def read_cases(path: Path) -> Iterator[Case]:
    """Return the cases of one file."""
    for block in re.split(r"^-- case: ", path.read_text(), flags=re.MULTILINE)[1:]:
        title, _, body = block.partition("\n")
        code = "\n".join(line for line in body.splitlines() if not line.startswith("--"))
        *given, query, expected = [
            part.strip() for part in re.split(r";\s*$", code, flags=re.MULTILINE) if part.strip()
        ]
        yield Case(f"{path.stem}: {title}", given, query, expected)


ALL = [case for path in sorted(CASES.glob("*.sql")) for case in read_cases(path)]


def normal(value: Any) -> Any:
    """Return a value as the expected texts write it."""
    return value if value is None or isinstance(value, int | list) else str(value)


def run_case(case: Case, engine: SqlEngine) -> list[tuple[Any, ...]]:
    """Return what the case's query gives on an engine."""
    for statement in case.given:
        engine.run(statement)
    engine.fill_calendar()
    for name in case.features:
        engine.run(f"create temporary table {name} as {translated(name, engine.dialect)}")
    return [tuple(normal(value) for value in row) for row in engine.run(case.query)]


def expected_rows(case: Case) -> list[tuple[Any, ...]]:
    """Return the rows a case demands, read as plain values."""
    text = case.expected.removeprefix("values").strip()
    text = re.sub(r"\barray\[", "[", re.sub(r"\bnull\b", "None", text))
    rows = ast.literal_eval(f"[{text}]")
    return [row if isinstance(row, tuple) else (row,) for row in rows]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.title)
def test_a_case_holds_on_duckdb(case: Case) -> None:
    with duckdb_engine() as engine:
        assert run_case(case, engine) == expected_rows(case)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.title)
def test_a_case_holds_on_postgresql(case: Case, byte_ordered_url: str) -> None:
    opened: AbstractContextManager[SqlEngine] = postgres_engine(byte_ordered_url)
    with opened as engine:
        assert run_case(case, engine) == expected_rows(case)


def test_every_feature_has_a_case() -> None:
    assert {path.stem for path in CASES.glob("*.sql")} == set(feature_names())
