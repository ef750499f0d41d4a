"""The feature tables: one SELECT a file in `dbt_like_sql/`, built in the order their own text implies.

A table is built again only when something it reads changed: its SQL, the bytes of the columns it reads of the tables
above it, the lake, the catalogue, or (for the few that read `build`) the values of the build. Downstream tables
compare bytes, not times, so an event that changes nothing in a table stops there.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from personalization_pipelines.beside import beside
from personalization_pipelines.build import Build
from personalization_pipelines.errors import Busy, ConfigurationError, CorruptData
from personalization_pipelines.features.checked import remember, remembered
from personalization_pipelines.features.contracts import SQL_FOLDER, load_contracts
from personalization_pipelines.features.engine import OPTIONS, SOURCES, Engine, Inputs, open_engine
from personalization_pipelines.features.table_columns import column_digests, contents, names_in, sha256
from personalization_pipelines.fingerprint import fingerprint
from personalization_pipelines.quality import CheckReport, check_table

FOLDERS = ("staging", "features", "statistics")
PREVIEW_ROWS = 5
CHECK_VERSION = 2
"""Raised when `quality.py` checks something else of the same contract."""
LOCK_SECONDS = 60.0


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


@dataclass(frozen=True)
class FeatureReport:
    """One built table. `unchanged`: nothing it reads had changed, so its file was left alone."""

    name: str
    rows: int
    columns: tuple[str, ...]
    seconds: float
    fingerprint: str
    unchanged: bool
    preview: tuple[dict[str, Any], ...]


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


def run_feature(build: Build, name: str) -> FeatureReport:
    """Build one feature table from what is there now; the tables it reads must have been built.

    Raises CorruptData where one of them is missing, Busy where another build holds this website's features.
    """
    with _lock(build.features), open_engine(build) as engine:
        return _run(build, engine, load_models()[name])


def run_all(
    build: Build, progress: Callable[[FeatureReport], None] = lambda report: None, inputs: Inputs | None = None
) -> list[FeatureReport]:
    """Build every feature table in one connection; `progress` is called after each.

    `inputs` replaces what the lake holds now (a benchmark, a copy of another day's files).
    """
    reports = []
    with _lock(build.features), open_engine(build, inputs) as engine:
        for model in load_models().values():
            reports.append(_run(build, engine, model))
            progress(reports[-1])
    return reports


def check_feature(build: Build, name: str) -> CheckReport:
    """Return whether a built feature keeps its contract; what passed and did not change is not checked again."""
    path, contract = feature_path(build, name), load_contracts()[name]
    table = _read_sidecar(path).get("sha256")
    state = fingerprint(version=CHECK_VERSION, table=table, contract=contract.model_dump(mode="json"))
    report = remembered(path, state) if table else None
    return report or remember(path, state, check_table(name, contract, path))


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


def _run(build: Build, engine: Engine, model: SqlModel) -> FeatureReport:
    started = time.perf_counter()
    path = feature_path(build, model.name)
    inputs = _inputs(build, engine, model)
    wanted = fingerprint(sql=model.canonical, inputs=inputs, duckdb=duckdb.__version__, written=OPTIONS)
    sidecar = _read_sidecar(path)
    unchanged = sidecar.get("fingerprint") == wanted
    if not unchanged:
        beside.start()  # what is built is checked next
        _write(engine, model, path, wanted, inputs)
    file = pq.ParquetFile(path)
    names = tuple(file.schema_arrow.names)
    seconds = time.perf_counter() - started
    return FeatureReport(
        model.name, file.metadata.num_rows, names, seconds, wanted, unchanged, _preview(model.name, file)
    )


def _write(engine: Engine, model: SqlModel, path: Path, wanted: str, inputs: dict[str, object]) -> None:
    """Write table, then sidecar. The old sidecar goes first: a crash in between must not vouch for the file."""
    sidecar = path.with_suffix(".json")
    sidecar.unlink(missing_ok=True)
    for table in sorted(model.tables - SOURCES.keys()):
        engine.add_table(table, path.with_name(f"{table}.parquet"))
    rows = engine.write(model.sql, path)
    content = {
        "fingerprint": wanted,
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "columns": column_digests(path),
        "inputs": inputs,
    }
    temporary = sidecar.with_name(f".{sidecar.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    temporary.replace(sidecar)


def _inputs(build: Build, engine: Engine, model: SqlModel) -> dict[str, object]:
    """Return what tells one state of each table the model reads from another."""
    found: dict[str, object] = {}
    for table in sorted(model.tables):
        match table:
            case "lake_events":
                found[table] = engine.inputs.lake
            case "lake_items":
                found[table] = contents(engine.inputs.catalogue)
            case "lake_prices":
                found[table] = contents(engine.inputs.prices)
            case "lake_users":
                found[table] = contents((engine.inputs.users,) if engine.inputs.users else ())
            case "lake_transfers":
                found[table] = contents((engine.inputs.transfers,) if engine.inputs.transfers else ())
            case "build":
                found[table] = {column: engine.values[column] for column in model.build_columns}
            case "utc_days":
                found[table] = engine.clock()
            case _:
                found[table] = _built(build, table, model)
    return found


def _built(build: Build, table: str, reader: SqlModel) -> object:
    path = feature_path(build, table)
    sidecar = _read_sidecar(path)
    if not sidecar:
        raise CorruptData(f"{path}: {reader.name} reads the feature {table}, which is not built; build it first")
    columns = sidecar.get("columns")  # older builds wrote none
    if reader.names is None or columns is None:
        return sidecar["sha256"]
    return {"rows": sidecar["rows"], **{name: value for name, value in columns.items() if name.lower() in reader.names}}


def _read_sidecar(path: Path) -> dict[str, Any]:
    """Return what is known of a table's file, {} where that is nothing or not about this file."""
    try:
        content = json.loads(path.with_suffix(".json").read_text())
        return content if isinstance(content, dict) and content["bytes"] == path.stat().st_size else {}
    except (FileNotFoundError, ValueError, KeyError):
        return {}


def _preview(name: str, file: pq.ParquetFile) -> tuple[dict[str, Any], ...]:
    columns = load_contracts()[name].columns if name in load_contracts() else {}
    shown = [column for column in file.schema_arrow.names if column not in columns or not columns[column].private]
    batch = next(file.iter_batches(batch_size=PREVIEW_ROWS, columns=shown), None)
    return tuple(batch.to_pylist()) if batch is not None else ()


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """Hold a website's features alone; wait for another build a while, then say so."""
    directory.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_SECONDS
    with (directory / ".lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Busy(
                        f"{directory}: another build has been writing these features for a minute; try again"
                    ) from None
                time.sleep(0.1)
        yield
