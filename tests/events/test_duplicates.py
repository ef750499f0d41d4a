"""Repeated event ids are found in what is stored, whatever became of the digests that make it fast."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from personalization_pipelines.events.lake.compaction import MAX_SMALL_FILES
from personalization_pipelines.events.lake.duplicates import _likely, _stored, write_digests
from personalization_pipelines.events.lake.event_lake import event_files, ingest
from personalization_pipelines.events.lake.lake_manifest import Disk, LakeFile, read_manifest
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.events.lakes import DAY, click, stored, write_log
from tests.events.test_lake_crashes import Crash, DyingDisk

TODAY = time.time_ns() // 1000 // DAY * DAY


def send(home: Home, *numbers: int, day: int = 0) -> None:
    """Write events of three visitors into the log; the number says visitor and event id."""
    arrival = TODAY - day * DAY
    write_log(home, [click(n, visitor=f"v{n % 3}", event_id=f"id{n // 3}", received_at=arrival) for n in numbers])


def digests(home: Home) -> list[Path]:
    """The files of digests."""
    return sorted(home.root.rglob("*.ids"))


def spoil(path: Path, how: str) -> None:
    """Damage one file of digests in a way that a crash may."""
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": path.read_bytes()[:-8]}[how])


@pytest.mark.parametrize("how", ["gone", "empty", "cut"])
def test_digests_that_are_not_whole_are_made_again(home: Home, shop: Website, how: str) -> None:
    send(home, *range(30))
    ingest(home, shop)
    send(home, *range(20, 40))
    assert ingest(home, shop).duplicates == 10  # looks for the first time, so the digests are made
    (path,) = digests(home)
    whole = path.read_bytes()
    spoil(path, how)
    send(home, *range(40), 99)
    assert ingest(home, shop).duplicates == 40
    assert path.read_bytes() == whole
    assert sorted(map(int, stored(home, shop))) == [*range(40), 99]


@pytest.mark.parametrize("count", [1, 31, 33, 20_000])
def test_the_bits_of_a_file_pass_every_digest_in_it_and_one_other_of_fifty(tmp_path: Path, count: int) -> None:
    known, others = (np.random.default_rng(seed).integers(0, 2**64, (2, count), np.uint64) for seed in (1, 2))
    write_digests(tmp_path / "file.ids", known, Disk())
    held = _stored(tmp_path, LakeFile("file.parquet", "2024-01-01", count, "", count), Disk())
    assert len(_likely(held, known)) == count
    assert len(_likely(held, others)) <= max(1, count / 50)


def test_an_event_without_an_id_never_repeats_another(home: Home, shop: Website) -> None:
    for expected in (0, 1):
        write_log(home, [click(1), click(1), click(2, event_id="a")])
        assert ingest(home, shop).duplicates == expected
    assert sorted(stored(home, shop)) == ["1"] * 4 + ["2"]


def test_merged_files_keep_their_digests(home: Home, shop: Website) -> None:
    sent = random.Random(1).sample(range(600), 600)
    for number in range(MAX_SMALL_FILES + 1):
        send(home, *sent[number * 10 : number * 10 + 12])  # two of them come again in the next round
        write_log(home, [click(1000 + number, received_at=TODAY)])
        ingest(home, shop)
    (merged,) = event_files(home, shop)
    (file,) = read_manifest(home.lake(shop.name)).files
    path = merged.with_suffix(".ids")
    first, second = np.fromfile(path, "<u8", count=2 * 512).reshape(2, -1)
    assert len(first) == file.event_ids == 512
    assert (np.lexsort((second, first)) == np.arange(512)).all()
    made_by_merging = path.read_bytes()
    path.unlink()
    send(home, *range(600))
    assert ingest(home, shop).duplicates == 512
    assert path.read_bytes() == made_by_merging
    assert sorted(int(item) for item in stored(home, shop) if int(item) < 1000) == list(range(600))


def test_digests_go_with_their_files_and_after_35_days(home: Home, shop: Website) -> None:
    for day in (40, 36, 35, 0):
        for expected in (0, 10):
            send(home, *range(day * 10, day * 10 + 10), day=day)
            assert ingest(home, shop).duplicates == expected
    oldest, *recent = event_files(home, shop)
    assert digests(home) == [path.with_suffix(".ids") for path in recent]
    assert len(recent) == 3
    assert not oldest.with_suffix(".ids").exists()


def test_random_repetitions_in_any_order_are_stored_once(home: Home, shop: Website) -> None:
    chance, known = random.Random(2), set[int]()
    for _ in range(30):
        numbers = chance.choices(range(2000), k=chance.randrange(1, 200))
        send(home, *numbers, day=chance.randrange(3))
        if chance.random() < 0.3 and (found := digests(home)):
            spoil(chance.choice(found), chance.choice(["gone", "empty", "cut"]))
        report = ingest(home, shop)
        assert report.duplicates == len(numbers) - len(set(numbers) - known)
        known |= set(numbers)
    assert sorted(map(int, stored(home, shop))) == sorted(known)


def test_a_death_at_any_change_of_the_disk_neither_loses_nor_doubles_an_id(
    home: Home, shop: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personalization_pipelines.events.lake.compaction.MAX_SMALL_FILES", 2)
    crashes = 0
    for deadly in range(1, 60):
        send(home, *range(deadly * 5, deadly * 5 + 10))  # half of them come again
        try:
            ingest(home, shop, disk=DyingDisk(deadly % 30 + 1, torn=bool(deadly % 2)))
        except Crash:
            crashes += 1
    ingest(home, shop)
    assert crashes > 20
    assert sorted(map(int, stored(home, shop))) == list(range(5, 59 * 5 + 10))
    rows = [pq.read_table(path, partitioning=None).num_rows for path in event_files(home, shop)]
    assert sum(rows) == 59 * 5 + 5
