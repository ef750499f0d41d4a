"""The parts every asset is made of: its key, its common arguments, its build, its failures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from personalization_pipelines.foundation.errors import (
    DiskUnavailable,
    PermanentError,
    QualityGateFailed,
    TransientError,
)
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.quality.table_checks import CheckReport
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build

AS_OF_TAG = "personalization/as_of"
REBUILD_TAG = "personalization/rebuild"
OWNERS = ["team:personalization"]
MAX_RUN_SECONDS = 4 * 3600
MAX_RETRIES = 3

announce: ContextVar[Callable[[str], None]] = ContextVar("announce", default=lambda step: None)
"""Told the name of each step as it begins; the command line sets it to move its progress bar."""


class Installation(dg.ConfigurableResource[Any]):
    """The installation that the assets read and write."""

    root: str
    database: str = ""

    @property
    def home(self) -> Home:
        """The installation as a plain value."""
        return _home(self.root, self.database)


def installation(home: Home) -> Installation:
    """Return the resource of a home."""
    return Installation(root=str(home.root), database=home.database)


def key(website: Website, stage: str, name: str | None = None) -> dg.AssetKey:
    """Return an asset's key: website, stage, and its name within the stage."""
    return dg.AssetKey([website.name, stage, *([name] if name else [])])


def python_name(website: str) -> str:
    """Return a website's name as Dagster wants job and group names: dashes become underscores."""
    return website.replace("-", "_")


def common(website: Website, group: str, kinds: set[str], fail_after: timedelta) -> dict[str, Any]:
    """Return what every asset has: group, owners, kinds, tags, freshness."""
    return {
        "group_name": f"{python_name(website.name)}_{group}",
        "owners": OWNERS,
        "kinds": kinds,
        "tags": {"website": website.name, "stage": group},
        "freshness_policy": dg.FreshnessPolicy.time_window(fail_window=fail_after, warn_window=fail_after * 0.75),
    }


def asset(
    website: Website, group: str, kinds: set[str], fail_after: timedelta, **options: Any
) -> Callable[[Callable[..., dg.MaterializeResult[None]]], dg.AssetsDefinition]:
    """Decorate a function as an asset with the common parts; `options` are those of `dagster.asset`."""

    def decorate(function: Callable[..., dg.MaterializeResult[None]]) -> dg.AssetsDefinition:
        made = dg.asset(**common(website, group, kinds, fail_after), **options)(function)
        assert isinstance(made, dg.AssetsDefinition)  # noqa: S101 - dagster types the bare decorator as well
        return made

    return decorate


def blocking_check(asset_key: dg.AssetKey, name: str, description: str) -> dg.AssetCheckSpec:
    """Return a check that an asset's own step runs; where it fails, nothing below is built.

    In the same step, because a step of its own costs more than most checks do.
    """
    return dg.AssetCheckSpec(name, asset=asset_key, blocking=True, description=description)


def build_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, home: Home, website: Website) -> Build:
    """Return the build of this run: `as_of` from the run's tag, else the moment the run was created.

    Every step of a run gets the same moment, or two steps around midnight would disagree.
    """
    tags = context.run.tags
    if AS_OF_TAG in tags:
        return Build(home, website, datetime.fromisoformat(tags[AS_OF_TAG]), rebuild=tags.get(REBUILD_TAG) == "true")
    record = context.instance.get_run_record_by_id(context.run.run_id)
    moment = record.create_timestamp if record else datetime.now(UTC)
    return Build(home, website, moment if moment.tzinfo else moment.replace(tzinfo=UTC))


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announce a step and translate its failures: permanent ones are never retried, transient ones are.

    Dagster retries in three ways (op retries, run retries, automation). `allow_retries=False` reaches
    the first; run retries are not switched on; a failed asset is requested again only at its next tick.
    """
    announce.get()(name)
    try:
        yield
    except PermanentError as error:
        raise dg.Failure(str(error), metadata=_told(error), allow_retries=False) from error
    except TransientError as error:
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=5) from error
    except OSError as error:
        raise dg.Failure(str(DiskUnavailable.of(error)), allow_retries=False) from error


def _told(error: PermanentError) -> dict[str, Any]:
    rows = error.rows if isinstance(error, QualityGateFailed) else ()
    return {"rerun helps": "no", **({"broken gates": preview(rows)} if rows else {})}


def preview(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue:
    """Return rows as a Markdown table for Dagit; cell texts are cut at 80 characters."""
    if not rows:
        return dg.MetadataValue.md("*no rows*")
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def check_result(report: CheckReport, name: str | None = None) -> dg.AssetCheckResult:
    """Return a contract's or gate's report as Dagster shows it: a row an expectation."""
    return dg.AssetCheckResult(
        passed=report.passed,
        check_name=name,
        severity=dg.AssetCheckSeverity.ERROR,
        description=report.summary,
        metadata={"expectations": preview(report.table)},
    )


def image(plot: Callable[..., bytes], *numbers: object, title: str) -> dg.MetadataValue:
    """Return a plot (one of graph/plots.py) as Markdown with the picture inside."""
    png = plot(*numbers, title)
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value if value is not None else "")
    return text[:80].replace("|", "\\|").replace("\n", " ")


_HOMES: dict[tuple[str, str], Home] = {}


def _home(root: str, database: str) -> Home:
    return _HOMES.setdefault((root, database), Home(Path(root), database))
