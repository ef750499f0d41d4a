"""Publications: how long publishing takes, and what one lookup costs the server.

Catalogues of 100,000 and 1,000,000 items; neighbours and a ranking with lists of 100. The baseline of opening
is `np.load(mmap_mode="r")` of the same arrays as single `.npy` files, which checks nothing; of lookups, a
Python dict that holds the same pairs (and takes 200 MB and 1 s to fill at 1 M items); of publishing, a durable
copy of the model files.
"""

from __future__ import annotations

import os
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from personalization_pipelines.foundation.home import Home
from personalization_pipelines.models.forms.form import MAIN, Lists
from personalization_pipelines.models.forms.neighbours import Neighbours
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.publications.format.arrays import Coded, Texts
from personalization_pipelines.publications.format.publication_arrays import (
    Content,
    item_arrays,
    model_arrays,
    visitor_arrays,
)
from personalization_pipelines.publications.read.published import Publication, PublishedModel, verify
from personalization_pipelines.publications.read.published_items import ALWAYS
from personalization_pipelines.publications.write.publishing import publish
from personalization_pipelines.scenarios.plan import make_plan
from personalization_pipelines.website.one_build import Build
from tests.benchmarks.report import Report
from tests.conftest import make_website
from tests.scenarios.built import write_model, write_table
from tests.scenarios.publishing import AS_OF, visitor, write

LENGTH = 100
HISTORY = 20


def run(report: Report) -> None:
    """Measure publishing at 100 k items, opening and lookups at 100 k and 1 M."""
    with tempfile.TemporaryDirectory() as scratch:
        build = built(Path(scratch), 100_000, 50_000)
        done, plain = publish(build), copied(build, Path(scratch) / "copy")
        report.add("publication: publish, 100 k items x 100", done.seconds, "s", plain, goal="< 15")
        report.add("publication: size, 100 k items x 100", done.bytes / 1e6, "MB")
        report.add("publication: publish again, unchanged", publish(build).seconds, "s")
        directory = done.directory
        started = time.perf_counter()
        verify(directory)
        report.add("publication: verify, 100 k items x 100", time.perf_counter() - started, "s")
        measure(report, directory, Path(scratch), "100 k items")
    with tempfile.TemporaryDirectory() as scratch:
        measure(report, write(Path(scratch), made(1_000_000, 100_000, length=5)), Path(scratch), "1 M items")


