"""The features stage in the graph: one asset a SELECT, one blocking check a contract."""

from datetime import date
from typing import Any

import dagster as dg

from personalization_pipelines.features.building import check_feature, run_feature
from personalization_pipelines.features.comments import described
from personalization_pipelines.features.sql_models import dependencies, feature_names, feature_sql, load_feature
from personalization_pipelines.graph.automation import on_change
from personalization_pipelines.graph.parts import (
    Installation,
    asset,
    blocking_check,
    build_of,
    check_result,
    image,
    key,
    preview,
    step,
)
from personalization_pipelines.graph.plots import events_per_day
from personalization_pipelines.quality.table_checks import check_daily_share
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build

SOURCES = {
    "lake_events": ("events", None),
    "lake_items": ("content", "items"),
    "lake_prices": ("content", "items"),
    "lake_transfers": ("content", "items"),
    "lake_users": ("content", "users"),
}
DAYS = "event_days"
EVENTS, ROBOTS = "stg_events", "robots"


def build_assets(website: Website) -> list[dg.AssetsDefinition]:
    """Return each feature table's asset with its contract check; `event_days` also has the gate on yesterday."""
    return [_asset(website, name) for name in feature_names()]


def dependency_keys(website: Website, name: str) -> list[dg.AssetKey]:
    """Return the asset keys a feature reads from, as its SQL says."""
    tables = sorted(dependencies(name))
    keys = list(dict.fromkeys(key(website, *SOURCES[table]) for table in tables if table in SOURCES))
    return keys + [key(website, "features", table) for table in tables if table in feature_names()]


def _asset(website: Website, name: str) -> dg.AssetsDefinition:
    @asset(
        website,
        "features",
        {"duckdb", "sql"},
        website.freshness.models,
        key=key(website, "features", name),
        deps=dependency_keys(website, name),
        description=described(feature_sql(name)),
        automation_condition=on_change(),
        check_specs=_checks(website, name),
    )
    def feature(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster evaluates it
        build = build_of(context, installation.home, website)
        with step(f"features/{name}"):
            report = run_feature(build, name)
            checks = [check_result(check_feature(build, name), "contract")]
            more, plot = _days(build) if name == DAYS else ([], {})
            left_out = _robots(build) if name == EVENTS else {}
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": report.rows,
                "seconds": report.seconds,
                "unchanged": report.unchanged,
                "fingerprint": report.fingerprint,
                "preview": preview(report.preview),
                **plot,
                **left_out,
            },
            check_results=[*checks, *more],
            data_version=dg.DataVersion(report.fingerprint),
        )

    return feature


def _checks(website: Website, name: str) -> list[dg.AssetCheckSpec]:
    table, share = key(website, "features", name), website.quality.events.min_daily_share
    contract = f"The contract of `{name}` in contracts.yml: columns, types, keys, ranges (Great Expectations)."
    daily_share = f"The tracker received at least {share:.0%} of the median day's events yesterday (`quality.events`)."
    checks = [blocking_check(table, "contract", contract)]
    return [*checks, blocking_check(table, "daily_share", daily_share)] if name == DAYS else checks


def _days(build: Build) -> tuple[list[dg.AssetCheckResult], dict[str, dg.MetadataValue]]:
    rows = load_feature(build, DAYS).to_pylist()
    tracked = {day: count for day, count in _totals(rows, "tracked").items() if count}
    gate = check_daily_share(tracked, build.day, build.website.quality.events.min_daily_share)
    return [check_result(gate, "daily_share")], _plot(_totals(rows, "events"), build.website)


def _robots(build: Build) -> dict[str, int]:
    """Return how many events of robots `stg_events` leaves out, by what gave them away."""
    found = load_feature(build, ROBOTS, ["rule", "events"]).group_by("rule").aggregate([("events", "sum")])
    events = dict(zip(found["rule"].to_pylist(), found["events_sum"].to_pylist(), strict=True))
    by_agent, by_rate = events.get("user_agent", 0), events.get("rate", 0)
    return {"robots by user agent": by_agent, "robots by rate": by_rate}


def _totals(rows: list[dict[str, Any]], column: str) -> dict[date, int]:
    totals: dict[date, int] = {}
    for row in rows:
        totals[row["day"]] = totals.get(row["day"], 0) + row[column]
    return totals


def _plot(totals: dict[date, int], website: Website) -> dict[str, dg.MetadataValue]:
    if not totals:
        return {}
    title = f"events a day, {website.name}"
    return {"plot": image(events_per_day, list(totals), list(totals.values()), title=title)}
