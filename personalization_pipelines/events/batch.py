"""Many events in one body: JSON lines or a JSON array, judged by the rules of the single call, all or nothing.

An object's fields are named as in path and query: `event`, `user`, `item_type` (or `type`), `item` (or `items`), the
event's parameters, and `event_id`. The usual event (one item, texts and whole numbers) is made from a
template that events of this batch share, 3 us instead of 18; whatever is not usual goes through `judge` itself.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from personalization_pipelines.errors import InvalidIdentifier
from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.judge import Call, Refuse, judge, undeclared
from personalization_pipelines.events.links import LINKED
from personalization_pipelines.events.rules import RULES, Rule
from personalization_pipelines.events.signature import OVERRIDE
from personalization_pipelines.events.visitors import Visitors
from personalization_pipelines.identifiers import MAX_NUMERIC_ITEM, parse_item_type
from personalization_pipelines.website import Website

MAX_BYTES = 5 << 20
MAX_EVENTS = 10_000
MAX_CONTAINERS = 10 * MAX_EVENTS
"""Objects and arrays in a body: a body of brackets alone would take thirty times its size in memory."""

_PATH = {"event": "event", "user": "user", "item_type": "type", "type": "type", "item": "item", "items": "item"}
EVENT_ID = "event_id"
_NEED_JUDGE = frozenset({OVERRIDE, "signature", "signature2", "sig"})
_KNOWN = {name for rule in RULES.values() for name in rule.parameters} | _NEED_JUDGE | {"rid", EVENT_ID}
_UUID = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
_POSITION = re.compile(r" - at `\$\[([0-9]+)\].*")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_MAX_NUMBER = 2**64
_array = msgspec.json.Decoder(list[dict[str, Any]]).decode
_lines = msgspec.json.Decoder(dict[str, Any]).decode_lines
_plain = msgspec.json.Encoder().encode

Sent = dict[str, Any]


class Unusual(Exception):
    """This event has to go through `judge`."""


class Batch:
    """What became of one body: the records to store and how many events of each kind they are."""

    __slots__ = ("counts", "records")

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.counts: Counter[str] = Counter()


def judge_batch(body: bytes, website: Website, now: int, key: bytes) -> Batch | Refuse:
    """Decide about a body of events at `now` (microseconds since 1970): all of them, or none with the first fault.

    The refusal names the event by its position, the first one being 1.
    """
    try:
        sent = _decoded(body)
    except InvalidIdentifier as error:
        return Refuse(400, "", str(error))
    if len(sent) > MAX_EVENTS:
        return Refuse(413, "", f"batch of {len(sent)} events: expected at most {MAX_EVENTS}.")
    batch, usual = Batch(), _Usual(website, now, key)
    records, kinds = batch.records, []
    for position, one in enumerate(sent, 1):
        try:
            record, kind = usual.record(one)
            records.append(record)
            kinds.append(kind)
        except (Unusual, KeyError, TypeError, AttributeError):
            made = _judged(one, website, now, key)
            if isinstance(made, Refuse):
                return _at(position, made)
            records += [encode(event) for event in made]
            kinds += [event.event for event in made]
            if len(records) > MAX_EVENTS:
                return Refuse(413, "", f"batch of more than {MAX_EVENTS} events, each item counted: send smaller ones.")
        except InvalidIdentifier as error:
            return _at(position, Refuse(400, "", str(error)))
    batch.counts.update(kinds)
    return batch


def _at(position: int, refused: Refuse) -> Refuse:
    status = refused.status if refused.status in (401, 501) else 400
    return Refuse(status, refused.title if status != 400 else "", f"event {position} of the batch: {refused.detail}")


def _judged(sent: Sent, website: Website, now: int, key: bytes) -> Sequence[Event] | Refuse:
    try:
        call = _call(sent)
    except InvalidIdentifier as error:
        return Refuse(400, "", str(error))
    decision = judge(call, website, now, key)
    return decision if isinstance(decision, Refuse) else decision.events


class _Remembered(dict[Any, Any]):
    """A dictionary that asks `read` for what it does not hold yet. What `read` raises is not remembered."""

    def __init__(self, read: Any) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, key: Any) -> Any:
        value = self[key] = self._read(key)
        return value


class _Template(NamedTuple):
    """The record of all events that differ in visitor, item and event id only: its text around these."""

    before: str
    between: str
    after: str
    kind: str
    several: bool


class _Usual:
    """Judges the usual events of one batch. KeyError, TypeError, AttributeError and Unusual: ask `judge`."""

    def __init__(self, website: Website, now: int, key: bytes) -> None:
        self._website = website
        self._now = now
        self._visitors = Visitors(website.customer_id, key)
        self._items = _Remembered(lambda text: _plain(website.item_id(text))[1:-1].decode())
        self._fields = _Remembered(_read_one)
        self._templates = _Remembered(self._template)

    def record(self, sent: Sent) -> tuple[bytes, str]:
        """Return the event as it is stored, and its kind; InvalidIdentifier if it is refused."""
        rest = sent.copy()
        user, item, event_id = rest.pop("user"), rest.pop("item"), rest.pop(EVENT_ID, None)
        before, between, after, kind, several = self._templates[_plain(rest)]
        if item.__class__ is int:
            item = _text(item)
        elif several and not item.isalnum():
            raise Unusual
        else:
            item = self._items[item]
        visitor = self._visitors[user if user.__class__ is str else _text(user)]
        identified = "" if event_id is None else f'","event_id":"{_read_event_id(event_id)}'
        return f"{before}{visitor}{between}{item}{identified}{after}".encode(), kind

    def _template(self, rest: bytes) -> _Template:
        """Return the template of events that say this, without user, item and event id, in JSON."""
        sent = msgspec.json.decode(rest)
        word, kind = sent.pop("event"), sent.pop("item_type")
        rule = RULES[word]
        if rule.path == "user" or (rule.required and rule.required not in sent):
            raise Unusual
        fields = {**rule.defaults, "verified": False if rule.name in LINKED else None}
        for name, value in sent.items():
            fields |= self._fields[word, name, value if value.__class__ is str else _text(value)]
        item_type = parse_item_type(kind if kind.__class__ is str else _text(kind))
        fields |= {"item_type": item_type, "quarantine": undeclared(item_type, self._website)}
        event = Event(self._website.name, rule.name, self._now, self._now, visitor="<visitor>", item="<item>", **fields)
        before, _, rest_of_it = encode(event).decode().partition("<visitor>")
        between, _, after = rest_of_it.partition("<item>")
        return _Template(before, between, after, rule.name, rule.path == "items")


def _read_one(key: tuple[str, str, str]) -> dict[str, Any]:
    """Return the fields that one parameter of one kind of event sets."""
    word, name, text = key
    if name in _NEED_JUDGE or name in _PATH or name != name.lower() or not text:
        raise Unusual
    parameters = RULES[word].parameters
    return parameters[name](name, [text]) if name in parameters else {}


def _read_event_id(text: Any) -> str:
    if text.__class__ is not str or not text:
        raise Unusual
    if not _UUID.fullmatch(text):
        raise InvalidIdentifier(f"event_id {text[:40]!r}: expected a UUID")
    return text.lower()


def _text(value: Any) -> str:
    """Return a whole number as the text it would be in a URL, also that of an item; Unusual for anything else."""
    if value.__class__ is int and 0 <= value <= MAX_NUMERIC_ITEM:
        return str(value)
    raise Unusual


def _call(sent: Sent) -> Call:
    """Return an object as the call that it stands for."""
    path: dict[str, list[str]] = {}
    parameters: dict[str, list[str]] = {}
    for given, value in sent.items():
        name = given.lower()
        place, known = (path, _PATH[name]) if name in _PATH else (parameters, name)
        if known in place:
            raise InvalidIdentifier(f"{given[:40]!r} is given twice: expected it once")
        if place is path or known in _KNOWN or _is_plain(value):
            place[known] = _texts(given, value)
    event, user, kind = (_single(path, name) for name in ("event", "user", "type"))
    rule = RULES.get(event)
    after = [] if rule and rule.path == "user" else [kind, _item(path, rule)]
    event_id = _single(parameters, EVENT_ID)
    parameters.pop(EVENT_ID, None)
    checked = _read_event_id(event_id) if event_id else ""
    return Call(event, [user, *after], {name: texts for name, texts in parameters.items() if texts}, checked)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _texts(name: str, value: object) -> list[str]:
    """Return a field's values as texts; what is null or empty counts as not given."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [text for one in values if (text := _one_text(name, one))]


