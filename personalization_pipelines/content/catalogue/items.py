"""The catalogue: items of files become its next version; what a full import does not bring is gone.

A full import replaces the item types that its files hold (products and articles may come from different files);
an incremental one adds and replaces single items. Every version is kept (versions.py says how), so that a build as of
a past moment sees the items of that day. When an item was first seen survives all of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from personalization_pipelines.content.catalogue.attribute_limits import AttributeLimits
from personalization_pipelines.content.catalogue.item_gates import DROP, judge_items, require
from personalization_pipelines.content.catalogue.merging import KEY, Changes, merge_items
from personalization_pipelines.content.catalogue.read_items import ITEM_SCHEMA, Incoming, price_digests, read_items
from personalization_pipelines.content.catalogue.states import State
from personalization_pipelines.content.catalogue.versions import Version, VersionedTable
from personalization_pipelines.content.files.object_stores import Given
from personalization_pipelines.content.files.opening import Job, opened
from personalization_pipelines.content.files.read_files import FileFormat
from personalization_pipelines.content.files.verdicts import RejectsFile
from personalization_pipelines.content.import_history import (
    ImportRow,
    imports_directory,
    is_recorded,
    record_import,
    row_of,
)
from personalization_pipelines.content.report import GateRow, ImportReport, rows
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.progress import Progress
from personalization_pipelines.website import Website

Mode = Literal["full", "incremental"]

__all__ = [
    "ITEM_SCHEMA", "catalogue", "catalogue_file", "catalogue_state", "catalogue_version", "import_items",
    "read_catalogue",
]  # fmt: skip


def catalogue_version(home: Home, website: Website, as_of: datetime) -> Version | None:
    """Return the catalogue's version as of a moment: the newest imported at or before it, else the oldest.

    None where nothing was imported.
    """
    return next(reversed(catalogue(home, website).known(as_of)), None)


def catalogue_state(home: Home, website: Website, as_of: datetime) -> State | None:
    """Return the files of the catalogue (columns ITEM_SCHEMA) as of a moment, as `catalogue_version` sees it."""
    version = catalogue_version(home, website, as_of)
    return catalogue(home, website).state(version) if version else None


def catalogue_file(home: Home, website: Website, as_of: datetime) -> Path | None:
    """Return the file that the newest import up to a moment wrote, None where there is none.

    In a catalogue under WHOLE_ROWS items it is all of it, sorted; in a larger one it may be what that import changed.
    """
    return catalogue(home, website).file(as_of)


def read_catalogue(home: Home, website: Website, as_of: datetime) -> pa.Table:
    """Return the catalogue (columns ITEM_SCHEMA, sorted by item_type, item, language) as of a moment."""
    version = catalogue_version(home, website, as_of)
    return catalogue(home, website).read(version) if version else ITEM_SCHEMA.empty_table()


def import_items(
    home: Home,
    website: Website,
    files: Sequence[Given],
    *,
    mapping: str | Path | None = None,
    mode: Mode = "full",
    force: bool = False,
    format: FileFormat | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import the items of files (paths or patterns) as the next version of the catalogue.

    `mapping` is the path of a mapping file or the name of a shipped one; `format` goes before a file's suffix.
    Of two rows of the same item and language the later one counts.

    Raises ImportRefused where a file cannot be read or holds no item, and QualityGateFailed where it breaks a rule of
    item_gates.py (`force` imports nevertheless); the catalogue is then as it was. Busy while another import writes it.
    """
    with (
        opened("items", home, website, files, mapping, now, progress, format) as job,
        catalogue(home, website).locked(),
    ):
        return _import(job, mode, force)


def catalogue(home: Home, website: Website) -> VersionedTable:
    """Return the catalogue with all its versions."""
    return VersionedTable(home.lake(website.name) / "items", ITEM_SCHEMA, KEY)


