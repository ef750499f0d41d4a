"""Contracts are read strictly, and each says exactly which columns its SELECT has."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from personalization_pipelines.features.engine import Inputs, open_engine
from personalization_pipelines.features.sql_models import feature_names, feature_sql, load_models
from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.quality.contracts import DUCKDB_TYPES, load_contracts
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build

TABLE = """
things:
  description: Things, for a test.
  key: [id]
  columns:
    id: {type: text, description: What it is.}
"""


def test_every_feature_has_a_contract_and_every_contract_a_feature() -> None:
    assert set(load_contracts()) == set(feature_names())


def test_every_contract_names_the_columns_and_types_of_its_select(home: Home, shop: Website) -> None:
    build = Build(home, shop, datetime(2026, 4, 1, tzinfo=UTC))
    with open_engine(build, Inputs((), None, None, "")) as engine:
        for name in feature_names():
            engine.rows(f"create view {name} as {feature_sql(name)}")
            found = {row[0]: row[1] for row in engine.rows(f"describe {name}")}
            columns = load_contracts()[name].columns
            assert list(found.items()) == [(column, DUCKDB_TYPES[one.type]) for column, one in columns.items()], name


@pytest.mark.parametrize("name", feature_names())
def test_every_table_is_sorted_by_all_of_its_key(name: str) -> None:
    assert set(load_contracts()[name].key) <= set(load_models()[name].order)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TABLE + "  keys: [id]\n", "contracts.yml:7: things.keys: Extra inputs are not permitted"),
        (TABLE.replace("[id]", "[number]"), "key column 'number' is not among the columns"),
        (TABLE.replace("text,", "text, nullable: true,"), "key column 'id' is nullable"),
        (TABLE.replace("text,", "varchar,"), "contracts.yml:6: things.columns.id.type: Input should be 'text'"),
        (TABLE.replace("text,", "text, minimum: 1,"), "minimum and maximum need a number, not text"),
        (TABLE.replace("text,", "bigint, pattern: x,"), "values, pattern and min_length need a text, not bigint"),
        (TABLE.replace("text,", "bigint, min_length: 1,"), "values, pattern and min_length need a text, not bigint"),
        (TABLE.replace("text,", "text, pattern: '(',"), "'(' is not a regular expression"),
        (TABLE.replace("text,", "text, pattern: '(a)',"), "'(a)' has a group that nothing reads"),
        (TABLE + "  expectations: [{expect: ExpectWonders}]\n", "Input should be 'ExpectTableRowCountToBeBetween'"),
        (
            TABLE + "  expectations: [{expect: ExpectColumnValueLengthsToBeBetween, arguments: {column: name}}]\n",
            "names 'name', which is not among the columns",
        ),
        (
            TABLE + "  expectations: [{expect: ExpectColumnValueLengthsToBeBetween}]\n",
            "ExpectColumnValueLengthsToBeBetween needs column",
        ),
        (
            TABLE + "  expectations: [{expect: ExpectTableRowCountToBeBetween, arguments: {least: 1}}]\n",
            "ExpectTableRowCountToBeBetween does not take least",
        ),
        (TABLE + TABLE, "the key is given twice, first on line 2"),
        ("- things\n", "expected one key per feature table"),
    ],
)
def test_a_wrong_contract_is_an_error_that_names_line_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "contracts.yml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load_contracts(path)
    assert sentence in str(error.value)
