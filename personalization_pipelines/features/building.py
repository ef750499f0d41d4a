"""Builds the feature tables: each whole, and again only when something it reads changed.

That something is its SQL, the bytes of the columns it reads of the tables above it, the lake, the catalogue, or (for
the few that read `build`) the values of the build. Downstream tables compare bytes, not times, so an event that
changes nothing in a table stops there.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from personalization_pipelines.features.checked import remember, remembered
from personalization_pipelines.features.engine import OPTIONS, SOURCES, Engine, Inputs, open_engine
from personalization_pipelines.features.sql_models import SqlModel, feature_path, load_models
from personalization_pipelines.features.stored import FORMAT, StoredTable, forget
from personalization_pipelines.features.table_columns import contents
from personalization_pipelines.foundation.errors import Busy, CorruptData
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.quality.contracts import load_contracts
from personalization_pipelines.quality.table_checks import CheckReport, check_table
from personalization_pipelines.website.one_build import Build

PREVIEW_ROWS = 5
CHECK_VERSION = 2
"""Raised when `quality.py` checks something else of the same contract."""
LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class FeatureReport:
    """One built table. `unchanged`: nothing it reads had changed, so its file was left alone.

    `preview` are its first rows.
    """

    name: str
    rows: int
    columns: tuple[str, ...]
    seconds: float
    fingerprint: str
    unchanged: bool
    preview: tuple[dict[str, Any], ...]


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
    table = StoredTable.of(path)
    if table is None:
        return check_table(name, contract, path)
    state = fingerprint(version=CHECK_VERSION, table=table.sha256, contract=contract.model_dump(mode="json"))
    return remembered(path, state) or remember(path, state, check_table(name, contract, path))


def _run(build: Build, engine: Engine, model: SqlModel) -> FeatureReport:
    started = time.perf_counter()
    path = feature_path(build, model.name)
    tables = {name: _built(build, name, model) for name in sorted(model.tables - SOURCES.keys())}
    inputs = _inputs(engine, model, tables)
    made_of = fingerprint(sql=model.canonical, duckdb=duckdb.__version__, written=OPTIONS, format=FORMAT, inputs=inputs)
    stored = StoredTable.of(path)
    unchanged = stored is not None and stored.fingerprint == made_of
    if stored is None or not unchanged:
        rows = _write(engine, model, path, tables)
        stored = StoredTable.describe(path, made_of, inputs, rows)
    names = tuple(pq.read_schema(path).names)
    seconds = time.perf_counter() - started
    return FeatureReport(model.name, stored.rows, names, seconds, made_of, unchanged, _preview(path, model.name, names))


def _write(engine: Engine, model: SqlModel, path: Path, tables: Mapping[str, StoredTable]) -> int:
    """Write a table. Its old sidecar goes first: a crash in between must not vouch for the file."""
    forget(path)
    for name, table in tables.items():
        engine.add_table(name, table.sql)
    return engine.write(model.sql, path)


def _inputs(engine: Engine, model: SqlModel, tables: Mapping[str, StoredTable]) -> dict[str, object]:
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
                found[table] = _columns_read(tables[table], model)
    return found


def _built(build: Build, table: str, reader: SqlModel) -> StoredTable:
    path = feature_path(build, table)
    stored = StoredTable.of(path)
    if stored is None:
        raise CorruptData(f"{path}: {reader.name} reads the feature {table}, which is not built; build it first")
    return stored


def _columns_read(table: StoredTable, reader: SqlModel) -> object:
    if reader.names is None:
        return table.sha256
    read = {name: value for name, value in table.columns.items() if name.lower() in reader.names}
    return {"rows": table.rows, **read}


def _preview(path: Path, name: str, names: Sequence[str]) -> tuple[dict[str, Any], ...]:
    columns = load_contracts()[name].columns if name in load_contracts() else {}
    shown = [column for column in names if column not in columns or not columns[column].private]
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(PREVIEW_ROWS, columns=shown), None)
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
