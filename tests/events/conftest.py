"""A fresh live store for each test, once on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from personalization_pipelines.events.live.live_history import LiveReader, LiveStore


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh live store's URL, once on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'live.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str) -> Iterator[LiveStore]:
    made = LiveStore(url)
    yield made
    made.close()


@pytest.fixture
def reader(url: str) -> Iterator[LiveReader]:
    made = LiveReader(url, deadline=5.0)  # these tests are about answers; a busy machine may take its time
    yield made
    made.close()
