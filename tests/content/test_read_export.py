"""The JSON that a CMS exports: what it says is read, what is no item is told, what is no document is refused."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.exports.export_items import CANONICAL
from personalization_pipelines.content.exports.plain_text import plain_text
from personalization_pipelines.content.exports.read_export import (
    MAX_DEPTH,
    MAX_OBJECT_BYTES,
    MAX_TEXT_BYTES,
    read_export_items,
)
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.website import Website
from tests.content.test_xml_items import KEYS, LETTERS, SHOP, WORDS, items

ONE: dict[str, Any] = {"contentId": 1, "contentTypeId": 1}
FULL = {
    "_media-type": "application/vnd.ibexa.api.Content+json",
    "contentId": 26876,
    "contentTypeId": 2,
    "identifier": "article",
    "language": "eng-GB",
    "publishedDate": "2024-05-01T12:00:00+02:00",
    "validFrom": "2024-01-01T00:00:00",
    "validTo": 1_719_784_800,
    "categoryPath": ["/1/2/95/", "71"],
    "price": "12.45",
    "currency": "USD",
    "baseItem": "0077",
    "mainLocation": {"_media-type": "x", "_href": "/api/locations/1", "id": 95},
    "image": [{"uri": "/a.png", "width": 640}, {"uri": "/b.png", "width": 320}],
    "title": "Größe 😀 < 3 & more",
    "intro": "<p>One <b>t</b>wo</p><p>three &amp; four</p><script>alert('<p>')</script><style>p {}</style>",
    "tags": ["a", ["b"], "", None],
    "rating": 4.5,
    "views": 7.0,
    "huge": 2**53,
    "sold": True,
    "nothing": None,
    "empty": "",
    "blank": "<p> </p>",
    "none": [],
    "no fields": {},
}


def document(*entries: Any) -> bytes:
    content = {"_media-type": "application/vnd.ibexa.api.ContentList+json", "content": list(entries)}
    return json.dumps({"contentList": content}).encode()


def read(data: bytes, website: Website = SHOP) -> tuple[list[XmlItem], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    found = list(read_export_items(io.BytesIO(data), website, lambda place, reason: told.append((place, reason))))
    return found, told


def test_every_field_is_read() -> None:
    (found,), told = read(document(FULL))
    summer, winter = 1_719_784_800_000_000, 1_704_063_600_000_000  # of Berlin: +02:00, +01:00
    assert told == []
    assert found == XmlItem(
        2, "26876", "eng-GB", 1245, "USD", winter, summer, ["/1/2/95", "/71"],
        {
            "identifier": ["article"],
            "publishedDate": ["2024-05-01T10:00:00Z"],
            "mainLocation.id": [95],
            "image.uri": ["/a.png", "/b.png"],
            "image.width": [640, 320],
            "title": ["Größe 😀 < 3 & more"],
            "intro": ["One two three & four"],
            "tags": ["a", "b"],
            "rating": [4.5],
            "views": [7],
            "huge": ["9007199254740992"],
            "sold": ["true"],
        },
        "77",
    )  # fmt: skip
    assert isinstance(found.attributes["views"][0], int)


def test_the_smallest_object_is_an_item_and_an_empty_list_is_none() -> None:
    assert read(document(ONE)) == ([XmlItem(1, "1")], [])
    assert read(b"\xef\xbb\xbf" + document({**ONE, "price": 3})) == ([XmlItem(1, "1", "", 300, "EUR")], [])
    assert read(document()) == ([], [])


UNUSABLE: dict[str, tuple[Any, str, str]] = {
    # name: entry, field, reason
    "no object": (5, "", "no object"),
    "no id": ({"contentTypeId": 1}, "contentId", "missing"),
    "id": ({**ONE, "contentId": "1a"}, "contentId", "not a number"),
    "fraction": ({**ONE, "contentId": 1.5}, "contentId", "not a number"),
    "negative": ({**ONE, "contentId": -1}, "contentId", "not a number"),
    "bool": ({**ONE, "contentId": True}, "contentId", "not a number"),
    "list": ({**ONE, "contentId": [1]}, "contentId", "not a number"),
    "no type": ({"contentId": 1}, "contentTypeId", "none of the website's item types (1, 2)"),
    "type": ({**ONE, "contentTypeId": 3}, "contentTypeId", "none of the website's"),
    "true type": ({**ONE, "contentTypeId": True}, "contentTypeId", "none of the website's"),
    "language": ({**ONE, "language": "e"}, "language", "no code like eng-GB"),
    "several languages": ({**ONE, "language": ["eng-GB"]}, "language", "no code"),
    "category": ({**ONE, "categoryPath": {"a": 1}}, "categoryPath", "no path like"),
    "invisible": ({**ONE, "categoryPath": "/A\u200b"}, "categoryPath", "printable"),
    "categories": ({**ONE, "categoryPath": [f"/{n}" for n in range(21)]}, "categoryPath", "at most 20"),
    "price": ({**ONE, "price": "on request"}, "price", "no amount"),
    "less than nothing": ({**ONE, "price": -1}, "price", "no amount"),
    "price of yes": ({**ONE, "price": True}, "price", "no amount"),
    "currency": ({**ONE, "price": 1, "currency": "eur"}, "currency", "ISO 4217"),
    "time": ({**ONE, "validFrom": "2024-02-30"}, "validFrom", "no date or time"),
    "moment": ({**ONE, "validTo": 1e300}, "validTo", "no date or time"),
    "before": ({**ONE, "validFrom": 1700000001, "validTo": 1700000000}, "validTo", "before"),
    "base": ({**ONE, "baseItem": "x"}, "baseItem", "not a number"),
    "key": ({**ONE, "a=b": 1}, "a=b", "cannot name an attribute"),
    "long key": ({**ONE, "a": {"b" * 64: 1}}, "a." + "b" * 64, "cannot name an attribute"),
    "long": ({**ONE, "body": "x" * 65_536}, "body", "longer than 65,536"),
    "many": ({**ONE, "tags": ["tag"] * 20_000}, "tags", "longer than 65,536"),
}


@pytest.mark.parametrize("name", list(UNUSABLE))
def test_what_is_no_item_is_told_with_its_place_and_the_others_are_read(name: str) -> None:
    entry, field, reason = UNUSABLE[name]
    found, told = read(document(ONE, entry, {**ONE, "contentId": 2}))
    assert [one.item for one in found] == ["1", "2"]
    ((place, why),) = told
    assert place == (f"contentList.content[1]: {field}" if field else "contentList.content[1]")
    assert reason in why
    assert len(why) < 200


def inside(text: str) -> bytes:
    """Return a document with one entry that has one more field, written as it is."""
    return document({**ONE, "x": 0}).replace(b'"x": 0', text.encode("utf-8", "surrogatepass"))


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no well-formed JSON"),
    "text": (b"hello", "no well-formed JSON"),
    "html": (b"<html><body>502</body></html>", "no well-formed JSON"),
    "another document": (b'{"error": {"code": 404}}', "no list contentList.content"),
    "a list": (b'[{"contentList": {"content": []}}]', "no list contentList.content"),
    "no list": (b'{"contentList": {"content": {}}}', "no list contentList.content"),
    "elsewhere": (b'{"other": {"content": []}}', "no list contentList.content"),
    "deeper": (b'{"a": {"contentList": {"content": []}}}', "no list contentList.content"),
    "truncated": (document(ONE, FULL)[:-30], "no well-formed JSON (parse error: premature EOF)"),
    "truncated behind the list": (document(ONE)[:-1], "premature EOF"),
    "two documents": (document(ONE) * 2, "trailing garbage"),
    "twice": (inside('"a": 1, "a": 2'), "at contentList.content[0]: key 'a' occurs twice"),
    "an id twice": (inside('"contentId": 2'), "key 'contentId' occurs twice"),
    "twice inside": (inside('"a": {"b": 1, "b": 1}'), "key 'b' occurs twice"),
    "two lists": (b'{"contentList": {"content": [], "content": []}}', "key 'content' occurs twice"),
    "two lists of lists": (document(ONE)[:-1] + b',"contentList":{}}', "key 'contentList' occurs twice"),
    "not a number": (inside('"a": NaN'), "no well-formed JSON"),
    "infinity": (inside('"a": -Infinity'), "no well-formed JSON"),
    "a long exponent": (inside('"a": 1e99999999999999999999'), "a number that nobody can hold"),
    "a long number": (inside(f'"a": {"9" * 100_000}'), "a number of thousands of digits"),
    "a longer number": (inside(f'"a": {"9" * (MAX_TEXT_BYTES + 200_000)}'), "a number or blanks of more than 512 KiB"),
    "first half": (inside(r'"a": "\ud800"'), "half a character"),
    "second half": (inside(r'"a": "\udc00"'), "half a character"),
    "first half and a letter": (inside(r'"a": "\ud83d\u0041"'), "half a character"),
    "first half twice": (inside(r'"a": "\ud83d\ud83d\ude00"'), "half a character"),
    "halves in two texts": (inside(r'"a": ["\ud83d", "\ude00"]'), "half a character"),
    "a half behind a backslash": (inside(r'"a": "\\\ud800"'), "half a character"),
    "half a character in UTF-8": (inside('"a": "\ud800"'), "its text is not UTF-8"),
    "bad UTF-8": (inside('"a": "?"').replace(b"?", b"\xff"), "invalid bytes in UTF8"),
    "a control": (inside('"a": "\x00"'), "invalid character inside string"),
    "a comment": (b"/* */" + document(ONE), "comment"),
    "deep": (b"[" * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
    "deep inside": (inside('"a": ' + '{"a":' * 100_000), f"nested deeper than {MAX_DEPTH} levels"),
    "deep and complete": (inside('"a": ' + "[" * 100_000 + "]" * 100_000), f"nested deeper than {MAX_DEPTH} levels"),
    "a huge text": (inside(f'"a": "{"x" * 20_000_000}"'), "more than 512 KiB"),
    "a huge key": (inside(f'"{"x" * 20_000_000}": 1'), "more than 512 KiB"),
    "blanks": (b" " * 20_000_000, "more than 512 KiB"),
    "a huge object": (inside('"a": [' + '"xxxxxxxx",' * 1_000_000 + "1]"), "more than 4 MiB for one object"),
    "a huge beginning": (b'{"a": [' + b'"xxxxxxxx",' * 1_000_000, "before the first item: more than 4 MiB"),
    "many keys": (document(ONE, {**ONE, **{f"k{n}": 1 for n in range(201)}}), "contentList.content[1]: more than 200"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_broken_or_hostile_document_is_refused_with_a_sentence_and_little_memory(name: str) -> None:
    data, sentence = REFUSED[name]
    tracemalloc.start()
    try:
        with pytest.raises(ImportRefused) as refused:
            read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 300
    assert peak < 4 * MAX_OBJECT_BYTES + len(data)


@pytest.mark.parametrize(
    "text", [r"\ud83d\ude00", r"\\ud800", r"\"\ud83d\ude00\\\\", r"\u00e9\ud83d\ude00\ud83d\ude00"]
)
def test_whole_characters_and_what_only_looks_like_half_ones_are_read(text: str) -> None:
    (found,), _ = read(inside(f'"a": "{text}"'))
    assert found.attributes == {"a": [json.loads(f'"{text}"')]}


def test_a_document_of_64_mib_costs_the_memory_of_a_few_items() -> None:
    class Long(io.RawIOBase):
        """A document that is made while it is read."""

        def __init__(self) -> None:
            self.parts = chain([document()[:-3]], repeat(one + b",", 10_999), [one, b"]}}"])
            self.sent = 0

        def read(self, size: int = -1) -> bytes:
            part = next(self.parts, b"")
            self.sent += len(part)
            return part

    one = json.dumps({**ONE, "title": "x" * 6_200}).encode()
    long: Any = Long()
    tracemalloc.start()
    count = sum(1 for _ in read_export_items(long, SHOP, lambda *_: pytest.fail("rejected")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, long.sent > 64 << 20) == (11_000, True)
    assert peak < 8 << 20


TEXTS: dict[str, str] = {
    "a < b > c": "a < b > c",
    "two\nlines": "two\nlines",
    " blank ": "blank",
    "a\x00b\x1f": "ab",
    "R&amp;D": "R&D",
    "&lt;b&gt;": "<b>",
    "A&nbsp;B<br/>C": "A B C",
    "<![CDATA[<p>x</p>]]>": "x",
    "<p>a</p>\n<p>b</p>": "a b",
    "w<em class='x'>or</em>d": "word",
    '<img alt="a > b"/>x': "x",
    "<a href='/x'>link</a>s": "links",
    "x<!-- <p> -->y": "x y",
    "x<!-- open": "x",
    "x<script>open <p>y</p>": "x",
    "<SCRIPT type='a'>1 < 2</SCRIPT >y": "y",
    "<article>a</article>": "a",
    "": "",
}


@pytest.mark.parametrize("text", list(TEXTS))
def test_html_becomes_what_a_person_reads(text: str) -> None:
    assert plain_text(text) == TEXTS[text]


HOSTILE_HTML = ["<a", '<a "', "<script>", "<!--", "&", "<a 'b\"", '"b"<a', "<b x='", "<b", "</script", "<![CDATA["]


@pytest.mark.parametrize("part", HOSTILE_HTML)
def test_hostile_html_costs_no_more_than_its_length(part: str) -> None:
    def cost(count: int) -> float:
        began = time.process_time()
        plain_text(part * count)
        return time.process_time() - began

    small, large = min(cost(5_000) for _ in range(3)), min(cost(50_000) for _ in range(3))
    assert large < 50 * small + 0.1  # ten times the text; its square would be a hundred times


def exported(item: XmlItem) -> dict[str, Any]:
    """Return an item as a CMS would export it. Its currencies have up to three digits behind the point."""
    digits = {"EUR": 2, "JPY": 0, "KWD": 3, "": 0}[item.currency]
    amount = f"{item.price_minor or 0:0{digits + 1}d}"
    fields: dict[str, Any] = {
        "_media-type": "application/vnd.ibexa.api.Content+json",
        "contentId": item.item,
        "contentTypeId": item.item_type,
        "language": item.language or None,
        "categoryPath": item.categories[0] if len(item.categories) == 1 else item.categories,
        "price": None
        if item.price_minor is None
        else f"{amount[: len(amount) - digits]}.{amount[len(amount) - digits :]}",
        "currency": item.currency,
        "baseItem": item.base_item,
        "validFrom": moment(item.valid_from),
        "validTo": moment(item.valid_to),
    }
    return fields | {key: values[0] if len(values) == 1 else values for key, values in item.attributes.items()}


def moment(microseconds: int | None) -> str | None:
    from personalization_pipelines.content.xml.write_xml import EPOCH, timedelta

    return None if microseconds is None else f"{(EPOCH + timedelta(microseconds=microseconds)).isoformat()}Z"


PLAIN = (
    st.text(LETTERS.filter(lambda c: c not in "<&"), min_size=1).map(plain_text).filter(lambda t: t and t[10:11] != "T")
)
VALUES = st.one_of(
    PLAIN, st.integers(-(2**53) + 1, 2**53 - 1), st.floats(-1e15, 1e15).filter(lambda n: not n.is_integer())
)
ATTRIBUTES = st.dictionaries(
    KEYS.filter(lambda key: key not in CANONICAL), st.lists(VALUES, min_size=1, max_size=4), max_size=6
)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(items(), ATTRIBUTES), max_size=4), st.booleans())
@example([(XmlItem(1, "1", price_minor=5, currency="KWD"), {"a": [-0.5]})], True)
def test_what_is_exported_is_read_as_the_same_items(made: list[tuple[XmlItem, dict[str, Any]]], escaped: bool) -> None:
    for one, attributes in made:
        one.attributes = attributes
    text = json.dumps({"contentList": {"content": [exported(one) for one, _ in made]}}, ensure_ascii=escaped)
    assert read(text.encode(), WORDS) == ([one for one, _ in made], [])


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400), st.integers(0, 1200))
def test_any_bytes_are_items_or_a_sentence(noise: bytes, place: int) -> None:
    whole = document(FULL, ONE)
    for data in (noise, whole[:place] + noise + whole[place:]):
        try:
            read(data)
        except ImportRefused as refused:
            assert len(str(refused)) < 300
