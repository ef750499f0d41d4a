"""A CMS of this machine, and a website that fetches from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.cms import Cms, listed


@pytest.fixture
def cms() -> Iterator[Cms]:
    with Cms() as made:
        yield made


@pytest.fixture
def site(cms: Cms) -> Website:
    return make_website(content=listed([cms]))
