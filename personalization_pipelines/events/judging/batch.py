"""Many events in one body: JSON lines or a JSON array, judged by the rules of the single call, all or nothing.

An object's fields are named as in path and query: `event`, `user`, `item_type` (or `type`), `item` (or `items`), the
event's parameters, and `event_id`; a login's two users `source` and `target`. The usual events are made by
events/judging/batch_usual.py in a tenth of the time that a call of `judge` takes; whatever is not usual goes through
`judge` here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.judging.batch_body import MAX_BYTES, MAX_CONTAINERS, MAX_EVENTS, Sent, read_body
from personalization_pipelines.events.judging.batch_usual import (
    EVENT_ID,
    JUDGED_NAMES,
    PATH_NAMES,
    read_event_id,
    usual_events,
)
from personalization_pipelines.events.judging.judge import Call, Refuse, judge
from personalization_pipelines.events.judging.orders import MARK
from personalization_pipelines.events.judging.origins import Origin, mark_origins
from personalization_pipelines.events.judging.rules import RULES, Rule
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.unset import UNSET
from personalization_pipelines.website import Website

__all__ = ["MAX_BYTES", "MAX_CONTAINERS", "MAX_EVENTS", "Batch", "judge_batch"]

_KNOWN = {name for rule in RULES.values() for name in rule.parameters} | JUDGED_NAMES | {"rid", EVENT_ID}
NUMBERS = frozenset({"quantity", "rating", "percentage"})
"""What may be a number with a fraction: it is rounded. Ids with one are refused."""
_MAX_NUMBER = 2**64
_TOO_MANY = Refuse(413, "", f"batch of more than {MAX_EVENTS} events, each item counted: send smaller ones.")


class Batch:
    """What became of one body: the records to store and how many events of each kind they are."""

    __slots__ = ("counts", "records")

    def __init__(self, records: list[bytes], counts: Counter[str]) -> None:
        self.records = records
        self.counts = counts


class _Refused(Exception):
    """The batch is refused, as `decision` says."""

    def __init__(self, decision: Refuse) -> None:
        super().__init__(decision.detail)
        self.decision = decision


def judge_batch(body: bytes, website: Website, now: int, key: bytes, origin: Origin | None = None) -> Batch | Refuse:
    """Decide about a body of events at `now` (microseconds since 1970): all of them, or none with the first fault.

    `origin` marks events of nobody by the source of the body. The refusal names the event by its position, the first
    one being 1.
    """
    try:
        sent = read_body(body)
        if len(sent) > MAX_EVENTS:
            return Refuse(413, "", f"batch of {len(sent)} events: expected at most {MAX_EVENTS}.")
        records, kinds = usual_events(website, key).records(sent, now, _Judged(body, website, now, key, origin), origin)
    except InvalidIdentifier as error:
        return Refuse(400, "", str(error))
    except _Refused as refused:
        return refused.decision
    return Batch(records, Counter(kinds)) if len(records) <= MAX_EVENTS else _TOO_MANY


class _Judged:
    """Judges single events of a batch. The body is read again for the first of them: fields were taken away."""

    def __init__(self, body: bytes, website: Website, now: int, key: bytes, origin: Origin | None) -> None:
        self._body = body
        self._origin = origin
        self._facts = website, now, key
        self._sent: list[Sent] = []
        self._lines: Counter[tuple[str, str]] = Counter()

    def __call__(self, index: int, texts: list[str], kinds: list[str]) -> None:
        """Append the records of one event, or raise _Refused."""
        self._sent = self._sent or read_body(self._body)
        try:
            decision = judge(_call(self._sent[index]), *self._facts)
        except InvalidIdentifier as error:
            decision = Refuse(400, "", str(error))
        if isinstance(decision, Refuse):
            raise _Refused(_at(index + 1, decision))
        numbered = tuple(self._numbered(event) for event in decision.events)
        events = mark_origins(numbered, self._origin) if self._origin else numbered
        texts += [encode(event).decode() for event in events]
        kinds += [event.event for event in events]
        if len(texts) > MAX_EVENTS:
            raise _Refused(_TOO_MANY)

    def _numbered(self, event: Event) -> Event:
        """Return the event; equal lines of an order in one batch are several, so all but the first get a number."""
        if not event.event_id.startswith(MARK):
            return event
        line = event.visitor, event.event_id
        self._lines[line] += 1
        number = self._lines[line] - 1
        return replace(event, event_id=f"{event.event_id}/{number}") if number else event


def _at(position: int, refused: Refuse) -> Refuse:
    status = refused.status if refused.status in (401, 501) else 400
    return Refuse(status, refused.title if status != 400 else "", f"event {position} of the batch: {refused.detail}")


def _call(sent: Sent) -> Call:
    """Return an object as the call that it stands for."""
    path: dict[str, list[str]] = {}
    parameters: dict[str, list[str]] = {}
    for given, value in sent.items():
        name = given.lower()
        place, known = (path, PATH_NAMES[name]) if name in PATH_NAMES else (parameters, name)
        if known in place:
            raise InvalidIdentifier(f"{given[:40]!r} is given twice: expected it once")
        if place is path or known in _KNOWN or _is_plain(value):
            place[known] = _texts(given, value, fractions=known in NUMBERS)
    event, user, kind = (_single(path, name) for name in ("event", "user", "type"))
    rule = RULES.get(event)
    if rule and rule.path == "users":
        where = [_taken(parameters, name) for name in ("source", "target")]
    else:
        where = [user] if rule and rule.path == "user" else [user, kind, _item(path, rule)]
    event_id = _taken(parameters, EVENT_ID)
    checked = read_event_id(event_id) if event_id not in UNSET else ""
    return Call(event, where, {name: texts for name, texts in parameters.items() if texts}, checked)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _texts(name: str, value: object, *, fractions: bool) -> list[str]:
    """Return a field's values as texts; what is null or empty counts as not given."""
    values = value if isinstance(value, list) else [value]
    return [text for one in values if one is not None and (text := _one_text(name, one, fractions=fractions))]


def _one_text(name: str, value: Any, *, fractions: bool) -> str:
    if isinstance(value, str):
        return value
    if fractions and isinstance(value, float):
        return repr(value)
    if not _is_plain(value):
        raise InvalidIdentifier(f"{name[:40]!r}: expected a text or a whole number, or several in an array")
    if not -_MAX_NUMBER < value < _MAX_NUMBER:
        raise InvalidIdentifier(f"{name[:40]!r}: expected a number of at most 64 bits")
    return str(value)


def _taken(parameters: dict[str, list[str]], name: str) -> str:
    text = _single(parameters, name)
    parameters.pop(name, None)
    return text


def _single(place: Mapping[str, list[str]], name: str) -> str:
    texts = place.get(name) or [""]
    if len(texts) > 1:
        raise InvalidIdentifier(f"{name} with {len(texts)} values: expected one")
    return texts[0]


def _item(path: Mapping[str, list[str]], rule: Rule | None) -> str:
    """Return the item's part of the path: several items are separated by commas, where there may be several."""
    if rule is None or rule.path != "items":
        return _single(path, "item")
    texts = path.get("item", [])
    if len(texts) > 1 and any("," in text for text in texts):
        raise InvalidIdentifier("items: expected an array of item ids, or one text with commas between them")
    return ",".join(texts)
