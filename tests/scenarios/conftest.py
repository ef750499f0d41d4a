"""What tests of publishing begin with."""

from __future__ import annotations

import pytest

from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.one_build import Build
from tests.scenarios.built import (
    at,
)
from tests.scenarios.small_shop import built, website


@pytest.fixture
def build(home: Home) -> Build:
    return built(Build(home, website(), at(12)))
