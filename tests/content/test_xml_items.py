"""The document of items: what it says is read, what is wrong is named by line and element, nothing hostile passes."""

from __future__ import annotations

import io
import socket
import sys
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from personalization_pipelines.content.files.attributes import MAX_ATTRIBUTES
from personalization_pipelines.content.files.attributes import MAX_TEXT as MAX_TEXT_OF_FILES
from personalization_pipelines.content.xml.strict_xml import MAX_TEXT, MAX_TOKEN
from personalization_pipelines.content.xml.write_xml import write_xml_items
from personalization_pipelines.content.xml.xml_grammar import MAX_KEYS, XmlItem
from personalization_pipelines.content.xml.xml_items import check_xml_items, read_xml_items
from personalization_pipelines.content.xml.xml_schema import items_schema
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.website import Website
from tests.conftest import make_website

SHOP = make_website()
WORDS = make_website(item_ids="alphanumeric")
FULL = """<?xml version="1.0" encoding="UTF-8"?>
<items version="1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="schema.xsd">
  <!-- a comment -->
  <item id="102" type="1" lang="eng-GB" baseitem="0077">
    <description>a &amp; b</description>
    <price currency="JPY"> 456 </price>
    <validfrom>2024-01-01T00:00:00</validfrom>
    <validto>2024-07-01</validto>
    <categorypaths><categorypath>/A/B/</categorypath><categorypath>C</categorypath></categorypaths>
    <imageurls><imageurl type="small">http://example.org/s</imageurl><imageurl>http://example.org/</imageurl></imageurls>
    <deeplinkurl>
      http://example.org/102
    </deeplinkurl>
    <content><content-data key="title"><![CDATA[<b>one</b>]]></content-data></content>
    <attributes>
      <attribute key="size" value="XL"/><attribute key="size" value="L" type="NOMINAL"/>
      <attribute key="width" value="12.50" type="NUMERIC"/><attribute key="width" value="3" type="NUMERIC"/>
      <attribute key="code" value="007" type="TEXT"/><attribute key="nothing" value=""/>
    </attributes>
  </item>
  <item id="007" type="2"><price>1245</price></item>
</items>"""


def read(text: str | bytes, website: Website = SHOP) -> list[XmlItem]:
    data = text.encode() if isinstance(text, str) else text
    return list(read_xml_items(io.BytesIO(data), website))


def document(inside: str) -> str:
    return f'<items version="1">\n{inside}\n</items>'


def item(inside: str, more: str = "") -> str:
    return document(f'<item id="1" type="1"{more}>{inside}</item>')


def attribute(**given: Any) -> str:
    texts = " ".join(f'{key}="{value}"' for key, value in given.items())
    return item(f"<attributes><attribute {texts}/></attributes>")


def schema(website: Website) -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(items_schema(website)))


def test_every_element_is_read() -> None:
    first, second = read(FULL)
    summer, winter = 1_719_784_800_000_000, 1_704_063_600_000_000  # of Berlin: +02:00, +01:00
    assert first == XmlItem(
        1, "102", "eng-GB", 456, "JPY", winter, summer, ["/A/B", "/C"],
        {
            "description": ["a & b"],
            "imageurl_small": ["http://example.org/s"],
            "imageurl": ["http://example.org/"],
            "deeplinkurl": ["http://example.org/102"],
            "title": ["<b>one</b>"],
            "size": ["XL", "L"],
            "width": [12.5, 3],
            "code": ["007"],
        },
        "77",
    )  # fmt: skip
    assert second == XmlItem(2, "7", price_minor=1245, currency="EUR")
    assert isinstance(first.attributes["width"][1], int)


def test_a_document_may_come_in_other_encodings_that_it_names() -> None:
    text = item("<description>Größe</description>")
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        head = f'<?xml version="1.0" encoding="{encoding}"?>'
        assert read((head + text).encode(encoding))[0].attributes == {"description": ["Größe"]}


