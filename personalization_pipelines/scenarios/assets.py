"""The scenarios stage in the graph: all scenario outputs of a website, published together or not at all."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from personalization_pipelines.erasure.applying import complete_tombstones
from personalization_pipelines.foundation.errors import QualityGateFailed
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.automation import on_change
from personalization_pipelines.graph.parts import Installation, build_of, common, key, preview, python_name, step
from personalization_pipelines.publications.gates import Answer
from personalization_pipelines.publications.write.publishing import PublicationReport, publish, rollback
from personalization_pipelines.website import Website
from personalization_pipelines.website.scenario_parameters import Scenario

Answering = Callable[[Home, Website], Answer]
TABLES = (
    "items",
    "item_languages",
    "stg_items",
    "learned_categories",
    "item_categories",
    "visitor_history",
    "item_transfers",
    "event_days",
)
"""What is published, and `event_days`, whose gate on missing events nothing may be published past."""


def build_assets(website: Website, answering: Answering) -> list[dg.AssetsDefinition]:
    """Return the one step of the stage: each scenario and the publication that holds them all.

    `answering` makes the function that runs the website's recommendation tests; it is handed in, because this
    stage may not know the server.

    One step, because a publication is one directory with one switch: no scenario is ever served from
    another publication than its neighbours.
    """
    publication = key(website, "publication")

    @dg.multi_asset(
        name=f"{python_name(website.name)}_publish",
        specs=[*(_scenario_spec(website, name) for name in website.scenarios), _publication_spec(website)],
        check_specs=[
            dg.AssetCheckSpec(
                "gates",
                asset=publication,
                blocking=True,
                description="Coverage, empty contexts, item drop and the recommendation tests of the website's YAML.",
            )
        ],
    )
    def publish_scenarios(
        context: dg.AssetExecutionContext, installation: Installation
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        build = build_of(context, installation.home, website)
        with step("publication"):
            try:
                report = publish(build, answer=answering(build.home, website))
                if not build.rebuild:
                    complete_tombstones(build)
            except QualityGateFailed as error:
                yield dg.AssetCheckResult(
                    check_name="gates", asset_key=publication, passed=False, description=str(error)
                )
                raise
        for name in website.scenarios:
            yield dg.MaterializeResult(
                asset_key=key(website, "scenarios", name),
                metadata={"publication": report.id, "levels": preview(_levels(website.scenarios[name]))},
                data_version=dg.DataVersion(report.id),
            )
        yield dg.MaterializeResult(
            asset_key=publication, metadata=_metadata(report), data_version=dg.DataVersion(report.id)
        )
        yield dg.AssetCheckResult(
            check_name="gates", asset_key=publication, passed=True, metadata={"gates": preview(report.gates)}
        )

    return [publish_scenarios]


def rollback_job(website: Website, tags: dict[str, str]) -> dg.JobDefinition:
    """Return the job that puts an earlier publication back (`personalization publications --rollback`)."""
    prefix = python_name(website.name)

    @dg.op(
        name=f"{prefix}_put_back",
        config_schema={"publication": dg.Field(str, description="the id of a publication that is kept")},
    )
    def put_back(context: dg.OpExecutionContext, installation: Installation) -> None:
        with step("rollback"):
            rollback(installation.home, website, context.op_config["publication"])

    @dg.job(name=f"{prefix}_rollback", tags=tags, description=f"Serve an earlier publication of {website.name} again.")
    def roll_back() -> None:
        put_back()

    return roll_back


def _scenario_spec(website: Website, name: str) -> dg.AssetSpec:
    scenario = website.scenarios[name]
    used = sorted({reference.model for level in scenario.strategy for reference in level.models})
    return dg.AssetSpec(
        key(website, "scenarios", name),
        deps=[key(website, "models", model) for model in used],
        description=f"Scenario `{name}`: {scenario.input} → {', '.join(scenario.output)}.",
        automation_condition=on_change(),
        **common(website, "scenarios", {"python"}, website.freshness.publication),
    )


def _publication_spec(website: Website) -> dg.AssetSpec:
    never = [key(website, "models", name) for name, model in website.models.items() if model.type == "blacklist"]
    return dg.AssetSpec(
        key(website, "publication"),
        deps=[
            *(key(website, "scenarios", name) for name in website.scenarios),
            *(key(website, "features", table) for table in TABLES),
            *never,
        ],
        description="The immutable directory the server maps: items, visitors' history, model lists, scenario plans.",
        automation_condition=on_change(),
        **common(website, "scenarios", {"numpy", "python"}, website.freshness.publication),
    )


def _levels(scenario: Scenario) -> list[dict[str, object]]:
    return [
        {
            "level": number,
            "models": ", ".join(reference.model for reference in level.models),
            "category": level.category if level.category == "site" else str(level.category),
        }
        for number, level in enumerate(scenario.strategy, 1)
    ]


def _metadata(report: PublicationReport) -> dict[str, Any]:
    return {
        "publication": report.id,
        "dagster/row_count": report.items,
        "visitors": report.visitors,
        "models": report.models,
        "bytes": report.bytes,
        "seconds": report.seconds,
        "switched": report.switched,
        "directory": dg.MetadataValue.path(str(report.directory)),
    }
