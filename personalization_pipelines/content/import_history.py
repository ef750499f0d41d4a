"""The record of every import of a website, refused ones included: `lake/<website>/imports/history.jsonl`.

Append-only, one JSON object a line, synced before an import says that it is done. A last line that a crash cut off is
skipped, and closed by the next one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from personalization_pipelines.content.report import GateRow, ImportReport
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website


class ImportRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One import, done or refused (`error` is then the sentence). `parts` are file digests and their own import ids.

    `notification` is what the sender of a notified export calls its transaction.
    """

    time: datetime
    kind: str
    files: tuple[str, ...]
    transaction: str = ""
    mapping: str = ""
    mode: str = ""
    item_types: tuple[int, ...] = ()
    languages: tuple[str, ...] = ()
    rows: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    rejected: int = 0
    anonymous: int = 0
    reasons: dict[str, int] = {}
    rejects_file: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    parts: dict[str, str] = {}
    gates: tuple[GateRow, ...] = ()
    error: str = ""
    notification: str = ""


def import_history(home: Home, website: Website) -> list[ImportRow]:
    """Return the imports of a website, oldest first."""
    try:
        lines = _path(home, website).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [row for row in map(_row, lines) if row is not None]


def is_recorded(home: Home, website: Website, import_id: str) -> bool:
    """Say whether the history has an import of this id that was not refused."""
    return any(row.transaction == import_id and not row.error for row in import_history(home, website))


def record_import(home: Home, website: Website, row: ImportRow) -> None:
    """Append one import and return when it is on the disk."""
    path = _path(home, website)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        torn = os.fstat(descriptor).st_size and os.pread(descriptor, 1, os.fstat(descriptor).st_size - 1) != b"\n"
        os.write(descriptor, (b"\n" if torn else b"") + msgspec.json.encode(row) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def row_of(report: ImportReport, time: datetime, **more: object) -> ImportRow:
    """Return the history's row of a report; `more` are fields that a report does not have."""
    row = ImportRow(
        time,
        report.kind,
        report.files,
        transaction=report.import_id,
        rows=report.rows,
        added=report.added,
        changed=report.changed,
        removed=report.removed,
        rejected=report.rejected,
        anonymous=report.anonymous,
        reasons=dict(report.reasons),
        rejects_file=report.rejects_file.name if report.rejects_file else "",
        seconds=report.seconds,
        notes=report.notes,
        gates=report.gates,
    )
    return msgspec.structs.replace(row, **more)


def refused_row(
    kind: str, files: Sequence[object], time: datetime, error: Exception, mapping: str, known: Mapping[str, Any]
) -> ImportRow:
    """Return the history's row of an import that was refused; `known` are the fields that were known by then."""
    names, said = tuple(_utf8(str(name)) for name in files), _utf8(str(error))[:2000]
    return ImportRow(time, kind, names, mapping=_utf8(mapping), error=said, **known)


def shown_sources(row: ImportRow) -> str:
    """Return where an import came from, for a table: of files in a folder their names, all else as it is."""
    return ", ".join(Path(source).name if Path(source).is_absolute() else source for source in row.files)


def imports_directory(home: Home, website: Website) -> Path:
    """Where history and rejects of a website's imports are."""
    return home.lake(website.name) / "imports"


def _path(home: Home, website: Website) -> Path:
    return imports_directory(home, website) / "history.jsonl"


def _utf8(text: str) -> str:
    """Return a text whose bytes that are no UTF-8 (a file's name may have such) are shown as escapes."""
    return text.encode(errors="backslashreplace").decode()


def _row(line: bytes) -> ImportRow | None:
    try:
        return msgspec.json.decode(line, type=ImportRow) if line else None
    except msgspec.DecodeError:
        return None  # a crash cut this line off; the import it stood for left nothing else behind