REFUSED: dict[str, tuple[str, int, str, str]] = {
    # name: document, line, element, sentence
    "empty": ("", 1, "the document", "no element found"),
    "text": ("hello", 1, "the document", "no well-formed XML"),
    "wrong root": ('<users version="1"/>', 1, "the document", "element 'users' is not expected here"),
    "no version": ("<items/>", 1, "<items>", "attribute 'version' is missing"),
    "version": ('<items version="2"/>', 1, "<items>", "version '2'; expected 1"),
    "no item": ('<items version="1"/>', 1, "the document", "no item"),
    "namespace": ('<items version="1" xmlns="urn:x"/>', 1, "the document", "is not expected"),
    "no id": (document('<item type="1"/>'), 2, "<item>", "attribute 'id' is missing"),
    "no type": (document('<item id="1"/>'), 2, "<item>", "attribute 'type' is missing"),
    "odd attribute": (item("", ' foo="1"'), 2, "<item>", "attribute 'foo' is not expected"),
    "item id": (document('<item id="1a" type="1"/>'), 2, "<item>", "item id '1a'"),
    "item type": (document('<item id="1" type="3"/>'), 2, "<item>", "type '3'; expected one of the website's (1, 2)"),
    "base item": (item("", ' baseitem="1a"'), 2, "<item>", "item id '1a'"),
    "no base item": (item("", ' baseitem=""'), 2, "<item>", "item id ''"),
    "language": (item("", ' lang="e"'), 2, "<item>", "lang 'e'"),
    "unknown": (item("\n<colour>red</colour>"), 3, "<item> of item '1'", "element 'colour' is not expected here"),
    "deep": (item("<description>a<b>c</b></description>"), 2, "<description>", "expected text only"),
    "twice": (item("<price>1</price>\n<price>2</price>"), 3, "<price>", "twice in its item"),
    "loose text": (item("hello"), 2, "<item>", "text 'hello' is not expected here"),
    "price": (item("<price>12.45</price>"), 2, "<price>", "'12.45'; expected a whole number"),
    "no price": (item("<price/>"), 2, "<price>", "expected a whole number"),
    "negative": (item("<price>-1</price>"), 2, "<price>", "expected a whole number"),
    "much": (item("<price>9007199254740992</price>"), 2, "<price>", "expected a whole number"),
    "currency": (item('<price currency="eur">1</price>'), 2, "<price>", "currency 'eur'"),
    "date": (item("<validfrom>2024-02-30</validfrom>"), 2, "<validfrom>", "'2024-02-30'; expected a date"),
    "year": (item("<validto>0000-01-01</validto>"), 2, "<validto>", "expected a date"),
    "hour": (item("<validto>2024-01-01T24:00:00</validto>"), 2, "<validto>", "expected a date"),
    "before": (
        item("<validfrom>2024-01-02</validfrom><validto>2024-01-01</validto>"), 2, "<item>", "validto is before"),
    "categories": (
        item(f"<categorypaths>{'<categorypath>/A</categorypath>' * 21}</categorypaths>"), 2, "<categorypath>",
        "at most 20"),
    "long category": (
        item(f"<categorypaths><categorypath>/{'A' * 1024}</categorypath></categorypaths>"), 2, "<categorypath>",
        "1,024 characters"),
    "category": (
        item("<categorypaths><categorypath>/A\u200b</categorypath></categorypaths>"), 2, "<categorypath>", "printable"),
    "no key": (attribute(value="1"), 2, "<attribute>", "attribute 'key' is missing"),
    "no value": (attribute(key="a"), 2, "<attribute>", "attribute 'value' is missing"),
    "key": (attribute(key="a=b", value="1"), 2, "<attribute>", "key 'a=b'"),
    "long key": (attribute(key="a" * 65, value="1"), 2, "<attribute>", "1 to 64 characters"),
    "kind": (attribute(key="a", value="1", type="nominal"), 2, "<attribute>", "type 'nominal'; expected one of"),
    "number": (attribute(key="a", value="x", type="NUMERIC"), 2, "<attribute>", "value 'x' of type NUMERIC"),
    "no number": (attribute(key="a", value="", type="NUMERIC"), 2, "<attribute>", "of type NUMERIC"),
    "infinite": (attribute(key="a", value="1e999", type="NUMERIC"), 2, "<attribute>", "of type NUMERIC"),
    "text in an attribute": (
        item('<attributes><attribute key="a" value="b">c</attribute></attributes>'), 2, "<attribute>", "text 'c'"),
    "image type": (
        item('<imageurls><imageurl type="a b">x</imageurl></imageurls>'), 2, "<imageurl>", "type 'a b'"),
    "cut": (document('<item id="1" type="1">')[:-9], 2, "<item> of item '1'", "no element found"),
    "crossed": ('<items version="1">\n<item id="1" type="1"></items>', 2, "<item>", "mismatched tag"),
    "two roots": (item("") + item(""), 3, "the document", "junk after document element"),
    "encoding": ('<?xml version="1.0" encoding="utf-7"?>' + item(""), 1, "the document", "encoding 'utf-7'"),
}  # fmt: skip
HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "billion laughs": (
        '<!DOCTYPE items [<!ENTITY a0 "lol">'
        + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11))
        + "]>" + item("<description>&a10;</description>"), "a DTD"),
    "quadratic": (
        f'<!DOCTYPE items [<!ENTITY a "{"a" * 50_000}">]>' + item(f"<description>{'&a;' * 20_000}</description>"),
        "a DTD"),
    "file": (
        '<!DOCTYPE items [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + item("<description>&a;</description>"),
        "a DTD"),
    "external": ('<!DOCTYPE items SYSTEM "http://127.0.0.1:9/x.dtd">' + item(""), "a DTD"),
    "parameter": (
        '<!DOCTYPE items [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x.dtd"> %a;]>' + item(""), "a DTD"),
    "bare": ("<!DOCTYPE items>" + item(""), "a DTD"),
    "undeclared": (item("<description>&a;</description>"), "undefined entity"),
    "include": (
        '<items version="1" xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></items>',
        "is not expected here"),
    "deep": ('<items version="1">' + "<item>" * 1_000_000, "attribute 'id' is missing"),
    "deep inside": (
        '<items version="1"><item id="1" type="1">' + "<content>" * 1_000_000, "'content' is not expected here"),
    "huge attribute": (attribute(key="a", value="b" * 20_000_000), "a tag or comment of more than"),
    "long attribute": (attribute(key="a", value="b" * (MAX_TEXT + 1)), "more than 65,536 characters"),
    "huge key": (attribute(key="a" * 400_000, value="b"), "1 to 64 characters"),
    "huge name": (document(f"<{'a' * 20_000_000}/>"), "a tag or comment of more than"),
    "huge text": (item(f"<description>{'a' * 20_000_000}</description>"), "more than 65,536 characters"),
    "huge comment": (document(f"<!--{'a' * 20_000_000}-->"), "a tag or comment of more than"),
    "many attributes": (
        document(f'<item id="1" type="1" {" ".join(f"{chr(97)}{n}=" + chr(34) * 2 for n in range(30_000))}/>'),
        "is not expected"),
    "many keys": (
        item("<attributes>" + "".join(f'<attribute key="k{n}" value="v"/>' for n in range(100_000)) + "</attributes>"),
        "more than 200 different keys"),
    "many values": (
        item("<attributes>" + '<attribute key="k" value="vvvvvvvvv"/>' * 6_000 + "</attributes>"),
        "are longer than 65,536 characters"),
    "few characters that JSON doubles": (
        item(f"<description>{chr(34) * (MAX_TEXT // 2)}</description>"), "are longer than 65,536 characters"),
    "a text in an empty element": (item('<attributes><attribute key="a" value="b"> </attribute></attributes>'),
        "white space is not expected here"),
    "bad UTF-8": (item("<description>\x00</description>").replace("\x00", "\udcff").encode("utf-8", "surrogateescape"),
        "not well-formed"),
    "overlong UTF-8": (b'<items version="1"><item id="1" type="1"><description>\xc0\xaf</description></item></items>',
        "not well-formed"),
    "nul": (item("<description>\x00</description>"), "not well-formed"),
    "a control": (item("<description>&#1;</description>"), "reference to invalid character number"),
    "a processing instruction that hides a DTD": (
        "<?x <!DOCTYPE a> ?><!DOCTYPE items>" + item(""), "a DTD"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_wrong_is_said_with_line_and_element(name: str) -> None:
    text, line, element, sentence = REFUSED[name]
    with pytest.raises(ImportRefused) as refused:
        read(text)
    assert str(refused.value).startswith(f"line {line}, {element}")
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_document_is_refused_at_once_and_opens_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, sentence = HOSTILE[name]
    data = text.encode() if isinstance(text, str) else text
    opened: list[tuple[str, Any]] = []
    watching = True

    def watch(event: str, arguments: Any) -> None:
        if watching and event in ("open", "socket.connect", "socket.getaddrinfo", "urllib.Request"):
            opened.append((event, arguments))

    monkeypatch.setattr(socket, "create_connection", None)
    sys.addaudithook(watch)
    began = time.process_time()
    with pytest.raises(ImportRefused) as refused:
        read(data)
    watching = False
    assert time.process_time() - began < 5
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 400
    assert opened == []


def test_a_comment_in_the_way_is_no_dtd() -> None:
    text = "<!-- <!DOCTYPE items> -->" + item("<description><![CDATA[<!DOCTYPE html>]]></description>")
    assert read(text)[0].attributes == {"description": ["<!DOCTYPE html>"]}


def test_the_limits_are_those_of_files() -> None:
    assert (MAX_KEYS, MAX_TEXT) == (MAX_ATTRIBUTES, MAX_TEXT_OF_FILES)
    assert len(read(attribute(key="a", value="b" * (MAX_TEXT - 4)))) == 1
    assert MAX_TOKEN > 6 * MAX_TEXT  # a value of references like &amp;


def test_a_document_of_64_mib_costs_the_memory_of_a_few_items() -> None:
    body = f'<content><content-data key="t">{"x" * 6_000}</content-data></content>'
    one = f'<item id="%d" type="1"><price>5</price>{body}</item>'
    data = document("\n".join(one % n for n in range(11_000))).encode()
    assert len(data) > 64 << 20
    file = io.BytesIO(data)
    tracemalloc.start()
    count, last = check_xml_items(file, SHOP)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, last.item) == (11_000, "10999")
    assert peak < 8 << 20


