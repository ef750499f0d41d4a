"""Batches: what each object becomes, what refuses all of them, and that no rule differs from the single call's."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.events.event import Event, decode
from personalization_pipelines.events.judging.batch import MAX_CONTAINERS, MAX_EVENTS, Batch, judge_batch
from personalization_pipelines.events.judging.judge import RULES, Call, Refuse, judge
from personalization_pipelines.events.judging.rules import MAX_ITEMS
from personalization_pipelines.events.judging.visitors import Visitors, visitor_of
from personalization_pipelines.foundation.identifiers import parse_user_id, pseudonym
from tests.conftest import make_website

KEY = b"k" * 32
NOW = 1_700_000_000_000_000
SHOP = make_website()
CLICK = {"event": "click", "user": "ann", "item_type": 1, "item": 5}
ID = "0B6C0B6C-0b6c-4b6c-8b6c-0b6c0b6c0b6c"


def stored(body: bytes | list[Any]) -> list[Event]:
    """The events of a batch that must be accepted."""
    batch = judge_batch(body if isinstance(body, bytes) else json.dumps(body).encode(), SHOP, NOW, KEY)
    assert isinstance(batch, Batch), batch
    events = [decode(record) for record in batch.records]
    assert sum(batch.counts.values()) == len(events)
    return events


def refused(body: bytes | list[Any]) -> Refuse:
    """The refusal of a batch."""
    decision = judge_batch(body if isinstance(body, bytes) else json.dumps(body).encode(), SHOP, NOW, KEY)
    assert isinstance(decision, Refuse), decision
    return decision


ANN = {"website": "shop", "received_at": NOW, "time": NOW, "visitor": pseudonym(KEY, "00001", "ann")}
ACCEPTED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (CLICK, {**ANN, "event": "click", "item_type": 1, "item": "5"}),
    ({**CLICK, "item": "007", "item_type": "2"}, {**ANN, "item_type": 2, "item": "7"}),
    ({"event": "click", "user": "ann", "type": 1, "items": 5}, {**ANN, "item_type": 1, "item": "5"}),
    ({"EVENT": "click", "User": "ann", "Type": 1, "Item": [5]}, {**ANN, "event": "click", "item": "5"}),
    ({**CLICK, "user": 12}, {"visitor": pseudonym(KEY, "00001", "12")}),
    ({**CLICK, "user": None}, {"visitor": ""}),
    ({**CLICK, "user": "not_defined"}, {"visitor": ""}),
    ({"event": "click", "item_type": 1, "item": 5}, {"visitor": ""}),
    ({**CLICK, "user": "~" + "b" * 21 + "A"}, {"visitor": "b" * 21 + "A"}),
    ({**CLICK, "user": "jörg/a+b"}, {"visitor": pseudonym(KEY, "00001", "jörg/a+b")}),
    ({**CLICK, "item_type": 9}, {"quarantine": "item type 9 is not declared by website shop"}),
    ({**CLICK, "event": "buy", "fullprice": "12.45EUR"}, {"price_minor": 1245, "currency": "EUR", "quantity": 1}),
    ({**CLICK, "event": "buy", "Quantity": 3}, {"quantity": 3}),
    ({**CLICK, "event": "buy", "quantity": None}, {"quantity": 1}),
    ({**CLICK, "event": "rate", "rating": 0}, {"rating": 0}),
    ({**CLICK, "categorypath": ["/A/B/", "C"]}, {"categories": ("/A/B", "/C")}),
    ({**CLICK, "segments": [7, "11"]}, {"segments": (7, 11)}),
    ({**CLICK, "event": "rendered", "scenario": "home"}, {"scenario": "home", "verified": False}),
    ({**CLICK, "event": "follow", "scenario": "home"}, {"event": "clickrecommended", "verified": False}),
    ({"event": "triggeropened", "user": "ann", "triggername": "won"}, {**ANN, "trigger": "won", "item": ""}),
    ({**CLICK, "event_id": ID}, {"event_id": ID.lower()}),
    ({**CLICK, "unknown": {"a": [1, {"b": None}]}, "other": True, "more": 1.5, "lang": ""}, {**ANN, "language": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), ACCEPTED)
def test_an_object_is_stored_as_the_event_it_says(sent: dict[str, Any], expected: dict[str, Any]) -> None:
    (event,) = stored([sent])
    assert {name: getattr(event, name) for name in expected} == expected


def test_an_array_and_lines_say_the_same() -> None:
    sent = [{**CLICK, "item": item} for item in range(20)]
    lines = "\n".join(map(json.dumps, sent)) + "\n\n"
    assert stored(lines.encode()) == stored(sent) == stored(("\r\n".join(map(json.dumps, sent))).encode())
    assert stored([]) == stored(b"  \n") == []


def test_escapes_are_read() -> None:
    body = rb'[{"event":"click","user":"J\u00f6rg","item_type":1,"item":5,"categorypath":"\/A\/B"}]'
    (event,) = stored(body)
    assert (event.visitor, event.categories) == (pseudonym(KEY, "00001", "Jörg"), ("/A/B",))


def test_several_items_are_several_events_with_an_event_id_each() -> None:
    sent = {"event": "rendered", "user": "ann", "type": 1, "items": [5, "6", 7], "event_id": ID}
    assert [(event.item, event.event_id) for event in stored([sent])] == [
        ("5", ID.lower()), ("6", f"{ID.lower()}/1"), ("7", f"{ID.lower()}/2")
    ]  # fmt: skip


GOOD = json.dumps(CLICK).encode()
REFUSED: list[tuple[bytes, int, str]] = [
    (b"[" + GOOD, 400, "body: Input data was truncated"),
    (b"[" * 100_000, 400, "expected a JSON array of objects"),
    (b'[{"a":' + b"[" * 99_000, 400, "not nested this deeply"),
    (b'[{"a":' * 100_000, 400, f"more than {MAX_CONTAINERS} objects and arrays"),
    (b"[" + GOOD + b",5]", 400, "event 2 of the batch: Expected `object`, got `int`"),
    (GOOD + b"\n" + GOOD + b'\n"x"', 400, "event 3 of the batch: Expected `object`, got `str`"),
    (b'[{"item":NaN}]', 400, "malformed: invalid character (byte 9)"),
    (b'[{"item":1e999}]', 400, "event 1 of the batch: Number out of range"),
    (b'[{"item":' + b"9" * 5000 + b"}]", 400, "event 1 of the batch: Integer value out of range"),
    (b'[{"event":"click","item":' + b"9" * 99 + b"}]", 400, "'item': expected a number of at most 64 bits"),
    (b'[{"event":"click","user":"a","user":"b"}]', 400, "'user' is given twice in one object"),
    (b'{"event":"click","event":"click"}', 400, "'event' is given twice in one object"),
    (b'[{"a":{"b":1,"b":1}}]', 400, "'b' is given twice in one object"),
    (b'[{"event":"click","user":"\\u0075","us\\u0065r":"b"}]', 400, "'user' is given twice"),
    (b'[{"user":"\xff"}]', 400, "expected UTF-8"),
    (b'[{"user":"a\x01"}]', 400, "malformed: invalid character"),
    (b'[{"x":"a\x7f"}]', 400, "'x': control characters"),
    (b'[{"x":"a\\u0000"}]', 400, "'x': control characters"),
    (b'[{"x":["a\\\\b"]}]', 400, "'x': control characters and '\\' are not allowed"),
    (b'[{"x":"\\ud800"}]', 400, "truncated"),
    (b'[{"event":"buyy"}]', 400, "event 1 of the batch: event 'buyy': expected one of"),
    (b'[{"event":"login"}]', 400, "event 1 of the batch: user id '' in a login"),
    (b'[{"event":"login","user":"a","source":"b","target":["a","c"]}]', 400, "user id '' in a login"),
    (b"[{}]", 400, "event 1 of the batch: event ''"),
]


@pytest.mark.parametrize(("body", "status", "sentence"), REFUSED)
def test_a_body_that_is_no_batch_is_refused(body: bytes, status: int, sentence: str) -> None:
    decision = refused(body)
    assert (decision.status, sentence in decision.detail) == (status, True), decision


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"item": "x"}, 400, "item id 'x'"),
    ({"item": -1}, 400, "item id '-1'"),
    ({"item": 5.0}, 400, "'item': expected a text or a whole number"),
    ({"item": [5, 6]}, 400, "item with 2 values"),
    ({"item": 2**63}, 400, "item id '9223372036854775808'"),
    ({"item": None}, 400, "item id ''"),
    ({"item_type": True}, 400, "'item_type': expected a text or a whole number"),
    ({"item_type": 0}, 400, "item type '0'"),
    ({"type": 2}, 400, "'type' is given twice"),
    ({"user": {"id": 1}}, 400, "'user': expected a text"),
    ({"user": "é" * 257}, 400, "user id of 514 bytes"),
    ({"user": "a\ufffd"}, 400, "broken UTF-8"),
    ({"event": ["click", "buy"]}, 400, "event with 2 values"),
    ({"event": "rate"}, 400, "rating is missing"),
    ({"event": "rate", "rating": 101}, 400, "rating '101'"),
    ({"event": "buy", "quantity": {}}, 400, "'quantity': expected a text"),
    ({"lang": "english!"}, 400, "lang 'english!'"),
    ({"lang": ["eng-GB", "ger-DE"]}, 400, "lang was given 2 times"),
    ({"event_id": "1"}, 400, "event_id '1': expected a UUID"),
    ({"event_id": 1}, 400, "event_id '1': expected a UUID"),
    ({"overridetimestamp": "2012-01-01T11:00:00"}, 401, "overridetimestamp needs signature"),
    ({"event": "rendered", "item": ["5", "6,7"]}, 400, "expected an array of item ids"),
]


@pytest.mark.parametrize(("changes", "status", "sentence"), BAD)
def test_one_bad_event_refuses_all_and_is_named_by_its_position(
    changes: dict[str, Any], status: int, sentence: str
) -> None:
    decision = refused([CLICK, CLICK, {**CLICK, **changes}, CLICK])
    assert decision.status == status
    assert decision.detail.startswith("event 3 of the batch: ")
    assert sentence in decision.detail


def test_a_batch_of_too_many_events_is_refused_also_where_items_make_them() -> None:
    assert len(stored([CLICK] * MAX_EVENTS)) == MAX_EVENTS
    assert refused([CLICK] * (MAX_EVENTS + 1)).status == 413
    page = {**CLICK, "event": "rendered", "item": ",".join(["5"] * MAX_ITEMS)}
    assert refused([page] * (MAX_EVENTS // MAX_ITEMS) + [CLICK]).status == 413
    assert refused([{**page, "item": "5," * MAX_ITEMS + "5"}]).status == 400


TEXTS = st.sampled_from(
    ["", "5", "007", "x", "5,6", "ann", "12.45EUR", "eng-GB", "home", "not_defined", "50", "0", "~a"]
)
NUMBERS = st.one_of(st.integers(-5, 200), st.sampled_from([2**31, 2**63, 2**63 + 1]))
VALUES = st.one_of(TEXTS, NUMBERS, st.none())
PARAMETERS = st.dictionaries(
    st.sampled_from(["quantity", "fullprice", "rating", "percentage", "lang", "segments", "scenario", "modelid",
                     "requestuuid", "categorypath", "triggername", "foo", "sig", "rid"]),
    VALUES, max_size=4,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([*sorted(RULES), "click", "buy", "x"]), VALUES, NUMBERS, VALUES, PARAMETERS)
def test_an_object_is_judged_as_the_call_that_says_the_same(
    word: str, user: Any, item_type: int, item: Any, parameters: dict[str, Any]
) -> None:
    texts = {name: [str(value)] for name, value in parameters.items() if value not in (None, "")}
    place = [] if word == "triggeropened" else [str(item_type), "" if item is None else str(item)]
    path = ["" if user is None else str(user), *place]
    sent = {"event": word, "user": user, "item_type": item_type, "item": item, **parameters}
    if word in ("login", "transfer"):
        path = [str(item_type), path[0]]
        sent |= {"source": item_type, "target": user}
    expected = judge(Call(word, path, texts), SHOP, NOW, KEY)
    body = json.dumps([sent], ensure_ascii=False).encode()
    if isinstance(expected, Refuse):
        assert refused(body).status in (400, 401)
    else:
        assert stored(body) == list(expected.events)


@given(st.text(max_size=80), st.binary(min_size=1, max_size=100), st.sampled_from(["1", "00001", "shop7"]))
def test_visitors_of_a_batch_are_those_of_single_calls(user: str, key: bytes, customer: str) -> None:
    visitors = Visitors(make_website(customer_id=customer), key)
    try:
        known = parse_user_id(user)
    except ValueError:
        return
    expected = pseudonym(key, customer, known) if known is not None else ""
    assert visitors[user] == visitors[user] == expected or user.startswith("~")


USERS = st.text(max_size=30) | st.text("abcXYZ019-.@_~", max_size=30) | st.just("not_defined") | st.just("a" * 600)


@given(st.lists(USERS | st.integers() | st.none() | st.booleans() | st.lists(st.text()), max_size=20))
def test_visitors_met_together_are_those_of_single_calls(users: list[Any]) -> None:
    visitors = Visitors(SHOP, KEY)
    visitors.meet(users)
    for user, visitor in visitors.items():
        assert user in {str(one) for one in users}
        assert visitor == visitor_of(user, SHOP, KEY)


def test_plain_users_are_met_together_also_where_others_are_among_them() -> None:
    visitors, plain = Visitors(SHOP, KEY), ["7", "a-b", "x@y.example"]
    visitors.meet([7, "a-b", None, "x@y.example", ["a"], "not_defined", "undefined", "NULL", "", "~token", "é", True])
    assert sorted(visitors) == sorted(plain)


@given(st.binary(max_size=200))
def test_any_bytes_are_decided(body: bytes) -> None:
    assert isinstance(judge_batch(body, SHOP, NOW, KEY), Batch | Refuse)


def test_a_uuid_of_any_version_is_an_event_id() -> None:
    for made in (uuid.UUID(int=0), uuid.uuid1(), uuid.uuid4(), uuid.uuid5(uuid.NAMESPACE_URL, "a")):
        (event,) = stored([{**CLICK, "event_id": str(made)}])
        assert event.event_id == str(made)
