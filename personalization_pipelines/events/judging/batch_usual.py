"""The usual events of a batch (one item, texts and whole numbers), made into records from templates.

What differs between most events of a website is visitor, item and event id; all else that they say makes a shape,
which is judged once and kept as the text around these three. A record made here is, byte for byte, the one that
`judge` and `encode` would make (tests/events/test_batch_usual.py holds them together). Whatever is not usual,
or is refused, is left to them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.judging.batch_body import MAX_EVENTS, Sent
from personalization_pipelines.events.judging.judge import undeclared
from personalization_pipelines.events.judging.links import LINKED
from personalization_pipelines.events.judging.origins import COUNTED, Origin
from personalization_pipelines.events.judging.rules import MAX_ITEMS, RULES, Rule
from personalization_pipelines.events.judging.signature import OVERRIDE
from personalization_pipelines.events.judging.visitors import Visitors
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.identifiers import MAX_NUMERIC_ITEM, parse_item_type
from personalization_pipelines.foundation.unset import UNSET
from personalization_pipelines.website import Website

EVENT_ID = "event_id"
PATH_NAMES = {"event": "event", "user": "user", "item_type": "type", "type": "type", "item": "item", "items": "item"}
"""The fields of an object that a call has in its path, by any of their names."""
JUDGED_NAMES = frozenset({OVERRIDE, "signature", "signature2", "sig"})
"""Parameters of which only `judge` knows what they mean for an event."""
ORDER = "order"
"""Whose lines are told apart from those of the same batch and from those told before."""

VISITOR_SECONDS = 60.0
"""For how long a user id is kept beside its visitor: batches of one minute are often of the same visitors."""
MAX_VISITORS = 20_000
MAX_REMEMBERED = 5_000
MAX_SHAPE_BYTES = 1_000
MAX_WEBSITES = 64

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


Judged = Callable[[int, list[str], list[str]], None]
"""Appends the records of the event of this index, as texts, and the kind of each; or raises."""


class Unusual(Exception):
    """This event has to go through `judge`."""


NOT_USUAL = (Unusual, InvalidIdentifier, KeyError, TypeError, AttributeError)
"""What reading something unusual as if it was usual may raise."""


class _Shape(NamedTuple):
    """What events say that differ in time, visitor, item and event id only, as the text of their record around these:
    `<before>"received_at":…,"time":…[,"visitor":"…"]<between>…<middle>[,"event_id":"…"]<after>`
    """

    before: str
    between: str
    middle: str
    after: str
    kind: str
    several: bool


class _Remembered(dict[Any, Any]):
    """A dictionary that asks `read` for what it does not hold; it forgets all once it holds `most`.

    What `read` raises is not remembered. May be used from several threads.
    """

    def __init__(self, read: Callable[[Any], Any], most: int = MAX_REMEMBERED) -> None:
        super().__init__()
        self._read, self._most = read, most

    def __missing__(self, key: Any) -> Any:
        value = self._read(key)
        if len(self) >= self._most:
            self.clear()
        self[key] = value
        return value


class UsualEvents:
    """Makes records of the usual events of one website, and remembers what it read for the next batch."""

    def __init__(self, website: Website, key: bytes) -> None:
        self.website = website
        self._key = key
        self._items = _Remembered(lambda text: _encode(website.item_id(text))[1:-1].decode())
        self._fields = _Remembered(_read_one)
        self._shapes = _Remembered(self._shape)
        self._visitors, self._until = Visitors(website, key), 0.0

    def records(
        self, sent: Sequence[Sent], now: int, judged: Judged, origin: Origin | None = None
    ) -> tuple[list[bytes], list[str]]:
        """Return the records of a batch and the kind of each, in their order; those of unusual events come of `judged`.

        `now` in microseconds since 1970. `sent` is used up: its objects lose user, item and event id. `origin` marks
        the events of nobody.
        """
        texts: list[str] = []
        kinds: list[str] = []
        visitors, items = self._recent_visitors(), self._items
        shapes = _Remembered(lambda rest: _at(self._shapes[rest], now))
        users, *others = _columns(sent)
        visitors.meet(users)
        for index, (user, item, event_id, rest) in enumerate(zip(users, *others, strict=False)):
            try:
                somebody, nobody, between, after, before_id, after_id, kind, several = shapes[rest]
                visitor = visitors[user if user.__class__ is str else _text(user)]
                start = f"{somebody}{visitor}{between}" if visitor else nobody
                if item.__class__ is int:
                    if not 0 <= item <= MAX_NUMERIC_ITEM:
                        raise Unusual
                elif several:
                    made = self._several(item, event_id, start, after, before_id, after_id)
                    if len(texts) + len(made) > MAX_EVENTS:
                        raise Unusual
                    texts += made
                    kinds += [kind] * len(made)
                    continue
                else:
                    item = items[item]
                if event_id is not None:
                    after = f"{before_id}{read_event_id(event_id)}{after_id}"
                if origin and not visitor and kind in COUNTED:
                    after = _with_origin(after, origin(kind, _plain(item)))
                texts.append(f"{start}{item}{after}")
                kinds.append(kind)
            except NOT_USUAL:
                judged(index, texts, kinds)
        return "\n".join(texts).encode().split(b"\n") if texts else [], kinds

    def _several(self, items: Any, event_id: Any, start: str, after: str, before_id: str, after_id: str) -> list[str]:
        """Return the texts of an event of several items; the first one has the event id, the others it and a number."""
        listed = items if items.__class__ is list else [items]
        if not 0 < len(listed) <= MAX_ITEMS:
            raise Unusual
        known = [self._one(item) for item in listed]
        if event_id is None:
            return [f"{start}{item}{after}" for item in known]
        first = read_event_id(event_id)
        ids = [first, *(f"{first}/{number}" for number in range(1, len(known)))]
        return [f"{start}{item}{before_id}{own}{after_id}" for item, own in zip(known, ids, strict=True)]

    def _one(self, item: Any) -> str:
        if item.__class__ is int:
            return _text(item)
        if not item.isalnum():  # it may be several with commas between them, or none
            raise Unusual
        return str(self._items[item])

    def _recent_visitors(self) -> Visitors:
        """Return the visitors of the last minute's users."""
        now = time.monotonic()
        if now > self._until or len(self._visitors) > MAX_VISITORS:
            self._visitors, self._until = Visitors(self.website, self._key), now + VISITOR_SECONDS
        return self._visitors

    def _shape(self, rest: bytes) -> _Shape:
        """Return the shape of events that say this, without user, items and event id, in JSON."""
        if len(rest) > MAX_SHAPE_BYTES:
            raise Unusual
        sent = msgspec.json.decode(rest)
        rule = RULES[sent["event"]]
        said = {name: value for name, value in sent.items() if not _says_nothing(rule, name, value)}
        if len(said) < len(sent):  # events that differ in what says nothing, like a sender's own time, are one shape
            return cast(_Shape, self._shapes[_encode(said)])
        return self._made(rule, sent)

    def _made(self, rule: Rule, sent: Sent) -> _Shape:
        word, kind = sent.pop("event"), sent.pop("item_type" if "item_type" in sent else "type")
        if rule.path not in ("item", "items") or (rule.required and rule.required not in sent):
            raise Unusual
        fields = {**rule.defaults, "verified": False if rule.name in LINKED else None}
        for name, value in sent.items():
            fields |= self._fields[word, name, value if value.__class__ is str else _text(value)]
        item_type = parse_item_type(kind if kind.__class__ is str else _text(kind))
        fields |= {"item_type": item_type, "quarantine": undeclared(item_type, self.website)}
        event = Event(self.website.name, rule.name, 0, 0, "~visitor", item="~item", event_id="~id", **fields)
        return _around(encode(event).decode(), rule.name, several=rule.path == "items")