UNSAID = ("before", "number", "no number", "infinite")
"""What XML Schema 1.0 can not say, as the schema itself says."""


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in (*UNSAID, "encoding")])
def test_the_schema_refuses_what_the_parser_refuses(name: str) -> None:
    text = REFUSED[name][0].encode()
    try:
        tree = etree.fromstring(text)
    except etree.XMLSyntaxError:
        return
    assert not schema(SHOP).validate(tree)


def test_the_schema_says_what_it_leaves_unsaid() -> None:
    for name in UNSAID:
        assert schema(SHOP).validate(etree.fromstring(REFUSED[name][0].encode())), name
    text = items_schema(SHOP).decode()
    assert all(word in text for word in ("no DTD", "validto is not before validfrom", "NUMERIC is a number"))


GOOD = [
    FULL, item(""), item("<price>0</price>"), item("<validfrom>2024-02-29T23:59:59.123456+14:00</validfrom>"),
    item("<validto>9999-12-31T23:59:59-14:00</validto>"), item("<validfrom>0001-01-01</validfrom>"),
    item("<categorypaths/><imageurls/><content/><attributes/>"),
    document('<item id=" 12 " type="2"/>'), document('<item id="9223372036854775807" type="2"/>'),
    attribute(key="a", value="1e3", type="NUMERIC"), attribute(key="ä b", value=""),
    item("<categorypaths><categorypath> / A b / ü </categorypath></categorypaths>"),
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD, ids=range(len(GOOD)))
def test_the_schema_allows_what_the_parser_reads(text: str) -> None:
    assert read(text)
    validator = schema(SHOP)
    assert validator.validate(etree.fromstring(text.encode())), validator.error_log