def measure(report: Report, directory: Path, scratch: Path, what: str) -> None:
    """Measure opening and the fast paths of one publication, each against its baseline in the same minute."""
    files = as_npy(directory, scratch / "npy")
    ours, theirs = interleaved(lambda: Publication.open(directory), lambda: load_all(files), 15)
    report.add(f"publication: open, {what}", ours * 1e3, "ms", theirs * 1e3, goal="< 300")
    publication = Publication.open(directory)
    ids = list(publication.items.ids)
    pairs = [(1, ids[number]) for number in np.random.default_rng(1).integers(0, len(ids), 5_000)]
    known = {(1, item): row for row, item in enumerate(ids)}
    items = publication.items
    assert all(items.row(*pair) == known[pair] for pair in pairs[:500])
    ours, theirs = interleaved(lambda: [items.row(*pair) for pair in pairs], lambda: [known[pair] for pair in pairs])
    report.add(f"publication: items.row, {what}", ours / len(pairs) * 1e6, "us", theirs / len(pairs) * 1e6, goal="~2")
    visitors = [visitor(str(number)) for number in range(0, 50_000, 25)]
    table = {name: publication.visitors.history(name) for name in visitors}
    assert all(len(history[0]) == HISTORY for history in table.values())
    ours, theirs = interleaved(
        lambda: [publication.visitors.history(name) for name in visitors], lambda: [table[name] for name in visitors]
    )
    scale = 1e6 / len(visitors)
    report.add(f"publication: visitors.history, {what}", ours * scale, "us", theirs * scale, goal="< 5")
    rows = list(range(0, len(items), max(1, len(items) // 2_000)))
    report.add(f"publication: items.attributes, {what}", once(lambda: [items.attributes(r) for r in rows], rows), "us")
    report.add(f"publication: id of a row, {what}", once(lambda: [items.ids[row] for row in rows], rows), "us")


def built(root: Path, count: int, people: int) -> Build:
    """Return a build with features of `count` items and `people` visitors and two models with lists of 100."""
    home = Home(root / "home")
    home.create()
    box = {"input": "product", "output": ["product"], "strategy": [{"models": ["also_bought", "top_bought"]}]}
    website = make_website(scenarios={"box": box})
    build = Build(home, website, AS_OF)
    content = made(count, people)
    numbers = np.char.zfill(np.arange(count).astype(str), 7)
    items = {
        "item_type": pa.array(np.ones(count, np.int32)),
        "item": pa.array(numbers),
        "price_minor": pa.array(content.items["price_minor"]),
        "currency": pa.array(["EUR"] * count),
        "valid_from": pa.nulls(count, pa.timestamp("us")),
        "valid_to": pa.nulls(count, pa.timestamp("us")),
        "categories": pa.array([[content.categories[code]] for code in content.items["category_codes"]]),
        "attributes": pa.array([f'{{"title":["Item {number}"],"brand":["B"]}}' for number in numbers]),
    }
    write_table(build.features / "items.parquet", pa.table(items))
    names = np.sort(np.array([visitor(str(number)) for number in range(people)]))
    history = {
        "visitor": pa.array(np.repeat(names, HISTORY)),
        "item_type": pa.array(np.ones(people * HISTORY, np.int32)),
        "item": pa.array(numbers[content.visitors["rows"]]),
        "event": pa.array(["buy"] * (people * HISTORY)),
        "time": pa.array(content.visitors["times"], pa.timestamp("us")),
    }
    write_table(build.features / "visitor_history.parquet", pa.table(history))
    pairs = [(1, str(number)) for number in numbers]
    for entry, arrays in content.models:
        published = PublishedModel.of(entry, arrays)
        learned = published.answer
        assert learned is not None
        write_model(build, entry.name, pairs, learned)
    return build


def copied(build: Build, target: Path) -> float:
    """Return the seconds a plain durable copy of the two models' files takes: the floor of publishing."""
    started = time.perf_counter()
    target.mkdir()
    for number, path in enumerate(sorted(build.models.rglob("*.npy"))):
        with (target / str(number)).open("wb") as file:
            file.write(path.read_bytes())
            os.fsync(file.fileno())
    return time.perf_counter() - started


def made(count: int, people: int, *, length: int = LENGTH) -> Content:
    """Return the content of a publication of `count` items with lists of `length` and `people` visitors."""
    random = np.random.default_rng(0)
    plan = make_plan(make_website())
    paths = [f"/D{department}/C{category}" for department in range(20) for category in range(50)]
    one = np.ones(count, np.int64)
    arrays, categories = item_arrays(
        np.ones(count, np.int32),
        Texts.of([str(number) for number in range(count)]),
        price_minor=random.integers(100, 10_000, count),
        valid_from=one * ALWAYS.min,
        valid_to=one * ALWAYS.max,
        allowed=np.ones(count, bool),
        path_starts=np.arange(count + 1, dtype=np.int64),
        paths=Coded.of([paths[number % len(paths)] for number in range(count)]),
        attributes=Texts.of([f'{{"title":["Item {number}"],"brand":["B{number % 99}"]}}' for number in range(count)]),
    )
    events = people * HISTORY
    visitors = visitor_arrays(
        [visitor(str(number)) for number in range(people)],
        np.arange(0, events + 1, HISTORY),
        random.integers(0, count, events, dtype=np.int32),
        np.zeros(events, np.uint8),
        np.arange(events, dtype=np.int64),
    )
    neighbours = Neighbours(ranked(random, count, count, length), one)
    lists = ranked(random, count, len(paths), length)
    counted = np.ones(len(paths), np.int64)
    ranking = Ranking(tuple(f"category:1:{path}" for path in paths), lists, counted, counted)
    models = [
        model_arrays(plan.models["also_bought"], "a", {}, {MAIN: neighbours}),
        model_arrays(plan.models["top_bought"], "b", {}, {MAIN: ranking}),
    ]
    return Content(plan, arrays, categories, visitors, models)


def ranked(random: np.random.Generator, count: int, lists: int, length: int) -> Lists:
    """Return lists of random rows with falling scores."""
    scores = np.tile(np.linspace(1, 0.01, length, dtype=np.float32), lists)
    rows = random.integers(0, count, lists * length, dtype=np.int32)
    return Lists(np.arange(0, len(rows) + 1, length), rows, scores)


def as_npy(directory: Path, target: Path) -> list[Path]:
    """Write every array of a publication as a file of its own."""
    target.mkdir()
    for name, entry in Publication.open(directory).manifest.files.items():
        raw = np.memmap(directory / name, np.uint8, "r") if entry.arrays else None
        for label, array in entry.arrays.items():
            assert raw is not None
            size = array.length * np.dtype(array.dtype).itemsize
            np.save(target / f"{name}-{label}.npy", raw[array.offset : array.offset + size].view(array.dtype))
    return sorted(target.iterdir())


def load_all(files: list[Path]) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Map every file the way numpy does."""
    return [np.load(path, mmap_mode="r") for path in files]


def interleaved(ours: Callable[[], object], theirs: Callable[[], object], times: int = 9) -> tuple[float, float]:
    """Return the median seconds of two functions called in turn."""
    taken = [(timeit.timeit(ours, number=1), timeit.timeit(theirs, number=1)) for _ in range(times)]
    return float(np.median([one for one, _ in taken])), float(np.median([two for _, two in taken]))


def once(function: Callable[[], object], rows: list[int]) -> float:
    """Return the microseconds a row takes."""
    return min(timeit.repeat(function, number=1, repeat=5)) / len(rows) * 1e6
