"""One build: which website, as of when, and where its results go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website


@dataclass(frozen=True)
class Build:
    """A website's build at the logical time `as_of` (aware, UTC).

    A rebuild of a past moment (`rebuild=True`) puts its results beside the current ones, under
    `lake/<website>/rebuilds/<as_of>/`, so that what is served now is never touched.
    """

    home: Home
    website: Website
    as_of: datetime
    rebuild: bool = False

    def __post_init__(self) -> None:
        if self.as_of.tzinfo is None:
            raise ValueError(f"as_of {self.as_of} has no time zone")
        object.__setattr__(self, "as_of", self.as_of.astimezone(UTC))

    @property
    def day(self) -> date:
        """The day of `as_of` in the website's time zone."""
        return self.as_of.astimezone(self.website.zone).date()

    @property
    def root(self) -> Path:
        """Where a rebuild's features and models go."""
        return self.home.lake(self.website.name) / "rebuilds" / f"{self.as_of:%Y%m%dT%H%M%S%fZ}"

    @property
    def features(self) -> Path:
        """The directory of this build's feature tables."""
        return self.root / "features" if self.rebuild else self.home.lake(self.website.name) / "features"

    @property
    def models(self) -> Path:
        """The directory of this build's models."""
        return self.root / "models" if self.rebuild else self.home.models(self.website.name)
