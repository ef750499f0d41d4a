"""The feature tables as SQL: one SELECT a file in `dbt_like_sql/`, in the order their own text implies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from personalization_pipelines.features.engine import SOURCES
from personalization_pipelines.features.table_columns import names_in
from personalization_pipelines.foundation.errors import ConfigurationError, CorruptData
from personalization_pipelines.quality.contracts import SQL_FOLDER
from personalization_pipelines.website.one_build import Build

FOLDERS = ("staging", "features", "statistics")


@dataclass(frozen=True)
class SqlModel:
    """One SQL file: what it reads, and its text without comments and layout."""

    name: str
    path: Path
    sql: str
    tables: frozenset[str]
    build_columns: tuple[str, ...]
    order: tuple[str, ...]
    canonical: str
    names: frozenset[str] | None
    """Every name in it, None where it may read columns that it does not name."""


@cache
def load_models(folder: Path = SQL_FOLDER) -> dict[str, SqlModel]:
    """Return every SQL file by table name, each after those it reads (ties in order of name).

    Raises ConfigurationError for SQL that does not parse, a table that does not exist, or a circle.
    """
    paths = sorted(path for part in FOLDERS for path in (folder / part).glob("*.sql"))
    models = {path.stem: _read(path) for path in paths}
    for model in models.values():
        for table in sorted(model.tables - models.keys() - SOURCES.keys()):
            known = ", ".join(sorted([*models, *SOURCES]))
            raise ConfigurationError(f"{model.path}: reads {table!r}, which does not exist; there are {known}")
    sorter = TopologicalSorter({name: sorted(models[name].tables & models.keys()) for name in sorted(models)})
    try:
        return {name: models[name] for name in sorter.static_order()}
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise ConfigurationError(
            f"{models[error.args[1][0]].path}: tables read each other in a circle: {circle}"
        ) from None


def feature_names() -> list[str]:
    """Return all feature tables, each after those it reads."""
    return list(load_models())


def dependencies(name: str) -> set[str]:
    """Return the tables a feature reads: other features, and the sources `lake_*`, `build`, `utc_days`."""
    return set(load_models()[name].tables)


def feature_sql(name: str) -> str:
    """Return the text of a feature's SQL file."""
    return load_models()[name].sql


def feature_path(build: Build, name: str) -> Path:
    """Return where a feature's Parquet file lies (it may not exist yet)."""
    return build.features / f"{load_models()[name].name}.parquet"


def load_feature(build: Build, name: str, columns: list[str] | None = None) -> pa.Table:
    """Return a built feature (only `columns`, where given), in the order its SQL ends with.

    Raises CorruptData where the table was not built yet or cannot be read.
    """
    path = feature_path(build, name)
    try:
        return pq.read_table(path, columns=columns)
    except FileNotFoundError:
        raise CorruptData(f"{path}: the feature {name} is not built yet; build the features first") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptData(
            f"{path}: the feature {name} cannot be read ({error}); delete the file and build again"
        ) from error


def _read(path: Path) -> SqlModel:
    sql = path.read_text(encoding="utf-8")
    try:
        statements = [one for one in sqlglot.parse(sql, dialect="duckdb") if one is not None]
    except sqlglot.errors.ParseError as error:
        where = error.errors[0] if error.errors else {}
        raise ConfigurationError(
            f"{path}:{where.get('line', 1)}: not SQL: {where.get('description', error)}"
        ) from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ConfigurationError(f"{path}: expected exactly one SELECT")
    tree = statements[0]
    columns = {column.name for column in tree.find_all(exp.Column) if column.table == "build"}
    order = tree.args.get("order")
    ordered = tuple(one.this.name for one in order.expressions) if order else ()
    canonical = tree.sql(dialect="duckdb", comments=False, normalize=True)
    return SqlModel(path.stem, path, sql, _tables(tree), tuple(sorted(columns)), ordered, canonical, names_in(tree))


def _tables(tree: exp.Expr) -> frozenset[str]:
    """Return the tables a query reads, without the names its WITH clauses make."""
    made = {cte.alias for cte in tree.find_all(exp.CTE)}
    scopes = traverse_scope(tree)
    found = {source.name for scope in scopes for source in scope.sources.values() if isinstance(source, exp.Table)}
    return frozenset(found - made)
