"""A table is built again when a column that it may read changed, and left alone when only others did."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

from personalization_pipelines.features.table_columns import column_digests, names_in


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select a from t where b > 1", {"a", "b", "t"}),
        ("select count(*) from t join u using (c)", {"t", "u", "c"}),
        ("select x.A from t as x where exists (select 1 from u where u.b = x.d)", {"x", "a", "t", "u", "b", "d"}),
        ("select * from t", None),
        ("select t.* from t", None),
        ("select t from t", None),
        ("select count(*) from (select * exclude (a) from t)", None),
    ],
)
def test_a_query_can_read_no_column_but_those_it_names(sql: str, names: set[str] | None) -> None:
    assert names_in(sqlglot.parse_one(sql, dialect="duckdb")) == names


def test_each_column_has_a_digest_of_its_own_values_type_and_rows(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [["p"], [], ["q", "r"]]})

    def digests(table: pa.Table, **options: int) -> dict[str, str]:
        pq.write_table(table, tmp_path / "t.parquet", **options)
        return column_digests(tmp_path / "t.parquet")

    first = digests(table)
    assert set(first) == {"a", "b", "c"} and first == digests(table)
    other = digests(table.set_column(1, "b", pa.array(["x", "yy", "z"])))
    assert {name for name in first if first[name] != other[name]} == {"b"}
    nested = digests(table.set_column(2, "c", pa.array([["p"], ["q"], ["r"]])))
    assert {name for name in first if first[name] != nested[name]} == {"c"}
    wider = digests(table.set_column(0, "a", pa.array([1, 2, 3], pa.int32())))
    assert {name for name in first if first[name] != wider[name]} == {"a"}
    assert all(first[name] != one for name, one in digests(table.slice(0, 2)).items())
    assert all(first[name] != one for name, one in digests(table, row_group_size=2).items())
