"""The bytes of the event log on disk: how a record is framed, read back, and repaired after a crash.

A record is `u32 length, u32 crc32(payload), payload`, little-endian, one after the other without a file
header. A writer appends to `<writer>-<number>.open` and holds an exclusive flock on it as long as it lives;
a finished segment is renamed to `.segment` and never changes again. Numbers of one writer only grow, but
may have gaps. What a reader gets is whole records or none: a torn or damaged one is never handed out.

Payloads are JSON, in which a NUL byte can not occur, while every record's length (at most `MAX_RECORD_BYTES`)
has one as its last byte: so no payload can contain the forged header of another record.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from personalization_pipelines.events.log.durable_mark import MARK, create_mark, mark_path
from personalization_pipelines.foundation.errors import CorruptData

HEADER = struct.Struct("<II")
MAX_RECORD_BYTES = 1 << 20
OPEN, SEALED, PROBE = ".open", ".segment", ".probe"
_NAME = re.compile(r"([0-9a-f]{16,32})-([0-9]{8})(\.open|\.segment)")


class Disk:
    """Every call of the log that can fail, so that tests can make the n-th one fail."""

    def open(self, path: Path) -> int:
        """Create the file (it must be new) for appending and return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write some of `data`; return how many bytes."""
        return os.write(descriptor, data)

    def fdatasync(self, descriptor: int) -> None:
        """Return when what was written is on the disk."""
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file off at `size`."""
        os.ftruncate(descriptor, size)

    def open_mark(self, path: Path) -> int:
        """Create the file of a writer's mark and return its descriptor."""
        return create_mark(path)

    def write_mark(self, descriptor: int, mark: bytes) -> None:
        """Tell the readers how far a segment is durable."""
        os.pwrite(descriptor, mark, 0)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its new name, in one step."""
        old.rename(new)

    def sync_directory(self, directory: Path) -> None:
        """Return when the directory's names are on the disk."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, order=True)
class Segment:
    """One file of the log; sorted by writer (the oldest first), then number."""

    writer: str
    number: int
    path: Path
    sealed: bool


@dataclass(frozen=True)
class Damage:
    """Bytes of a segment that are no record: where they begin, what they are, where records go on.

    `resume_at` is None where no valid record follows: the usual torn tail of a writer that was killed.
    """

    path: Path
    offset: int
    data: bytes
    resume_at: int | None

    def error(self) -> CorruptData:
        """Return the failure to report where this is not just a torn tail."""
        return CorruptData(
            f"{self.path}: {len(self.data)} bytes at offset {self.offset} are no valid record; "
            "the records before and after them were read, restore the file from a backup to get the lost ones"
        )


@dataclass(frozen=True)
class Repair:
    """What was done to the open segment of a dead writer: records kept, bytes cut, the sealed file (None: empty)."""

    path: Path
    sealed: Path | None
    records: int
    cut_bytes: int


def segment_path(directory: Path, writer: str, number: int, *, sealed: bool) -> Path:
    """Return where a writer's segment lives."""
    return directory / f"{writer}-{number:08d}{SEALED if sealed else OPEN}"


def segments(directory: Path) -> list[Segment]:
    """Return all segments of the log, sorted; other files are none of its business."""
    found = []
    for path in directory.iterdir() if directory.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            found.append(Segment(match[1], int(match[2]), path, match[3] == SEALED))
    return sorted(found)


def frame(payload: bytes) -> bytes:
    """Return one record as it stands in a segment (ValueError if it is empty or larger than 1 MiB)."""
    if not 0 < len(payload) < MAX_RECORD_BYTES:
        raise ValueError(f"a record of {len(payload)} bytes: expected 1 to {MAX_RECORD_BYTES - 1}")
    return HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def end_of(offset: int, payload: bytes) -> int:
    """Return the offset behind the record that `read_records` gave as `(offset, payload)`."""
    return offset + HEADER.size + len(payload)


