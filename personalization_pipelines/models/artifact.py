"""A model on disk: named numpy arrays and `model.json`, in one directory a build. numpy only, no pickle.

```
models/<website>/<name>/CURRENT            the id of the build in use
models/<website>/<name>/<build id>/        model.json, item_types.npy, ranking_rows.npy …
```
A build is written beside, synced, renamed, and only then named by `CURRENT`; nothing is ever changed in place.
Loading trusts nothing: names, sizes, checksums, types, shapes, bounds and order are looked at first, because an
index out of bounds further on would be a wrong answer or a crash instead of an error.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.array_checks import check_length, check_starts
from personalization_pipelines.foundation.durable import sync
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms.form import MAIN, Form
from personalization_pipelines.models.forms.parts import PartEntry, arrays_of, entries_of, parts_of, schema_of

FORMAT = 2
KEPT_BUILDS = 3
THREADS = 2
"""Arrays written, or read, and hashed at a time; all of that lets go of the interpreter lock."""
CURRENT = "CURRENT"
_STALE_SECONDS = 3600
_ITEMS = {"item_types": "<i4", "item_text": "|u1", "item_starts": "<i8"}


@dataclass(frozen=True)
class ModelArtifact:
    """One build of one model. Rows of its lists are positions in `items` (with `item_types` beside)."""

    name: str
    type: str
    build_id: str
    fingerprint: str
    as_of: str
    item_types: NDArray[np.int32]
    items: tuple[str, ...]
    parts: Mapping[str, Form]
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    floor_metrics: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def answer(self) -> Form:
        """The main answer."""
        return self.parts[MAIN]


def save_model(directory: Path, artifact: ModelArtifact) -> Path:
    """Write a build below a model's directory, make it `CURRENT`, drop old ones; return the build's directory.

    The same artifact gives the same bytes. A build that is there already and intact stays as it is.
    """
    final = directory / artifact.build_id
    if not _intact(final):
        partial = directory / f".partial-{artifact.build_id}-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write_files(partial, artifact)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    _write_durably(directory / f".{CURRENT}-{os.getpid()}", artifact.build_id.encode() + b"\n")
    (directory / f".{CURRENT}-{os.getpid()}").replace(directory / CURRENT)
    sync(directory)
    _drop_old(directory, artifact.build_id)
    return final


def current_build(directory: Path) -> Path | None:
    """Return the directory of a model's current build, None before the first; CorruptData if it is gone."""
    try:
        name = (directory / CURRENT).read_text().strip()
    except FileNotFoundError:
        return None
    if not name or "/" in name or name.startswith(".") or not (directory / name).is_dir():
        raise CorruptData(f"{directory / CURRENT} names the build {name!r}, which is not there; build the model again")
    return directory / name


def load_model(directory: Path) -> ModelArtifact:
    """Return a build, checked; `directory` is a build's, or a model's, whose current build is then loaded.

    Arrays are memory-mapped. Raises CorruptData with a sentence for anything that is not as it was written.
    """
    place = current_build(directory) or directory
    head = _read_head(place)
    entries, schema = _parts_of(head)
    require(set(head["arrays"]) == set(schema), place / "model.json", "names arrays that do not belong to a model")
    with ThreadPoolExecutor(THREADS) as threads:
        read = threads.map(lambda name: _read_array(place, name, schema[name], head["arrays"][name]), schema)
        arrays = dict(zip(schema, read, strict=True))
    try:
        check_length("item_starts", arrays["item_starts"], len(arrays["item_types"]) + 1)
        check_starts("item_starts", arrays["item_starts"], len(arrays["item_text"]), thorough=True)
        parts = parts_of(entries, arrays)
        for part in parts.values():
            part.check(len(arrays["item_types"]))
    except CorruptData as error:
        raise CorruptData(f"{place}: {error}; build the model again") from error
    require(
        len(arrays["item_starts"]) == len(arrays["item_types"]) + 1, place / "item_starts.npy", "has another length"
    )
    return ModelArtifact(
        **{name: head[name] for name in ("name", "type", "build_id", "fingerprint", "as_of")},
        **{name: head[name] for name in ("parameters", "metrics", "floor_metrics", "counts")},
        item_types=arrays["item_types"],
        items=_texts(arrays["item_text"].tobytes(), arrays["item_starts"].tobytes()),
        parts=parts,
    )


