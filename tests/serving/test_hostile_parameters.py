"""Strategies for each kind of parameter, on a real server: what is right is taken, what is bent is 4xx, nothing 5xx.

`PERSONALIZATION_FUZZ=20000` makes as many calls of each kind.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from personalization_pipelines.events.judging import rules
from personalization_pipelines.events.judging.rules import RULES, Reader
from personalization_pipelines.foundation.currency import FRACTION_DIGITS, MAX_MINOR
from personalization_pipelines.foundation.identifiers import MAX_ITEM_TYPE, MAX_NUMERIC_ITEM, MAX_USER_BYTES, NAME
from serving.recommending.question import HISTORY_CODES, MAX_NUMBER
from serving.recommending.request import CALLBACK, MAX_CONTEXT_ITEMS
from tests.serving.raw_shop import Shop, served

__all__ = ["served"]

CALLS = int(os.environ.get("PERSONALIZATION_FUZZ", "40"))
quickly = settings(
    max_examples=CALLS,
    deadline=None,
    database=None,
    derandomize="PERSONALIZATION_FUZZ" not in os.environ,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
Texts = st.SearchStrategy[bytes]

PLAIN = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\\\ufffd&"), min_size=1, max_size=30)
DIGITS = ["٣", "۳", "३", "\uff15", "²", "Ⅷ", "\U0001d7dd"]
POISON = st.sampled_from(
    [b"\0", b"\n", b"\r\n", b"\x1b", b"\x7f", b"\\", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5"]
)


@st.composite
def poisoned(draw: Callable[..., bytes], valid: Texts) -> bytes:
    """A right value with something inside that no text may hold."""
    text = draw(valid)
    place = draw(st.integers(0, len(text)))
    # a broken character must not be completed by what follows it, nor complete what is before
    return text[:place].decode(errors="ignore").encode() + draw(POISON) + text[place:].decode(errors="ignore").encode()


def numbers(lowest: int, highest: int) -> tuple[Texts, Texts]:
    """Whole numbers within bounds, and texts that are none: outside, signed, broken, of foreign digits, too long."""
    whole = st.integers(lowest, highest).map(lambda n: str(n).encode())
    return whole, st.one_of(bent_numbers(whole, lowest, highest), whole.map(lambda text: text + b".0"))


def measures(lowest: int, highest: int) -> tuple[Texts, Texts]:
    """Numbers that are rounded to whole ones within bounds, and texts that are none."""
    whole = st.integers(lowest, highest).map(lambda n: str(n).encode())
    fractions = st.floats(lowest, highest).map(lambda number: repr(number).encode())
    right = st.one_of(whole, fractions, whole.map(lambda text: text + b".0000"))
    return right, bent_numbers(whole, lowest, highest)


def bent_numbers(right: Texts, lowest: int, highest: int) -> Texts:
    """Texts that no reader of numbers takes."""
    outside = st.one_of(st.integers(max_value=lowest - 1), st.integers(min_value=highest + 1))
    return st.one_of(
        outside.map(lambda n: str(n).encode()),
        right.map(lambda text: b"+" + text),
        right.map(lambda text: b" " + text),
        right.map(lambda text: text + b"e"),
        st.sampled_from(DIGITS).map(str.encode),
        st.integers(20, 5000).map(lambda n: b"9" * n),
        st.sampled_from([b"nan", b"inf", b"0x1", b"1_0", b"true", b"None", b"1,000"]),
        poisoned(right),
    )


def patterned(pattern: str, *wrong: bytes) -> tuple[Texts, Texts]:
    """Texts of a pattern, and texts that are not."""
    right = st.from_regex(pattern, fullmatch=True).map(str.encode)
    bent = st.one_of(st.sampled_from(wrong), poisoned(right), right.map(lambda text: text + "é".encode()))
    return right, bent


@st.composite
def amounts(draw: Callable[..., object]) -> bytes:
    """Prices in the digits of their currency."""
    code, digits = draw(st.sampled_from(sorted(FRACTION_DIGITS.items())))  # type: ignore[misc]
    minor = str(draw(st.integers(0, MAX_MINOR // 10**6))).zfill(digits + 1)
    return f"{minor[: len(minor) - digits]}{'.' if digits else ''}{minor[len(minor) - digits :]}{code}".encode()


def prices() -> tuple[Texts, Texts]:
    """Prices, also with too many digits; and without a known currency, or that are no numbers."""
    exact = amounts()
    right = st.one_of(
        exact,
        exact.map(lambda text: text[:-3] + (b"00000" if b"." in text else b".00000") + b"1" + text[-3:]),
        st.sampled_from([b"NaNEUR", b"undefinedJPY", b"EUR", b"1,5EUR", b"1.000,5EUR"]),
    )
    bent = st.one_of(
        exact.map(lambda text: text[:-3]),
        exact.map(lambda text: text[:-3] + b"XXX"),
        exact.map(lambda text: text.lower()),
        exact.map(lambda text: b"-" + text),
        st.sampled_from([b"1e3EUR", b"nanEUR", b"1,500EUR", "٣EUR".encode(), b"9" * 16 + b"JPY", b".5EUR", b"XXX"]),
        poisoned(exact),
    )
    return right, bent


def lists(of: tuple[Texts, Texts], most: int) -> tuple[Texts, Texts]:
    """Values with commas between them, and such lists with one wrong member or too many."""
    right = st.lists(of[0], min_size=1, max_size=10).map(b",".join)
    bent = st.one_of(
        st.tuples(right, of[1].filter(lambda text: b"," not in text)).map(b",".join),
        of[0].map(lambda text: b",".join([text] * (most + 1))),
    )
    return right, bent


CATEGORIES = PLAIN.map(str.encode), poisoned(PLAIN.map(str.encode))
KINDS: dict[Reader, tuple[Texts, Texts]] = {
    rules.read_segments: lists(numbers(0, rules.MAX_INT32), rules.MAX_SEGMENTS),
    rules.read_categories: CATEGORIES,
    rules.read_language: patterned(rules.LANGUAGE.pattern, b"e", b"german", b"de--DE", b"../de", b"d1", b"de-"),
    rules.read_price: prices(),
    rules.read_order: (CATEGORIES[0], CATEGORIES[1] | st.just(b"x" * (rules.MAX_ORDER_CHARACTERS + 1))),
}
NAMES = patterned(NAME.pattern, b".", b"-a", b"a/b", b"a b", b"../a", b"'", b"<b>", b"x" * 65, "é".encode())
USERS = PLAIN.map(str.encode), poisoned(PLAIN.map(str.encode)) | st.just(b"u" * (MAX_USER_BYTES + 1))
BOOLEANS = (
    st.sampled_from([b"true", b"FALSE", b"1", b"0", b"True"]),
    st.sampled_from([b"yes", b"2", b"tru", b"-1", b"\xff"]),
)
CODES = st.sampled_from([code.encode() for code in HISTORY_CODES])
ITEMS = numbers(0, MAX_NUMERIC_ITEM)
RECOMMENDATIONS: dict[str, tuple[Texts, Texts]] = {
    "numrecs": numbers(1, MAX_NUMBER),
    "contextitems": lists((ITEMS[0] | CODES, ITEMS[1] | st.just(b"clicked")), MAX_CONTEXT_ITEMS),
    "outputtypeid": (st.sampled_from([b"1", b"2", b"01"]), numbers(1, 2)[1]),
    "crosscontenttype": BOOLEANS,
    "usecontextcategorypath": BOOLEANS,
    "recommendCategory": BOOLEANS,
    "explain": BOOLEANS,
    "categorypath": CATEGORIES,
    "attribute": CATEGORIES,
    "anything": CATEGORIES,
    "jsonpCallback": patterned(CALLBACK.pattern.replace(r"\w", "A-Za-z0-9_"), b"a()", b"1", b"a-b", b"x" * 65, b"a;b"),
}


def of_reader(reader: Reader) -> tuple[Texts, Texts]:
    """Right and bent values of what a reader takes; KeyError for a kind of reader that is new."""
    if isinstance(reader, partial) and reader.func is rules.read_integer:
        return measures(*reader.args[1:])
    return NAMES if isinstance(reader, partial) and reader.func is rules.read_name else KINDS[reader]


EVENTS = {name: (word, of_reader(reader)) for word, rule in RULES.items() for name, reader in rule.parameters.items()}


class Caller:
    """Calls over one connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def status(self, path: bytes, **query: bytes) -> int:
        """Return the status; every error has to be in the envelope."""
        target = (
            quote_from_bytes(path) + "?" + "&".join(f"{n}={quote_from_bytes(v, safe='')}" for n, v in query.items())
        )
        self._connection.request("GET", target)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json", target
            assert json.loads(body)["status"] == answer.status
            assert b"Traceback" not in body
        return answer.status

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def caller(served: Shop) -> Iterator[Caller]:
    log = served.server.log.read_text()
    made = Caller(served.server.port)
    yield made
    made.close()
    assert served.server.log.read_text() == log
    assert served.ask(b"/readyz").status == 200


