"""`personalization imports`: what every import of a website did, refused ones included, and where its rejects are."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

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
"""Of a transaction's id in the table; `--json` has it whole."""


def newest_imports(home: Home, website: Website, kind: str | None, limit: int) -> list[ImportRow]:
    """Return the newest imports, of one kind (items, events, users) where given, oldest first."""
    return [row for row in import_history(home, website) if kind in (None, row.kind)][-limit:]


def imports_json(home: Home, website: Website, rows: list[ImportRow]) -> list[dict[str, Any]]:
    """Return imports as plain values, each with every field and the whole path of its rejects ("" without any)."""
    plain: list[dict[str, Any]] = [
        {**{name: getattr(row, name) for name in row.__struct_fields__}, "rejects_file": _rejects(home, website, row)}
        for row in rows
    ]
    for one in plain:
        one["gates"] = [{name: getattr(gate, name) for name in gate.__struct_fields__} for gate in one["gates"]]
        del one["parts"]  # digests of files: how an import knows a file again
    values: list[dict[str, Any]] = msgspec.to_builtins(plain)
    return values


def imports_table(home: Home, website: Website, rows: list[ImportRow]) -> Table:
    """Return a row an import: when, what from where, what it changed, and why not more."""
    table = Table(
        "time (UTC)", "import", "types", "languages", "added", "changed", "removed", "rejected", "what was said",
        title=f"{website.name}: {len(rows):,} imports",
    )  # fmt: skip
    for row in rows:
        what = f"{row.kind} {row.mode}\n{shown_sources(row)}\n{row.transaction[:SHOWN_CHARACTERS]}"
        counts = [f"{count:,}" for count in (row.added, row.changed, row.removed, row.rejected)]
        said = "\n".join(_said(home, website, row))
        lists = [", ".join(map(str, row.item_types)), ", ".join(row.languages)]
        table.add_row(f"{row.time:%Y-%m-%d %H:%M:%S}", Text(what), *lists, *counts, Text(said, overflow="fold"))
    return table


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
