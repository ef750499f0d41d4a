"""Records made from templates are those of judging each event alone, byte for byte; so are the refusals."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.events.event import decode, encode
from personalization_pipelines.events.judging import batch_usual
from personalization_pipelines.events.judging.batch import Batch, judge_batch
from personalization_pipelines.events.judging.batch_usual import MAX_SHAPE_BYTES, UsualEvents, usual_events
from personalization_pipelines.events.judging.judge import RULES, Call, Refuse, judge
from personalization_pipelines.events.judging.origins import Origins
from personalization_pipelines.website import Website
from tests.conftest import make_website

KEY = b"k" * 32
NOW = 1_700_000_000_000_000
NUMERIC, ALPHANUMERIC = make_website(placeholder_users=["guest"]), make_website(item_ids="alphanumeric")
CLICK = {"event": "click", "user": "ann", "item_type": 1, "item": 5}
ID = "0b6c0b6c-0b6c-4b6c-8b6c-0b6c0b6c0b6c"


def alone(sent: dict[str, Any], website: Website) -> list[tuple[str, bytes]] | Refuse:
    """What the call that says the same is stored as, written without any of the batch's own code."""
    items = [str(item) for name in ("item", "items") for item in listed(sent.get(name))]
    texts = {name: [str(value)] for name, value in sent.items() if value not in (None, "") and "item" not in name}
    word, user, event_id = (texts.pop(name, [""])[0] for name in ("event", "user", "event_id"))
    kind = str(sent.get("item_type", "")) or texts.pop("type", [""])[0]
    if len(items) > 1 and RULES[word].path == "item":
        return Refuse(400, "", f"item with {len(items)} values: expected one")
    if event_id.lower() not in ("", ID, "undefined"):
        return Refuse(400, "", f"event_id {event_id!r}: expected a UUID")
    decision = judge(
        Call(word, [user, kind, ",".join(items)], texts, "" if event_id == "undefined" else event_id.lower()),
        website,
        NOW,
        KEY,
    )
    if isinstance(decision, Refuse):
        return decision
    return [(event.event, encode(event)) for event in decision.events]


def listed(value: Any) -> list[Any]:
    """The values of a field that may be one or several."""
    return [one for one in (value if isinstance(value, list) else [value]) if one not in (None, "")]


def one_by_one(sent: list[dict[str, Any]], website: Website) -> list[tuple[str, bytes]] | str:
    """What a batch is stored as; or the sentence with which it is refused."""
    made: list[tuple[str, bytes]] = []
    for position, one in enumerate(sent, 1):
        stored = alone(one, website)
        if isinstance(stored, Refuse):
            return f"event {position} of the batch: {stored.detail}"
        made += stored
    return made


def together(sent: list[dict[str, Any]], website: Website) -> list[tuple[str, bytes]] | str:
    """The same by `judge_batch`."""
    batch = judge_batch(json.dumps(sent, ensure_ascii=False).encode(), website, NOW, KEY)
    if isinstance(batch, Refuse):
        return batch.detail
    kinds = [decode(record).event for record in batch.records]
    assert batch.counts == Counter(kinds)
    return list(zip(kinds, batch.records, strict=True))


BUILT = sorted(word for word, rule in RULES.items() if rule.path in ("item", "items"))
USERS = st.one_of(
    st.sampled_from(["ann", "bob", "", "not_defined", "undefined", "None", "guest", "~" + "b" * 21 + "A", None, 7]),
    st.text(max_size=9),
)
ITEMS = st.one_of(
    st.integers(0, 30), st.sampled_from(["5", "007", "5,6", "x", "", None, -1, 2**63 - 1, 2**63, "~item", "ä\t"])
)
ITEMS |= st.lists(st.sampled_from([0, 5, 6, "7", "x", "", -1, 2**63]), max_size=4)
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "quantity": st.sampled_from([1, "3", 0, "x", 1.0, 2.5, "1.0000", "undefined"]),
        "fullprice": st.sampled_from(["12.45EUR", "456JPY", "1.234EUR", "NaNEUR", "null", None, "9,99EUR"]),
        "rating": st.sampled_from([0, 50, "100", 101, 4.5, "undefined", None]),
        "percentage": st.sampled_from([10, "x", 33.3, 1e-7, "NaN"]),
        "lang": st.sampled_from(["eng-GB", "", None, "?", "undefined", "null"]),
        "segments": st.sampled_from(["1,2", 7]),
        "scenario": st.sampled_from(["home", "a b"]),
        "categorypath": st.sampled_from(["/A/B", '/"item":"~item"', ',"event_id":"~id"', "/ä\u2028"]),
        "event_id": st.sampled_from([ID, ID.upper(), "1", "", None, ID + "0", "undefined"]),
        "sig": st.just("x"),
        "overridetimestamp": st.just("2012-01-01T11:00:00"),
        "anything": st.one_of(st.text(max_size=5), st.integers(0, 9)),
    },
)
SENT = st.builds(
    lambda word, user, kind, item, more: {"event": word, "user": user, kind[0]: kind[1], item[0]: item[1], **more},
    st.sampled_from([*BUILT, "click", "buy", "rendered", "rendered"]),
    USERS,
    st.tuples(st.sampled_from(["item_type", "item_type", "type"]), st.sampled_from([1, 2, "2", 9, 0])),
    st.tuples(st.sampled_from(["item", "item", "items"]), ITEMS),
    PARAMETERS,
)
FORBIDDEN = set(map(chr, (*range(32), 127))) | {"\\"}


