"""The linter knows every construct that broke on another engine, and the shipped files have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from personalization_pipelines.features.sql_linter import lint, lint_files, main
from personalization_pipelines.quality.contracts import SQL_FOLDER

HERE = Path("some.sql")

FORBIDDEN = [
    ("select a from t group by all order by a", "group by all"),
    ("select arg_max(a, b) as a from t order by a", "ARG_MAX(a, b)"),
    ("select first(a) as a from t order by a", "FIRST(a)"),
    ("select b.* from (select * exclude (a) from t) as b order by b", "select * exclude"),
    ("select distinct on (a) a from t order by a", "distinct on"),
    ("select try_cast(a as integer) as a from t order by a", "TRY_CAST(a AS INT)"),
    ("select quantile_cont(a, 0.5) as a from t order by a", "QUANTILE_CONT(a, 0.5)"),
    ("select median(a) as a from t order by a", "MEDIAN(a)"),
    ("select avg(a) as a from t order by a", "AVG(a)"),
    ("select epoch(a) as a from t order by a", "EPOCH(a)"),
    ("select extract(dow from a) as a from t order by a", "EXTRACT(DAYOFWEEK FROM a)"),
    ("select dayofweek(a) as a from t order by a", "DAYOFWEEK(a)"),
    ("select hash(a) as a from t order by a", "hash()"),
    ("select list(distinct a) as a from t order by a", "ARRAY_AGG(DISTINCT a)"),
    ("select string_agg(a, ',') as a from t order by a", "LISTAGG(a, ',')"),
    ("select x as a from generate_series(1, 3) as s(x) order by a", "a table function"),
    ("select a from t asof join u on t.a >= u.a order by a", "ASOF join"),
    ("select a from t semi join u on t.a = u.a order by a", "SEMI join"),
    ("select a from t full join u on t.a = u.a order by a", "FULL join"),
    ("select a from t join u using (a) order by a", "join … using"),
    ("select a from t natural join u order by a", "NATURAL join"),
    ("select {'b': 1} as a from t order by a", "{'b': 1}"),
    ("select [1, 2] as a from t order by a", "a list literal"),
    ("select a[1] as a from t order by a", "a[1]"),
    ("select len([]) as a from t order by a", "a list literal"),
    ("select date_diff('day', a, b) as a from t order by a", "date_diff on timestamps"),
    ("select a at time zone 'UTC' as a from t order by a", "a AT TIME ZONE 'UTC'"),
    (
        "select a from t qualify row_number() over (order by a) = 1 order by a",
        "QUALIFY ROW_NUMBER() OVER (ORDER BY a) = 1",
    ),
    ("select now() as a from t order by a", "now()"),
    ("select current_date as a from t order by a", "CURRENT_DATE"),
    ("select random() as a from t order by a", "RANDOM()"),
    ("select a from t using sample 10% order by a", "TABLESAMPLE SYSTEM (10 PERCENT)"),
    ("select a from t order by a limit 3", "LIMIT 3"),
    ("select a / b as a from t order by a", "a / b"),
    ("select a * 0.5 as a from t order by a", "the number 0.5"),
    ("select cast(a as double) as a from t order by a", "cast to double"),
    ("select a from read_parquet('x') order by a", "a table function"),
    ("select a from 'x.parquet' order by a", 'the table "x.parquet"'),
    ("select a from other.t order by a", "the table other.t"),
    ("select a from t where a ilike 'x' order by a", "a ILIKE 'x'"),
    ("select a from t where regexp_matches(a, 'x') order by a", "REGEXP_MATCHES(a, 'x')"),
    ("select a->>'$.x' as a from t order by a", "a ->> '$.x'"),
    ("select max(a order by b) as a from t order by a", "an ordered aggregate"),
    ("select a from t group by 1 order by a", "group by a position"),
    ("select a from t group by rollup (a) order by a", "ROLLUP (a)"),
    ("select as_of as a from build order by a", "as_of without its table"),
    ("select a from t", "no order by at the end"),
    ("select a from t order by 1", "order by an expression or a position"),
    ("select * from t order by a", "select * at the end"),
    ("select a from t order by a; select 1", "a file that is not one SELECT"),
    ("create table x as select 1", "a file that is not one SELECT"),
    ("copy t to 'x'", "a file that is not one SELECT"),
    ("select from where", "text that is not SQL"),
]


@pytest.mark.parametrize(("sql", "construct"), FORBIDDEN, ids=[construct for _, construct in FORBIDDEN])
def test_a_construct_outside_the_subset_is_found(sql: str, construct: str) -> None:
    assert construct in [finding.construct for finding in lint(sql, HERE)]


PORTABLE = [
    "select a, count(*) as n from t group by a order by a",
    "select a from (select a, row_number() over (partition by b order by c) as n from t) as x where n = 1 order by a",
    "with recursive r as (select a from t union select a from r where a > 1) select a from r order by a",
    "select cast([] as varchar[]) as a, b from t order by b",
    "select unnest(a) as a, b from t order by b",
    "select date_diff('day', cast(a as date), cast(b as date)) as a from t order by a",
    "select a // 2 as a, a % 2 as b from t where a between 1 and 3 or b in ('x', 'y') order by a",
]


@pytest.mark.parametrize("sql", PORTABLE)
def test_the_portable_subset_passes(sql: str) -> None:
    assert lint(sql, HERE) == []


def test_every_shipped_file_is_portable() -> None:
    paths = sorted(SQL_FOLDER.glob("*/*.sql"))
    assert len(paths) >= 10
    assert lint_files(paths) == []


def test_a_finding_names_file_line_and_what_to_write_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.sql"
    path.write_text("-- why\nselect\n    a,\n    hash(a) as b\nfrom t\norder by a\n")
    assert main([str(path)]) == 1
    assert f"{path}:4: hash(): write the columns themselves" in capsys.readouterr().out


def test_the_command_is_content_with_what_ships(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "0 findings" in capsys.readouterr().out
