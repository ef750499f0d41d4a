"""User attributes: per visitor (a pseudonym; the user's own id is stored nowhere) and source.

An import replaces the attributes of the users it brings, those of its source only. Every version is
kept, like the catalogue's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.files.attributes import attribute_columns, attribute_sources, read_attributes
from personalization_pipelines.content.files.canonical_rows import Canonical, id_columns, read_columns
from personalization_pipelines.content.files.formats.row_format import SourceFile
from personalization_pipelines.content.files.object_stores import Given
from personalization_pipelines.content.files.opening import Job, opened
from personalization_pipelines.content.files.read_files import FileFormat
from personalization_pipelines.content.files.verdicts import RejectsFile
from personalization_pipelines.content.import_history import imports_directory, is_recorded, record_import, row_of
from personalization_pipelines.content.report import ImportReport
from personalization_pipelines.content.users.user_values import Attributes, is_email, seal_emails
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import parse_name
from personalization_pipelines.foundation.progress import Progress
from personalization_pipelines.website import Website

USER_SCHEMA = pa.schema(
    [("visitor", pa.string()), ("source", pa.string()), ("attributes", pa.string()), ("types", pa.string())]
)
"""`types`: JSON object of the attributes that are neither NOMINAL nor NUMERIC; older files lack the column."""
NOTHING = "{}"

# Who comes without attributes goes: the source says nothing of them any more.
_MERGED = f"""
select coalesce(n.visitor, o.visitor) as visitor, coalesce(n.source, o.source) as source,
       coalesce(n.attributes, o.attributes) as attributes,
       case when n.visitor is null then o.types else n.types end as types
from incoming n full join existing o on n.visitor = o.visitor and n.source = o.source
where coalesce(n.attributes, o.attributes) <> '{NOTHING}' order by visitor, source
"""  # noqa: S608 - a text of ours
_COUNTS = f"""
select count(*) filter (o.visitor is null and n.attributes <> '{NOTHING}'),
       count(*) filter (n.attributes <> '{NOTHING}' and (n.attributes <> o.attributes or n.types <> o.types)),
       count(*) filter (o.visitor is not null and n.attributes = '{NOTHING}' and o.attributes <> '{NOTHING}')
from incoming n left join existing o on n.visitor = o.visitor and n.source = o.source
"""  # noqa: S608 - a text of ours


@dataclass
class _Incoming:
    tables: list[pa.Table] = field(default_factory=lambda: [USER_SCHEMA.empty_table()])
    rows: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


class UserCounts(NamedTuple):
    """How many users (of one source each) an import adds, changes and removes."""

    added: int
    changed: int
    removed: int

    @property
    def any(self) -> bool:
        """Whether the table of after differs."""
        return any(self)


def users_file(home: Home, website: Website, as_of: datetime) -> Path | None:
    """Return the user attributes (columns USER_SCHEMA, sorted by visitor, source) as of a moment; None without any."""
    return users_table(home, website).file(as_of)


def import_users(
    home: Home,
    website: Website,
    files: Sequence[Given],
    *,
    mapping: str | Path | None = None,
    source: str = "import",
    format: FileFormat | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import user attributes from files (paths or patterns); a column `source` goes before the argument.

    Of two rows of the same user and source the later one counts. Raises ImportRefused where a file cannot be read or
    holds no user, and leaves everything as it was; Busy while another import writes.
    """
    parse_name(source, "source")
    with (
        opened("users", home, website, files, mapping, now, progress, format) as job,
        users_table(home, website).locked(),
    ):
        return _import(job, source)


def users_table(home: Home, website: Website) -> VersionedTable:
    """Return the users with all their versions."""
    return VersionedTable(home.lake(website.name) / "users", USER_SCHEMA)


def user_row(visitor: str, source: str, attributes: Attributes, types: dict[str, str]) -> dict[str, str]:
    """Return a row of USER_SCHEMA."""
    texts = [orjson.dumps(one, option=orjson.OPT_SORT_KEYS).decode() for one in (attributes, types)]
    return dict(zip(USER_SCHEMA.names, (visitor, source, *texts), strict=True))


def merge_users(users: VersionedTable, incoming: pa.Table) -> tuple[pa.Table, UserCounts]:
    """Return all users of after: `incoming` (USER_SCHEMA) replaces what its sources said of its visitors."""
    with duckdb.connect() as connection:
        connection.register("existing", with_types(users.current()))
        connection.register("incoming", incoming)
        counts = UserCounts(*connection.execute(_COUNTS).fetchall()[0])
        return connection.sql(_MERGED).to_arrow_table().cast(USER_SCHEMA), counts


