"""Great Expectations' reading of a contract: the declared suite, validated on a sample of a table.

great_expectations is imported by the first validation and by nothing else: it costs 3 s and 275 MB, once a build in
which a table changed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from personalization_pipelines.foundation.sql_names import quoted
from personalization_pipelines.quality.contracts import Contract
from personalization_pipelines.quality.findings import CheckRow

ROW_COUNT = "ExpectTableRowCountToBeBetween"
SHOWN_VALUES = 5
SAMPLE_ROWS = 10_000


class Validated(NamedTuple):
    """What the suite says: a row an expectation, on how many of how many rows."""

    rows: list[CheckRow]
    sampled: int
    total: int


def validated(name: str, contract: Contract, path: Path) -> Validated:
    """Validate the declared suite on a sample of the Parquet table at `path`."""
    sample, total = _sample(contract, path)
    batch = _batch_definition()
    gx = _gx()
    made = [getattr(gx.expectations, kind)(**arguments) for kind, arguments in _suite(contract)]
    suite = gx.ExpectationSuite(name=name, expectations=made)
    result = batch.get_batch({"dataframe": sample}).validate(suite)
    private = {column for column, one in contract.columns.items() if one.private}
    return Validated([_gx_row(one, private) for one in result.results], len(sample), total)


def _sample(contract: Contract, path: Path) -> tuple[Any, int]:
    """Return every k-th row as a pandas frame, k as small as `SAMPLE_ROWS` allows, and the number of all rows.

    The same rows for the same table. Without lists: GX hashes every value it meets, which for lists costs
    seconds; SQL counts them.
    """
    columns = ", ".join(f'"{name}"' for name, column in contract.columns.items() if not column.is_list)
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        ((total,),) = connection.execute(f"select count(*) from read_parquet({quoted(path)})").fetchall()  # noqa: S608 - a path of ours, quoted
        step = max(1, -(-total // SAMPLE_ROWS))
        rows = f"read_parquet({quoted(path)}, file_row_number = true)"
        sample = connection.execute(f"select {columns} from {rows} where file_row_number % {step} = 0").df()  # noqa: S608 - names of contracts.yml
    return sample, total


def _suite(contract: Contract) -> list[tuple[str, dict[str, Any]]]:
    """Return the contract as names and arguments of GX expectations."""
    made: list[tuple[str, dict[str, Any]]] = []
    for name, column in contract.columns.items():
        here = {"column": name}
        if column.is_list:
            continue
        if not column.nullable:
            made.append(("ExpectColumnValuesToNotBeNull", here))
        if column.minimum is not None or column.maximum is not None:
            bounds = {"min_value": column.minimum, "max_value": column.maximum}
            made.append(("ExpectColumnValuesToBeBetween", {**here, **bounds}))
        if column.values:
            made.append(("ExpectColumnValuesToBeInSet", {**here, "value_set": list(column.values)}))
        if column.min_length is not None:
            made.append(("ExpectColumnValueLengthsToBeBetween", {**here, "min_value": column.min_length}))
        if column.pattern:
            made.append(("ExpectColumnValuesToMatchRegex", {**here, "regex": column.pattern}))
    return made + [(one.expect, dict(one.arguments)) for one in contract.expectations if one.expect != ROW_COUNT]


@cache
def _gx() -> Any:
    """Import Great Expectations; version 1.24 imports a deprecated module of the standard library."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "module 'sre_", DeprecationWarning)
        import great_expectations as gx
    return gx


@cache
def _batch_definition() -> Any:
    """Return the process's one way into GX: nothing on disk, no progress bars (GX 1.24 has no telemetry)."""
    gx = _gx()
    from great_expectations.data_context.types import base

    config = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=base.ProgressBarsConfig(globally=False, metric_calculations=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("whole")


def _gx_row(result: Any, private: set[str]) -> CheckRow:
    arguments = result.expectation_config.kwargs
    columns = [str(arguments[name]) for name in ("column", "column_A", "column_B") if name in arguments]
    shown: Sequence[object] = (
        () if private.intersection(columns) else result.result.get("partial_unexpected_list") or ()
    )
    unexpected = int(result.result.get("unexpected_count") or 0)
    if not result.success and not unexpected:  # GX could not evaluate it: that is a failure too, and it says why
        shown = [info.get("exception_message") for info in result.exception_info.values() if isinstance(info, dict)]
    sample = tuple(str(value)[:80] for value in list(dict.fromkeys(shown))[:SHOWN_VALUES] if value is not None)
    return CheckRow(result.expectation_config.type, ", ".join(columns), bool(result.success), unexpected, sample)
