"""What a worker keeps of a publication goes when the publication goes."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from personalization_pipelines.publications.read.published import Publication
from serving.recommending.shelf import shelf_of
from tests.conftest import make_website
from tests.scenarios.publishing import Item, content, write


def test_a_publication_that_was_switched_away_from_is_let_go(tmp_path: Path) -> None:
    publication = Publication.open(write(tmp_path, content(make_website(), [Item(1, "7"), Item(1, "8")])))
    seen = weakref.ref(shelf_of(publication))
    assert seen() is not None
    del publication
    gc.collect()
    assert seen() is None
