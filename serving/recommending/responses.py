"""An answer as bytes: the JSON of the contract, or a JSONP call of it, with the headers for caches.

JSON item ids are numbers where the website's ids are. Attributes leave the house only if they were asked for
and the website allows them; without an allow-list only those whose values are all text (spec: website.yaml).
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from werkzeug.http import http_date

from personalization_pipelines.events.judging.links import Signer
from personalization_pipelines.publications.read.published import Items
from serving.recommending.question import Answer, ContextItem, Recommended

SHORTEST_LIFE = 300
LONGEST_LIFE = 24 * 3600
HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]")


class Writing(NamedTuple):
    """How one answer is written. `links` is None where no user was given; `viewers` None where nobody knows them."""

    items: Items
    numeric_ids: bool
    attributes: tuple[str, ...]
    allowed: Collection[str] | None
    links: Links | None
    category: bool
    language: str = ""


class Links:
    """The tracking links of one request: who is asked, about which scenario. `plain`: JSON need not escape them.

    `signer` makes the signature that each item's links end with (events/judging/links.py).
    """

    __slots__ = ("after", "before", "click", "plain", "rendered", "sign")

    def __init__(
        self, host: str, customer: str, user: str, scenario: str, category: str, request_uuid: str, signer: Signer
    ) -> None:
        base, person = f"//{host}/api/{customer}/", _quoted(user)
        self.click = f"{base}clickrecommended/{person}/"
        self.rendered = f"{base}rendered/{person}/"
        self.before = f"?scenario={scenario}&modelid="
        self.after = f"&categorypath={_quoted(category)}&requestuuid={request_uuid}&rid={signer.rid}&sig="
        self.sign = signer.sign
        self.plain = HOST_CHARACTERS.issuperset(host)

    def of(self, one: Recommended) -> dict[str, str]:
        """Return the two links of a recommended item."""
        signature = self.sign(one.number, one.item_type, one.item)
        end = f"{one.item_type}/{_quoted(one.item)}{self.before}{one.number}{self.after}{signature}"
        return {"clickRecommended": self.click + end, "rendered": self.rendered + end}


def _quoted(text: str) -> str:
    """Return a text as one piece of a URL; most ids need nothing done."""
    return text if text.isascii() and text.isalnum() else quote(text, safe="")


def answer_value(answer: Answer, writing: Writing, viewers: Sequence[int] | None) -> dict[str, Any]:
    """Return the answer as the JSON value of the contract."""
    value: dict[str, Any] = {
        "contextItems": _context_items(answer.context, writing.numeric_ids, viewers),
        "recommendationItems": [_recommended(one, writing) for one in answer.items],
    }
    if answer.levels:
        value["explanation"] = {"levels": answer.levels}
    return value


def as_json(value: dict[str, Any]) -> bytes:
    """Return the value as JSON."""
    return orjson.dumps(value)


def as_jsonp(value: dict[str, Any], callback: str) -> bytes:
    """Return a call of `callback` with the value, in ASCII: U+2028 would end a line in older JavaScript.

    The comment in front keeps the first bytes out of the caller's hands (Rosetta Flash, CVE-2014-4671).
    """
    return f"/**/{callback}({json.dumps(value, separators=(',', ':'))});".encode("ascii")


def cache_headers(life: int | None, modified: float | None, private: bool) -> list[tuple[str, str]]:
    """Return the caching headers; `life` in seconds, None where the answer depends on who asks and when.

    `modified` None: it changed so recently that a second in a header could not tell before from after.
    """
    now = time.time()
    headers = [("Last-Modified", http_second(int(modified)))] if modified is not None else []
    if life is None:
        return [*headers, ("Expires", http_second(int(now))), ("Cache-Control", "private, no-store")]
    reach = "private, " if private else ""
    return [*headers, ("Expires", http_second(int(now) + life)), ("Cache-Control", f"{reach}max-age={life}")]


def lifetime(build_seconds: Sequence[int]) -> int:
    """Return how long an answer without a user keeps: half the shortest build interval, 5 minutes to 24 hours."""
    return max(SHORTEST_LIFE, min(LONGEST_LIFE, min(build_seconds, default=0) // 2))


_dates: dict[int, str] = {}


def http_second(second: int) -> str:
    """Return a second since 1970 as an HTTP date; the last few are remembered."""
    text = _dates.get(second)
    if text is None:
        if len(_dates) > 100:
            _dates.clear()
        text = _dates[second] = http_date(second)
    return text


def _context_items(
    context: Sequence[ContextItem], numeric: bool, viewers: Sequence[int] | None
) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    for place, one in enumerate(context):
        entry: dict[str, object] = {"itemId": int(one.item) if numeric else one.item, "itemType": one.item_type}
        if viewers is not None:
            entry["viewers"] = viewers[place]
        entry["sources"] = [one.source]
        items.append(entry)
    return items


def _recommended(one: Recommended, writing: Writing) -> dict[str, Any]:
    numeric = writing.numeric_ids
    entry: dict[str, Any] = {
        "itemId": int(one.item) if numeric else one.item,
        "itemType": one.item_type,
        "relevance": one.relevance,
    }
    if one.origin:
        first = one.origin[0]
        ids = [int(item.item) if numeric else item.item for item in one.origin]
        entry["origin"] = {"itemIds": ids, "itemType": first.item_type, "source": first.source}
    if writing.category:
        entry["category"] = one.category
    if writing.links is not None:
        entry["links"] = writing.links.of(one)
    entry["attributes"] = _attributes(one.row, writing) if writing.attributes else []  # clients read it unasked
    if one.explanation is not None:
        entry["explanation"] = one.explanation
    return entry


def _attributes(row: int, writing: Writing) -> list[dict[str, object]]:
    known = writing.items.attributes(row, writing.language)
    return [
        {"key": name, "values": known[name]}
        for name in writing.attributes
        if name in known and _is_allowed(name, known[name], writing.allowed)
    ]


def _is_allowed(name: str, values: list[Any], allowed: Collection[str] | None) -> bool:
    return all(isinstance(value, str) for value in values) if allowed is None else name in allowed
