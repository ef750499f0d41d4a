"""The content stage in the graph: the catalogue and the users, as files and imports brought them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.content.catalogue.items import catalogue_state, catalogue_version
from personalization_pipelines.content.catalogue.transfers import newest_transfers, transfers_file
from personalization_pipelines.content.change_queue import pending
from personalization_pipelines.content.exports.tries import read_tries
from personalization_pipelines.content.files.read_files import expand_files
from personalization_pipelines.content.files.source_imports import refresh_items
from personalization_pipelines.content.import_history import ImportRow, import_history, shown_sources
from personalization_pipelines.content.users.user_changes import apply_user_changes
from personalization_pipelines.content.users.user_tables import users_file
from personalization_pipelines.erasure.applying import apply_tombstones
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.automation import at_source
from personalization_pipelines.graph.parts import Installation, asset, build_of, key, preview, step
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build

SHOWN_IMPORTS = 10
SHOWN_ROWS = 5
SHOWN_TRANSFERS = 10
ITEM_COLUMNS = ["item_type", "item", "price_minor", "currency", "categories", "attributes"]
USER_COLUMNS = ["source"]  # what Dagster's history once holds no erasure reaches: no attributes of persons


def build_assets(website: Website) -> list[dg.AssetsDefinition]:
    """Return the assets `<website>/content/items` and `<website>/content/users`."""
    return [_items(website), _users(website)]


def _items(website: Website) -> dg.AssetsDefinition:
    @asset(
        website,
        "content",
        {"parquet", "python"},
        website.freshness.models,
        key=key(website, "content", "items"),
        description="The catalogue: what `content.sources`, `personalization import items` and the content API "
        "brought, a version an import, each kept. The table below shows the last imports.",
        automation_condition=at_source(website.content.schedule, website.time_zone),
    )
    def items(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult[None]:
        build = build_of(context, installation.home, website)
        with step("content/items"):
            for source in () if build.rebuild else website.content.sources:
                if files := expand_files(build.home, source.files):
                    refresh_items(build.home, website, source, files, build.as_of)  # so that this build sees them
            if not build.rebuild:
                apply_changes(build.home, website, now=build.as_of)
            more = {"sources": _sources(build.home, website), "waiting": _waiting(build.home, website)}
            moved = transfers_file(build.home, website, build.as_of)
            if moved:
                more["transfers"] = newest_transfers(moved, SHOWN_TRANSFERS)
            version = catalogue_version(build.home, website, build.as_of)
            state = catalogue_state(build.home, website, build.as_of)
            return _result(
                _imports(build, "items"),
                " ".join([version.file if version else "none", *([moved.name] if moved else [])]),
                version.rows if version else 0,
                _first_rows(state.whole, ITEM_COLUMNS) if state else [],
                more,
            )

    return items


def _users(website: Website) -> dg.AssetsDefinition:
    @asset(
        website,
        "content",
        {"parquet", "python"},
        website.freshness.models,
        key=key(website, "content", "users"),
        description="Attributes of users by source, by pseudonym: what `personalization import users` and the user API "
        "brought.",
        automation_condition=at_source(website.content.schedule, website.time_zone),
    )
    def users(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult[None]:
        build = build_of(context, installation.home, website)
        with step("content/users"):
            apply_tombstones(build.home, website)
            if not build.rebuild:
                apply_user_changes(build.home, website, now=build.as_of)
            file = users_file(build.home, website, build.as_of)
            return _result(
                _imports(build, "users"),
                file.name if file else "none",
                pq.read_metadata(file).num_rows if file else 0,
                _first_rows(file, USER_COLUMNS) if file else [],
            )

    return users


def _imports(build: Build, kind: str) -> list[ImportRow]:
    return [row for row in import_history(build.home, build.website) if row.kind == kind]


def _result(
    imports: Sequence[ImportRow],
    version: str,
    rows: int,
    first_rows: list[dict[str, Any]],
    more: Mapping[str, Sequence[dict[str, Any]]] = MappingProxyType({}),
) -> dg.MaterializeResult[None]:
    gates = [gate.cells for row in imports[-1:] for gate in row.gates]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "imports": preview([_shown(row) for row in imports[-SHOWN_IMPORTS:]]),
            **({"gates": preview(gates)} if gates else {}),
            **{name: preview(found) for name, found in more.items() if found},
            "preview": preview(first_rows),
        },
        data_version=dg.DataVersion(fingerprint(version=version)),
    )


def _sources(home: Home, website: Website) -> list[dict[str, Any]]:
    """Return each content source with how many files it finds: none is no error, but has to be seen."""
    return [
        {"files": source.files, "mode": source.mode, "found": len(expand_files(home, source.files))}
        for source in website.content.sources
    ]


def _waiting(home: Home, website: Website) -> list[dict[str, Any]]:
    """Return the notified exports that could not be fetched yet, with the reason and how often it was tried."""
    tries = read_tries(home, website)
    return [
        {"change": one.name, "since": one.time, "tries": tries[one.id].count, "reason": tries[one.id].reason}
        for one in pending(home, website)
        if one.id in tries
    ]


def _first_rows(file: Path, columns: list[str]) -> list[dict[str, Any]]:
    for batch in pq.ParquetFile(file).iter_batches(SHOWN_ROWS, columns=columns):
        return list(batch.to_pylist())
    return []


def _shown(row: ImportRow) -> dict[str, Any]:
    return {
        "time": row.time,
        "source": shown_sources(row),
        "added": row.added,
        "changed": row.changed,
        "removed": row.removed,
        "rejected": row.rejected,
        "error": row.error,
    }
