"""Ingestion and imports die at every change of the disk, and at random: nothing is lost, nothing is double."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from personalization_pipelines.events.lake import lake_manifest as manifests
from personalization_pipelines.events.lake.event_lake import (
    append_import,
    ingest,
)
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.events.lakes import (
    DAY,
    MONDAY,
    POISON,
    click,
    purchases,
    quarantined,
    stored,
    write_log,
)

KILLED = """
import os, sys
from pathlib import Path
import pandas  # pyarrow imports it for its first array: not in every child again
from personalization_pipelines.events.lake.event_lake import ingest
from personalization_pipelines.foundation.home import Home
from tests.conftest import make_website
home, website = Home(Path(sys.argv[1])), make_website()
for _ in sys.stdin:
    child = os.fork()
    while not child:
        ingest(home, website)
    print(child, flush=True)
    print("killed" if os.waitpid(child, 0)[1] == 9 else "ended by itself", flush=True)
"""


class Crash(BaseException):
    """Stands for the death of the process: nobody catches it."""


class DyingDisk(manifests.Disk):
    """A disk on which the process dies at the n-th change: before it, or (`torn`) half way through a write."""

    def __init__(self, deadly: int, *, torn: bool) -> None:
        self.left = deadly
        self.torn = torn

    def dies_here(self) -> bool:
        self.left -= 1
        if self.left == 0 and not self.torn:
            raise Crash
        return self.left == 0

    def write_parquet(self, path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
        torn = self.dies_here()
        rows = super().write_parquet(path, schema, tables)
        return self._tear(path) if torn else rows

    def write_bytes(self, path: Path, data: bytes) -> None:
        torn = self.dies_here()
        super().write_bytes(path, data)
        if torn:
            self._tear(path)

    def sync(self, path: Path) -> None:
        self._all_or_nothing(super().sync, path)

    def make_directory(self, path: Path) -> None:
        self._all_or_nothing(super().make_directory, path)

    def replace(self, old: Path, new: Path) -> None:
        self._all_or_nothing(super().replace, old, new)

    def remove(self, path: Path) -> None:
        self._all_or_nothing(super().remove, path)

    def _all_or_nothing(self, change: Callable[..., None], *arguments: Path) -> None:
        dies = self.dies_here()
        change(*arguments)
        if dies:
            raise Crash

    def _tear(self, path: Path) -> int:
        os.truncate(path, path.stat().st_size // 2)
        raise Crash


@pytest.mark.parametrize("torn", [False, True])
def test_a_crash_at_any_change_of_the_disk_neither_loses_nor_doubles_an_event(
    home: Home, shop: Website, torn: bool
) -> None:
    """The days 0 to 2 get small files each round, so merging, retiring and removing happen too."""
    sent = 0
    for deadly in range(1, 200):
        for _ in range(2):  # two segments, and so two commits
            records = [click(sent + n, received_at=MONDAY + (n % 3) * DAY) for n in range(4)] + [POISON[0]]
            sent += 4
            write_log(home, records)
        disk = DyingDisk(deadly, torn=torn)
        try:
            ingest(home, shop, commit_rows=3, disk=disk)
        except Crash:
            ingest(home, shop)
        assert sorted(map(int, stored(home, shop))) == list(range(sent))
        assert len(quarantined(home, shop)) == 2 * deadly
        if disk.left > 0:
            break
    assert 20 < deadly < 199


@pytest.mark.parametrize("torn", [False, True])
def test_a_crash_in_an_import_leaves_all_of_it_or_nothing(home: Home, shop: Website, torn: bool) -> None:
    for deadly in range(1, 50):
        disk = DyingDisk(deadly, torn=torn)
        try:
            append_import(home, shop, purchases(10), f"import {deadly}", disk=disk)
        except Crash:
            assert append_import(home, shop, purchases(10), f"import {deadly}") in (0, 10)
        assert len(stored(home, shop)) == 10 * deadly
        if disk.left > 0:
            break
    assert 8 < deadly < 49


def test_killing_the_ingestion_at_random_moments_loses_and_doubles_nothing(home: Home, shop: Website) -> None:
    chance = random.Random(11)
    log = SegmentLog(home.log, max_bytes=20_000)
    sent = kills = 0
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:
        assert nursery.stdin
        assert nursery.stdout
        for turn in range(12):
            print("go", file=nursery.stdin, flush=True)
            child = int(nursery.stdout.readline())
            until = time.monotonic() + 0.02 + chance.random() / 5
            patience = until + 60
            # the last one lives until something is stored, however slow the machine is: the others may not get there
            while time.monotonic() < until or (turn == 11 and not stored(home, shop) and time.monotonic() < patience):
                log.append([click(sent + n) for n in range(20)])
                sent += 20
                time.sleep(0.002)
            os.kill(child, signal.SIGKILL)
            kills += nursery.stdout.readline() == "killed\n"
        nursery.stdin.close()
    before = len(stored(home, shop))
    log.close()
    ingest(home, shop)
    assert sorted(map(int, stored(home, shop))) == list(range(sent))
    assert kills == 12
    assert 0 < before <= sent
