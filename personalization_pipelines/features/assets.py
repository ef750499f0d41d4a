"""The features stage in the graph: one asset a SELECT, one blocking check a contract."""

from datetime import date
from typing import Any

import dagster as dg

from personalization_pipelines.features.contracts import load_contracts
from personalization_pipelines.features.sql_models import (
    check_feature,
    dependencies,
    feature_names,
    feature_sql,
    load_feature,
    run_feature,
)
from personalization_pipelines.graph.automation import on_change
from personalization_pipelines.graph.parts import (
    Installation,
    asset,
    asset_check,
    build_of,
    check_result,
    image,
    key,
    preview,
    step,
)
from personalization_pipelines.graph.plots import events_per_day
from personalization_pipelines.quality import check_daily_share
from personalization_pipelines.website import Website

SOURCES = {"lake_events": ("events", None), "lake_items": ("content", "items"), "lake_users": ("content", "users")}
DAYS = "event_days"


def build_assets(website: Website) -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    """Return each feature table's asset and its contract check, and the gate on the events of yesterday."""
    made: list[dg.AssetsDefinition | dg.AssetChecksDefinition] = []
    for name in feature_names():
        made += [_asset(website, name), _contract_check(website, name)]
    return [*made, _daily_share_check(website)]


def dependency_keys(website: Website, name: str) -> list[dg.AssetKey]:
    """Return the asset keys a feature reads from, as its SQL says."""
    tables = sorted(dependencies(name))
    keys = [key(website, *SOURCES[table]) for table in tables if table in SOURCES]
    return keys + [key(website, "features", table) for table in tables if table in feature_names()]


def _asset(website: Website, name: str) -> dg.AssetsDefinition:
    @asset(
        website,
        "features",
        {"duckdb", "sql"},
        website.freshness.models,
        key=key(website, "features", name),
        deps=dependency_keys(website, name),
        description=f"{load_contracts()[name].description}\n\n```sql\n{feature_sql(name)}\n```",
        automation_condition=on_change(),
    )
    def feature(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult[None]:
        build = build_of(context, installation.home, website)
        with step(f"features/{name}"):
            report = run_feature(build, name)
            plot = _plot(load_feature(build, name).to_pylist(), website) if name == DAYS else {}
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": report.rows,
                "seconds": report.seconds,
                "unchanged": report.unchanged,
                "fingerprint": report.fingerprint,
                "preview": preview(report.preview),
                **plot,
            },
            data_version=dg.DataVersion(report.fingerprint),
        )

    return feature


def _contract_check(website: Website, name: str) -> dg.AssetChecksDefinition:
    @asset_check(
        asset=key(website, "features", name),
        name="contract",
        description=f"The contract of `{name}` in contracts.yml: columns, types, keys, ranges (Great Expectations).",
    )
    def contract(context: dg.AssetCheckExecutionContext, installation: Installation) -> dg.AssetCheckResult:
        with step(f"contract/{name}"):
            return check_result(check_feature(build_of(context, installation.home, website), name))

    return contract


def _daily_share_check(website: Website) -> dg.AssetChecksDefinition:
    share = website.quality.events.min_daily_share

    @asset_check(
        asset=key(website, "features", DAYS),
        name="daily_share",
        description=f"Yesterday brought at least {share:.0%} of the median day's events (`quality.events`).",
    )
    def daily_share(context: dg.AssetCheckExecutionContext, installation: Installation) -> dg.AssetCheckResult:
        build = build_of(context, installation.home, website)
        with step("daily_share"):
            return check_result(check_daily_share(_totals(load_feature(build, DAYS).to_pylist()), build.day, share))

    return daily_share


def _totals(rows: list[dict[str, Any]]) -> dict[date, int]:
    totals: dict[date, int] = {}
    for row in rows:
        totals[row["day"]] = totals.get(row["day"], 0) + row["events"]
    return totals


def _plot(rows: list[dict[str, Any]], website: Website) -> dict[str, dg.MetadataValue]:
    totals = _totals(rows)
    if not totals:
        return {}
    title = f"events a day, {website.name}"
    return {"plot": image(events_per_day(list(totals), list(totals.values()), title), title)}
