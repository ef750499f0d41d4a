"""The events stage in the graph: what was acknowledged moves from the log into the lake."""

import dagster as dg

from personalization_pipelines.content.import_events import import_events
from personalization_pipelines.content.read_files import expand_files
from personalization_pipelines.events.lake import ingest, lake_fingerprint
from personalization_pipelines.graph.automation import at_source
from personalization_pipelines.graph.parts import Installation, asset, check_result, key, step
from personalization_pipelines.quality import check_rejected
from personalization_pipelines.website import Website


def build_assets(website: Website) -> list[dg.AssetsDefinition]:
    """Return the one asset of the stage: `<website>/events`, with its gate on what was rejected."""

    @asset(
        website,
        "events",
        {"parquet", "python"},
        website.freshness.models,
        key=key(website, "events"),
        description="Acknowledged events of the log and files of `events.sources`, as Parquet by arrival day, each "
        "exactly once. What can not be trusted goes to `events_quarantine` with its reason.",
        automation_condition=at_source(shortest_cron(website), website.time_zone),
        check_specs=[
            dg.AssetCheckSpec(
                "rejected",
                asset=key(website, "events"),
                blocking=True,
                description="At most `quality.events.max_rejected` of what newly arrived is quarantined.",
            )
        ],
    )
    def events(installation: Installation) -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster evaluates it
        home = installation.home
        with step("events"):
            for source in website.events.sources:
                files = expand_files(home, source.files)
                import_events(home, website, files, mapping=source.mapping, format=source.format)
            report = ingest(home, website)
            lake = lake_fingerprint(home, website)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": report.events,
                "quarantined": report.quarantined,
                "segments": report.segments,
                "lake": lake,
            },
            check_results=[
                check_result(
                    check_rejected(report.events, report.quarantined, website.quality.events.max_rejected), "rejected"
                )
            ],
            data_version=dg.DataVersion(lake),
        )

    return [events]


def shortest_cron(website: Website) -> str:
    """Return the cron line of the most often built model: fetching events more often serves nobody."""
    schedules = [model.build for model in website.models.values()]
    return min(schedules, key=lambda schedule: schedule.interval).cron if schedules else "0 * * * *"
