"""The document of transfers: what it says is read, what is wrong is named by line and element."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.xml.xml_transfers import MAX_DOCUMENT, Item, Transfer, read_xml_transfers
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.website import Website
from tests.conftest import make_website

SHOP = make_website()
WORDS = make_website(item_ids="alphanumeric")


def element(name: str, item: Item) -> str:
    return f'<{name} type="{item[0]}" id="{item[1]}"/>'


def document(*transfers: tuple[Item, Item]) -> str:
    """Return a document of transfers, each from the first item to the second; the first stands in line 2."""
    lines = (
        f"<transfer>{element('sourceitem', one)}{element('targetitem', other)}</transfer>" for one, other in transfers
    )
    return "<transfers>\n" + "\n".join(lines) + "\n</transfers>"


def read(text: str | bytes, website: Website = SHOP) -> list[Transfer]:
    data = text.encode() if isinstance(text, str) else text
    return read_xml_transfers(io.BytesIO(data), website)


def inside(text: str) -> str:
    return f"<transfers>\n<transfer>{text}</transfer></transfers>"


def test_an_id_may_stand_in_the_attribute_or_in_the_text() -> None:
    text = """<?xml version="1.0" encoding="UTF-8"?>
<transfers version="1">
  <transfer><sourceitem type="1" id="007"/><targetitem type="2"> 8 </targetitem></transfer>
  <transfer><targetitem type="1">9</targetitem><sourceitem id=" 10 " type="1"></sourceitem></transfer>
</transfers>"""
    assert read(text) == [Transfer((1, "7"), (2, "8")), Transfer((1, "10"), (1, "9"))]


def test_ids_are_those_of_the_website() -> None:
    assert read(document(((1, "a-ö"), (1, "A"))), WORDS) == [Transfer((1, "a-ö"), (1, "A"))]


REFUSED = {
    "nothing": ("", "line 1, the document: no well-formed XML"),
    "no transfer": ("<transfers/>", "no transfer; expected at least one <transfer>"),
    "wrong root": ("<items/>", "line 1, the document: element 'items' is not expected here"),
    "version": ('<transfers version="2"/>', "line 1, <transfers>: version '2'; expected 1"),
    "no source": (inside(element("targetitem", (1, "2"))), "line 2, <transfer>: <sourceitem> is missing"),
    "no target": (inside(element("sourceitem", (1, "2"))), "line 2, <transfer>: <targetitem> is missing"),
    "twice": (inside(element("sourceitem", (1, "2")) * 2), "line 2, <sourceitem>: it occurs twice in its transfer"),
    "no type": (inside('<sourceitem id="2"/>'), "line 2, <sourceitem>: attribute 'type' is missing"),
    "unknown type": (inside(element("sourceitem", (9, "2"))), "type '9'; expected one of the website's (1, 2)"),
    "no id": (inside('<sourceitem type="1"/>'), "line 2, <sourceitem>: "),
    "two ids": (inside('<sourceitem type="1" id="2">2</sourceitem>'), "the id stands in the attribute and in the text"),
    "no number": (inside(element("sourceitem", (1, "x"))), "line 2, <sourceitem>: "),
    "unknown attribute": (inside('<sourceitem type="1" id="2" lang="de"/>'), "attribute 'lang' is not expected"),
    "unknown element": (inside("<item/>"), "line 2, <transfer>: element 'item' is not expected here"),
    "self": (document(((1, "2"), (1, "02"))), "line 2, <transfer>: item 1/2 is source and target"),
    "same source": (
        document(((1, "2"), (1, "3")), ((1, "2"), (1, "4"))),
        "line 3, <transfer>: item 1/2 is the source of two transfers",
    ),
    "a DTD": ('<!DOCTYPE x [<!ENTITY a "b">]><transfers/>', "a DTD (<!DOCTYPE); documents with one are refused"),
    "text": ("<transfers>hello</transfers>", "text 'hello' is not expected here"),
    "cut off": ("<transfers><transfer>", "no well-formed XML"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_wrong_is_named_with_line_and_element(name: str) -> None:
    text, sentence = REFUSED[name]
    with pytest.raises(ImportRefused) as error:
        read(text)
    assert sentence in str(error.value)


def test_a_document_has_at_most_so_many_transfers() -> None:
    many = [((1, str(2 * number + 1)), (1, str(2 * number + 2))) for number in range(MAX_DOCUMENT + 1)]
    assert len(read(document(*many[:-1]))) == MAX_DOCUMENT
    with pytest.raises(ImportRefused, match=rf"line {MAX_DOCUMENT + 2}, <transfer>: more than 10,000 transfers"):
        read(document(*many))


@settings(max_examples=50)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_comes_is_transfers_or_one_sentence(data: bytes) -> None:
    try:
        assert read(b"<transfers>" + data + b"</transfers>")
    except ImportRefused as error:
        assert str(error).startswith("line ")
