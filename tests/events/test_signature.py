"""Historical events: the two signatures with worked examples, the time they claim, and replays of one call."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.judging.judge import Accept, Call, Decision, Refuse, judge
from personalization_pipelines.events.judging.signature import hmac_signature, md5_signature, override_time
from personalization_pipelines.events.lake.event_lake import ingest
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.home import Home
from tests.conftest import make_website
from tests.events.lakes import write_log

KEY = b"k" * 32
LICENSE = "8695-1828-92810-5535-4239"
NOW = 1_700_000_000_000_000
UTC = ZoneInfo("UTC")
SHOP = make_website(license_key=LICENSE)
TIME = "2012-01-01T11:00:00"
SENT = {"fullprice": ["19.99EUR"], "overridetimestamp": [TIME], "quantity": ["1"]}
SIGNED = "d0026f017ae823f19530d93318c5a2f6"
SIGNED2 = "80b42df3367409c357d3aa2ada1d6408b05700f7f203329d2c829d9c2e65f372"


def decide(event: str = "buy", user: str = "ann", place: tuple[str, ...] = ("1", "11"), **more: str) -> Decision:
    """Judge the worked example's call with changes."""
    parameters = {**SENT, **{name: [value] for name, value in more.items()}}
    return judge(Call(event, [user, *place], {name: values for name, values in parameters.items() if values != [""]}),
                 SHOP, NOW, KEY)  # fmt: skip


def test_the_worked_example_of_the_protocol_gives_its_signature() -> None:
    assert md5_signature(LICENSE, "1", "11", SENT) == SIGNED
    assert md5_signature(LICENSE, "1", "11", {**SENT, "signature": ["x"], "signature2": ["y"]}) == SIGNED


def test_the_worked_example_of_signature2_is_the_one_the_documentation_shows() -> None:
    made = hmac_signature(LICENSE, "00001", ("buy", "ann", "1", "11"), SENT)
    assert made == SIGNED2
    page = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text()
    assert SIGNED in page
    assert SIGNED2 in page
    assert f"00001&buy&ann&1&11&fullprice=19.99EUR&overridetimestamp={TIME.replace(':', '%3A')}&quantity=1" in page


def test_names_are_sorted_and_values_encoded_in_upper_case_hex() -> None:
    sent = {"z": ["ö&=1"], "a": ["/A B", "~"]}
    as_signed = "00001&click&a%2F%C3%B6%26&1&5&a=%2FA%20B&a=~&z=%C3%B6%26%3D1"
    assert (
        hmac_signature("key", "00001", ("click", "a/ö&", "1", "5"), sent)
        == hmac.new(b"key", as_signed.encode(), hashlib.sha256).hexdigest()
    )


