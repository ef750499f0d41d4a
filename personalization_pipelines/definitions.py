"""The Dagster code location: every website's graph, merged.

One key prefix, one automation sensor, one refresh job a website, so that a broken website stays alone:
a file that cannot be read becomes an asset that says why, and the others go on.
"""

from __future__ import annotations

import dagster as dg

import personalization_pipelines.content.assets as content
import personalization_pipelines.events.assets as events
import personalization_pipelines.features.assets as features
import personalization_pipelines.models.assets as models
import personalization_pipelines.scenarios.assets as scenarios
from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph import new_changes, new_files
from personalization_pipelines.graph.parts import MAX_RUN_SECONDS, OWNERS, installation, python_name
from personalization_pipelines.website import Website
from personalization_pipelines.website.load import load_websites
from serving.recommending.preview import answering

LEARNING_STAGES = (content, events, features, models)
RUN_TAGS = {"dagster/max_runtime": str(MAX_RUN_SECONDS)}


def website_definitions(website: Website) -> dg.Definitions:
    """Return one website's assets, checks, jobs and sensors: automation, new files and changes of content."""
    made = [part for stage in LEARNING_STAGES for part in stage.build_assets(website)]
    made += scenarios.build_assets(website, answering)
    selection = dg.AssetSelection.key_prefixes([website.name])
    return dg.Definitions(
        assets=made,
        jobs=[
            dg.define_asset_job(
                refresh_job_name(website.name),
                selection=selection,
                description=f"Everything of {website.name}: events, features, models, publication.",
                tags={**RUN_TAGS, "website": website.name},
            ),
            scenarios.rollback_job(website, RUN_TAGS),
        ],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                f"{python_name(website.name)}_automation",
                target=selection,
                default_status=dg.DefaultSensorStatus.RUNNING,
                minimum_interval_seconds=30,
                run_tags={**RUN_TAGS, "website": website.name},
            ),
            *new_files.build_sensors(website, RUN_TAGS),
            *new_changes.build_sensors(website, RUN_TAGS),
        ],
    )


def refresh_job_name(website: str) -> str:
    """Return the name of a website's refresh job."""
    return f"{python_name(website)}_refresh"


def broken_website(name: str, error: ConfigurationError) -> dg.Definitions:
    """Return an asset that stands for a website whose YAML cannot be read, and says why."""

    @dg.asset(
        key=[name, "configuration"],
        group_name="broken",
        owners=OWNERS,
        description=f"This website's file is wrong, so it has no graph:\n\n```\n{error}\n```",
    )
    def configuration() -> None:
        raise dg.Failure(str(error), allow_retries=False)

    return dg.Definitions(assets=[configuration])


def make_definitions(home: Home) -> dg.Definitions:
    """Return the whole code location of an installation."""
    websites, broken = load_websites(home)
    return complete(
        home,
        *(website_definitions(website) for website in websites.values()),
        *(broken_website(name, error) for name, error in broken.items()),
    )


def complete(home: Home, *parts: dg.Definitions) -> dg.Definitions:
    """Return parts merged with the installation they work on.

    Steps run in the run's own process: a process a step costs 2.2 CPU seconds each, more than most steps.
    """
    shared = dg.Definitions(resources={"installation": installation(home)}, executor=dg.in_process_executor)
    return dg.Definitions.merge(*parts, shared)


defs = make_definitions(Home.from_environment())