def with_types(table: pa.Table) -> pa.Table:
    """Return rows of an older file with the column that it lacks."""
    if "types" in table.column_names:
        return table
    return table.append_column(USER_SCHEMA.field("types"), pa.repeat(pa.scalar(NOTHING), table.num_rows))


def _import(job: Job, source: str) -> ImportReport:
    began, users = time.monotonic(), users_table(job.home, job.website)
    import_id = job.import_id(*job.digests, source=source)
    job.known["transaction"] = import_id
    files = job.names
    notes = tuple(job.notes())
    versions = users.versions()
    if versions and versions[-1].import_id == import_id:
        return ImportReport("users", job.website.name, files, import_id, notes=notes, already_imported=True)
    found = _Incoming()
    with RejectsFile(imports_directory(job.home, job.website) / f"{import_id}.rejects.csv") as rejects:
        for one in job.files:
            _read_file(job, one, source, found, rejects)
    incoming = _last(pa.concat_tables(found.tables))
    if not incoming.num_rows:
        raise ImportRefused(f"{files[0]}: no user could be taken of {found.rows:,} rows; {dict(found.reasons)}")
    merged, counts = merge_users(users, incoming)
    if counts.any or not versions:
        users.add(merged, import_id, job.now)
    else:
        notes = ("these attributes were there already", *notes)
    report = ImportReport(
        kind="users",
        website=job.website.name,
        files=files,
        import_id=import_id,
        rows=found.rows,
        added=counts.added,
        changed=counts.changed,
        removed=counts.removed,
        rejected=found.rejected,
        reasons=dict(found.reasons),
        rejects_file=rejects.written,
        seconds=time.monotonic() - began,
        notes=notes,
    )
    if counts.any or not is_recorded(job.home, job.website, import_id):
        parts = dict.fromkeys(job.digests, import_id)
        record_import(job.home, job.website, row_of(report, job.now, mapping=job.mapping.name, parts=parts))
    return report


def _read_file(job: Job, file: SourceFile, source: str, found: _Incoming, rejects: RejectsFile) -> None:
    rules, row = job.mapping.rules, 1
    chosen, typed = attribute_columns(rules, file.columns), attribute_sources(rules, file.columns)
    job.progress.begin(file.path.name, file.rows)
    for batch in file.batches(read_columns(rules, file.columns, typed), [*typed, *id_columns(rules, file.columns)]):
        read = Canonical(rules, job.website, batch, row)
        table = _read_users(read, chosen, source, job.home.key)
        found.tables.append(table)
        found.rows += batch.num_rows
        found.rejected += batch.num_rows - table.num_rows
        found.reasons += read.verdicts.reasons()
        rejects.add(file.path.name, read.verdicts)
        row += batch.num_rows
        job.progress.advance(batch.num_rows)
    job.progress.end()


def _read_users(batch: Canonical, chosen: dict[str, str], source: str, key: bytes) -> pa.Table:
    visitors = batch.visitors(key)
    batch.verdicts.reject(pc.equal(visitors, ""), batch.name("user"), "user is missing", None)
    sources = pc.fill_null(batch.text("source"), source)
    named = pc.match_substring_regex(sources, "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")
    batch.verdicts.reject(
        pc.invert(named), batch.name("source"), "source is no name (letters, digits, '_', '-', '.')", sources
    )
    attributes = _sealed(read_attributes(batch, chosen), visitors, key, [*chosen, *batch.rules.joined])
    types = pa.repeat(pa.scalar(NOTHING), batch.rows)
    table = pa.table([visitors, sources, attributes, types], USER_SCHEMA)
    return table.filter(pa.array(batch.verdicts.kept))


def _sealed(attributes: pa.Array, visitors: pa.Array, key: bytes, names: Sequence[str]) -> pa.Array:
    """Return attributes with e-mail addresses sealed; visitor null: a row that was rejected."""
    if not any(map(is_email, names)):
        return attributes
    pairs = zip(attributes.to_pylist(), visitors.to_pylist(), strict=True)
    sealed = [orjson.dumps(seal_emails(orjson.loads(text), who or "", key)).decode() for text, who in pairs]
    return pa.array(sealed, pa.string())


def _last(table: pa.Table) -> pa.Table:
    """Return the last row of every visitor and source."""
    with duckdb.connect() as connection:
        connection.register("rows", table.append_column("position", pa.array(range(table.num_rows))))
        query = """
            select * exclude (position) from rows
            qualify row_number() over (partition by visitor, source order by position desc) = 1
        """
        return connection.sql(query).to_arrow_table().cast(USER_SCHEMA)
