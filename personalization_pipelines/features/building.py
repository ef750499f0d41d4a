"""Builds the feature tables: each again only when something it reads changed, and of large ones only what changed.

That something is its SQL, the bytes of the columns it reads of the tables above it, the lake, the catalogue, or (for
the few that read `build`) the values of the build. Downstream tables compare bytes, not times, so an event that
changes nothing in a table stops there.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from personalization_pipelines.features.checked import remember, remembered
from personalization_pipelines.features.engine import OPTIONS, SOURCES, Engine, Inputs, open_engine
from personalization_pipelines.features.patching import Patcher, Source, described, evolved, remove_strays
from personalization_pipelines.features.sql_models import SqlModel, feature_path, load_models
from personalization_pipelines.features.stored import StoredTable
from personalization_pipelines.features.table_columns import column_digests, contents, sha256
from personalization_pipelines.foundation.errors import Busy, CorruptData
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.quality.contracts import Contract, load_contracts
from personalization_pipelines.quality.table_checks import CheckReport, check_table
from personalization_pipelines.website.one_build import Build

PREVIEW_ROWS = 5
CHECK_VERSION = 2
"""Raised when `quality.py` checks something else of the same contract."""
LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class FeatureReport:
    """One built table. `unchanged`: nothing it reads had changed, so its file was left alone.

    `preview` are a few of its rows, those that changed last where any did.
    """

    name: str
    rows: int
    columns: tuple[str, ...]
    seconds: float
    fingerprint: str
    unchanged: bool
    preview: tuple[dict[str, Any], ...]


def run_feature(build: Build, name: str, *, whole: bool = False) -> FeatureReport:
    """Build one feature table from what is there now; the tables it reads must have been built.

    Of large tables of items only what changed is built, unless it is to be written `whole`.

    Raises CorruptData where one of them is missing, Busy where another build holds this website's features.
    """
    with _lock(build.features), open_engine(build) as engine:
        return _run(build, engine, load_models()[name], whole)


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
    """Return whether a built feature keeps its contract; what passed and did not change is not checked again.

    Of a table that passed and changed since, the changed rows are checked. Where that is not what it is, it is written
    whole and checked whole.
    """
    path, contract = feature_path(build, name), load_contracts()[name]
    table = StoredTable.of(path)
    report = remembered(path, _checked_state(table, contract)) if table else None
    if report:
        return report
    if table and table.changes:
        if remembered(path, _checked_state(table.without_last(), contract)):
            changed = path.with_name(table.changes[-1].rows)
            report = check_table(name, contract, changed) if table.changes[-1].rows else CheckReport(name, ())
            return remember(path, _checked_state(table, contract), report)
        run_feature(build, name, whole=True)
        table = StoredTable.of(path)
    report = check_table(name, contract, path)
    return remember(path, _checked_state(table, contract), report) if table else report


def _checked_state(table: StoredTable, contract: Contract) -> str:
    return fingerprint(version=CHECK_VERSION, table=table.state, contract=contract.model_dump(mode="json"))


def _run(build: Build, engine: Engine, model: SqlModel, whole: bool = False) -> FeatureReport:
    started = time.perf_counter()
    path = feature_path(build, model.name)
    made = _Made.of(build, engine, model)
    stored = StoredTable.of(path)
    unchanged = not whole and stored is not None and stored.sidecar.get("fingerprint") == made.fingerprint
    if not unchanged and (whole or stored is None or not _patched(engine, model, stored, made)):
        _write(engine, model, path, made)
    built = StoredTable.of(path)
    assert built is not None, path  # noqa: S101 - it was just written, under the lock
    names = tuple(pq.read_schema(path).names)
    seconds = time.perf_counter() - started
    rows, shown = built.rows, _preview(model.name, built, names)
    return FeatureReport(model.name, rows, names, seconds, made.fingerprint, unchanged, shown)


@dataclass(frozen=True)
class _Made:
    """What a table is made of: its SELECT and how it is run, the state of all it reads, and that by files."""

    by: str
    inputs: dict[str, object]
    files: dict[str, list[str]]
    tables: dict[str, StoredTable]

    @classmethod
    def of(cls, build: Build, engine: Engine, model: SqlModel) -> _Made:
        tables = {name: _built(build, name, model) for name in sorted(model.tables - SOURCES.keys())}
        inputs = _inputs(engine, model, tables)
        files = {name: table.chain for name, table in tables.items()}
        files |= {name: str(inputs[name]).split("+") for name in model.tables if engine.changed_files(name)}
        contract = load_contracts()[model.name]
        keys = {"key": contract.key, "row_by_row": contract.row_by_row}
        by = fingerprint(sql=model.canonical, duckdb=duckdb.__version__, written=OPTIONS, **keys)
        return cls(by, inputs, files, tables)

    @property
    def fingerprint(self) -> str:
        """Return what tells one state of the table from another."""
        return fingerprint(by=self.by, inputs=self.inputs)

    def described(self) -> dict[str, object]:
        """Return this as a sidecar holds it."""
        return {"fingerprint": self.fingerprint, "by": self.by, "inputs": self.inputs, "files": self.files}


def _patched(engine: Engine, model: SqlModel, table: StoredTable, made: _Made) -> bool:
    """Write only what changed, where that is possible; the table of before counts until the sidecar is replaced."""
    contract, before = load_contracts()[model.name], table.sidecar
    if before.get("by") != made.by or not contract.row_by_row:
        return False
    known = before.get("files", {})
    sources = {
        name: Source(known.get(name, ()), made.files.get(name, ()), made.tables.get(name)) for name in model.tables
    }
    changed = [name for name, state in made.inputs.items() if before["inputs"].get(name) != state]
    patcher = Patcher(engine, table, contract, sources)
    if not patcher.touch(changed):
        return False
    patch = patcher.patch(model.sql, made.fingerprint, _compared(model.name) & contract.columns.keys())
    columns = evolved(before["columns"], patch)
    now = StoredTable(table.path, before, contract.key, patch.changes)
    content = {
        **before,
        **made.described(),
        "rows": patch.rows,
        "bytes": sum(file.stat().st_size for file in now.files),
        "columns": columns,
        "key": contract.key,
        "changes": described(patch.changes),
    }
    _replace_sidecar(table.path, content)
    remove_strays(now)
    return True


@cache
def _compared(name: str) -> frozenset[str]:
    """Return the columns of a table that tables read which are not built row by row: a change of others leaves them."""
    readers = [model for model in load_models().values() if name in model.tables]
    whole = [model for model in readers if not load_contracts()[model.name].row_by_row]
    every = frozenset(load_contracts()[name].columns)
    return every & frozenset().union(*(every if one.names is None else one.names for one in whole))


def _write(engine: Engine, model: SqlModel, path: Path, made: _Made) -> None:
    """Write table, then sidecar. The old sidecar goes first: a crash in between must not vouch for the file."""
    path.with_suffix(".json").unlink(missing_ok=True)
    for name, table in made.tables.items():
        engine.add_table(name, table.sql())
    rows = engine.write(model.sql, path)
    content = {
        **made.described(),
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "columns": column_digests(path),
    }
    _replace_sidecar(path, content)
    remove_strays(StoredTable(path, content))


def _replace_sidecar(path: Path, content: dict[str, object]) -> None:
    sidecar = path.with_suffix(".json")
    temporary = sidecar.with_name(f".{sidecar.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    temporary.replace(sidecar)


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
    columns = table.sidecar.get("columns")  # older builds wrote none
    if reader.names is None or columns is None:
        return table.state
    read = {name: value for name, value in columns.items() if name.lower() in reader.names}
    return {"rows": table.rows, **read}


def _preview(name: str, table: StoredTable, names: Sequence[str]) -> tuple[dict[str, Any], ...]:
    columns = load_contracts()[name].columns if name in load_contracts() else {}
    shown = [column for column in names if column not in columns or not columns[column].private]
    batch = next(table.some(shown, PREVIEW_ROWS), None)
    return tuple(batch.to_pylist()[:PREVIEW_ROWS]) if batch is not None else ()


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
