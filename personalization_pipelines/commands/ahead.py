"""Starts the process beside a build before Dagster is loaded, where the build will have something to check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from personalization_pipelines.foundation.home import Home
from personalization_pipelines.quality.beside import beside


def start_ahead(home: Home, websites: Sequence[str]) -> None:
    """Start it where something changed since the last check. A guess: the build itself starts it where it must."""
    if any(_has_news(home, website) for website in websites):
        beside.start()


def _has_news(home: Home, website: str) -> bool:
    lake = home.lake(website)
    inputs = [home.websites / f"{website}.yaml", home.log, *home.log.glob("*"), *lake.glob("*/manifest.json")]
    return _newest(inputs) > _newest(lake.glob("features/*.checked.json"))


def _newest(paths: Iterable[Path]) -> float:
    """Return when the newest of the files changed; 0 where there is none."""
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
