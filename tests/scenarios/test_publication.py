"""Publishing from features and models: the same inputs give the same bytes, and nothing half done is ever served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from personalization_pipelines.foundation.errors import Busy, CorruptData, PermanentError, QualityGateFailed
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications import kept
from personalization_pipelines.publications.format.publication_manifest import SEAL
from personalization_pipelines.publications.read.published import EVENTS, Publication
from personalization_pipelines.publications.write.publishing import current, listing, publish, verify
from personalization_pipelines.website.one_build import Build
from tests.scenarios.built import (
    HISTORY_SCHEMA,
    LEARNED_SCHEMA,
    TRANSFERS_SCHEMA,
    at,
    write_features,
    write_model,
    write_table,
)
from tests.scenarios.publishing import directory_digest, neighbours, ranking, visitor
from tests.scenarios.small_shop import HISTORIES, ITEMS, PAIRS, built, website


def test_what_was_published_is_what_the_build_left(build: Build) -> None:
    report = publish(build)
    publication = Publication.open(report.directory)
    items = publication.items
    assert (report.items, report.visitors, report.models, report.switched, report.unchanged) == (5, 2, 2, True, False)
    assert [items.row(*pair) for pair in PAIRS] == [0, 1, 2, 3, 4]
    assert items.price_minor.tolist() == [1250, -1, -1, -1, -1]
    assert items.allowed.tolist() == [True, True, False, True, True]
    assert (items.paths(0), items.attributes(0)) == (["/A/B"], {"title": ["Desk"]})
    assert publication.as_of == int(at(12).timestamp() * 1_000_000)
    assert report.bytes == sum(entry.bytes for entry in publication.manifest.files.values())


def test_histories_lose_unknown_items_and_visitors_left_with_nothing(build: Build) -> None:
    visitors = Publication.open(publish(build).directory).visitors
    rows, events, times = visitors.history(visitor("anna"))
    assert (rows.tolist(), [EVENTS[code] for code in events], times.tolist()) == ([1, 4], ["buy", "click"], [30, 20])
    assert len(visitors.history(visitor("ben"))[0]) == 0
    assert visitors.history(visitor("carl"))[0].tolist() == [0]


def test_histories_are_the_same_however_the_table_is_cut_into_batches(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    from personalization_pipelines.publications.write import features_read

    digests = set()
    for size in (1, 2, 3, 1000):
        monkeypatch.setattr(features_read, "_BATCH", size)
        digests.add(directory_digest(publish(replace(build, as_of=at(1)), switch=False).directory))
        kept.prune(kept.Disk(), build.home.publications("shop"), set())
        for path in build.home.publications("shop").iterdir():
            kept.Disk().remove(path)
    assert len(digests) == 1


def test_models_of_an_older_catalogue_are_moved_to_the_rows_of_this_one(build: Build) -> None:
    # The model knew item 5, which is gone, and neither 666 nor 77; its rows are others than the publication's.
    old = [(1, "10"), (1, "5"), (1, "20"), (2, "10")]
    write_model(build, "also", old, neighbours([(1, 0.9), (2, 0.8), (3, 0.7)], [(0, 1.0)], [(0, 0.5)], []), "build-2")
    write_model(build, "top", old, ranking(site_1=[(1, 4.0), (2, 3.0), (0, 1.0)], site_2=[(3, 2.0)]), "build-2")
    models = Publication.open(publish(build).directory).models
    also, top = models["also"].answer, models["top"].answer
    assert also is not None and top is not None
    assert [also.lists.of(row)[0].tolist() for row in range(5)] == [[1, 4], [0], [], [], []]
    assert also.users.tolist() == [0, 2, 0, 0, 3]
    assert top.lists.of(0)[0].tolist() == [1, 0]
    assert models["top"].max_score == 3.0


def test_a_price_in_another_currency_is_unknown(build: Build) -> None:
    write_features(build, ITEMS, {}, currency="USD")
    assert Publication.open(publish(build).directory).items.price_minor[0] == -1


def test_paths_learned_from_clicks_stand_beside_the_items_own(build: Build) -> None:
    before = Publication.open(publish(build).directory).items
    one, other = before.row(1, ITEMS[0].id), before.row(1, ITEMS[1].id)
    rows = [
        {"item_type": 1, "item": ITEMS[0].id, "category": "/Learned/Path", "visitors": 2},
        {"item_type": 1, "item": ITEMS[0].id, "category": before.paths(one)[0], "visitors": 2},
        {"item_type": 1, "item": "unknown", "category": "/Nowhere", "visitors": 9},
    ]
    write_table(build.features / "learned_categories.parquet", pa.Table.from_pylist(rows, LEARNED_SCHEMA))
    after = Publication.open(publish(build).directory).items
    assert sorted(after.paths(one)) == sorted([*before.paths(one), "/Learned/Path"])
    assert after.paths(other) == before.paths(other)
    assert "/Learned" in after.categories
    assert "/Nowhere" not in after.categories


def test_publishing_the_same_again_changes_nothing(build: Build) -> None:
    first = publish(build)
    before = {path: path.stat().st_mtime_ns for path in first.directory.iterdir()}
    again = publish(build)
    assert (again.id, again.unchanged, again.switched) == (first.id, True, False)
    assert {path: path.stat().st_mtime_ns for path in first.directory.iterdir()} == before


def test_what_a_blacklisted_item_was_transferred_to_is_not_allowed_and_the_old_one_neither(build: Build) -> None:
    rows = [{"source_type": 1, "source": "666", "target_type": 1, "target": "20", "steps": 1}]
    write_table(build.features / "item_transfers.parquet", pa.Table.from_pylist(rows, TRANSFERS_SCHEMA))
    items = Publication.open(publish(build).directory).items
    banned = [(kind, item) for (kind, item), allowed in zip(PAIRS, items.allowed.tolist(), strict=True) if not allowed]
    assert banned == [(1, "20"), (1, "666")]


def test_any_other_input_gives_another_id(build: Build) -> None:
    ids = [publish(build).id]
    write_model(build, "top", PAIRS, ranking(site_1=[(0, 1.0)]), "build-2")
    ids.append(publish(build).id)
    write_features(build, ITEMS[:4], HISTORIES)
    ids.append(publish(build).id)
    ids.append(publish(replace(build, as_of=at(13))).id)
    ids.append(publish(replace(build, website=website(currency="USD"))).id)
    no_blacklist = dict(build.website.models)
    no_blacklist["never"] = no_blacklist["never"].model_copy(update={"items": []})
    ids.append(publish(replace(build, website=build.website.model_copy(update={"models": no_blacklist}))).id)
    assert len(set(ids)) == 6
    assert [entry.id for entry in listing(build.home, build.website) if entry.current] == [ids[-1]]


def test_two_rebuilds_of_the_same_moment_are_equal_byte_by_byte(build: Build, tmp_path: Path) -> None:
    digests, seals = [], []
    for name in ("one", "two"):
        home = Home(tmp_path / name)
        home.create()
        report = publish(built(Build(home, build.website, at(12), rebuild=True)))
        assert report.directory.parent == home.lake("shop") / "rebuilds" / "20260301T120000000000Z" / "publication"
        digests.append(directory_digest(report.directory))
        seals.append((report.directory / SEAL).read_bytes())
    assert digests[0] == digests[1]
    assert seals[0] == seals[1]


def test_a_rebuild_touches_nothing_that_is_served_unless_told_to(build: Build) -> None:
    serving = publish(build)
    past = built(replace(build, as_of=at(3), rebuild=True), ITEMS[:4])
    report = publish(past)
    assert not report.switched
    assert current(build.home, build.website) == serving.directory
    assert publish(past, switch=True).directory == current(build.home, build.website)
    assert {entry.id for entry in listing(build.home, build.website)} == {serving.id, report.id}


def test_without_switch_the_old_one_serves(build: Build) -> None:
    first = publish(build)
    second = publish(replace(build, as_of=at(13)), switch=False)
    assert current(build.home, build.website) == first.directory
    assert second.directory.is_dir()


def test_nothing_is_current_before_the_first(build: Build) -> None:
    assert current(build.home, build.website) is None
    assert listing(build.home, build.website) == []


@pytest.mark.parametrize(
    ("broken", "error", "said"),
    [
        ("models/top", PermanentError, "scenario 'box' needs model 'top'.*--select top"),
        ("items.json", Busy, "being built"),
        ("items", PermanentError, "never built; run `personalization build`"),
        ("items.parquet", CorruptData, "items.parquet"),
    ],
)
def test_what_is_missing_is_named_with_what_to_run(
    build: Build, broken: str, error: type[Exception], said: str
) -> None:
    serving = publish(build)
    paths = {
        "models/top": [build.models / "top" / "CURRENT"],
        "items": [build.features / "items.json", build.features / "items.parquet"],
    }.get(broken, [build.features / broken])
    for path in paths:
        path.unlink()
    with pytest.raises(error, match=said):
        publish(replace(build, as_of=at(13)))
    assert current(build.home, build.website) == serving.directory
    assert verify(serving.directory).id == serving.id


def test_a_table_whose_bytes_changed_is_refused(build: Build) -> None:
    path = build.features / "items.parquet"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CorruptData, match="SHA-256"):
        publish(build)


def test_an_event_without_a_code_is_refused_by_name(build: Build) -> None:
    row = {"visitor": visitor("x"), "item_type": 1, "item": "10", "event": "sang", "time": 1}
    write_table(build.features / "visitor_history.parquet", pa.Table.from_pylist([row], HISTORY_SCHEMA))
    with pytest.raises(CorruptData, match="'sang'"):
        publish(build)


def test_a_model_that_was_built_as_another_type_is_refused(build: Build) -> None:
    models = {"top": {"type": "recently_added"}, "also": {"type": "also_bought"}}
    with pytest.raises(
        PermanentError, match=r"built as 'popularity' and is now configured as 'recently_added'.*--select"
    ):
        publish(replace(build, website=website(models=models)))


def test_features_that_change_while_they_are_published_are_not_published(build: Build) -> None:
    def meddle(what: str, done: int, total: int) -> None:
        if what.startswith("write"):
            write_features(build, ITEMS[:4], HISTORIES)

    with pytest.raises(Busy, match="changed while"):
        publish(build, progress=meddle)
    assert current(build.home, build.website) is None
    assert publish(build).items == 4


def test_progress_names_every_step(build: Build) -> None:
    said: list[str] = []
    publish(build, progress=lambda what, done, total: said.append(what))
    assert said[:4] == ["read items", "read histories", "read model top", "read model also"]
    assert "write items.bin" in said


def test_a_failing_gate_leaves_the_old_publication_serving(build: Build) -> None:
    serving = publish(build)
    before = directory_digest(build.home.publications("shop"))
    strict = replace(build, website=website(quality={"publication": {"min_coverage": "90%"}}), as_of=at(13))
    with pytest.raises(QualityGateFailed, match=r"coverage is 66.7%, limit 90.0%.*2 of 3 items"):
        publish(strict)
    assert directory_digest(build.home.publications("shop")) == before
    assert current(build.home, build.website) == serving.directory


def test_a_catalogue_that_lost_too_much_is_not_published(build: Build) -> None:
    publish(build)
    write_features(build, ITEMS[:3], {})
    with pytest.raises(QualityGateFailed, match="3 items where 5 serve now"):
        publish(build)


def test_a_failing_recommendation_test_is_not_published(build: Build) -> None:
    tests = [{"scenario": "box", "context": [10], "expect": {"at_least": 2, "never_category": "/A/B"}}]
    tested = replace(build, website=website(tests=tests))
    with pytest.raises(QualityGateFailed, match=r"test 1: box is 1 items.*Items below /A/B: 10"):
        publish(tested, answer=lambda publication, scenario, user, context: [0])
    report = publish(tested, answer=lambda publication, scenario, user, context: [1, 3])
    assert [row["name"] for row in report.gates] == ["coverage", "empty contexts", "item drop", "test 1: box"]
    assert all(row["passed"] for row in report.gates)


def test_a_rebuild_reports_failing_gates_and_stays(build: Build) -> None:
    strict = website(quality={"publication": {"min_coverage": "90%"}})
    report = publish(built(Build(build.home, strict, at(3), rebuild=True)))
    assert [row["name"] for row in report.gates if not row["passed"]] == ["coverage"]


# Rollback, retention, one publisher.
