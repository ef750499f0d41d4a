from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.website.strict_yaml import MAX_BYTES, Document, read_yaml


def sentences(text: str) -> list[str]:
    return [f"{problem.line} {problem.sentence}" for problem in read_yaml(text.encode()).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: -17", {"a": -17}),
        ("a: 1.50", {"a": 1.5}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: true", {"a": True}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ('a: "00012"', {"a": "00012"}),
        ("a: 'no'", {"a": "no"}),
        ("a: 8695-1828-92810", {"a": "8695-1828-92810"}),
        ("a: 30d", {"a": "30d"}),
        ("a: 20%", {"a": "20%"}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("1: product", {1: "product"}),
        ('"1": product', {"1": "product"}),
        ("\ufeffa: [x, {y: z}]", {"a": ["x", {"y": "z"}]}),
        ("", None),
    ],
)
def test_plain_values_follow_yaml_1_2(text: str, value: object) -> None:
    document = read_yaml(text.encode())
    assert document.problems == []
    assert document.value == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("country: NO", "`NO` is a truth value to some YAML readers"),
        ("a: off", "`off` is a truth value"),
        ("NO: norway", "`NO` is a truth value"),
        ("customer_id: 012345", "leading zero"),
        ("customer_id: 00000", "leading zero"),
        ("a: 0x1F", "not decimal"),
        ("a: 1_000", "underscores"),
        ("a: 12:30", "base 60"),
        ("a: 2024-01-31", "a date"),
        ("a: .inf", "not a finite number"),
        ("a: 1e999", "too large"),
        ("a: 99999999999999999999", "too large"),
        ("a: &x 1", "anchors"),
        ("a: *x", "aliases"),
        ("<<: {a: 1}", "merge keys"),
        ("a: !!python/object/apply:os.system [ls]", "tags"),
        ("a: !env KEY", "tags"),
        ("? [1, 2]\n: x", "a key must be text or a whole number"),
        ("true: x", "a key must be text or a whole number"),
        ("1.5: x", "a key must be text or a whole number"),
        ('a: "\\x07"', "control characters"),
        ("a: 1\n---\na: 2", "a second document"),
        ("a:\n\tb: 1", "has a tab"),
        ("a: [1,", "this is not YAML"),
        ("a: b: c", "this is not YAML"),
        ("[" * 40 + "]" * 40, "nested more than"),
    ],
)
def test_what_yaml_readers_disagree_on_is_a_problem(text: str, expected: str) -> None:
    assert expected in " ".join(sentences(text))


def test_a_duplicate_key_names_both_lines_and_the_first_value_is_kept() -> None:
    document = read_yaml(b"a: 1\nb: 2\na: 3\n")
    assert document.value == {"a": 1, "b": 2}
    assert [(problem.line, problem.path) for problem in document.problems] == [(3, ("a",))]
    assert "first on line 1" in document.problems[0].sentence


def test_every_key_and_position_has_its_line() -> None:
    document = read_yaml(b"models:\n  top:\n    type: popularity\n  list:\n    - a\n    - b\n")
    assert document.line(("models", "top", "type")) == 3
    assert document.line(("models", "list", 1)) == 6
    assert document.line(("models", "top", "missing", "deeper")) == 2
    assert document.line(("nowhere",)) == 1


def test_a_bomb_of_aliases_is_refused_without_being_expanded() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    started = time.process_time()
    assert any("aliases" in sentence for sentence in sentences("\n".join(lines)))
    assert time.process_time() - started < 10


def test_a_file_that_is_too_large_is_not_read() -> None:
    assert read_yaml(b"#" * (MAX_BYTES + 1)).problems[0].sentence.startswith("the file has")


def test_a_text_that_is_not_utf8_is_named_with_its_line() -> None:
    problem = read_yaml(b"a: 1\nb: \xff\n").problems[0]
    assert (problem.line, "UTF-8" in problem.sentence) == (2, True)


def test_no_sentence_repeats_a_value() -> None:
    text = "license_key: &key 0123456789\nother: {license_key: 0x5ec4e7, token: 1_5ec4e7_2}\n"
    assert not any("0123456789" in sentence or "5ec4e7" in sentence for sentence in sentences(text))


texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFFFD, exclude_categories=("C", "Z")), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


@given(values)
def test_json_is_read_as_json(value: object) -> None:
    text = json.dumps({"value": value}, ensure_ascii=False)
    assert read_yaml(text.encode()).value == {"value": value}


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_give_a_document(data: bytes) -> None:
    assert isinstance(read_yaml(data), Document)
