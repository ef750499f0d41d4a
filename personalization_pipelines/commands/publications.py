"""`personalization publications`: which publications are kept, and which one serves."""

from __future__ import annotations

from personalization_pipelines.commands.tables import Shown, Table
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.write.publishing import listing
from personalization_pipelines.website import Website

NAMES = ("id", "current", "published", "as_of", "items", "visitors", "bytes", "rolled_back_from", "problem")


def publications_table(home: Home, website: Website) -> Table:
    """Return a row a publication, the newest first; `*` marks the one that serves, broken ones say why."""
    rows = [{name: getattr(entry, name) for name in NAMES} for entry in listing(home, website)]
    columns = (
        Shown("", lambda row: "*" if row["current"] else ""),
        Shown("publication", lambda row: row["id"]),
        Shown("published (UTC)", lambda row: f"{row['published']:%Y-%m-%d %H:%M:%S}"),
        Shown("items", lambda row: f"{row['items']:,}"),
        Shown("visitors", lambda row: f"{row['visitors']:,}"),
        Shown("MB", lambda row: f"{row['bytes'] / 1e6:,.1f}"),
        Shown("", lambda row: row["problem"] or _came_back(row["rolled_back_from"]), folds=True),
    )
    return Table(f"{website.name}: {len(rows):,} publications", NAMES, rows, columns)


def _came_back(before: str) -> str:
    return f"put back; {before} served before" if before else ""
