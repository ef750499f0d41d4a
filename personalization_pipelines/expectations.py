"""Great Expectations' reading of a contract: the declared suite, validated on a sample of a table.

great_expectations is imported by the first validation (or by `prepare`) and by nothing else: it costs 3.5 s and
275 MB.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

from personalization_pipelines.checks import CheckRow
from personalization_pipelines.features.contracts import Contract

ROW_COUNT = "ExpectTableRowCountToBeBetween"
SHOWN_VALUES = 5
_MAKING = threading.Lock()


def prepare() -> None:
    """Import Great Expectations and make its context, so that the first check need not.

    For a thread beside the work of a build that will check something: the import holds one core for seconds,
    DuckDB meanwhile computes without the interpreter. Calling it twice, or during a check, does nothing more.
    """
    _batch_definition()


@cache
def prepare_soon() -> None:
    """Begin to prepare in a thread of its own, once a process; a build calls it when the first table changed."""
    threading.Thread(target=prepare, name="great_expectations", daemon=True).start()


def validated(name: str, contract: Contract, sample: Any) -> list[CheckRow]:
    """Validate the declared suite on the sample."""
    batch = _batch_definition()
    gx = _gx()
    made = [getattr(gx.expectations, kind)(**arguments) for kind, arguments in _suite(contract)]
    suite = gx.ExpectationSuite(name=name, expectations=made)
    result = batch.get_batch({"dataframe": sample}).validate(suite)
    private = {column for column, one in contract.columns.items() if one.private}
    return [_gx_row(one, private) for one in result.results]


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


def _batch_definition() -> Any:
    """Return this process's one way into GX; one thread makes it, others wait for it."""
    with _MAKING:
        return _made_batch_definition()


@cache
def _made_batch_definition() -> Any:
    """Make the way into GX: nothing on disk, no progress bars (GX 1.24 has no telemetry)."""
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