def _import(job: Job, mode: Mode, force: bool) -> ImportReport:
    began, versioned = time.monotonic(), catalogue(job.home, job.website)
    import_id = job.import_id(*job.digests, mode=mode, prices=price_digests(job))
    versions = versioned.versions()
    if versions and versions[-1].import_id == import_id:
        return _report(job, import_id, began, None, None, None, already_imported=True)
    job.known["transaction"] = import_id
    with RejectsFile(imports_directory(job.home, job.website) / f"{import_id}.rejects.csv") as rejects:
        incoming = read_items(job, rejects)
    job.known.update(_read(mode, incoming))
    if not incoming.items.num_rows:
        raise ImportRefused(
            f"{job.sources[0].path}: no item could be taken of {incoming.rows:,} rows; {incoming.why()}"
        )
    changes = merge_items(versioned, incoming.items, mode == "full", job.now.replace(tzinfo=None))
    gates = judge_items(job.website, job.mapping.rules, incoming, changes, versioned)
    job.known["gates"] = gates
    if not force:
        require(job.website, gates, *_told_of_rejects(incoming, gates, rejects.written))
    if changes.any or not versions:
        changes.store(versioned, import_id, job.now)
    else:
        incoming.notes.append("the catalogue held exactly these items already")
    report = _report(job, import_id, began, incoming, changes, rejects.written, gates)
    if changes.any or not is_recorded(job.home, job.website, import_id):
        record_import(job.home, job.website, _row(job, report))
    if changes.any:
        AttributeLimits(job.home, job.website, versioned).keep_whole()
    return report


def _told_of_rejects(incoming: Incoming, gates: tuple[GateRow, ...], listed: Path | None) -> tuple[str, ...]:
    """Return what to do and what to say first where items may only seem to be gone, as their rows were rejected."""
    if not incoming.rejected or all(gate.ok for gate in gates if gate.rule == DROP):
        return ()
    said = (
        f"{incoming.rejected:,} of {rows(incoming.rows)} could not be taken ({incoming.why()}), and an item without a "
        "good row counts as gone: "
    )
    advice = (
        f"nothing was changed. Correct these rows ({listed} lists them) and import again; or, if these items are to "
        "go, force it (--force), or change the limit"
    )
    return advice, said


def _read(mode: Mode, incoming: Incoming) -> dict[str, Any]:
    """Return what the history keeps of an import that is refused after its files were read."""
    kinds, languages = incoming.items["item_type"].unique(), incoming.items["language"].unique()
    return {
        "mode": mode,
        "item_types": tuple(sorted(kinds.to_pylist())),
        "languages": tuple(sorted(filter(None, languages.to_pylist()))),
        "rows": incoming.rows,
        "rejected": incoming.rejected,
        "reasons": dict(incoming.reasons),
    }


def _row(job: Job, report: ImportReport) -> ImportRow:
    known = {name: job.known[name] for name in ("mode", "item_types", "languages")}
    return row_of(
        report, job.now, mapping=job.mapping.name, parts=dict.fromkeys(job.digests, report.import_id), **known
    )


def _report(
    job: Job,
    import_id: str,
    began: float,
    incoming: Incoming | None,
    changes: Changes | None,
    rejects: Path | None,
    gates: tuple[GateRow, ...] = (),
    *,
    already_imported: bool = False,
) -> ImportReport:
    return ImportReport(
        kind="items",
        website=job.website.name,
        files=job.names,
        import_id=import_id,
        rows=incoming.rows if incoming else 0,
        added=changes.added if changes else 0,
        changed=changes.changed if changes else 0,
        removed=changes.removed if changes else 0,
        rejected=incoming.rejected if incoming else 0,
        reasons=dict(incoming.reasons) if incoming else {},
        rejects_file=rejects,
        seconds=time.monotonic() - began,
        notes=(*(incoming.notes if incoming else ()), *job.notes()),
        gates=gates,
        already_imported=already_imported,
    )
