"""`personalization imports`: what every import of a website did, refused ones included, and where its rejects are."""

from __future__ import annotations

from personalization_pipelines.commands.tables import Row, Shown, Table
from personalization_pipelines.content.import_history import (
    ImportRow,
    import_history,
    imports_directory,
    shown_sources,
)
from personalization_pipelines.content.report import rows as counted
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

SHOWN_CHARACTERS = 12
"""Of a transaction's id in the table; JSON and CSV have it whole."""
NAMES = tuple(name for name in ImportRow.__struct_fields__ if name != "parts")
"""Without `parts`, digests of files by which an import knows a file again."""


def newest_imports(home: Home, website: Website, kind: str | None, limit: int) -> list[ImportRow]:
    """Return the newest imports, of one kind (items, events, users) where given, oldest first."""
    return [row for row in import_history(home, website) if kind in (None, row.kind)][-limit:]


def imports_table(home: Home, website: Website, rows: list[ImportRow]) -> Table:
    """Return a row an import: when, what from where, what it changed, and why not more."""
    counts = ("added", "changed", "removed", "rejected")
    columns = (
        Shown("time (UTC)", lambda row: f"{row['time']:%Y-%m-%d %H:%M:%S}"),
        Shown("import", lambda row: row["import"]),
        Shown("types", lambda row: ", ".join(map(str, row["item_types"]))),
        Shown("languages", lambda row: ", ".join(row["languages"])),
        *(Shown(name, lambda row, name=name: f"{row[name]:,}") for name in counts),  # type: ignore[misc]
        Shown("what was said", lambda row: row["said"], folds=True),
    )
    return Table(
        f"{website.name}: {len(rows):,} imports", NAMES, [_values(home, website, row) for row in rows], columns
    )


def _values(home: Home, website: Website, row: ImportRow) -> Row:
    """Return every field, the whole path of its rejects ("" without any), and two texts for the table alone."""
    return {
        **{name: getattr(row, name) for name in NAMES},
        "gates": [{name: getattr(gate, name) for name in gate.__struct_fields__} for gate in row.gates],
        "rejects_file": _rejects(home, website, row),
        "import": f"{row.kind} {row.mode}\n{shown_sources(row)}\n{row.transaction[:SHOWN_CHARACTERS]}",
        "said": "\n".join(_said(home, website, row)),
    }


def _said(home: Home, website: Website, row: ImportRow) -> list[str]:
    """Return the outcome as lines: refused or forced and why, reasons of rejected rows, their file, notes."""
    refused = [f"refused: {row.error}"] if row.error else []
    forced = [f"forced: {gate.sentence}" for gate in row.gates if not gate.ok and not row.error]
    reasons = sorted(row.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    rejects = _rejects(home, website, row)
    listed = [f"rejects: {rejects}"] if rejects else []
    listed += [f"notified as {row.notification}"] if row.notification else []
    return [*refused, *forced, *(f"{counted(count)}: {reason}" for reason, count in reasons), *listed, *row.notes]


def _rejects(home: Home, website: Website, row: ImportRow) -> str:
    return str(imports_directory(home, website) / row.rejects_file) if row.rejects_file else ""
