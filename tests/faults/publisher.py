"""Publications whose every part carries one number, so that a mixture shows; and a process that publishes them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.publications.write.publishing import PublicationReport, listing, publish
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.conftest import make_website
from tests.scenarios.built import write_features, write_model
from tests.scenarios.publishing import Item, neighbours, ranking, visitor

COUNT = 100
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
PAIRS = [(1, str(number)) for number in range(COUNT)]


def website() -> Website:
    """Return a website with one scenario that asks a ranking and neighbours."""
    box = {"input": "product", "output": ["product"], "strategy": [{"models": ["also", "top"]}]}
    models = {"top": {"type": "popularity"}, "also": {"type": "also_bought"}}
    return make_website(models=models, scenarios={"box": box})


def build_of(home: Home, number: int) -> Build:
    """Write features and models that all carry `number` and return their build."""
    build = Build(home, website(), FIRST + timedelta(minutes=number))
    items = [Item(kind, item, [f"/C{number}"], number, attributes={"number": [number]}) for kind, item in PAIRS]
    write_features(build, items, {str(user): [(1, "7", "buy", number)] for user in range(10)})
    write_model(build, "top", PAIRS, ranking(site_1=[(row, float(number)) for row in range(20)]), f"build-{number}")
    lists = [[((row + 1) % COUNT, float(number))] for row in range(COUNT)]
    write_model(build, "also", PAIRS, neighbours(*lists), f"build-{number}")
    return build


def numbers_in(publication: Publication) -> set[int]:
    """Return the numbers that a publication's parts carry: exactly one, unless two were mixed."""
    items, models = publication.items, publication.models
    top, also = models["top"].answer, models["also"].answer
    assert top is not None and also is not None
    parts = [items.price_minor, top.lists.scores, also.lists.scores, publication.visitors.history(visitor("3"))[2]]
    found = {int(value) for part in parts for value in set(part.tolist())}
    found |= {int(items.attributes(row)["number"][0]) for row in (0, COUNT - 1)}
    found |= {int(path.removeprefix("/C")) for path in items.categories}
    found |= {int(model.build_id.removeprefix("build-")) for model in models.values()}
    found.add(round((publication.as_of / 1e6 - FIRST.timestamp()) / 60))
    assert items.row(1, "7") == 7
    return found


def publish_next(home: Home) -> PublicationReport:
    """Publish the number after the highest that is kept; say so before and after."""
    kept = [datetime.fromisoformat(entry.as_of) for entry in listing(home, website()) if entry.as_of]
    number = round((max(kept) - FIRST).total_seconds() / 60) + 1 if kept else 1
    build = build_of(home, number)
    print(f"begin {number}", flush=True)
    report = publish(build)
    print(f"end {number} {report.seconds:.3f}", flush=True)
    return report


if __name__ == "__main__":
    while True:
        publish_next(Home(Path(sys.argv[1])))
