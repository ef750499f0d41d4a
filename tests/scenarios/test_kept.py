"""Which publications are kept, which one serves, and how a damaged one is mended."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from personalization_pipelines.foundation.errors import Busy, CorruptData, PermanentError
from personalization_pipelines.publications import kept
from personalization_pipelines.publications.kept import one_publisher
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.publications.write.publishing import current, listing, publish, rollback, verify
from personalization_pipelines.website.one_build import Build
from tests.scenarios.built import (
    at,
)
from tests.scenarios.publishing import visitor
from tests.scenarios.small_shop import ITEMS, built, website


def test_a_rollback_serves_the_earlier_one_and_is_remembered(build: Build) -> None:
    first, second = publish(build), publish(replace(build, as_of=at(13)))
    assert rollback(build.home, build.website, first.id) == first.directory
    assert current(build.home, build.website) == first.directory
    entries = {entry.id: entry for entry in listing(build.home, build.website)}
    assert (entries[first.id].current, entries[first.id].rolled_back_from) == (True, second.id)
    assert (entries[second.id].current, entries[second.id].rolled_back_from) == (False, "")
    publish(replace(build, as_of=at(14)))
    assert {entry.rolled_back_from for entry in listing(build.home, build.website)} == {""}


@pytest.mark.parametrize("wanted", ["", "..", "../../etc", "20260301T120000000000Z-0123456789abcdef"])
def test_a_rollback_to_what_is_not_kept_names_what_is(build: Build, wanted: str) -> None:
    serving = publish(build)
    with pytest.raises(PermanentError, match=f"kept are: {serving.id}"):
        rollback(build.home, build.website, wanted)


def test_a_rollback_to_a_damaged_publication_is_refused(build: Build) -> None:
    first, second = publish(build), publish(replace(build, as_of=at(13)))
    path = first.directory / "items.bin"
    raw = bytearray(path.read_bytes())
    raw[8] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CorruptData, match=r"items\.bin"):
        rollback(build.home, build.website, first.id)
    assert current(build.home, build.website) == second.directory


def test_publishing_again_repairs_a_damaged_publication(build: Build) -> None:
    first = publish(build)
    (first.directory / "visitors.bin").write_bytes(b"")
    assert [bool(entry.problem) for entry in listing(build.home, build.website)] == [True]
    again = publish(build)
    assert (again.id, again.unchanged) == (first.id, False)
    assert verify(first.directory).id == first.id


def test_publishing_repairs_a_damaged_pointer(build: Build) -> None:
    report = publish(build)
    (report.directory.parent / "CURRENT").write_text("../../../etc\n")
    with pytest.raises(CorruptData, match="is no publication"):
        current(build.home, build.website)
    assert publish(build).switched
    assert current(build.home, build.website) == report.directory


def aged(directory: Path, minutes: int) -> None:
    moment = time.time() - minutes * 60
    os.utime(directory, (moment, moment))


def test_the_last_five_are_kept_and_the_serving_and_the_young_ones_too(build: Build) -> None:
    reports = [publish(replace(build, as_of=at(hour))) for hour in range(7)]
    assert len(listing(build.home, build.website)) == 7  # all of them are young
    for age, report in enumerate(reversed(reports)):
        aged(report.directory, 20 + age)
    rollback(build.home, build.website, reports[0].id)
    publish(replace(build, as_of=at(8)))
    ids = [entry.id for entry in listing(build.home, build.website)]
    # The new one, four before it, and the one that served until now: readers may just be opening it.
    assert ids[1:] == [report.id for report in reports[:2:-1]] + [reports[0].id]
    publish(replace(build, as_of=at(9)))
    assert reports[0].id not in [entry.id for entry in listing(build.home, build.website)]


def test_what_a_dead_publisher_left_is_removed(build: Build) -> None:
    report = publish(build)
    left = report.directory.with_name(f".{report.id}.tmp")
    left.mkdir()
    (left / "items.bin").write_bytes(b"half")
    publish(replace(build, as_of=at(13)))
    assert not left.exists()


def test_two_publishers_do_not_meet(build: Build) -> None:
    with one_publisher(build.home.publications("shop")), pytest.raises(Busy, match="another process"):
        publish(build)
    publish(build)


def test_two_websites_publish_beside_each_other(build: Build) -> None:
    other = built(replace(build, website=website(website="other", customer_id="2")), ITEMS[:2] + ITEMS[3:])
    with one_publisher(build.home.publications("shop")):
        report = publish(other)
    assert Publication.open(report.directory).website == "other"
    assert current(build.home, build.website) is None


def test_a_reader_keeps_what_it_opened_while_it_is_deleted(build: Build) -> None:
    publication = Publication.open(publish(build).directory)
    kept.Disk().remove(publication.directory)
    assert publication.items.row(2, "10") == 4
    assert publication.visitors.history(visitor("carl"))[0].tolist() == [0]


def test_the_manifest_names_everything_it_was_made_of(build: Build) -> None:
    manifest = json.loads((publish(build).directory / "manifest.json").read_bytes())
    assert manifest["models"] == {"top": "build-1", "also": "build-1"}
    assert set(manifest["features"]) == {
        "items", "item_languages", "learned_categories", "visitor_history", "item_transfers",
    }  # fmt: skip
    assert (manifest["website"], manifest["as_of"]) == ("shop", "2026-03-01T12:00:00+00:00")