_kept: dict[tuple[str, bytes], UsualEvents] = {}


def usual_events(website: Website, key: bytes) -> UsualEvents:
    """Return what makes this website's usual records: the one of the batch before, unless the website has changed."""
    kept = _kept.get((website.customer_id, key))
    if kept is None or kept.website is not website:
        if len(_kept) >= MAX_WEBSITES:
            _kept.clear()
        kept = _kept[website.customer_id, key] = UsualEvents(website, key)
    return kept


def read_event_id(text: str) -> str:
    """Return the sender's own id of an event in lower case (InvalidIdentifier if it is no UUID)."""
    if not _UUID.fullmatch(text.lower()):
        raise InvalidIdentifier(f"event_id {text[:40]!r}: expected a UUID")
    return text.lower()


def _around(text: str, kind: str, *, several: bool) -> _Shape:
    """Return the text around the marks; a quote inside of a text is escaped, so each mark is there once."""
    before, text = text.split('"received_at":0,"time":0,"visitor":"~visitor"')
    between, text = text.split('"item":"~item"')
    middle, after = text.split(',"event_id":"~id"')
    return _Shape(before, f'{between}"item":"', f'"{middle}', after, kind, several)


def _at(shape: _Shape, now: int) -> tuple[str, str, str, str, str, str, str, bool]:
    """Return the shape of events that arrive at `now`: the text before an item, if somebody and if nobody did it,
    the text behind a visitor, behind the item, before and behind an event id; then kind and whether it may be several.
    """
    before, between, middle, after, kind, several = shape
    arrived = f'{before}"received_at":{now},"time":{now}'
    somebody, nobody = f'{arrived},"visitor":"', f"{arrived}{between}"
    return somebody, nobody, f'"{between}', f"{middle}{after}", f'{middle},"event_id":"', f'"{after}', kind, several


def _columns(sent: Sequence[Sent]) -> tuple[list[Any], list[Any], list[Any], list[bytes]]:
    """Give users, items, event ids and, in JSON, all else of the objects, of which the three are taken away."""
    users = [one.pop("user", None) for one in sent]
    items = [one.pop("item" if "item" in one else "items", None) for one in sent]
    ids = [one.pop(EVENT_ID, None) for one in sent]
    return users, items, ids, _encode_lines(sent).splitlines()


def _says_nothing(rule: Rule, name: str, value: Any) -> bool:
    """Tell whether this is a field that nothing reads of this kind of event, or that holds nothing."""
    if name in rule.parameters:
        return value is None or (value.__class__ is str and value in UNSET)
    if name in PATH_NAMES or name in JUDGED_NAMES or name != name.lower():
        return False
    return bool(value) if value.__class__ is str else value.__class__ is int and 0 <= value <= MAX_NUMERIC_ITEM


def _read_one(key: tuple[str, str, str]) -> dict[str, Any]:
    """Return the fields that one parameter of one kind of event sets."""
    word, name, text = key
    if text in UNSET or name == ORDER or name not in RULES[word].parameters:
        raise Unusual
    return RULES[word].parameters[name](name, [text])


def _plain(item: Any) -> str:
    """Return an item's id, given as in JSON; Unusual where that is another text."""
    text = str(item)
    if "\\" in text:
        raise Unusual
    return text


def _with_origin(after: str, origin: str) -> str:
    """Return the end of a record with its last field."""
    return f'{after[:-1]},"origin":"{origin}"}}'


def _text(value: Any) -> str:
    """Return a whole number as the text it would be in a URL, also that of an item; Unusual for anything else."""
    if value.__class__ is int and 0 <= value <= MAX_NUMERIC_ITEM:
        return str(value)
    raise Unusual
