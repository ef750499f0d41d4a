"""The named automation policies, evaluated as the daemon does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from personalization_pipelines.graph.automation import at_source, on_change, on_schedule
from personalization_pipelines.graph.parts import asset, blocking_check, key
from tests.conftest import make_website

NAMES = ("source", "table", "catalogue", "model")
NOON = datetime(2026, 11, 2, 12, 0, 30, tzinfo=UTC)


def graph(*, check_passes: bool = True) -> dg.Definitions:
    """Return `source → table → model`; a blocking check stands on `table`."""

    @dg.asset(automation_condition=at_source("0 * * * *", "UTC"))
    def source() -> None: ...

    @dg.asset(deps=[source], automation_condition=on_change())
    def table() -> None: ...

    @dg.asset_check(asset=table, blocking=True)
    def contract() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=check_passes)

    @dg.asset
    def catalogue() -> None: ...

    @dg.asset(deps=[table, catalogue], automation_condition=on_schedule("0 4 * * *", "UTC"))
    def model() -> None: ...

    return dg.Definitions(assets=[source, table, catalogue, model], asset_checks=[contract])


def evaluate(
    definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: Any, moment: datetime
) -> dg.EvaluateAutomationConditionsResult:
    return dg.evaluate_automation_conditions(definitions, instance=instance, cursor=cursor, evaluation_time=moment)


def requested(result: dg.EvaluateAutomationConditionsResult) -> set[str]:
    return {name for name in NAMES if result.get_num_requested(dg.AssetKey(name))}


def build(definitions: dg.Definitions, instance: dg.DagsterInstance, *names: str) -> bool:
    job = definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(name) for name in names], raise_on_error=False
    ).success


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def test_a_new_graph_begins_at_its_source_and_goes_on_with_what_depends_on_it(instance: dg.DagsterInstance) -> None:
    definitions = graph()
    first = evaluate(definitions, instance, None, NOON)
    assert requested(first) == {"source"}
    build(definitions, instance, "source")
    second = evaluate(definitions, instance, first.cursor, NOON + timedelta(minutes=1))
    assert requested(second) == {"table"}


def test_nothing_is_requested_while_nothing_changed(instance: dg.DagsterInstance) -> None:
    definitions = graph()
    build(definitions, instance, "source", "table", "catalogue", "model")
    first = evaluate(definitions, instance, None, NOON)
    second = evaluate(definitions, instance, first.cursor, NOON + timedelta(minutes=5))
    assert requested(second) == set()


def test_a_model_is_built_at_its_tick_although_its_catalogue_is_old(instance: dg.DagsterInstance) -> None:
    definitions = graph()
    build(definitions, instance, "source", "table", "catalogue", "model")
    first = evaluate(definitions, instance, None, NOON)
    at_four = evaluate(definitions, instance, first.cursor, NOON + timedelta(hours=16))
    assert "model" in requested(at_four)


def test_a_model_is_not_built_past_a_check_that_failed_in_an_earlier_run(instance: dg.DagsterInstance) -> None:
    good, bad = graph(), graph(check_passes=False)
    build(good, instance, "source", "table", "catalogue", "model")
    first = evaluate(bad, instance, None, NOON)
    assert not build(bad, instance, "table")
    at_four = evaluate(bad, instance, first.cursor, NOON + timedelta(hours=16))
    # the tick rebuilds source and table in one run, where the check decides; the model alone never starts
    assert "model" not in requested(at_four)


def test_a_table_is_rebuilt_when_its_source_was(instance: dg.DagsterInstance) -> None:
    definitions = graph()
    build(definitions, instance, "source", "table", "catalogue", "model")
    first = evaluate(definitions, instance, None, NOON)
    build(definitions, instance, "source")
    second = evaluate(definitions, instance, first.cursor, NOON + timedelta(minutes=5))
    assert requested(second) == {"table"}


def test_what_is_below_a_failed_check_of_the_same_step_is_not_built(instance: dg.DagsterInstance) -> None:
    shop, built = make_website(), []
    table = key(shop, "features", "table")

    @asset(
        shop, "features", {"python"}, timedelta(hours=1), key=table, check_specs=[blocking_check(table, "contract", "")]
    )
    def upstream() -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster evaluates it
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="contract", passed=False)])

    @asset(shop, "models", {"python"}, timedelta(hours=1), key=key(shop, "models", "model"), deps=[table])
    def downstream() -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster evaluates it
        built.append("model")
        return dg.MaterializeResult()

    result = dg.materialize([upstream, downstream], instance=instance, raise_on_error=False)
    assert not result.success
    assert built == []
