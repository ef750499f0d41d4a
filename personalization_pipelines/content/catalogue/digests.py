"""Digests of rows: what an import brings is compared with a large table without reading the table's wide columns.

A file of a table that names `compared` columns holds a digest of them for each row. DuckDB's hash is quick (1 M rows of
a catalogue in 0.1 s) and need not be the same in another release, so the manifest says with each file who made its
digests; those of somebody else are made anew from the columns while the file is read.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from personalization_pipelines.content.catalogue.states import read_sql
from personalization_pipelines.foundation.sql_names import column_list

DIGEST = "digest"
ENGINE = f"duckdb {duckdb.__version__} {platform.machine()}"
"""Who makes the digests here."""


def digest_sql(columns: Sequence[str]) -> str:
    """Return the SQL of a row's digest."""
    return f"hash({column_list(columns)})"


def with_digests(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return a table with the digests of its rows as another column."""
    with duckdb.connect() as connection:
        connection.register("given", table.select(list(columns)))
        digests = connection.sql(f"select {digest_sql(columns)} as {DIGEST} from given").to_arrow_table()  # noqa: S608
    return table.append_column(DIGEST, digests[DIGEST])


def digested_sql(path: Path, columns: Sequence[str], engine: str) -> str:
    """Return what a FROM clause reads a file with digests by; `engine` made those that it has."""
    if engine == ENGINE:
        return read_sql(path)
    left_out = f"exclude ({DIGEST})" if engine else ""
    return f"(select * {left_out}, {digest_sql(columns)} as {DIGEST} from {read_sql(path)})"  # noqa: S608 - our names