PATHS: dict[str, tuple[Texts, Texts]] = {"user": USERS, "type": numbers(1, MAX_ITEM_TYPE), "item": ITEMS}


@pytest.mark.parametrize("place", PATHS)
def test_what_a_path_names_is_taken_or_refused(served: Shop, caller: Caller, place: str) -> None:
    right, bent = PATHS[place]
    before = len(served.stored())

    def status(value: bytes) -> int:
        parts = {"user": b"ann", "type": b"1", "item": b"5"} | {place: value}
        return caller.status(b"/".join([b"/api/00001/click", *parts.values()]))

    @quickly
    @given(right)
    def takes(value: bytes) -> None:
        assert status(value) == 204

    @quickly
    @given(bent)
    def refuses(value: bytes) -> None:
        assert status(value) in (400, 414)

    refuses()
    assert len(served.stored()) == before
    takes()
    assert len(served.stored()) > before


@pytest.mark.parametrize("name", EVENTS)
def test_an_events_parameter_is_taken_or_refused(served: Shop, caller: Caller, name: str) -> None:
    word, (right, bent) = EVENTS[name]
    rule = RULES[word]
    path = {"user": b"ann", "users": b"ann/bob"}.get(rule.path, b"ann/1/5")
    needed = {rule.required: b"1"} if rule.required not in ("", name) else {}
    target = b"/api/00001/" + word.encode() + b"/" + path
    before = len(served.stored())

    @quickly
    @given(right)
    def takes(value: bytes) -> None:
        assert caller.status(target, **{name: value}, **needed) == 204

    @quickly
    @given(bent)
    def refuses(value: bytes) -> None:
        assert caller.status(target, **{name: value}, **needed) in (400, 414)

    refuses()
    assert len(served.stored()) == before
    takes()
    assert len(served.stored()) > before


@pytest.mark.parametrize("name", RECOMMENDATIONS)
def test_a_parameter_of_a_recommendation_is_taken_or_refused(caller: Caller, name: str) -> None:
    right, bent = RECOMMENDATIONS[name]
    target = b"/api/v2/00001/ann/popular.jsonp"

    @quickly
    @given(right)
    def takes(value: bytes) -> None:
        assert caller.status(target, **{name: value}) == 200

    @quickly
    @given(bent)
    def refuses(value: bytes) -> None:
        assert caller.status(target, **{name: value}) in (400, 414)

    takes()
    refuses()
