"""The events stage in the graph: what was acknowledged moves from the log into the lake."""

import dagster as dg

from personalization_pipelines.content.files.read_files import expand_files
from personalization_pipelines.content.files.source_imports import refresh_events
from personalization_pipelines.erasure.applying import apply_tombstones
from personalization_pipelines.events.lake.event_lake import ingest, lake_fingerprint, remove_ingested_segments
from personalization_pipelines.foundation.errors import LiveStoreUnavailable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.automation import at_source
from personalization_pipelines.graph.parts import Installation, asset, blocking_check, check_result, key, step
from personalization_pipelines.quality.table_checks import check_rejected
from personalization_pipelines.website import Website
from personalization_pipelines.website.load import load_websites

REJECTED = "At most `quality.events.max_rejected` of what newly arrived is quarantined."


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
        check_specs=[blocking_check(key(website, "events"), "rejected", REJECTED)],
    )
    def events(installation: Installation) -> dg.MaterializeResult:  # type: ignore[type-arg]  # dagster evaluates it
        home = installation.home
        with step("events"):
            erased = apply_tombstones(home, website)
            for source in website.events.sources:
                refresh_events(home, website, source, expand_files(home, source.files))
            report = ingest(home, website)
            lake = lake_fingerprint(home, website)
            forgotten = _forget_segments(home)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": report.events,
                "quarantined": report.quarantined,
                "segments": report.segments,
                "segments removed": forgotten,
                "erasures applied": erased,
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


def _forget_segments(home: Home) -> int:
    """Delete old segments that every website has ingested; none while a website's file is broken."""
    websites, broken = load_websites(home)
    try:
        return 0 if broken else len(remove_ingested_segments(home, list(websites.values())))
    except LiveStoreUnavailable:  # it may still need them; the next build asks again
        return 0


def shortest_cron(website: Website) -> str:
    """Return the cron line of the most often built model: fetching events more often serves nobody."""
    schedules = [model.build for model in website.models.values()]
    return min(schedules, key=lambda schedule: schedule.interval).cron if schedules else "0 * * * *"
