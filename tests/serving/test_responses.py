"""The fast way to write an answer and the plain way write the same bytes."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.events.judging.links import Signer
from serving.recommending.plain_json import plain_json
from serving.recommending.question import Answer, ContextItem, Recommended
from serving.recommending.responses import Links, Writing, answer_value, as_json, as_jsonp

SOURCES = st.sampled_from(["REQUEST", "CLICK", "BUY"])
CONTEXT = st.builds(ContextItem, st.just(0), st.integers(1, 9), st.integers(0, 2**63 - 1).map(str), SOURCES)
RECOMMENDED = st.builds(
    Recommended,
    st.just(0),
    st.integers(1, 2**31 - 1),
    st.integers(0, 2**63 - 1).map(str),
    st.just("m"),
    st.integers(1, 99),
    st.integers(1, 1000),
    st.lists(CONTEXT, max_size=3).map(tuple),
)
LINKS = st.builds(
    Links,
    st.sampled_from(["reco.example.org", "[::1]:8080", "127.0.0.1:1", 'a"b', "a\\b", "ä"]),
    st.just("00001"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.just("landing_page.v2"),
    st.sampled_from(["", "/Women/Shirts", '/a"b/ü&c']),
    st.just("0f" * 16),
    st.just(Signer(b"k" * 32, "00001", "ann", "landing_page.v2", "0f" * 8)),
)


@given(st.lists(RECOMMENDED, max_size=4), st.lists(CONTEXT, max_size=3), st.one_of(st.none(), LINKS), st.booleans())
def test_both_ways_of_writing_an_answer_give_the_same_bytes(
    items: list[Recommended], context: list[ContextItem], links: Links | None, counted: bool
) -> None:
    answer = Answer(items, context, asked=True, used_history=False)
    writing = Writing(None, True, (), None, links, category=False)  # type: ignore[arg-type]
    viewers = list(range(len(context))) if counted else None
    fast, plain = plain_json(answer, writing, viewers), as_json(answer_value(answer, writing, viewers))
    assert fast in (None, plain)
    assert (fast is None) == (links is not None and not links.plain)


@given(st.lists(RECOMMENDED, max_size=2), LINKS)
def test_jsonp_is_ascii_whatever_the_answer_holds(items: list[Recommended], links: Links) -> None:
    writing = Writing(None, False, (), None, links, category=False)  # type: ignore[arg-type]
    value = answer_value(Answer(items, [], asked=True, used_history=False), writing, None)
    value["more"] = "\u2028\u2029</script>é"
    body = as_jsonp(value, "show")
    assert body.isascii()
    assert orjson.loads(body.removeprefix(b"/**/show(").removesuffix(b");")) == value


def test_answers_that_are_not_usual_are_left_to_the_plain_way() -> None:
    answer = Answer([], [], asked=True, used_history=False)
    for writing in (
        Writing(None, False, (), None, None, False),  # type: ignore[arg-type]
        Writing(None, True, ("title",), None, None, False),  # type: ignore[arg-type]
        Writing(None, True, (), None, None, True),  # type: ignore[arg-type]
    ):
        assert plain_json(answer, writing, None) is None
