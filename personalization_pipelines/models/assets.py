"""The models stage in the graph: one asset a model, built on its own `build:` schedule."""

from datetime import datetime
from typing import Any

import dagster as dg

from personalization_pipelines.graph.automation import on_schedule
from personalization_pipelines.graph.parts import (
    Installation,
    asset,
    blocking_check,
    build_of,
    image,
    key,
    preview,
    step,
)
from personalization_pipelines.graph.plots import metric_over_builds, popularity_curve
from personalization_pipelines.models.artifact import load_model, read_head
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.models.named_items import TABLE
from personalization_pipelines.models.registry import learner
from personalization_pipelines.models.training import ModelReport, metrics_history, quality_drop, train
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build

NOT_WORSE = "HR@10 is at most 20 % below the median of the last 7 evaluations."
SHOWN_METRICS = ("HR@10", "NDCG@10", "Recall@20", "MRR")


def build_assets(website: Website) -> list[dg.AssetsDefinition]:
    """Return each model's asset with the check that it did not get worse."""
    return [_asset(website, name) for name in website.models]


def _asset(website: Website, name: str) -> dg.AssetsDefinition:
    model = website.models[name]

    @asset(
        website,
        "models",
        {"python", model.type},
        max(website.freshness.models, model.build.interval * 1.5),
        key=key(website, "models", name),
        deps=[key(website, "features", table) for table in dict.fromkeys((*learner(model, website).features, TABLE))],
        description=f"{type(model).__doc__}\n\nBuilt {model.build.text}.",
        automation_condition=on_schedule(model.build.cron, website.time_zone),
        check_specs=[blocking_check(key(website, "models", name), "not_worse", NOT_WORSE)],
    )
    def learned(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster evaluates it
        build = build_of(context, installation.home, website)
        with step(f"models/{name}"):
            report = train(build, name)
            metadata = {**_metadata(report), **_curve(build, name), **_evaluations(build, name)}
            checks = [_not_worse(build, name)]
        version = dg.DataVersion(report.build_id)
        return dg.MaterializeResult(metadata=metadata, check_results=checks, data_version=version)

    return learned


def _not_worse(build: Build, name: str) -> dg.AssetCheckResult:
    drop = quality_drop(build, name)
    return dg.AssetCheckResult(
        check_name="not_worse", passed=drop.passed, severity=dg.AssetCheckSeverity.ERROR, description=drop.sentence
    )


def _metadata(report: ModelReport) -> dict[str, Any]:
    counts = {"lists": report.lists, "items": report.items, "events": report.events, "users": report.users}
    rows = [
        {
            "metric": name,
            "model": report.metrics[name],
            "95 % interval": f"{report.metrics[f'{name} low']:.4f} .. {report.metrics[f'{name} high']:.4f}",
            "popularity": report.floor_metrics.get(name),
        }
        for name in SHOWN_METRICS
        if name in report.metrics
    ]
    others = {name: value for name, value in report.metrics.items() if not name.startswith(SHOWN_METRICS)}
    return {
        "dagster/row_count": report.lists,
        **counts,
        **others,
        **({"HR@10": report.metrics["HR@10"], "evaluation": preview(rows)} if rows else {}),
        "unchanged": report.unchanged,
        "seconds": report.seconds,
        "preview": preview(report.preview),
    }


def _curve(build: Build, name: str) -> dict[str, dg.MetadataValue]:
    if read_head(build.models / name)["parts"][0]["form"] != Ranking.form:
        return {}  # others have no curve; their arrays need not be read
    ranking = load_model(build.models / name).answer
    if not isinstance(ranking, Ranking) or not len(ranking.lists):
        return {}
    _, scores = ranking.lists.of(0)
    title = f"{name}: {ranking.keys[0]}"
    return {"curve": image(popularity_curve, scores.tolist(), title=title)} if len(scores) else {}


def _evaluations(build: Build, name: str) -> dict[str, dg.MetadataValue]:
    history = metrics_history(build, name)
    if not history:
        return {}
    times = [datetime.fromisoformat(record["as_of"]) for record in history]
    values = [record["metrics"]["HR@10"] for record in history]
    floors = [record["floor_metrics"].get("HR@10") for record in history]
    title = f"{name}: HR@10 over its evaluations"
    return {"evaluations": image(metric_over_builds, times, values, floors, title=title)}
