"""Writes items as the document that `xml_items.py` reads: what is read again is the same item."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, timedelta
from xml.sax.saxutils import escape, quoteattr

from personalization_pipelines.content.xml.xml_grammar import EPOCH, Value, XmlItem, collapsed, moment_of
from personalization_pipelines.website import Website

LONG = 256
"""Characters from which on a text is written as content; a line break makes it one, too."""

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_xml_items(items: Iterable[XmlItem], website: Website) -> bytes:
    """Return the document of some items, UTF-8. Characters that no XML can hold become U+FFFD."""
    lines = [line for item in items for line in _item(item, website)]
    inside = "\n".join(lines)
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<items version="1">\n{inside}\n</items>\n'
    return _NOT_IN_XML.sub("\ufffd", text).encode()


def _item(item: XmlItem, website: Website) -> Iterator[str]:
    more = f" lang={quoteattr(item.language)}" if item.language else ""
    more += f" baseitem={quoteattr(item.base_item)}" if item.base_item else ""
    yield f'  <item id={quoteattr(item.item)} type="{item.item_type}"{more}>'
    if item.price_minor is not None:
        yield f"    <price currency={quoteattr(item.currency or website.currency)}>{item.price_minor}</price>"
    for name, moment in (("validfrom", item.valid_from), ("validto", item.valid_to)):
        if moment is not None:
            yield f"    <{name}>{_moment(moment, website)}</{name}>"
    if item.categories:
        yield "    <categorypaths>"
        yield from (f"      <categorypath>{_text(path)}</categorypath>" for path in item.categories)
        yield "    </categorypaths>"
    yield from _values(item.attributes)
    yield "  </item>"


def _values(attributes: dict[str, list[Value]]) -> Iterator[str]:
    """Write each key wholly one way: as its own element, as content, or as attributes."""
    contents, plain = [], []
    for key, values in attributes.items():
        if key in ("description", "deeplinkurl") and _is_one_text(key, values):
            yield f"    <{key}>{_text(str(values[0]))}</{key}>"
        elif all(isinstance(one, str) for one in values) and any(_is_long(str(one)) for one in values):
            contents += [f"<content-data key={quoteattr(key)}>{_text(str(one))}</content-data>" for one in values]
        else:
            plain += [_attribute(key, one) for one in values]
    for name, lines in (("content", contents), ("attributes", plain)):
        if lines:
            yield f"    <{name}>"
            yield from (f"      {line}" for line in lines)
            yield f"    </{name}>"


def _is_one_text(key: str, values: list[Value]) -> bool:
    one = values[0]
    return len(values) == 1 and isinstance(one, str) and (key != "deeplinkurl" or one == collapsed(one))


def _is_long(text: str) -> bool:
    return len(text) > LONG or "\n" in text


def _attribute(key: str, value: Value) -> str:
    kind = "" if isinstance(value, str) else ' type="NUMERIC"'
    return f"<attribute key={quoteattr(key)} value={quoteattr(str(value))}{kind}/>"


def _text(text: str) -> str:
    return escape(text, {"\r": "&#13;"})


def _moment(microseconds: int, website: Website) -> str:
    """Return a moment in the website's time, without a zone; with Z where that would be another moment."""
    moment = EPOCH + timedelta(microseconds=microseconds)
    try:
        local = moment.replace(tzinfo=UTC).astimezone(website.zone).replace(tzinfo=None, fold=0).isoformat()
    except OverflowError:
        local = ""
    try:
        same = moment_of(local, website) == microseconds
    except ValueError:
        same = False
    return local if same else f"{moment.isoformat()}Z"
