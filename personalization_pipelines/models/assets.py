"""The models stage in the graph: one asset a model, built on its own `build:` schedule."""

from __future__ import annotations

import dagster as dg

from personalization_pipelines.graph.automation import on_schedule
from personalization_pipelines.graph.parts import Installation, asset, asset_check, build_of, key, step
from personalization_pipelines.models.training import metrics_history, quality_drop, train
from personalization_pipelines.website import Website

TABLES = ("items", "item_categories", "visitor_item_days", "visitor_items")


def build_assets(website: Website) -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    """Return each model's asset and the check that it did not get worse."""
    made: list[dg.AssetsDefinition | dg.AssetChecksDefinition] = []
    for name in website.models:
        made += [_asset(website, name), _check(website, name)]
    return made


def _asset(website: Website, name: str) -> dg.AssetsDefinition:
    model = website.models[name]

    @asset(
        website,
        "models",
        {model.type, "python"},
        max(website.freshness.models, model.build.interval * 1.5),
        key=key(website, "models", name),
        deps=[key(website, "features", table) for table in TABLES],
        description=f"Model `{name}`: {type(model).__doc__}\n\nBuilt {model.build.text}.",
        automation_condition=on_schedule(model.build.cron, website.time_zone),
    )
    def learned(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult[None]:
        build = build_of(context, installation.home, website)
        with step(f"models/{name}"):
            report = train(build, name)
        return dg.MaterializeResult(
            metadata=_metadata(report, metrics_history(build, name)), data_version=dg.DataVersion(report.build_id)
        )

    return learned


def _check(website: Website, name: str) -> dg.AssetChecksDefinition:
    @asset_check(
        asset=key(website, "models", name),
        name="not_worse",
        description="HR@10 is at most 20 % below the median of the last 7 builds.",
    )
    def not_worse(context: dg.AssetCheckExecutionContext, installation: Installation) -> dg.AssetCheckResult:
        with step(f"not_worse/{name}"):
            drop = quality_drop(build_of(context, installation.home, website), name)
        return dg.AssetCheckResult(passed=drop.passed, severity=dg.AssetCheckSeverity.ERROR, description=drop.sentence)

    return not_worse