def _one_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if not _is_plain(value):
        raise InvalidIdentifier(f"{name[:40]!r}: expected a text or a whole number, or several in an array")
    if not -_MAX_NUMBER < value < _MAX_NUMBER:
        raise InvalidIdentifier(f"{name[:40]!r}: expected a number of at most 64 bits")
    return str(value)


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


def _decoded(body: bytes) -> list[Sent]:
    """Return the objects of a body; InvalidIdentifier with a sentence if it is not what it should be."""
    if body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise InvalidIdentifier(f"body with more than {MAX_CONTAINERS} objects and arrays: expected fewer")
    in_lines = not body.lstrip().startswith(b"[")
    try:
        sent = _lines(body) if in_lines else _array(body)
        if b"\\" in body or b"\x7f" in body or body.count(b'"') != _plain(sent).count(b'"'):
            _check_texts(body.split(b"\n") if in_lines else [body])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidIdentifier(_json_fault(error)) from None
    return sent


def _json_fault(error: Exception) -> str:
    if isinstance(error, InvalidIdentifier):
        return str(error)
    if isinstance(error, RecursionError):
        return "body: expected JSON that is not nested this deeply"
    if isinstance(error, UnicodeDecodeError):
        return "body: expected UTF-8"
    found = _POSITION.search(str(error))
    where = f"event {int(found[1]) + 1} of the batch" if found else "body"
    return f"{where}: {_POSITION.sub('', str(error))[:200]}; expected a JSON array of objects, or one object a line"


def _check_texts(documents: Sequence[bytes]) -> None:
    """Refuse names given twice, controls and backslashes.

    A body without escapes and with as many quotes as what was read from it can hold none of them: every name
    and every text of it was kept. Only other bodies come here, and are read a second time.
    """
    for document in documents:
        if document.strip():
            json.loads(document, object_pairs_hook=_check_pairs, parse_int=_nothing, parse_float=_nothing)


def _check_pairs(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise InvalidIdentifier(f"body: {twice[:40]!r} is given twice in one object: expected it once")
    for name, value in pairs:
        for text in (name, *(value if isinstance(value, list) else (value,))):
            if isinstance(text, str) and _FORBIDDEN.search(text):
                raise InvalidIdentifier(f"body: {name[:40]!r}: control characters and '\\' are not allowed")


def _nothing(_text: str) -> None:
    return None
