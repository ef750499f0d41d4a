"""The manifest of a publication: what the directory must hold, and whether it does.

`manifest.json` names every other file with its size and SHA-256; `manifest.sha256` holds the manifest's
own. So every byte of a publication is covered by one short text, and two publications are byte-equal
exactly when their `manifest.sha256` are. There is no wall clock in it: the same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.publications.format.arrays import ArrayEntry, decode_json

FORMAT = 1
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
CURRENT = "CURRENT"
_ID = re.compile(r"[0-9]{8}T[0-9]{6,12}Z-[0-9a-f]{16}")
_AS_OF = "%Y%m%dT%H%M%S%fZ"


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and SHA-256 of one file, and the arrays it holds (none for JSON)."""

    bytes: int
    sha256: str
    arrays: dict[str, ArrayEntry] = {}


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a publication was made of, and every file of it. `models` and `features`: name to build id, SHA-256."""

    format: int
    id: str
    website: str
    as_of: str
    code: str
    items: int
    visitors: int
    models: dict[str, str]
    features: dict[str, str]
    files: dict[str, FileEntry]


def publication_id(as_of: datetime, fingerprint: str) -> str:
    """Return the id of a publication: its logical time (UTC) and the fingerprint of its inputs."""
    return f"{as_of.astimezone(UTC):{_AS_OF}}-{fingerprint}"


def is_publication_id(text: str) -> bool:
    """Tell whether a text has the form of a publication id; nothing else may name a directory."""
    return _ID.fullmatch(text) is not None


def as_of_microseconds(manifest: Manifest) -> int:
    """Return the logical time of a publication in microseconds since 1970."""
    difference = datetime.fromisoformat(manifest.as_of) - datetime(1970, 1, 1, tzinfo=UTC)
    return (difference.days * 86_400 + difference.seconds) * 1_000_000 + difference.microseconds


def encode_manifest(manifest: Manifest) -> tuple[bytes, bytes]:
    """Return the bytes of `manifest.json` and of its seal `manifest.sha256` (in the form `sha256sum -c` reads)."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    return text, f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n".encode()


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a publication after checking its seal and the presence and size of every file.

    Cheap enough for every opening: no array is read. Raises CorruptData.
    """
    text, seal = _read(directory / MANIFEST), _read(directory / SEAL)
    manifest: Manifest = decode_json(directory / MANIFEST, text, Manifest)
    if manifest.format != FORMAT:
        raise CorruptData(f"{directory}: format {manifest.format} where this version reads {FORMAT}; publish again")
    if encode_manifest(manifest) != (text, seal):
        raise CorruptData(f"{directory / MANIFEST}: does not match its seal {SEAL}; publish again or roll back")
    _check_files(directory, manifest)
    return manifest


def check_contents(directory: Path, manifest: Manifest) -> None:
    """Raise CorruptData unless every file has the SHA-256 of the manifest and no other file is there."""
    extra = {path.name for path in directory.iterdir()} - set(manifest.files) - {MANIFEST, SEAL}
    if extra:
        raise CorruptData(f"{directory}: holds files of no publication: {sorted(extra)}; remove them")
    for name in manifest.files:
        check_file(directory, manifest, name)


def check_file(directory: Path, manifest: Manifest, name: str) -> None:
    """Raise CorruptData unless a file has the SHA-256 of the manifest."""
    with (directory / name).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != manifest.files[name].sha256:
            raise CorruptData(f"{directory / name}: does not match its checksum; publish again or roll back")


def read_current(publications: Path) -> Path | None:
    """Return the directory that `CURRENT` names, None before anything was published. Raises CorruptData."""
    try:
        text = (publications / CURRENT).read_text("utf-8", "replace").removesuffix("\n")
    except FileNotFoundError:
        return None
    if not is_publication_id(text):
        raise CorruptData(f"{publications / CURRENT}: {text[:60]!r} is no publication; roll back to one")
    return publications / text


def _check_files(directory: Path, manifest: Manifest) -> None:
    for name, entry in manifest.files.items():
        if "/" in name or name.startswith("."):
            raise CorruptData(f"{directory / MANIFEST}: {name!r} is no file of a publication; publish again")
        try:
            size = (directory / name).stat().st_size
        except FileNotFoundError:
            raise CorruptData(f"{directory / name}: is missing; publish again or roll back") from None
        if size != entry.bytes:
            raise CorruptData(f"{directory / name}: {size} bytes where {entry.bytes} belong; publish again")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptData(f"{path}: cannot be read ({error.strerror}); publish again or roll back") from error