def _parts_of(head: dict[str, Any]) -> tuple[tuple[PartEntry, ...], dict[str, str]]:
    """Return a build's answers as entries, and names and types of all its arrays."""
    entries = tuple(PartEntry(one["key"], one["form"], tuple(one["texts"])) for one in head["parts"])
    return entries, {**_ITEMS, **schema_of(entries)}


def read_head(directory: Path) -> dict[str, Any]:
    """Return a build's `model.json`, checked against its own checksum, without the arrays."""
    return _read_head(current_build(directory) or directory)


def _arrays_of(artifact: ModelArtifact) -> dict[str, NDArray[Any]]:
    texts = [item.encode() for item in artifact.items]
    starts = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    arrays: dict[str, NDArray[Any]] = {"item_types": artifact.item_types, "item_starts": starts}
    arrays["item_text"] = np.frombuffer(b"".join(texts), np.uint8)
    return arrays | arrays_of(artifact.parts)


def _write_files(directory: Path, artifact: ModelArtifact) -> None:
    head: dict[str, Any] = {"format": FORMAT, "arrays": {}}
    for name in (
        "name",
        "type",
        "build_id",
        "fingerprint",
        "as_of",
        "parameters",
        "metrics",
        "floor_metrics",
        "counts",
    ):
        head[name] = getattr(artifact, name)
    entries = entries_of(artifact.parts)
    head["parts"] = [{"key": one.key, "form": one.form, "texts": list(one.texts)} for one in entries]
    arrays, kinds = _arrays_of(artifact), _parts_of(head)[1]
    with ThreadPoolExecutor(THREADS) as threads:
        written = threads.map(
            lambda name: _write_array(directory / f"{name}.npy", kinds[name], arrays[name]), sorted(arrays)
        )
        head["arrays"] = dict(zip(sorted(arrays), written, strict=True))
    head["checksum"] = _checksum(head)
    text = json.dumps(head, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)
    _write_durably(directory / "model.json", text.encode() + b"\n")
    sync(directory)


def _write_array(path: Path, dtype: str, array: NDArray[Any]) -> dict[str, Any]:
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(array, dtype), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _read_head(directory: Path) -> dict[str, Any]:
    path = directory / "model.json"
    try:
        head: dict[str, Any] = json.loads(path.read_bytes())
    except OSError as error:
        raise CorruptData(f"{path}: cannot be read ({error.strerror}); build the model again") from error
    except ValueError as error:
        raise CorruptData(f"{path}: is not JSON; build the model again") from error
    require(isinstance(head, dict), path, "does not hold an object")
    require(head.pop("checksum", None) == _checksum(head), path, "does not match its own checksum")
    require(head.get("format") == FORMAT, path, f"has format {head.get('format')}, this version reads {FORMAT}")
    return head


def _read_array(directory: Path, name: str, dtype: str, about: dict[str, Any]) -> NDArray[Any]:
    path = directory / f"{name}.npy"
    require(path.is_file() and path.stat().st_size == about["bytes"], path, "is missing or has another size")
    require(_sha256(path) == about["sha256"], path, "does not match its checksum")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise CorruptData(f"{path}: is not a numpy array; build the model again") from error
    require(array.ndim == 1 and array.dtype == np.dtype(dtype), path, f"is not one row of {np.dtype(dtype)}")
    return array


@lru_cache(maxsize=2)  # the models of a build have the same items
def _texts(text: bytes, starts: bytes) -> tuple[str, ...]:
    bounds = np.frombuffer(starts, np.int64).tolist()
    if text.isascii():  # a character a byte: one decoding for all
        whole = text.decode()
        return tuple([whole[first:last] for first, last in pairwise(bounds)])
    return tuple([text[first:last].decode() for first, last in pairwise(bounds)])


def require(condition: bool | np.bool_, path: Path, problem: str) -> None:
    """Raise CorruptData that names file and problem unless `condition` holds."""
    if not condition:
        raise CorruptData(f"{path}: {problem}; build the model again")


def _intact(directory: Path) -> bool:
    try:
        return directory.is_dir() and load_model(directory) is not None
    except CorruptData:
        return False


def _drop_old(directory: Path, current: str) -> None:
    """Keep the newest builds and the current one; clear what a killed build left an hour ago or earlier."""
    builds = [path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(".")]
    builds.sort(key=lambda path: (path.name == current, path.stat().st_mtime_ns), reverse=True)
    for old in builds[KEPT_BUILDS:]:
        shutil.rmtree(old, ignore_errors=True)
    now = (directory / CURRENT).stat().st_mtime
    for left in directory.glob(".partial-*"):
        if now - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _checksum(head: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(head, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
