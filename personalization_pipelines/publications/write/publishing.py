"""Publishing: written beside, verified, judged by the gates, renamed, and only then switched to.

A reader sees the old publication or the new one, whatever dies when: `CURRENT` is replaced in one step and
names a directory that nobody changes any more. The same inputs give the same id and the same bytes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from personalization_pipelines import __version__
from personalization_pipelines.foundation.errors import Busy, CorruptData
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.publications.format.disk import Disk
from personalization_pipelines.publications.format.publication_arrays import Content
from personalization_pipelines.publications.format.publication_manifest import (
    FORMAT,
    Manifest,
    publication_id,
    read_manifest,
)
from personalization_pipelines.publications.gates import Answer, Gate, check_gates, require
from personalization_pipelines.publications.kept import (
    Published,
    current,
    disk_failures,
    listing,
    one_publisher,
    prune,
    put_in_place,
    read_current_or_none,
    remove_leftovers,
    rollback,
    switch_to,
)
from personalization_pipelines.publications.read.published import Publication, verify
from personalization_pipelines.publications.write.feature_tables import feature_fingerprints
from personalization_pipelines.publications.write.features_read import read_transfers, read_visitors
from personalization_pipelines.publications.write.item_table import read_items
from personalization_pipelines.publications.write.models_read import blacklisted, model_builds, read_model
from personalization_pipelines.publications.write.writing import Progress, write_publication
from personalization_pipelines.scenarios.plan import Plan, make_plan
from personalization_pipelines.website.one_build import Build

__all__ = ["PublicationReport", "Published", "current", "listing", "publish", "rollback", "verify"]


@dataclass(frozen=True)
class PublicationReport:
    """What publishing did. `unchanged`: the same publication was there already; `switched`: it serves from now on.

    `gates` are rows for display: name, value, limit, passed, detail.
    """

    id: str
    directory: Path
    items: int
    visitors: int
    models: int
    bytes: int
    seconds: float
    unchanged: bool
    switched: bool
    gates: list[dict[str, object]]


@dataclass(frozen=True)
class _Inputs:
    """What a publication is made of; equal inputs make equal bytes."""

    plan: Plan
    blacklist: frozenset[tuple[int, str]]
    features: dict[str, str]
    models: dict[str, str]

    def publication_id(self, build: Build) -> str:
        parts = fingerprint(
            format=FORMAT,
            code=__version__,
            plan=self.plan.to_json().decode(),
            blacklist=sorted(self.blacklist),
            features=self.features,
            models=self.models,
        )
        return publication_id(build.as_of, parts)


def publish(
    build: Build,
    *,
    switch: bool | None = None,
    progress: Progress | None = None,
    answer: Answer | None = None,
    disk: Disk | None = None,
) -> PublicationReport:
    """Publish a build's items, histories and model lists with the website's scenario plan.

    `switch` None: serve it, unless this is a rebuild. A rebuild that is not switched to goes to
    `build.root / "publication"`. `answer` runs the website's recommendation tests.

    Raises QualityGateFailed where a gate fails (a rebuild only reports it), PermanentError where a model or
    table is missing, CorruptData where one is broken, Busy while another process publishes, TransientError
    where the disk refuses. In each case what served before keeps serving.
    """
    started = time.perf_counter()
    switch = not build.rebuild if switch is None else switch
    disk = disk or Disk()
    root = build.root / "publication" if build.rebuild and not switch else build.home.publications(build.website.name)
    with disk_failures(root), one_publisher(root):
        remove_leftovers(disk, root)
        inputs = _inputs(build)
        final = root / inputs.publication_id(build)
        unchanged = _intact(final)
        with _written(build, inputs, final, unchanged, disk, progress) as (directory, manifest):
            gates = _gates(build, directory, root, answer, enforced=switch or not build.rebuild)
            if not unchanged:
                put_in_place(disk, directory, final)
        before = read_current_or_none(root)
        switched = switch and switch_to(disk, final)
        prune(disk, root, {final.name, before.name if before else ""})
    seconds = time.perf_counter() - started
    return _report(final, manifest, seconds, unchanged=unchanged, switched=switched, gates=gates)


def _report(
    directory: Path, manifest: Manifest, seconds: float, *, unchanged: bool, switched: bool, gates: list[Gate]
) -> PublicationReport:
    return PublicationReport(
        id=directory.name,
        directory=directory,
        items=manifest.items,
        visitors=manifest.visitors,
        models=len(manifest.models),
        bytes=sum(entry.bytes for entry in manifest.files.values()),
        seconds=seconds,
        unchanged=unchanged,
        switched=switched,
        gates=[gate.row() for gate in gates],
    )


def _inputs(build: Build) -> _Inputs:
    plan = make_plan(build.website)
    return _Inputs(plan, blacklisted(build), feature_fingerprints(build.features), model_builds(build, plan))


def _intact(final: Path) -> bool:
    """Tell whether this publication is there and whole; a damaged one is written again."""
    if not final.exists():
        return False
    try:
        verify(final)
    except CorruptData:
        return False
    return True


@contextlib.contextmanager
def _written(
    build: Build, inputs: _Inputs, final: Path, unchanged: bool, disk: Disk, progress: Progress | None
) -> Iterator[tuple[Path, Manifest]]:
    """Give the directory to judge: the one that is there, or a new one beside it, removed unless renamed."""
    if unchanged:
        yield final, read_manifest(final)
        return
    beside = final.with_name(f".{final.name}.tmp")
    try:
        content = _content(build, inputs, progress)
        write_publication(
            beside,
            content,
            publication=final.name,
            as_of=build.as_of,
            features=inputs.features,
            disk=disk,
            progress=progress,
        )
        if _inputs(build) != inputs:
            raise Busy(f"{build.features}: features or models changed while they were published; publish again")
        yield beside, verify(beside)
    finally:
        # Where removing fails too, the next publisher does it.
        with contextlib.suppress(OSError):
            disk.remove(beside)


def _content(build: Build, inputs: _Inputs, progress: Progress | None) -> Content:
    say = progress or (lambda what, done, total: None)
    total = len(inputs.models) + 2
    say("read items", 0, total)
    items = read_items(build.features, build.website.currency, inputs.blacklist)
    say("read histories", 1, total)
    visitors = read_visitors(build.features, items)
    models = []
    for number, (name, build_id) in enumerate(inputs.models.items(), 2):
        say(f"read model {name}", number, total)
        models.append(read_model(build, inputs.plan, name, build_id, items))
    languages, moved = (items.languages, items.language_names), read_transfers(build.features)
    return Content(inputs.plan, items.arrays, items.categories, visitors, models, *languages, moved)


def _gates(build: Build, directory: Path, root: Path, answer: Answer | None, *, enforced: bool) -> list[Gate]:
    serving = read_current_or_none(root)
    gates = check_gates(Publication.open(directory), build.website, _item_count(serving), answer)
    if enforced:
        require(gates)
    return gates


def _item_count(directory: Path | None) -> int | None:
    """Return the catalogue size of a publication; None where it cannot be read, since there is nothing to compare."""
    try:
        return read_manifest(directory).items if directory else None
    except CorruptData:
        return None