def is_text(sent: dict[str, Any]) -> bool:
    """Whether no text of it is refused for its characters alone, which a body is as a whole."""
    return not any(FORBIDDEN & set(value) for value in sent.values() if isinstance(value, str))


@settings(max_examples=500, deadline=None)
@given(st.lists(SENT.filter(is_text), max_size=6), st.booleans())
def test_a_batch_is_stored_and_refused_as_its_events_are_alone(sent: list[dict[str, Any]], numeric: bool) -> None:
    website = NUMERIC if numeric else ALPHANUMERIC
    expected = one_by_one(sent, website)
    assert together(sent, website) == expected
    assert together(sent, website) == expected  # with what was remembered of the first time


def test_nobodys_events_are_marked_with_their_origin_by_either_way() -> None:
    origin = Origins().at(ALPHANUMERIC, "203.0.113.7", NOW)
    items: list[Any] = [5, "x", 'a"b', "ä", [7]]
    sent = [{**CLICK, "user": user, "item": item, **more} for user in ("undefined", "ann") for item in items
            for more in ({}, {"event_id": ID}, {"lang": ["de"]})]  # fmt: skip
    sent.append({**CLICK, "event": "rendered", "user": "", "item": ["5", "6"]})
    batch = judge_batch(json.dumps(sent).encode(), ALPHANUMERIC, NOW, KEY, origin)
    assert isinstance(batch, Batch)
    assert batch.records == [encode(decode(record)) for record in batch.records]
    expected = [(item, origin("click", item)) for item in ("5", "x", 'a"b', "ä", "7") for _ in range(3)]
    expected += [(item, "") for item, _ in expected] + [("5", ""), ("6", "")]
    assert [(event.item, event.origin) for event in map(decode, batch.records)] == expected


@pytest.mark.parametrize("word", BUILT)
def test_every_kind_of_event_has_a_shape(word: str) -> None:
    """The usual event of each kind does not need `judge`."""
    sent: dict[str, Any] = {"event": word, "user": "ann", "item_type": 1, "item": 5, "lang": "eng-GB", "event_id": ID}
    if required := RULES[word].required:
        sent[required] = 50
    records, kinds = UsualEvents(NUMERIC, KEY).records([dict(sent)], NOW, never)
    assert list(zip(kinds, records, strict=True)) == alone(sent, NUMERIC)


def never(index: int, texts: list[str], kinds: list[str]) -> None:
    """Fails the test."""
    raise AssertionError(f"event {index} was judged alone")


@pytest.mark.parametrize("event_id", [None, ID, ID.upper()])
@pytest.mark.parametrize(("name", "items"), [("item", [5]), ("items", [5, "6", "007"]), ("items", 5), ("item", "6")])
def test_several_items_have_a_shape(name: str, items: Any, event_id: str | None) -> None:
    sent = {"event": "rendered", "user": "ann", "type": 1, name: items, "scenario": "home"}
    sent |= {"event_id": event_id} if event_id else {}
    records, kinds = UsualEvents(NUMERIC, KEY).records([dict(sent)], NOW, never)
    assert list(zip(kinds, records, strict=True)) == alone(sent, NUMERIC)