def read_records(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (offset of the record, payload) from `start`, which must be a record's offset.

    Stops at the first invalid record: the end of the file, the tail a live writer is just writing, a torn
    tail, or damage. Ask `find_damage` which, once the file is sealed.
    """
    with path.open("rb") as file:
        file.seek(start)
        offset = start
        while (payload := _read_record(file)) is not None:
            yield offset, payload
            offset = end_of(offset, payload)


def find_damage(path: Path, offset: int) -> Damage | None:
    """Return what stands at `offset`, where `read_records` stopped in a sealed file; None at its end.

    Records behind the damage were acknowledged too: go on with `read_records(path, damage.resume_at)`.
    """
    data = path.read_bytes()
    if offset >= len(data):
        return None
    resume = _next_valid(data, offset)
    return Damage(path, offset, data[offset:resume], resume)


def read_everything(path: Path) -> Iterator[tuple[int, bytes] | Damage]:
    """Yield every valid record of a segment as (offset, payload), and each damaged stretch as Damage."""
    offset: int | None = 0
    while offset is not None:
        for start, payload in read_records(path, offset):
            offset = end_of(start, payload)
            yield start, payload
        damage = find_damage(path, offset)
        if damage:
            yield damage
        offset = damage.resume_at if damage else None


def repair(directory: Path, disk: Disk | None = None) -> list[Repair]:
    """Seal the open segments of writers that no longer live, after cutting their torn tails.

    A live writer's segment is left alone: its flock says that it lives. Damage in the middle of a segment
    is kept as it is, for acknowledged records follow it; readers report it.
    """
    candidates = [segment for segment in segments(directory) if not segment.sealed]
    repairs = [_repair_one(directory, segment, disk or Disk()) for segment in candidates]
    _tidy(directory)
    return [repaired for repaired in repairs if repaired]


def lock(descriptor: int, path: Path) -> bool:
    """Take the lock that says the holder of `descriptor` owns `path`; False if somebody else has or had it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def write_all(disk: Disk, descriptor: int, data: bytes) -> None:
    """Write all of `data`, however many calls the disk wants for it."""
    rest = memoryview(data)
    while rest:
        rest = rest[disk.write(descriptor, rest) :]


def probe(disk: Disk, directory: Path, size: int) -> None:
    """Write `size` bytes beside the segments, sync and remove them; OSError where that can not be done."""
    path = directory / f"{os.getpid()}-{time.time_ns()}{PROBE}"
    descriptor = disk.open(path)
    try:
        lock(descriptor, path)  # or a repair would remove it
        write_all(disk, descriptor, bytes(size))
        disk.fdatasync(descriptor)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _tidy(directory: Path) -> None:
    """Remove the marks and probes of processes that no longer live; a mark stays while a segment needs it."""
    needed = {mark_path(directory, segment.writer) for segment in segments(directory) if not segment.sealed}
    for path in (*directory.glob(f"*{MARK}"), *directory.glob(f"*{PROBE}")):
        if path not in needed:
            _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if lock(descriptor, path):
            path.unlink()
    finally:
        os.close(descriptor)


def _repair_one(directory: Path, segment: Segment, disk: Disk) -> Repair | None:
    try:
        descriptor = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _cut_and_seal(directory, segment, disk, descriptor) if lock(descriptor, segment.path) else None
    finally:
        os.close(descriptor)


def _cut_and_seal(directory: Path, segment: Segment, disk: Disk, descriptor: int) -> Repair:
    records, end = _count(segment.path)
    cut = os.fstat(descriptor).st_size - end
    if not records:
        segment.path.unlink()
        disk.sync_directory(directory)
        return Repair(segment.path, None, 0, cut)
    if cut:
        os.ftruncate(descriptor, end)
    disk.fdatasync(descriptor)
    sealed = segment_path(directory, segment.writer, segment.number, sealed=True)
    disk.rename(segment.path, sealed)
    disk.sync_directory(directory)
    return Repair(segment.path, sealed, records, cut)


def _count(path: Path) -> tuple[int, int]:
    records = end = 0
    for found in read_everything(path):
        if not isinstance(found, Damage):
            records, end = records + 1, end_of(*found)
    return records, end


def _read_record(file: BinaryIO) -> bytes | None:
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    length, checksum = HEADER.unpack(header)
    if not 0 < length < MAX_RECORD_BYTES:
        return None
    payload = file.read(length)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None


def _next_valid(data: bytes, offset: int) -> int | None:
    zero = data.find(0, offset + 3)
    while zero >= 0:
        if _valid_at(data, zero - 3):
            return zero - 3
        zero = data.find(0, zero + 1)
    return None


def _valid_at(data: bytes, offset: int) -> bool:
    if offset + HEADER.size > len(data):
        return False
    length, checksum = HEADER.unpack_from(data, offset)
    if not 0 < length < MAX_RECORD_BYTES:
        return False
    payload = data[offset + HEADER.size : offset + HEADER.size + length]
    return bool(len(payload) == length and zlib.crc32(payload) == checksum)
