"""Attributes of whole columns: what is written without Python for each value is what Python would have written."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.files.attributes import column_tokens, value_reader
from personalization_pipelines.content.files.canonical_values import item_ids
from personalization_pipelines.content.files.mapping import Mapping
from personalization_pipelines.foundation.identifiers import parse_item_id

TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from('"\\\n\x00\x1f\x7fü😀')), max_size=8
)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
CELLS = st.one_of(
    st.lists(st.one_of(st.none(), TEXTS)).map(lambda cells: pa.array(cells, pa.string())),
    st.lists(st.one_of(st.none(), NUMBERS)).map(lambda cells: pa.array(cells, pa.int64())),
    st.lists(st.one_of(st.none(), st.integers(-100, 100))).map(lambda cells: pa.array(cells, pa.int16())),
    st.lists(st.one_of(st.none(), st.lists(st.one_of(st.none(), TEXTS), max_size=3))).map(
        lambda cells: pa.array(cells, pa.list_(pa.string()))
    ),
    st.lists(st.one_of(st.none(), st.lists(TEXTS.filter(bool), max_size=3))).map(
        lambda cells: pa.array(cells, pa.list_(pa.string()))
    ),
    st.lists(st.one_of(st.none(), st.lists(NUMBERS, max_size=3))).map(
        lambda cells: pa.array(cells, pa.list_(pa.int64()))
    ),
)


@settings(deadline=None, max_examples=300)
@given(CELLS, st.integers(0, 3))
@example(pa.array([["a"], None, [], ["b", "c"]], pa.list_(pa.string())), 1)
@example(pa.array([2**53 - 1, -(2**53), None]), 0)
def test_tokens_of_a_column_are_those_of_its_values(cells: pa.Array, start: int) -> None:
    cells = cells.slice(start)
    read = value_reader(Mapping(kind="items"), "a")
    found = column_tokens(cells)
    if found is not None:
        assert found.to_pylist() == [read(value) for value in cells.to_pylist()]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(["a", 'b"', None, ""]),
        pa.array([1, None, -5]),
        pa.array([["a"], None, [], ["b", 'c"']]),
        pa.array([[1, 2], [3]]),
    ],
)
def test_the_usual_columns_need_no_python_for_each_value(cells: pa.Array) -> None:
    assert column_tokens(cells) is not None


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(st.none(), TEXTS, st.from_regex(r"\A[0-9]{1,20}\n?\Z"))), st.booleans())
@example(["1", "01", "0", "9" * 18, "9" * 19, "1\n", None, "9223372036854775808"], False)
def test_ids_of_a_column_are_those_of_its_values(texts: list[str | None], alphanumeric: bool) -> None:
    def one(text: str | None) -> Any:
        try:
            return None if text is None else parse_item_id(text, alphanumeric=alphanumeric)
        except ValueError:
            return None

    assert item_ids(pa.array(texts, pa.string()), alphanumeric).to_pylist() == [one(text) for text in texts]
