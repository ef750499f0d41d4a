"""What becomes of a tracking call, as a table: stored fields, or status and sentence."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.judging.judge import (
    RULES,
    Accept,
    Call,
    Decision,
    Quarantine,
    Refuse,
    judge,
)
from personalization_pipelines.events.judging.rules import MAX_ITEMS, rounded
from personalization_pipelines.events.judging.signature import md5_signature
from personalization_pipelines.foundation.currency import FRACTION_DIGITS
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.website import Website
from tests.conftest import make_website

KEY = b"k" * 32
NOW = 1_700_000_000_000_000
ANN, BOB = pseudonym(KEY, "00001", "ann"), pseudonym(KEY, "00001", "bob")
SHOP = make_website()


def decide(path: str, website: Website = SHOP, **parameters: str | list[str]) -> Decision:
    """Judge a call given as `event/user/type/item` and its parameters."""
    event, *rest = path.split("/")
    values = {name: value if isinstance(value, list) else [value] for name, value in parameters.items()}
    return judge(Call(event, rest, values), website, NOW, KEY)


def stored(path: str, website: Website = SHOP, **parameters: str | list[str]) -> list[Event]:
    """The events of a call that must be accepted."""
    decision = decide(path, website, **parameters)
    assert isinstance(decision, Accept), decision
    return list(decision.events)


ACCEPTED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("click/ann/1/5", {}, {"event": "click"}),
    ("click/ann/2/007", {}, {"event": "click", "item_type": 2, "item": "7"}),
    ("click/not_defined/1/5", {}, {"event": "click", "visitor": ""}),
    ("click//1/5", {}, {"event": "click", "visitor": ""}),
    ("click/a/b/1/5", {}, {"event": "click", "visitor": pseudonym(KEY, "00001", "a/b")}),
    ("click/ann/1/5", {"categorypath": ["Men/Tops/", "/Sale", "Sale", "/"]}, {"categories": ("/Men/Tops", "/Sale")}),
    ("click/ann/1/5", {"lang": "eng-GB", "segments": ["7,11", "14"]}, {"language": "eng-GB", "segments": (7, 11, 14)}),
    ("click/ann/1/5", {"requestuuid": "0b6c-1"}, {"request_uuid": "0b6c-1"}),
    ("click/ann/1/5", {"quantity": "many", "foo": "bar"}, {"event": "click", "quantity": None}),
    ("consume/ann/1/5", {"percentage": "100"}, {"event": "consume", "percentage": 100}),
    ("consume/ann/1/5", {}, {"event": "consume", "percentage": None}),
    ("buy/ann/1/5", {}, {"event": "buy", "quantity": 1, "price_minor": None, "currency": ""}),
    ("buy/ann/1/5", {"quantity": "3", "fullprice": "12.45EUR"}, {"quantity": 3, "price_minor": 1245}),
    ("buy/ann/1/5", {"fullprice": "456JPY"}, {"price_minor": 456, "currency": "JPY"}),
    ("buy/ann/1/5", {"fullprice": "1.5KWD"}, {"price_minor": 1500, "currency": "KWD"}),
    ("buy/ann/1/5", {"fullprice": ["0.10EUR", "0.10EUR"]}, {"price_minor": 10}),
    ("buy/ann/1/5", {"fullprice": "9.999EUR"}, {"price_minor": 1000, "currency": "EUR"}),
    ("buy/ann/1/5", {"fullprice": "34.333333333EUR"}, {"price_minor": 3433}),
    ("buy/ann/1/5", {"fullprice": "0.30000000000000004EUR"}, {"price_minor": 30}),
    ("buy/ann/1/5", {"fullprice": "12.345EUR"}, {"price_minor": 1234}),
    ("buy/ann/1/5", {"fullprice": "12.355EUR"}, {"price_minor": 1236}),
    ("buy/ann/1/5", {"fullprice": "12.3450000000000000000000000000000000001EUR"}, {"price_minor": 1235}),
    ("buy/ann/1/5", {"fullprice": "0.5JPY"}, {"price_minor": 0, "currency": "JPY"}),
    ("buy/ann/1/5", {"fullprice": "9,99EUR"}, {"price_minor": 999}),
    ("buy/ann/1/5", {"fullprice": "1299,5EUR"}, {"price_minor": 129950}),
    ("buy/ann/1/5", {"fullprice": "1.299,00EUR"}, {"price_minor": 129900}),
    ("buy/ann/1/5", {"fullprice": "1,299,000.005EUR"}, {"price_minor": 129900000}),
    ("buy/ann/1/5", {"fullprice": "NaNEUR"}, {"price_minor": None, "currency": ""}),
    ("buy/ann/1/5", {"fullprice": "undefinedEUR"}, {"price_minor": None, "currency": ""}),
    ("buy/ann/1/5", {"fullprice": "null", "quantity": "undefined"}, {"price_minor": None, "quantity": 1}),
    ("buy/ann/1/5", {"quantity": "1.0000"}, {"quantity": 1}),
    ("buy/ann/1/5", {"quantity": "1.5"}, {"quantity": 2}),
    ("buy/ann/1/5", {"quantity": "2.5"}, {"quantity": 2}),
    ("buy/ann/1/5", {"quantity": "0.35"}, {"quantity": 1}),
    ("consume/ann/1/5", {"percentage": "33.3"}, {"percentage": 33}),
    ("consume/ann/1/5", {"percentage": "100.00000000000001"}, {"percentage": 100}),
    ("consume/ann/1/5", {"percentage": "1e-7"}, {"percentage": 0}),
    ("consume/ann/1/5", {"percentage": "NaN"}, {"percentage": None}),
    ("rate/ann/1/5", {"rating": "4.5"}, {"rating": 4}),
    ("rate/ann/1/5", {"rating": "5.5"}, {"rating": 6}),
    ("click/ann/1/5", {"lang": "undefined", "segments": "null"}, {"language": "", "segments": ()}),
    ("click/ann/1/5", {"categorypath": ["NaN", "/undefined/a"]}, {"categories": ("/undefined/a",)}),
    ("click/ann/1/5", {"lang": ["null", "de"], "segments": ["7,undefined"]}, {"language": "de", "segments": (7,)}),
    ("click/ann/1/5", {"lang": "nan"}, {"language": "nan"}),
    ("click/ann/1/5", {"requestuuid": "undefined", "overridetimestamp": "undefined", "signature": "null"}, {}),
    ("clickrecommended/ann/1/5", {"scenario": "home", "modelid": "undefined"}, {"model": "", "verified": False}),
    *((f"click/{user}/1/5", {}, {"visitor": ""}) for user in (
        "undefined", "null", "NULL", "none", "None", "NaN", "[object Object]", "NOT_DEFINED"
    )),
    ("click/undefined2/1/5", {}, {"visitor": pseudonym(KEY, "00001", "undefined2")}),
    ("rate/ann/1/5", {"rating": "0"}, {"event": "rate", "rating": 0}),
    ("clickrecommended/ann/1/5", {"scenario": "home", "modelid": "7"}, {"scenario": "home", "model": "7"}),
    ("follow/ann/1/5", {"scenario": "home"}, {"event": "clickrecommended", "scenario": "home"}),
    ("click/~bbbbbbbbbbbbbbbbbbbbbA/1/5", {}, {"visitor": "bbbbbbbbbbbbbbbbbbbbbA"}),
    ("click/~bbbbbbbbbbbbbbbbbbbbbB/1/5", {}, {"visitor": pseudonym(KEY, "00001", "~bbbbbbbbbbbbbbbbbbbbbB")}),
    ("clicktriggered/ann/1/5", {"triggername": "won"}, {"event": "clicktriggered", "trigger": "won"}),
    ("triggeropened/ann", {"triggername": "won"}, {"trigger": "won", "item_type": 0, "item": ""}),
    ("triggeropened/a/b", {"triggername": "t"}, {"visitor": pseudonym(KEY, "00001", "a/b"), "item_type": 0}),
    *((f"{name}/ann/1/5", {}, {"event": name}) for name in sorted(RULES) if RULES[name].name == name and name not in (
        "click", "consume", "buy", "rate", "clickrecommended", "triggeropened", "clicktriggered", "login"
    )),
    ("login/bob/ann", {}, {"event": "login", "source_visitor": BOB, "item_type": 0, "item": ""}),
    ("transfer/bob/ann", {"lang": "de"}, {"event": "login", "source_visitor": BOB, "item_type": 0, "item": ""}),
    ("login/~bbbbbbbbbbbbbbbbbbbbbA/ann", {}, {"source_visitor": "bbbbbbbbbbbbbbbbbbbbbA", "item_type": 0, "item": ""}),
    (f"login/bob/~{ANN}", {}, {"source_visitor": BOB, "item_type": 0, "item": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "parameters", "expected"), ACCEPTED)
def test_a_good_call_is_stored_as_one_event(path: str, parameters: dict[str, Any], expected: dict[str, Any]) -> None:
    (event,) = stored(path, **parameters)
    item = "" if path.startswith("triggeropened") else "5"
    common = {"website": "shop", "received_at": NOW, "time": NOW, "visitor": ANN, "item_type": 1, "item": item}
    assert {name: getattr(event, name) for name in common | expected} == common | expected


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("click/ann/1", {}, 400, "path of click: expected click/{user}/{type}/{item}"),
    ("click/ann/0/5", {}, 400, "item type '0'"),
    ("click/ann/2147483648/5", {}, 400, "item type '2147483648': expected a number"),
    ("click/ann/1/", {}, 400, "item id ''"),
    ("click/ann/1/x5", {}, 400, "item id 'x5'"),
    ("click/ann/1/٣", {}, 400, "ASCII digits"),
    ("click/ann/1/12345678901234567890", {}, 400, "item id '12345678901234567890'"),
    (f"click/{'é' * 257}/1/5", {}, 400, "user id of 514 bytes"),
    ("click/a\ufffd/1/5", {}, 400, "broken UTF-8"),
    ("click/ann/1/5", {"lang": "english!"}, 400, "lang 'english!': expected a language code"),
    ("click/ann/1/5", {"lang": ["eng-GB", "ger-DE"]}, 400, "lang was given 2 times with different values"),
    ("click/ann/1/5", {"segments": "7,x"}, 400, "segments 'x': expected a whole number from 0"),
    ("click/ann/1/5", {"segments": ",".join(map(str, range(101)))}, 400, "segments with 101 ids"),
    ("click/ann/1/5", {"categorypath": ["/A"] * 21}, 400, "categorypath given 21 times"),
    ("click/ann/1/5", {"categorypath": "x" * 1025}, 400, "at most 1024 characters"),
    ("click/ann/1/5", {"requestuuid": "a b"}, 400, "requestuuid 'a b'"),
    ("consume/ann/1/5", {"percentage": "101"}, 400, "percentage '101': expected a number from 0 to 100"),
    ("consume/ann/1/5", {"percentage": "-1"}, 400, "percentage '-1'"),
    ("consume/ann/1/5", {"percentage": "100.6"}, 400, "percentage '100.6'"),
    ("consume/ann/1/5", {"percentage": "\u0665"}, 400, "expected a number"),
    ("consume/ann/1/5", {"percentage": "5%"}, 400, "expected a number"),
    ("consume/ann/1/5", {"percentage": "1e999"}, 400, "expected a number"),
    ("buy/ann/1/5", {"quantity": "0"}, 400, "quantity '0': expected a number from 1"),
    ("buy/ann/1/5", {"quantity": "0.000"}, 400, "quantity '0.000': expected a number from 1"),
    ("buy/ann/1/5", {"quantity": "-0.2"}, 400, "quantity '-0.2': expected a number from 1"),
    ("buy/ann/1/5", {"quantity": "2147483647.5"}, 400, "quantity '2147483647.5'"),
    ("buy/ann/1/5", {"fullprice": "1,299EUR"}, 400, "fullprice '1,299EUR': expected an amount and its currency"),
    ("buy/ann/1/5", {"fullprice": "1.2.3EUR"}, 400, "fullprice '1.2.3EUR'"),
    ("buy/ann/1/5", {"fullprice": "1,2,3EUR"}, 400, "fullprice '1,2,3EUR'"),
    ("buy/ann/1/5", {"fullprice": "12.45undefined"}, 400, "fullprice '12.45undefined'"),
    ("buy/ann/1/5", {"fullprice": "12.45"}, 400, "fullprice '12.45'"),
    ("buy/ann/1/5", {"fullprice": "-1EUR"}, 400, "fullprice '-1EUR'"),
    ("buy/ann/1/5", {"fullprice": "12.45EUX"}, 400, "currency 'EUX'"),
    ("buy/ann/1/5", {"fullprice": "999999999999999EUR"}, 400, "9007199254740991"),
    ("rate/ann/1/5", {}, 400, "rating is missing"),
    ("rate/ann/1/5", {"rating": "101"}, 400, "rating '101'"),
    ("rate/ann/1/5", {"rating": "undefined"}, 400, "rating is missing"),
    ("clickrecommended/ann/1/5", {"scenario": "null"}, 400, "scenario is missing"),
    ("click/ann/1/5", {"lang": "nan!"}, 400, "lang 'nan!'"),
    ("clickrecommended/ann/1/5", {}, 400, "scenario is missing"),
    ("clickrecommended/ann/1/5", {"scenario": "../etc"}, 400, "scenario '../etc'"),
    ("rendered/ann/1/5,x", {}, 400, "item id 'x'"),
    ("click/ann/1/5", {"overridetimestamp": "2012-01-01T11:00:00"}, 401, "overridetimestamp needs signature"),
    ("click/ann/1/5", {"signature": "d002"}, 401, "signature does not fit"),
    ("triggeropened/ann", {}, 400, "triggername is missing"),
    ("clicktriggered/ann/1/5", {}, 400, "triggername is missing"),
    ("clicktriggered/ann", {"triggername": "won"}, 400, "expected clicktriggered/{user}/{type}/{item}"),
    ("buyy/ann/1/5", {}, 404, "event 'buyy': expected one of basket, blacklist, buy"),
    ("login/ann", {}, 400, "path of login: expected login/{source user}/{target user}; ids with '/' in them go in"),
    ("login/a/b/c", {}, 400, "path of login: expected login/{source user}/{target user}"),
    ("transfer/ann/bob/", {}, 400, "path of transfer: expected transfer/{source user}/{target user}"),
    ("login/not_defined/ann", {}, 400, "user id 'not_defined' in a login: nobody has no history"),
    ("login//ann", {}, 400, "user id '' in a login"),
    ("login/bob/not_defined", {}, 400, "user id 'not_defined' in a login"),
    ("login/bob/", {}, 400, "user id '' in a login"),
    ("login/undefined/ann", {}, 400, "user id 'undefined' in a login: nobody has no history"),
    ("login/bob/[object Object]", {}, 400, "user id '[object Object]' in a login"),
    ("transfer/NULL/none", {}, 400, "user id 'NULL' in a login"),
    ("login/ann/ann", {}, 400, "login with the same user twice"),
    (f"login/ann/~{ANN}", {}, 400, "login with the same user twice"),
    (f"login/{'é' * 257}/ann", {}, 400, "user id of 514 bytes"),
    ("login/bob/ann", {"overridetimestamp": "2012-01-01"}, 401, "overridetimestamp needs signature"),
    ("login/bob/ann", {"signature": "d002"}, 401, "login has no item, which signature would need: use signature2"),
]


@pytest.mark.parametrize(("path", "parameters", "status", "sentence"), REFUSED)
def test_a_bad_call_is_refused_with_a_sentence(
    path: str, parameters: dict[str, Any], status: int, sentence: str
) -> None:
    decision = decide(path, **parameters)
    assert isinstance(decision, Refuse)
    assert decision.status == status
    assert sentence in decision.detail


def test_a_website_names_more_users_who_are_nobody() -> None:
    own = make_website(placeholder_users=["Guest", "0"])
    assert [stored(f"click/{user}/1/5", own)[0].visitor for user in ("guest", "GUEST", "0", "null")] == [""] * 4
    assert stored("click/guest/1/5")[0].visitor == pseudonym(KEY, "00001", "guest")
    assert isinstance(decide("login/guest/ann", own), Refuse)


def test_a_value_that_says_nothing_is_signed_as_it_was_sent() -> None:
    sent = {"lang": ["undefined"], "overridetimestamp": ["2012-01-01"]}
    signature = md5_signature(SHOP.license_key.get_secret_value(), "1", "5", sent)
    (event,) = stored("click/ann/1/5", lang="undefined", overridetimestamp="2012-01-01", signature=signature)
    assert (event.language, event.time < NOW) == ("", True)
    refused = decide("click/ann/1/5", overridetimestamp="2012-01-01", signature="undefined")
    assert isinstance(refused, Refuse) and refused.status == 401


@given(st.text(max_size=20) | st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{0,9})?", fullmatch=True), st.integers(0, 1))
def test_a_rounded_number_is_the_nearest_within_its_bounds(text: str, lowest: int) -> None:
    number = rounded(text, lowest, 100)
    if number is not None:
        assert lowest <= number <= 100
        assert abs(number - Decimal(text)) <= Decimal("0.5") or (number == lowest == 1 and 0 < Decimal(text) < 1)


def test_rendered_stores_one_event_for_each_item() -> None:
    events = stored("rendered/ann/1/5,6,007", scenario="home", requestuuid="abc")
    assert [event.item for event in events] == ["5", "6", "7"]
    assert {(event.scenario, event.request_uuid, event.visitor) for event in events} == {("home", "abc", ANN)}


def test_rendered_without_items_is_stored_without_an_item() -> None:
    (event,) = stored("rendered/ann/1/", scenario="home")
    assert (event.event, event.item_type, event.item) == ("rendered", 1, "")


def test_alphanumeric_ids_are_taken_only_where_the_website_allows_them() -> None:
    (event,) = stored("click/ann/1/SKU-7 ü", make_website(item_ids="alphanumeric"))
    assert event.item == "SKU-7 ü"


def test_an_item_type_that_the_website_does_not_declare_goes_to_quarantine_with_its_reason() -> None:
    decision = decide("click/ann/9/5")
    assert isinstance(decision, Quarantine)
    assert decision.reason == "item type 9 is not declared by website shop"
    assert [event.quarantine for event in decision.events] == [decision.reason]


def test_the_same_user_of_two_websites_is_two_visitors_and_the_raw_id_is_in_neither() -> None:
    (mine,) = stored("click/canary@example.org/1/5")
    (other,) = stored("click/canary@example.org/1/5", make_website(customer_id="00002"))
    assert mine.visitor != other.visitor
    assert "canary" not in str(mine) + str(other)


@given(st.sampled_from(sorted(FRACTION_DIGITS)), st.integers(0, 10**9))
def test_a_price_is_exact_in_every_currency(code: str, minor: int) -> None:
    amount = Decimal(minor).scaleb(-FRACTION_DIGITS[code])
    (event,) = stored("buy/ann/1/5", fullprice=f"{amount:f}{code}")
    assert (event.price_minor, event.currency) == (minor, code)


@given(
    st.sampled_from(sorted(RULES)),
    st.lists(st.text(max_size=12), max_size=5),
    st.dictionaries(
        st.sampled_from(
            ["quantity", "fullprice", "percentage", "rating", "segments", "lang", "scenario", "categorypath"]
        ),
        st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3),
    ),
)
def test_any_text_is_decided_and_a_stored_event_is_within_its_bounds(
    event: str, path: list[str], parameters: dict[str, list[str]]
) -> None:
    decision = judge(Call(event, path, parameters), SHOP, NOW, KEY)
    if isinstance(decision, Refuse):
        assert decision.status == 400
        return
    for one in decision.events:
        assert 1 <= one.item_type < 2**31 or one.event in ("triggeropened", "login")
        assert one.quantity is None or 1 <= one.quantity < 2**31
        assert all(value is None or 0 <= value <= 100 for value in (one.rating, one.percentage))
        assert len(one.visitor) in (0, 22)
        assert len(one.source_visitor) == (22 if one.event == "login" else 0)


def test_one_call_shows_no_more_items_than_a_page_can() -> None:
    items = ",".join(str(number) for number in range(1, MAX_ITEMS + 1))
    assert len(stored(f"rendered/ann/1/{items}")) == MAX_ITEMS
    more = decide(f"rendered/ann/1/{items},7")
    assert isinstance(more, Refuse) and more.status == 400 and f"at most {MAX_ITEMS}" in more.detail
