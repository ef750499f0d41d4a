"""A website's whole refresh in this process: the same definitions that Dagit and its daemon run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
import yaml
from dagster_shared.error import SerializableErrorInfo

from personalization_pipelines.definitions import complete, refresh_job_name, website_definitions
from personalization_pipelines.events.live.live_url import parse_live_url
from personalization_pipelines.foundation import errors
from personalization_pipelines.foundation.errors import PermanentError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.parts import AS_OF_TAG, REBUILD_TAG, announce
from personalization_pipelines.graph.run_history import history_failures
from personalization_pipelines.website import Website

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Failures are reported as sentences; the whole log of a run is in Dagit."""


@dataclass(frozen=True)
class RefreshReport:
    """How a refresh ended: steps that ran, and a sentence for each that failed.

    `run_id` is the run in Dagster's history, "" where it left no trace there.
    """

    website: str
    run_id: str
    steps: int
    failures: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every step succeeded."""
        return not self.failures


def refresh(
    home: Home,
    website: Website,
    *,
    as_of: datetime | None = None,
    select: str | None = None,
    on_step: Callable[[str], None] = lambda name: None,
) -> RefreshReport:
    """Build a website: events, features, models, publication.

    `as_of` rebuilds a past moment beside the current results, without a trace in Dagster's history.
    `select` builds one model with everything it needs, and publishes.
    """
    if select is not None and select not in website.models:  # before the graph is made, which takes its time
        raise PermanentError(f"website {website.name} has no model {select!r}; it has {', '.join(website.models)}")
    definitions = complete(home, website_definitions(website))
    job = definitions.resolve_job_def(refresh_job_name(website.name))
    selection = _selection(definitions, website, select) if select is not None else None
    tags = {AS_OF_TAG: as_of.isoformat(), REBUILD_TAG: "true"} if as_of else {}
    token = announce.set(on_step)
    try:
        with history_failures(home), _instance(home, ephemeral=as_of is not None) as instance:
            result = job.execute_in_process(
                run_config=QUIET, instance=instance, tags=tags, asset_selection=selection, raise_on_error=False
            )
    finally:
        announce.reset(token)
    failed = _failed_checks(result)
    failures = tuple(_sentence(event, failed) for event in result.all_events if event.is_step_failure)
    if not result.success and not failures:
        failures = ("a blocking check failed: see the run in Dagit",)
    run_id = "" if as_of else result.run_id
    return RefreshReport(website.name, run_id, len(result.get_step_success_events()), failures)


def step_count(website: Website) -> int:
    """Return how many steps a whole refresh announces (for a progress bar)."""
    from personalization_pipelines.features.sql_models import feature_names

    return 4 + len(feature_names()) + len(website.models)


def prepare_dagster(home: Home) -> None:
    """Write `dagster.yaml` where there is none, and point `DAGSTER_HOME` at it. No telemetry."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    if (url := _postgresql(home)) is not None:
        os.environ["PERSONALIZATION_DAGSTER_DATABASE"] = url.render_as_string(hide_password=False)
    path = home.dagster / "dagster.yaml"
    wanted = yaml.safe_dump(_dagster_yaml(home), sort_keys=False)
    if not path.exists() or path.read_text() != wanted:
        path.write_text(wanted)


def _dagster_yaml(home: Home) -> dict[str, object]:
    settings: dict[str, object] = {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "freshness": {"enabled": True},
        "concurrency": {"runs": {"max_concurrent_runs": 2}},
        "run_monitoring": {"enabled": True},
    }
    if _postgresql(home) is not None:
        settings["storage"] = {"postgres": {"postgres_url": {"env": "PERSONALIZATION_DAGSTER_DATABASE"}}}
    else:
        settings["storage"] = {"sqlite": {"base_dir": str(home.dagster)}}
    return settings


def _postgresql(home: Home) -> sa.URL | None:
    """Return the URL of the PostgreSQL that the live store is in, None where it is a file."""
    url = parse_live_url(home.live_database)
    return url if url.get_backend_name() == "postgresql" else None


def _instance(home: Home, *, ephemeral: bool) -> dg.DagsterInstance:
    if ephemeral:
        return dg.DagsterInstance.ephemeral()
    prepare_dagster(home)
    instance = dg.DagsterInstance.get()
    if _postgresql(home) is not None:  # without pooling PostgreSQL storage pays a connection an event: 3 times slower
        instance.optimize_for_webserver(statement_timeout=5000, pool_recycle=3600, max_overflow=20)
    return instance


def _selection(definitions: dg.Definitions, website: Website, model: str) -> list[dg.AssetKey]:
    key = dg.AssetKey([website.name, "models", model])
    wanted = dg.AssetSelection.assets(key).upstream() | dg.AssetSelection.assets(key).downstream()
    graph = definitions.resolve_asset_graph()
    return sorted(wanted.resolve(graph))


def _failed_checks(result: dg.ExecuteInProcessResult) -> dict[str | None, str]:
    """Return what the failed checks of each step said."""
    said: dict[str | None, list[str]] = {}
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if not found.passed:
                asset = found.asset_key.to_user_string()
                said.setdefault(event.step_key, []).append(f"{asset}, check {found.check_name}: {found.description}")
    return {step: "\n".join(sentences) for step, sentences in said.items()}


def _sentence(event: dg.DagsterEvent, failed_checks: dict[str | None, str]) -> str:
    error = event.step_failure_data.error
    failure = event.step_failure_data.user_failure_data
    if failure and failure.description:
        return f"{event.step_key}: {failure.description}"
    if error and error.cls_name == "DagsterAssetCheckFailedError" and event.step_key in failed_checks:
        return failed_checks[event.step_key]
    cause = error
    while cause and cause.cause:
        cause = cause.cause
    return f"{event.step_key}: {_said(cause) if cause else 'failed'}"


def _said(error: SerializableErrorInfo) -> str:
    """Return an error's sentence; of one that is none of ours its first line, and that it is our fault."""
    text = error.message.strip()
    if hasattr(errors, error.cls_name or ""):
        return text.partition(": ")[2] or text
    return f"a fault of this program ({text.splitlines()[0] if text else error.cls_name}); please report it"


def workspace_arguments() -> list[str]:
    """Return how `dagster dev` finds the definitions: the checkout's workspace file, else the module."""
    workspace = Path(__file__).parents[2] / "workspace.yaml"
    return ["-w", str(workspace)] if workspace.exists() else ["-m", "personalization_pipelines.definitions"]
