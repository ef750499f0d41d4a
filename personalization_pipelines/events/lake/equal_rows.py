"""Which rows of an import equal events that the lake holds already, whoever brought those and with whatever file.

Equal are rows that agree in all that a file can say of an event. It is counted as with banknotes: each stored event
stands for one row of the import, so of three equal rows that the lake has once, one is equal to it and two are new.
"""

from __future__ import annotations

from datetime import timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.events.lake.event_schema import EVENT_SCHEMA
from personalization_pipelines.events.lake.lake_manifest import LakeFile, read_manifest
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.sql_names import column_list
from personalization_pipelines.website import Website

COMPARED = (
    "event", "visitor", "item_type", "item", "quantity", "price_minor", "currency", "rating", "percentage",
    "categories", "segments", "session", "order_id", "event_id",
)  # fmt: skip
"""What an imported event can differ in, beside its time."""
AHEAD = timedelta(days=2)
"""An event's time is at most a day, and the slow clock of a sender, after its arrival."""

_KEYS = f"select time, hash({column_list(COMPARED)}) as digest from given"  # noqa: S608 - column names are ours
_EQUAL = f"""
with kept as (
    select time, hash({column_list(COMPARED)}) as digest from read_parquet($files)
    semi join (select distinct time from came) using (time) where time between $first and $last
), stored as (
    select time, digest, count(*) as copies from kept group by all
), numbered as (
    select place, copies, row_number() over (partition by time, digest order by place) as nth
    from came join stored using (time, digest)
)
select place from numbered where nth <= copies
"""  # noqa: S608 - column names are ours


def row_keys(events: pa.Table) -> pa.Table:
    """Return the time and the digest of every row; columns that are not there are empty, as they would be stored."""
    fields = [EVENT_SCHEMA.field(name) for name in ("time", *COMPARED)]
    columns = [_column(events, field) for field in fields]
    with duckdb.connect() as connection:
        connection.register("given", pa.table(columns, pa.schema(fields)))
        return connection.sql(_KEYS).to_arrow_table()


def equal_to_stored(home: Home, website: Website, keys: pa.Table) -> npt.NDArray[np.bool_]:
    """Return for each row (of `row_keys`) whether it is there already. Only files that can hold its time are read."""
    equal = np.zeros(keys.num_rows, dtype=np.bool_)
    if not keys.num_rows:
        return equal
    bounds = pc.min_max(keys["time"]).as_py()
    files = _files(home, website, f"{bounds['min'] - AHEAD:%Y-%m-%d}")
    if files:
        with duckdb.connect() as connection:
            connection.register("came", keys.append_column("place", pa.array(np.arange(keys.num_rows))))
            asked = {"files": files, "first": bounds["min"], "last": bounds["max"]}
            equal[connection.execute(_EQUAL, asked).fetchnumpy()["place"]] = True
    return equal


def _files(home: Home, website: Website, first_day: str) -> list[str]:
    lake = home.lake(website.name)
    found: list[LakeFile] = [file for file in read_manifest(lake).files if file.day >= first_day]
    return [str(lake / file.path) for file in found]


def _column(events: pa.Table, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    if field.name in events.column_names:
        return events[field.name].cast(field.type)
    empty = {"string": "", "list": []}.get(str(field.type).partition("<")[0])
    return pa.repeat(pa.scalar(empty, field.type), events.num_rows)