@pytest.mark.parametrize("text", ["a b", "ü", "x\x7f", "a/b", "a,b", "a\\b", "", "a" * 128, "a" * 129, "a&#9;b"])
def test_ids_of_letters_are_the_same_in_schema_and_parser(text: str) -> None:
    made = document(f'<item id="{text}" type="1"/>')
    try:
        fine = bool(read(made, WORDS))
    except ImportRefused:
        fine = False
    assert schema(WORDS).validate(etree.fromstring(made.encode())) == fine


LETTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
TEXTS = st.text(st.one_of(LETTERS, st.sampled_from('\n\r\t<&"]>')), min_size=1)
KEYS = st.text(LETTERS.filter(lambda c: c not in ",&="), min_size=1, max_size=64)
NUMBERS = st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), st.floats(-1e15, 1e15).filter(lambda n: not n.is_integer()))
NAMES = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=20).map(lambda t: t.replace("/", "x"))
MOMENTS = st.one_of(st.none(), st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))


IDS = st.text(LETTERS.filter(lambda c: c not in "/,\\\ufffd"), min_size=1, max_size=128)


@st.composite
def items(draw: st.DrawFn) -> XmlItem:
    valid = sorted(one for one in (draw(MOMENTS), draw(MOMENTS)) if one is not None)
    price = draw(st.one_of(st.none(), st.integers(0, 2**53 - 1)))
    values = st.lists(st.one_of(TEXTS, NUMBERS), min_size=1, max_size=4)
    special = st.sampled_from(["description", "deeplinkurl", "imageurl"])
    return XmlItem(
        draw(st.sampled_from([1, 2])),
        draw(IDS),
        draw(st.sampled_from(["", "eng-GB", "ger-DE"])),
        price,
        "" if price is None else draw(st.sampled_from(["EUR", "JPY", "KWD"])),
        valid[0] if valid else None,
        valid[1] if len(valid) > 1 else None,
        draw(st.lists(NAMES.map(lambda name: f"/{name}"), max_size=5, unique=True)),
        draw(st.dictionaries(st.one_of(KEYS, special), values, max_size=6)),
        draw(st.one_of(st.just(""), IDS)),
    )  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(items(), min_size=1, max_size=4))
@example([XmlItem(1, "1", valid_from=1_729_994_400_000_000)])  # the second 03:00 of an autumn night in Berlin
@example([XmlItem(1, "1", attributes={"deeplinkurl": [" x"], "description": ["\r\n"], "a": ["\r", 1]})])
def test_what_is_written_is_read_again_as_the_same_items(made: list[XmlItem]) -> None:
    data = write_xml_items(made, WORDS)
    assert read(data, WORDS) == made
    validator = schema(WORDS)
    assert validator.validate(etree.fromstring(data)), validator.error_log


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400), st.integers(0, len(FULL)))
def test_any_bytes_are_items_or_a_sentence(noise: bytes, place: int) -> None:
    for data in (noise, FULL.encode()[:place] + noise + FULL.encode()[place:]):
        try:
            assert read(data)
        except ImportRefused as refused:
            assert str(refused).startswith("line ")


def test_blanks_without_end_between_elements_cost_neither_memory_nor_time() -> None:
    data = b'<items version="1">' + b" \n" * (8 << 20) + b'<item id="1" type="1"/></items>'
    began = time.process_time()
    assert [item.item for item in read(data)] == ["1"]
    assert time.process_time() - began < 20, "a second, and patience with a loaded machine; 16 MiB, looked at once"
