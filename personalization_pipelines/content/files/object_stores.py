"""Files of object stores: listed by a pattern like `s3://bucket/items/*.parquet`, and downloaded while they are read.

Which addresses are opened says `website/addresses.py`. Who this machine is to a store says the driver's own
configuration (environment, profile, role): an address never holds credentials, and what a driver says of an error is
not repeated, because it may.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import fsspec

from personalization_pipelines.foundation.errors import ImportRefused, StoreUnavailable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.addresses import check_address, is_address

MAX_OBJECTS = 10_000
MAX_BYTES = 32 << 30
"""Bytes of all objects of one import, and never more than half of what is free on the disk."""
CHUNK = 4 << 20
DOWNLOADS = ".download-"
"""How directories of downloads begin, directly in the home."""
SECONDS_KEPT = 24 * 3600

_DRIVERS = {"s3": "the extra `s3` (s3fs)", "gs": "the package `gcsfs`"}
_CONTENT = ("ETag", "etag", "md5Hash", "generation")
"""What drivers call the version of an object."""
_TIMES = ("LastModified", "last_modified", "mtime", "created")
"""What they call the time of its last change."""
RECENT_SECONDS = 3.0
"""After a change at a time in whole seconds there may be another one within the same."""


@dataclass(frozen=True)
class StoredObject:
    """One file of a store. `version` is another text whenever its bytes are others: an ETag, a generation or a time.

    Where the store says none of these, or a time so short ago that its bytes may change unseen, it is not `reliable`.
    """

    address: str
    bytes: int
    version: str
    reliable: bool = False

    def __str__(self) -> str:
        return self.address


Given = str | Path | StoredObject
"""What names files to import: a path or address, or a pattern of one of them, or an object that was listed."""


def list_objects(pattern: str) -> list[StoredObject]:
    """Return the objects that an address names (`*` and `**` as in paths), by address; none is no error.

    Raises ImportRefused for an address that is not opened, a driver that is not installed, no permission and more
    than 10,000 objects; StoreUnavailable where the store does not answer.
    """
    store, protocol = _store(pattern)
    try:
        store.invalidate_cache()  # a listing of a while ago would hide what has changed
        found = store.glob(pattern, detail=True)
    except FileNotFoundError:
        return []
    except Exception as error:  # noqa: BLE001 - drivers raise whatever their client raises
        _refuse(pattern, error)
    objects = [_stored(protocol, one) for one in found.values() if one.get("type") == "file"]
    if len(objects) > MAX_OBJECTS:
        raise ImportRefused(f"{pattern}: {len(objects):,} objects; at most {MAX_OBJECTS:,} are read")
    return sorted(objects, key=lambda one: one.address)


@contextmanager
def downloaded(home: Home, objects: Sequence[StoredObject]) -> Iterator[dict[Path, str]]:
    """Yield where objects lie on this machine, with their addresses; afterwards they are gone from it.

    Raises ImportRefused for more bytes than there is room for, and what `list_objects` raises.
    """
    total = sum(one.bytes for one in objects)
    room = min(MAX_BYTES, shutil.disk_usage(home.root).free // 2)
    if total > room:
        raise ImportRefused(f"{objects[0].address} …: {total:,} bytes to download; there is room for {room:,}")
    _remove_strays(home)
    with tempfile.TemporaryDirectory(prefix=DOWNLOADS, dir=home.root) as directory:
        found = {}
        for number, one in enumerate(objects):
            path = Path(directory, str(number), _file_name(one.address))
            path.parent.mkdir()
            _download(one, path)
            found[path] = one.address
        yield found


def _remove_strays(home: Home) -> None:
    """Remove what an import that was killed left behind, a day later: until then it may be another's."""
    for path in home.root.glob(f"{DOWNLOADS}*"):
        if time.time() - path.stat().st_mtime > SECONDS_KEPT:
            shutil.rmtree(path, ignore_errors=True)


def _store(address: str) -> tuple[Any, str]:
    try:
        protocol = check_address(address)
    except ValueError as error:
        raise ImportRefused(f"{address}: {error}") from None
    try:
        return fsspec.filesystem(protocol), protocol
    except (ImportError, ValueError):
        needed = _DRIVERS.get(protocol, "the package `adlfs`")
        raise ImportRefused(f"{address}: reading {protocol}:// needs {needed}, which is not installed") from None
    except Exception as error:  # noqa: BLE001 - as above: a driver may look for its credentials here
        _refuse(address, error)


def _stored(protocol: str, found: dict[str, Any]) -> StoredObject:
    name = str(found["name"])
    changed = {key: str(found[key]) for key in (*_CONTENT, *_TIMES) if found.get(key) is not None}
    version = hashlib.sha256(repr(sorted(changed.items())).encode()).hexdigest()[:16]
    name = name.removeprefix("/") if protocol == "memory" else name
    address = name if is_address(name) else f"{protocol}://{name}"
    return StoredObject(address, int(found.get("size") or 0), version, _is_reliable(found))


def _is_reliable(found: dict[str, Any]) -> bool:
    """Say whether the object's bytes are surely the same as long as what the store says of it is."""
    if any(found.get(name) for name in _CONTENT):
        return True
    times = [seconds for name in _TIMES if (seconds := _seconds(found.get(name))) is not None]
    return bool(times) and (max(times) % 1 > 0 or max(times) < time.time() - RECENT_SECONDS)


def _seconds(moment: object) -> float | None:
    """Return a time as seconds since 1970, None of what is none."""
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(moment) if isinstance(moment, (int, float)) else None


def _download(one: StoredObject, path: Path) -> None:
    store, _ = _store(one.address)
    try:
        with store.open(one.address, "rb") as source, path.open("wb") as target:
            copied = 0
            while (chunk := source.read(CHUNK)) and copied <= one.bytes:
                target.write(chunk)
                copied += len(chunk)
    except Exception as error:  # noqa: BLE001 - as above
        _refuse(one.address, error)
    if copied != one.bytes:
        raise StoreUnavailable(f"{one.address}: it had {one.bytes:,} bytes and has others now; it is being written")


def _refuse(address: str, error: Exception) -> NoReturn:
    """Raise what became of an address, without the driver's words."""
    kind = type(error).__name__
    if isinstance(error, FileNotFoundError):
        raise ImportRefused(f"{address}: no such object") from None
    if isinstance(error, PermissionError) or "Credentials" in kind:
        raise ImportRefused(
            f"{address}: the store lets nobody in with this machine's credentials ({kind}); they come from the "
            "environment of the service or its driver's own configuration"
        ) from None
    raise StoreUnavailable(f"{address}: the store can not be read now ({kind})") from None


def _file_name(address: str) -> str:
    """Return a file's name for an object: what its address ends with, so that it says the format."""
    name = address.rpartition("/")[2][-200:]
    return name if name.strip(".") else "object"