def test_too_many_items_are_refused_with_what_they_follow() -> None:
    many = [{**CLICK, "event": "rendered", "item": list(range(1, 501))}] * 20
    assert len(together(many, NUMERIC)) == 10_000
    assert together([*many, CLICK], NUMERIC) == together([CLICK, *many], NUMERIC)
    assert "more than 10000 events" in str(together([CLICK, *many], NUMERIC))


def test_the_time_of_each_batch_is_its_own() -> None:
    for now in (NOW, NOW + 1):
        batch = judge_batch(json.dumps([CLICK]).encode(), NUMERIC, now, KEY)
        assert isinstance(batch, Batch)
        assert [(decode(record).received_at, decode(record).time) for record in batch.records] == [(now, now)]


def test_events_that_differ_in_ignored_fields_are_one_shape() -> None:
    usual = UsualEvents(NUMERIC, KEY)
    many = [{**CLICK, "sent_at": 1_700_000_000 + n, "quantity": n} for n in range(1, 50)]
    records, _ = usual.records([dict(one) for one in many], NOW, never)
    assert set(records) == {encode(event) for event in [decode(records[0])]}
    assert len({id(shape) for shape in usual._shapes.values()}) == 1
    assert [("click", record) for record in records] == one_by_one(many, NUMERIC)


def test_events_that_say_nothing_of_something_are_usual() -> None:
    sent = {"lang": "undefined", "segments": None, "categorypath": "null"}
    for one in (sent, {**sent, "user": "undefined"}):
        records, _ = UsualEvents(NUMERIC, KEY).records([{**CLICK, **one}], NOW, never)
        assert [("click", record) for record in records] == alone({**CLICK, **one}, NUMERIC)


def test_a_changed_website_is_read_anew() -> None:
    before, after = make_website(), make_website(item_types={9: "film"})
    assert usual_events(before, KEY) is usual_events(before, KEY)
    for website, quarantined in ((before, True), (after, False), (before, True)):
        batch = judge_batch(json.dumps([{**CLICK, "item_type": 9}]).encode(), website, NOW, KEY)
        assert isinstance(batch, Batch)
        assert bool(decode(batch.records[0]).quarantine) is quarantined


def test_another_key_gives_another_visitor() -> None:
    batches = [judge_batch(json.dumps([CLICK]).encode(), NUMERIC, NOW, key) for key in (KEY, b"x" * 32)]
    visitors = {decode(record).visitor for batch in batches if isinstance(batch, Batch) for record in batch.records}
    assert len(visitors) == 2


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_usual, "MAX_VISITORS", 100)
    usual = UsualEvents(ALPHANUMERIC, KEY)
    for number in range(40):
        many = [
            {**CLICK, "user": f"u{number}.{n}", "item": f"i{number}.{n}", "categorypath": f"/{number}/{n}"}
            for n in range(300)
        ]
        records, _ = usual.records(many, NOW, never)
        assert len(records) == 300
    assert sizes(usual) == {"_items": True, "_fields": True, "_shapes": True, "_visitors": True}


def sizes(usual: UsualEvents) -> dict[str, bool]:
    """Which of its memories are within their bounds."""
    bounds = {"_items": 5_000, "_fields": 5_000, "_shapes": 5_000, "_visitors": 400}
    return {name: 0 < len(getattr(usual, name)) <= most for name, most in bounds.items()}


def test_a_long_event_is_stored_but_not_remembered() -> None:
    sent = {**CLICK, "more": "x" * MAX_SHAPE_BYTES}
    body = json.dumps([sent]).encode()
    batch = judge_batch(body, NUMERIC, NOW, KEY)
    assert isinstance(batch, Batch)
    assert list(zip(batch.counts, batch.records, strict=True)) == alone(sent, NUMERIC)
    assert not any("more" in str(rest) for rest in usual_events(NUMERIC, KEY)._shapes if len(rest) > MAX_SHAPE_BYTES)


def test_users_are_forgotten_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = UsualEvents(NUMERIC, KEY)
    usual.records([dict(CLICK)], NOW, never)
    assert "ann" in usual._visitors
    monkeypatch.setattr("time.monotonic", lambda: usual._until + 1)
    usual.records([{**CLICK, "user": "bob"}], NOW, never)
    assert set(usual._visitors) == {"bob"}


def test_a_quote_in_an_item_id_is_escaped() -> None:
    batch = judge_batch(json.dumps([{**CLICK, "item": 'a"b', "event_id": ID}]).encode(), ALPHANUMERIC, NOW, KEY)
    assert isinstance(batch, Batch)
    assert [decode(record).item for record in batch.records] == ['a"b']
