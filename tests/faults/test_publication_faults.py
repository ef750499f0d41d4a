"""Whatever dies or fails in publishing: `CURRENT` names one whole publication, and the next publisher succeeds."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from personalization_pipelines.foundation.errors import CorruptData, PersonalizationError, TransientError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.format.publication_manifest import read_current
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.publications.write.publishing import current, listing, publish, rollback, verify
from tests.faults.disks import FailingDisk, PowerCut, UnpluggedDisk
from tests.faults.publisher import build_of, numbers_in, publish_next, website

READERS = 4
MOST_OPERATIONS = 400


@dataclass
class Readers:
    """Threads that open what `CURRENT` names and look at every part of it, until told to stop."""

    publications: Path
    reads: int = 0
    seen: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop) for _ in range(READERS)]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(0.03):
            try:
                directory = read_current(self.publications)
                assert directory is not None, "CURRENT is gone"
                found = numbers_in(Publication.open(directory))
            except (PersonalizationError, OSError, ValueError, AssertionError, LookupError) as error:
                self.wrong.append(repr(error))
                continue
            self.reads += 1
            self.seen |= found
            if len(found) != 1:
                self.wrong.append(f"mixed: {found}")


def kill_publishers(home: Home, kills: int, seed: int, half_way: int = 0) -> tuple[int, Readers]:
    """Kill a publishing process `kills` times, each time between the start and about the end of a publication.

    Where fewer than `half_way` of them hit one half done, go on for up to four times as many. Returns how many
    did, and what the readers saw meanwhile.
    """
    moments = random.Random(seed)
    interrupted = done = 0
    publish_next(home)
    with Readers(home.publications("shop")) as readers:
        while done < kills or (interrupted < half_way and done < 4 * kills):
            done += 1
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.publisher", str(home.root)],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            try:
                assert process.stdout is not None
                lines = (line.split() for line in process.stdout)
                usual = float(next(line for line in lines if line[0] == "end")[2])
                next(line for line in lines if line[0] == "begin")
                time.sleep(moments.uniform(0, usual))
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
            interrupted += bool(list(home.publications("shop").glob(".*.tmp")))
            verify(current_directory(home))
        publish_next(home)
    return interrupted, readers


def current_directory(home: Home) -> Path:
    directory = current(home, website())
    assert directory is not None
    return directory


def assert_whole(home: Home, readers: Readers) -> None:
    assert readers.wrong == []
    assert readers.reads > 0
    entries = listing(home, website())
    assert [entry.problem for entry in entries if entry.problem] == []
    assert not list(home.publications("shop").glob(".*.tmp"))
    assert numbers_in(Publication.open(current_directory(home))) == {max(readers.seen | numbers_of(home))}


def numbers_of(home: Home) -> set[int]:
    return set().union(*(numbers_in(Publication.open(entry.directory)) for entry in listing(home, website())))


def test_three_killed_publishers_show_readers_nothing_but_whole_publications(home: Home) -> None:
    _, readers = kill_publishers(home, 3, seed=1)
    assert_whole(home, readers)


@pytest.mark.fault
def test_many_killed_publishers_show_readers_nothing_but_whole_publications(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    kills, seed = int(os.environ.get("FAULT_KILLS", "30")), int(os.environ.get("FAULT_SEED", "1"))
    interrupted, readers = kill_publishers(home, kills, seed, half_way=max(1, kills // 5))
    with capsys.disabled():
        print(
            f"\n{kills} kills of a publisher or more (seed {seed}), {interrupted} of them half-way: {readers.reads:,} "
            f"reads by {READERS} readers saw {len(readers.seen)} publications, {len(readers.wrong)} errors or mixtures"
        )
    assert_whole(home, readers)
    assert interrupted >= max(1, kills // 5), "too few kills hit a publication half-way to say anything"


# The n-th operation fails, for every n (every sixth in the quick suite) until nothing fails any more.

STEPS = [pytest.param(6, id="some"), pytest.param(1, id="each", marks=pytest.mark.fault)]


@pytest.fixture
def serving(home: Home) -> Home:
    """A home whose publication 1 serves and whose build 2 waits to be published."""
    publish(build_of(home, 1))
    return home


def restored(home: Home, saved: Path) -> None:
    shutil.rmtree(home.publications("shop"))
    shutil.copytree(saved, home.publications("shop"))


def states(home: Home, tmp_path: Path, step: int) -> Iterator[int]:
    """Count 1, 1 + step, 1 + 2 · step …, with the publications each time as they were at first."""
    saved = tmp_path / "saved"
    shutil.copytree(home.publications("shop"), saved)
    for number in range(1, MOST_OPERATIONS, step):
        restored(home, saved)
        yield number
    raise AssertionError(f"publishing takes more than {MOST_OPERATIONS} file operations")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("for_good", [False, True])
def test_a_failure_of_any_file_operation_leaves_a_whole_publication_serving(
    serving: Home, tmp_path: Path, for_good: bool, step: int
) -> None:
    build = build_of(serving, 2)
    failures = 0
    for number in states(serving, tmp_path, step):
        disk = FailingDisk(number, for_good=for_good)
        try:
            publish(build, disk=disk)
        except TransientError as error:
            assert "No space left on device" in str(error)
            failures += 1
        verify(current_directory(serving))
        assert numbers_in(Publication.open(current_directory(serving))) <= {1, 2}
        if disk.operations < number:
            break
        if number % 5 == 1:
            assert publish(build).directory == current_directory(serving)
            assert not list(serving.publications("shop").glob(".*.*"))
    assert failures > 40 // step


@pytest.mark.parametrize("step", STEPS)
def test_a_power_cut_at_any_file_operation_leaves_a_whole_publication_serving(
    serving: Home, tmp_path: Path, step: int
) -> None:
    build = build_of(serving, 2)
    (tmp_path / "spare").mkdir()
    cuts, seen = 0, set()
    for number in states(serving, tmp_path, step):
        disk = UnpluggedDisk(number, tmp_path / "spare")
        try:
            publish(build, disk=disk)
        except PowerCut:
            cuts += 1
        verify(current_directory(serving))
        seen |= numbers_in(Publication.open(current_directory(serving)))
        if disk.operations < number:
            break
        if number % 5 == 1:
            assert publish(build).directory == current_directory(serving)
    assert cuts > 40 // step
    assert seen == {1, 2} if step == 1 else seen <= {1, 2}


class ForgetfulDisk(UnpluggedDisk):
    """Says that it synced a file, and did not."""

    def sync(self, descriptor: int) -> None:
        self._step()


class NamelessDisk(UnpluggedDisk):
    """Says that it synced a directory, and did not."""

    def sync_directory(self, path: Path) -> None:
        self._step()


def test_a_power_cut_right_after_publishing_keeps_the_new_publication(serving: Home, tmp_path: Path) -> None:
    disk = UnpluggedDisk(MOST_OPERATIONS, tmp_path)
    report = publish(build_of(serving, 2), disk=disk)
    disk.cut()
    assert verify(current_directory(serving)).id == report.id


@pytest.mark.parametrize("lying", [ForgetfulDisk, NamelessDisk])
def test_the_power_cut_would_show_a_sync_that_was_left_out(
    serving: Home, tmp_path: Path, lying: type[UnpluggedDisk]
) -> None:
    disk = lying(MOST_OPERATIONS, tmp_path)
    report = publish(build_of(serving, 2), disk=disk)
    disk.cut()
    with contextlib.suppress(CorruptData):
        assert verify(current_directory(serving)).id != report.id


@pytest.mark.parametrize("for_good", [False, True])
def test_a_failure_of_any_file_operation_of_a_rollback_leaves_a_whole_publication_serving(
    serving: Home, tmp_path: Path, for_good: bool
) -> None:
    first = current_directory(serving)
    second = publish(build_of(serving, 2)).directory
    for number in states(serving, tmp_path, 1):
        disk = FailingDisk(number, for_good=for_good)
        try:
            rollback(serving, website(), first.name, disk=disk)
        except TransientError:
            assert current_directory(serving) in (first, second)
        verify(current_directory(serving))
        if disk.operations < number:
            break
    assert current_directory(serving) == first
    assert [entry.rolled_back_from for entry in listing(serving, website()) if entry.current] == [second.name]


# Bits and bytes.


@pytest.mark.fault
def test_flipped_bits_and_truncations_are_all_refused(serving: Home, capsys: pytest.CaptureFixture[str]) -> None:
    directory = current_directory(serving)
    random_places = random.Random(1)
    flips = cuts = 0
    for path in sorted(directory.iterdir()):
        whole = path.read_bytes()
        for place in random_places.sample(range(len(whole)), min(200, len(whole))):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << random_places.randrange(8)
            path.write_bytes(flipped)
            with pytest.raises(CorruptData):
                verify(directory)
            flips += 1
        for length in random_places.sample(range(len(whole)), min(100, len(whole))):
            path.write_bytes(whole[:length])
            with pytest.raises(CorruptData):
                Publication.open(directory)
            cuts += 1
        path.write_bytes(whole)
    verify(directory)
    with capsys.disabled():
        print(f"\n{flips} flipped bits and {cuts} truncations of a publication: all refused")


@pytest.mark.fault
def test_a_full_disk_keeps_the_old_publication_and_accepts_the_next_when_there_is_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no small disk can be mounted: {made.stderr.strip()}")
    try:
        home = Home(mount / "home")
        home.create()
        first = publish(build_of(home, 1)).directory
        build = build_of(home, 2)
        room = shutil.disk_usage(mount).free
        (mount / "filler").write_bytes(bytes(max(0, room - 8192)))
        with pytest.raises(TransientError, match="No space left"):
            publish(build)
        assert current_directory(home) == first
        verify(first)
        (mount / "filler").unlink()
        assert publish(build).directory == current_directory(home)
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)
