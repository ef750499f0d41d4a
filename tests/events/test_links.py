"""Links of answers: what makes one ours, how long it holds, and that a forged one is kept but not believed."""

from __future__ import annotations

from typing import Any

import pytest

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.judging.judge import Accept, Call, judge
from personalization_pipelines.events.judging.links import LIFETIME, Signer, answer_id
from personalization_pipelines.foundation.identifiers import pseudonym
from tests.conftest import make_website

KEY = b"k" * 32
NOW = 1_700_000_000
SHOP = make_website()
RID = answer_id(NOW, "0123456789abcdef")


def signed(item: str = "5", model: str = "7", rid: str = RID, key: bytes = KEY) -> str:
    """The signature of a link that was given to ann on the home page."""
    return Signer(key, "00001", pseudonym(key, "00001", "ann"), "home", rid).sign(model, 1, item)


def followed(
    event: str = "clickrecommended", user: str = "ann", kind: str = "1", item: str = "5", after: float = 60, **more: Any
) -> list[Event]:
    """The events of a call of a link, some seconds after it was given out, with changes."""
    sent = {"scenario": "home", "modelid": "7", "rid": RID, "sig": signed(), **more}
    parameters = {name: value if isinstance(value, list) else [value] for name, value in sent.items() if value}
    decision = judge(Call(event, [user, kind, item], parameters), SHOP, int((NOW + after) * 1e6), KEY)
    assert isinstance(decision, Accept), decision
    return list(decision.events)


@pytest.mark.parametrize("event", ["clickrecommended", "follow", "rendered"])
def test_a_link_that_was_given_out_is_verified(event: str) -> None:
    (stored,) = followed(event)
    assert stored.verified is True


@pytest.mark.parametrize(
    "change",
    [
        {"item": "6"}, {"kind": "2"}, {"user": "bob"}, {"user": "not_defined"}, {"scenario": "other"}, {"modelid": "8"},
        {"modelid": ""}, {"rid": answer_id(NOW + 1, "0123456789abcdef")}, {"rid": ""}, {"sig": ""}, {"sig": "é"},
        {"sig": signed().upper()}, {"sig": signed()[:-1]}, {"sig": signed(key=b"x" * 32)}, {"rid": "x"},
        {"rid": "0" * 16}, {"rid": [RID, RID]}, {"sig": [signed(), signed()]}, {"after": LIFETIME + 1}, {"after": -301},
    ],
)  # fmt: skip
def test_any_other_link_is_stored_unverified(change: dict[str, Any]) -> None:
    (stored,) = followed(**change)
    assert stored.verified is False


def test_a_link_holds_for_a_day() -> None:
    assert followed(after=LIFETIME)[0].verified is True


def test_several_items_in_one_call_bring_a_signature_each() -> None:
    both = f"{signed('5')},{signed('6')}"
    assert [event.verified for event in followed("rendered", item="5,6", sig=both)] == [True, True]
    assert [event.verified for event in followed("rendered", item="6,5", sig=both)] == [False, False]
    assert [event.verified for event in followed("rendered", item="5,7", sig=both)] == [True, False]
    assert [event.verified for event in followed("rendered", item="5,6")] == [False, False]


def test_a_delivery_ping_and_other_events_are_not_about_a_link() -> None:
    assert followed("rendered", item="")[0].verified is False
    assert followed("click")[0].verified is None


def test_of_a_thousand_forged_links_and_a_hundred_real_ones_a_hundred_count() -> None:
    real = [followed(item=str(item), sig=signed(str(item))) for item in range(100)]
    forged = [followed(item=str(item), sig=signed(str(item), key=bytes([item % 256]))) for item in range(1000)]
    assert sum(event.verified is True for (event,) in real + forged) == 100