@pytest.mark.parametrize(
    "signatures", [{"signature": SIGNED}, {"signature2": SIGNED2}, {"signature": SIGNED, "signature2": SIGNED2}]
)
def test_a_signed_event_is_stored_at_its_time(signatures: dict[str, str]) -> None:
    decision = decide(**signatures)
    assert isinstance(decision, Accept), decision
    (event,) = decision.events
    assert event.time == int(datetime(2012, 1, 1, 11, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * 1_000_000
    assert (event.received_at, event.price_minor, event.quantity) == (NOW, 1999, 1)


MUTATED: list[dict[str, Any]] = [
    {"place": ("2", "11")}, {"place": ("1", "12")}, {"fullprice": "1999.00EUR"}, {"quantity": "2"}, {"fullprice": ""},
    {"overridetimestamp": "2012-01-01T11:00:01"}, {"lang": "eng-GB"}, {"unknown": "x"},
]  # fmt: skip


@pytest.mark.parametrize("change", [*MUTATED, {"event": "click"}, {"user": "bob"}])
def test_signature2_allows_nothing_but_what_was_signed(change: dict[str, Any]) -> None:
    decision = decide(signature2=SIGNED2, **change)
    assert isinstance(decision, Refuse)
    assert (decision.status, "signature2 does not fit" in decision.detail) == (401, True)


@pytest.mark.parametrize("change", MUTATED)
def test_signature_allows_no_other_item_or_parameter(change: dict[str, Any]) -> None:
    decision = decide(signature=SIGNED, **change)
    assert isinstance(decision, Refuse)
    assert (decision.status, "signature does not fit" in decision.detail) == (401, True)


@pytest.mark.parametrize(
    "given",
    [{}, {"signature": "x"}, {"signature": SIGNED.upper()}, {"signature": "é"}, {"signature2": SIGNED},
     {"signature": SIGNED, "signature2": "x"}, {"signature": "x", "signature2": SIGNED2}],
)  # fmt: skip
def test_a_missing_or_wrong_signature_is_a_401(given: dict[str, str]) -> None:
    decision = decide(**given)
    assert isinstance(decision, Refuse)
    assert decision.status == 401


def test_a_wrong_signature_is_refused_also_where_none_was_needed() -> None:
    decision = decide(overridetimestamp="", signature="x")
    assert isinstance(decision, Refuse)
    assert decision.status == 401


def test_an_event_without_an_item_is_signed_with_signature2_alone() -> None:
    sent = {"overridetimestamp": [TIME], "triggername": ["won"]}
    good = {**sent, "signature2": [hmac_signature(LICENSE, "00001", ("triggeropened", "ann"), sent)]}
    assert isinstance(judge(Call("triggeropened", ["ann"], good), SHOP, NOW, KEY), Accept)
    old = judge(Call("triggeropened", ["ann"], {**sent, "signature": ["x"]}), SHOP, NOW, KEY)
    assert isinstance(old, Refuse)
    assert (old.status, "use signature2" in old.detail) == (401, True)


def replayed(**change: Any) -> Event:
    """The event of a call signed anew after a change."""
    place = change.pop("place", ("1", "11"))
    event, user = change.pop("event", "buy"), change.pop("user", "ann")
    sent = {**SENT, **{name: [value] for name, value in change.items()}}
    signature = hmac_signature(LICENSE, "00001", (event, user, *place), sent)
    decision = judge(Call(event, [user, *place], {**sent, "signature2": [signature]}), SHOP, NOW + 5, KEY)
    assert isinstance(decision, Accept), decision
    return decision.events[0]


def test_a_replay_has_the_same_event_id_and_another_event_another_one() -> None:
    assert len({replayed().event_id for _ in range(1000)}) == 1
    assert replayed(fullprice="5.00EUR").event_id == replayed().event_id
    others = [{"place": ("1", "12")}, {"place": ("2", "11")}, {"quantity": "2"}, {"user": "bob"}, {"event": "basket"},
              {"overridetimestamp": "2012-01-01T11:00:01"}]  # fmt: skip
    assert len({replayed(**change).event_id for change in others} | {replayed().event_id}) == len(others) + 1


@pytest.mark.parametrize(
    ("event", "name", "values"),
    [("consume", "percentage", ("40", "90", "0")), ("rate", "rating", ("0", "10", "80")),
     ("rendered", "scenario", ("start", "basket")), ("clickrecommended", "scenario", ("start", "basket")),
     ("triggeropened", "triggername", ("won", "lost")), ("clicktriggered", "triggername", ("won", "lost"))],
)  # fmt: skip
def test_events_of_one_moment_that_say_something_else_are_no_replays(
    home: Home, event: str, name: str, values: tuple[str, ...]
) -> None:
    place = () if event == "triggeropened" else ("1", "11")
    told = [replayed(event=event, place=place, **{name: value}) for value in values]
    write_log(home, [encode(one) for one in (*told, *told)])
    report = ingest(home, SHOP)
    assert (report.events, report.duplicates) == (len(values), len(values))


TIMES = [
    ("2012-01-01T11:00:00", "UTC", 1_325_415_600),
    ("2012-01-01T11:00:00", "Europe/Berlin", 1_325_412_000),
    ("2012-01-01 11:00", "Europe/Berlin", 1_325_412_000),
    ("2012-01-01T11:00:00Z", "Europe/Berlin", 1_325_415_600),
    ("2012-01-01T11:00:00-05:00", "Europe/Berlin", 1_325_433_600),
    ("2012-01-01T11:00:00+0100", "UTC", 1_325_412_000),
    ("2012-07-01", "Europe/Berlin", 1_341_093_600),
    ("2021-10-31T02:30:00", "Europe/Berlin", 1_635_640_200),  # twice that night: the first one
    ("2021-03-28T02:30:00", "Europe/Berlin", 1_616_895_000),  # never that night: as if the clock had not moved
    ("1970-01-01T00:00:00", "UTC", 0),
]


@pytest.mark.parametrize(("text", "zone", "seconds"), TIMES)
def test_a_time_without_a_zone_is_the_website_s(text: str, zone: str, seconds: int) -> None:
    assert override_time({"overridetimestamp": [text]}, ZoneInfo(zone), NOW) == seconds * 1_000_000


def test_five_minutes_ahead_is_the_most() -> None:
    now = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert now.timestamp() * 1_000_000 == NOW
    assert override_time({"overridetimestamp": ["2023-11-14T22:18:20"]}, UTC, NOW) == NOW + 300_000_000
    with pytest.raises(InvalidIdentifier, match="five minutes"):
        override_time({"overridetimestamp": ["2023-11-14T22:18:20.000001"]}, UTC, NOW)


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2012", "20120101", "2012-W01-1", "2012-13-01", "2012-01-01T25:00", "1969-12-31",
     "9999-12-31T23:59:59", "0001-01-01T00:00+23:59", "\u0662\u0660\u0661\u0662-01-01", "2012-01-01T11:00:00 01:00",
     "2012-01-01x11:00", "2012-01-01T11:00:00.1234567"],
)  # fmt: skip
def test_what_is_no_time_of_the_past_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdentifier, match="overridetimestamp"):
        override_time({"overridetimestamp": [text]}, UTC, NOW)
    decision = decide(overridetimestamp=text, signature=SIGNED)
    assert isinstance(decision, Refuse)
    assert decision.status == 400


def test_a_thousand_replays_are_one_row_of_the_lake(home: Home) -> None:
    events = [encode(replayed()) for _ in range(500)]
    write_log(home, [*events, encode(replayed(user="bob"))])
    assert ingest(home, SHOP).events == 2
    write_log(home, events)
    report = ingest(home, SHOP)
    assert (report.events, report.duplicates) == (0, 500)
