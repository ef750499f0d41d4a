"""Erased rows in the lake: files that hold somebody to forget are written again without, and the old ones go at once.

Events, quarantine and users. The manifest is replaced in one step, as in an ingestion; a crash before it leaves the
lake of before and strays that the next writer removes, a crash after it old files that it removes, too. A build that
was reading an old file fails and is repeated: forgetting goes first.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from personalization_pipelines.content.catalogue.versions import MANIFEST, Version, VersionedTable
from personalization_pipelines.content.users.user_tables import USER_SCHEMA
from personalization_pipelines.erasure.tombstones import Forgotten, named_in
from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA, QUARANTINE_SCHEMA
from personalization_pipelines.events.lake.lake_manifest import (
    EVENTS,
    QUARANTINE,
    ROW_GROUP_ROWS,
    Disk,
    LakeFile,
    commit,
    ids_path,
    locked,
    read_manifest,
    remove_strays,
    write_part,
)
from personalization_pipelines.foundation.durable import write_durably
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.home import Home

_NAMING = ("visitor", "source_visitor")
Kept = Callable[[pa.Table], pa.Array]


def clean_events(home: Home, website: str, forgotten: Forgotten) -> int:
    """Erase from events and quarantine; return how many rows went. Raises Busy while another process writes."""
    lake, disk = home.lake(website), Disk()
    with locked(lake, disk):
        manifest = remove_strays(lake, read_manifest(lake), disk)
        cleaner = _Cleaner(lake, f"erased-{manifest.version:08d}", disk)
        events = cleaner.clean(EVENTS, EVENT_SCHEMA, manifest.files, lambda path: _kept_events(path, forgotten))
        rejected = cleaner.clean(
            QUARANTINE, QUARANTINE_SCHEMA, manifest.quarantine, lambda path: _kept_payloads(path, forgotten)
        )
        if cleaner.gone or manifest.retired:
            commit(lake, msgspec.structs.replace(manifest, files=events, quarantine=rejected, retired={}), disk)
        for path in (*cleaner.gone, *manifest.retired):
            disk.remove(lake / path)
            disk.remove(lake / ids_path(path))
    return cleaner.erased


def clean_users(home: Home, website: str, forgotten: Forgotten) -> int:
    """Erase from every version of the users; return how many rows went. Raises Busy while an import writes.

    What a version from after the tombstone holds of before (an import carries everything on) is erased, too.
    """
    users = VersionedTable(home.lake(website) / "users", USER_SCHEMA)
    if not users.versions():
        return 0
    with users.locked():
        versions, made, erased = users.versions(), [], 0
        known: set[tuple[str, str, str]] = set()
        for version in versions:
            table = pq.read_table(users.directory / version.file)
            rows = _erased_users(table, version, forgotten, known)
            made.append(_rewritten(users, version, table, rows) if rows else version)
            erased += len(rows)
        if erased:
            write_durably(users.directory / MANIFEST, msgspec.json.format(msgspec.json.encode(made), indent=1))
            for old in {one.file for one in versions} - {one.file for one in made}:
                (users.directory / old).unlink(missing_ok=True)
    return erased


def clean_rebuilds(home: Home, website: str, forgotten: Forgotten) -> int:
    """Delete every rebuild of a past moment that holds somebody to forget; return how many."""
    rebuilds = [path for path in (home.lake(website) / "rebuilds").glob("*") if path.is_dir()]
    # A rebuild's publication is made of its features, so these tell whom it holds.
    found = [path for path in rebuilds if who_in_tables(path / "features", forgotten)]
    for path in found:
        shutil.rmtree(path)
    return len(found)


def who_in_tables(folder: Path, forgotten: Forgotten) -> set[str]:
    """Return whom of those to forget the Parquet files of a directory hold, in whatever column."""
    found: set[str] = set()
    for path in sorted(folder.glob("*.parquet")):
        file = pq.ParquetFile(path)
        texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
        for name in texts:
            for batch in file.iter_batches(columns=[name]):
                values = pc.unique(batch.column(0)).drop_null()
                likely = values.filter(pc.equal(pc.binary_length(values), 22))
                found |= forgotten.among(likely.to_pylist()).keys()
    return found


def who_is_stored(home: Home, website: str, forgotten: Forgotten) -> set[str]:
    """Return whom of those to forget the cleaned lake holds all the same: they came back after they were erased."""
    lake = home.lake(website)
    found = who_in_tables(lake / "users", forgotten)
    for file in read_manifest(lake).files:
        found |= _named(lake / file.path, forgotten).keys()
    return found


class _Cleaner:
    """Writes files of one lake again without what is erased."""

    def __init__(self, lake: Path, name: str, disk: Disk) -> None:
        self._lake, self._name, self._disk = lake, name, disk
        self._written = 0
        self.gone: list[str] = []
        self.erased = 0

    def clean(
        self, kind: str, schema: pa.Schema, files: tuple[LakeFile, ...], kept_of: Callable[[Path], Kept | None]
    ) -> tuple[LakeFile, ...]:
        """Return the files as they are afterwards; `kept_of` says which rows of a file stay, None: all of them."""
        made = [self._cleaned(kind, schema, file, kept_of(self._lake / file.path)) for file in files]
        return tuple(file for file in made if file)

    def _cleaned(self, kind: str, schema: pa.Schema, file: LakeFile, kept: Kept | None) -> LakeFile | None:
        if kept is None:
            return file
        ids = 0

        def rows() -> Iterator[pa.Table]:
            nonlocal ids
            for batch in ds.dataset(self._lake / file.path, schema, format="parquet").to_batches(
                batch_size=ROW_GROUP_ROWS
            ):
                table = pa.Table.from_batches([batch])
                table = table.filter(kept(table))
                ids += pc.sum(pc.not_equal(table["event_id"], "")).as_py() or 0 if "event_id" in schema.names else 0
                yield table

        self._written += 1
        name = f"{self._name}-{self._written:05d}"
        path, left = write_part(self._lake, kind, file.day, name, schema, rows(), self._disk)
        if left == file.rows:
            self._disk.remove(self._lake / path)
            return file
        self.gone.append(file.path)
        self.erased += file.rows - left
        if left:
            return LakeFile(path, file.day, left, fingerprint(was=file.content, left=left), ids)
        self.gone.append(path)
        return None


def _named(path: Path, forgotten: Forgotten) -> dict[str, int]:
    file = pq.ParquetFile(path)
    found: dict[str, int] = {}
    for name in (name for name in _NAMING if name in file.schema_arrow.names):
        for batch in file.iter_batches(columns=[name]):
            found |= forgotten.among(pc.unique(batch.column(0)).drop_null().to_pylist())
    return found


def _kept_events(path: Path, forgotten: Forgotten) -> Kept | None:
    erased = _named(path, forgotten)

    def kept(table: pa.Table) -> pa.Array:
        stays, received = pa.repeat(True, table.num_rows), table["received_at"].cast(pa.int64())
        for visitor, until in erased.items():
            for name in _NAMING:
                of_visitor = pc.fill_null(pc.equal(table[name], visitor), False)
                stays = pc.and_not(stays, pc.and_(of_visitor, pc.less_equal(received, until)))
        return stays

    return kept if erased else None


def _kept_payloads(path: Path, forgotten: Forgotten) -> Kept | None:
    def kept(table: pa.Table) -> pa.Array:
        return pa.array([not forgotten.holds(payload) for payload in table["payload"].to_pylist()], pa.bool_())

    payloads = pq.ParquetFile(path).read(["payload"])["payload"].to_pylist()
    return kept if any(forgotten.among(set(named_in(payload))) for payload in payloads) else None


def _erased_users(
    table: pa.Table, version: Version, forgotten: Forgotten, known: set[tuple[str, str, str]]
) -> dict[int, bool]:
    """Return the rows to erase of one version; `known` collects what those to forget had before."""
    imported = int(version.imported_at.timestamp() * 1_000_000)
    erased = forgotten.among(pc.unique(table["visitor"]).to_pylist())
    rows: dict[int, bool] = {}
    for number, visitor in enumerate(table["visitor"].to_pylist()) if erased else ():
        if visitor in erased:
            row = (visitor, table["source"][number].as_py(), table["attributes"][number].as_py())
            if imported <= erased[visitor]:
                known.add(row)
            if row in known:
                rows[number] = True
    return rows


def _rewritten(users: VersionedTable, version: Version, table: pa.Table, rows: dict[int, bool]) -> Version:
    """Write a version without some rows, under a name of its own, and return it."""
    left = table.filter(pa.array([number not in rows for number in range(table.num_rows)], pa.bool_()))
    stem = version.file.removesuffix(".parquet").partition("-erased-")[0]
    name = f"{stem}-erased-{fingerprint(was=version.file, left=left.num_rows)}.parquet"
    made = pa.BufferOutputStream()
    pq.write_table(left, made, compression="zstd")
    write_durably(users.directory / name, made.getvalue().to_pybytes())
    return msgspec.structs.replace(version, file=name, rows=left.num_rows)
