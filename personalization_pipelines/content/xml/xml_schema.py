"""The XML Schema of a website's item documents: what the parser enforces, as far as XML Schema 1.0 can say it.

It is made for the website, because the item types and the form of ids are. What it can not say stands in
`UNSAID`, and in the schema as documentation.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from personalization_pipelines.content.xml.strict_xml import MAX_TEXT
from personalization_pipelines.content.xml.xml_grammar import (
    DATE_PATTERN,
    IMAGE_PATTERN,
    KEY_PATTERN,
    LANGUAGE_PATTERN,
    MAX_KEYS,
    PRICE_PATTERN,
    TIME_PATTERN,
    TYPES,
)
from personalization_pipelines.events.judging.rules import MAX_CATEGORIES, MAX_CATEGORY_CHARACTERS
from personalization_pipelines.foundation.currency import FRACTION_DIGITS, MAX_MINOR
from personalization_pipelines.foundation.identifiers import MAX_ITEM_CHARACTERS, MAX_NUMERIC_ITEM
from personalization_pipelines.website import Website

UNSAID = (
    "Also enforced, but more than XML Schema 1.0 can say: no DTD; validto is not before validfrom; a value of type "
    f"NUMERIC is a number below 2^53; the values of one key of an item have at most {MAX_TEXT} characters as JSON; a "
    f"document has at most {MAX_KEYS} different keys; a tag or comment has at most 512 KiB. Whether a year is one of "
    "four digits from 0001 on, and the price at most 2^53 - 1, the types below say."
)
_NUMERIC_ID = f"""<xs:restriction base="xs:nonNegativeInteger"><xs:pattern value="[0-9]{{1,19}}"/>
      <xs:maxInclusive value="{MAX_NUMERIC_ITEM}"/></xs:restriction>"""
_TEXT_ID = f"""<xs:restriction base="xs:string">
      <xs:pattern value="[^/,\\\\&#9;&#10;&#13;&#x7F;&#xFFFD;]{{1,{MAX_ITEM_CHARACTERS}}}"/></xs:restriction>"""


def items_schema(website: Website) -> bytes:
    """Return `schema.xsd` of a website, UTF-8."""
    numeric = website.item_ids == "numeric"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:annotation><xs:documentation>{escape(UNSAID)}</xs:documentation></xs:annotation>
  <xs:element name="items">
    <xs:complexType>
      <xs:sequence><xs:element name="item" type="item" maxOccurs="unbounded"/></xs:sequence>
      <xs:attribute name="version" use="required" type="version"/>
    </xs:complexType>
  </xs:element>
  <xs:complexType name="item">
    <xs:all>
      <xs:element name="description" type="text" minOccurs="0"/>
      <xs:element name="price" type="price" minOccurs="0"/>
      <xs:element name="validfrom" type="moment" minOccurs="0"/>
      <xs:element name="validto" type="moment" minOccurs="0"/>
      <xs:element name="categorypaths" minOccurs="0">
        <xs:complexType><xs:sequence>
          <xs:element name="categorypath" type="path" minOccurs="0" maxOccurs="{MAX_CATEGORIES}"/>
        </xs:sequence></xs:complexType>
      </xs:element>
      <xs:element name="imageurls" minOccurs="0">
        <xs:complexType><xs:sequence>
          <xs:element name="imageurl" type="imageurl" minOccurs="0" maxOccurs="unbounded"/>
        </xs:sequence></xs:complexType>
      </xs:element>
      <xs:element name="deeplinkurl" type="text" minOccurs="0"/>
      <xs:element name="content" minOccurs="0">
        <xs:complexType><xs:sequence>
          <xs:element name="content-data" type="content-data" minOccurs="0" maxOccurs="unbounded"/>
        </xs:sequence></xs:complexType>
      </xs:element>
      <xs:element name="attributes" minOccurs="0">
        <xs:complexType><xs:sequence>
          <xs:element name="attribute" type="attribute" minOccurs="0" maxOccurs="unbounded"/>
        </xs:sequence></xs:complexType>
      </xs:element>
    </xs:all>
    <xs:attribute name="id" use="required" type="id"/>
    <xs:attribute name="type" use="required" type="type"/>
    <xs:attribute name="lang" type="language"/>
    <xs:attribute name="baseitem" type="id"/>
  </xs:complexType>
  <xs:complexType name="price">
    <xs:simpleContent><xs:extension base="amount"><xs:attribute name="currency" type="currency"/>
    </xs:extension></xs:simpleContent>
  </xs:complexType>
  <xs:complexType name="imageurl">
    <xs:simpleContent><xs:extension base="text"><xs:attribute name="type" type="imagetype"/>
    </xs:extension></xs:simpleContent>
  </xs:complexType>
  <xs:complexType name="content-data">
    <xs:simpleContent><xs:extension base="text"><xs:attribute name="key" type="key" use="required"/>
    </xs:extension></xs:simpleContent>
  </xs:complexType>
  <xs:complexType name="attribute">
    <xs:attribute name="key" type="key" use="required"/>
    <xs:attribute name="value" type="text" use="required"/>
    <xs:attribute name="type" type="valuetype"/>
  </xs:complexType>
{_choice("version", ["1"])}
{_choice("type", [str(one) for one in sorted(website.item_types)])}
{_choice("valuetype", list(TYPES))}
{_choice("currency", sorted(FRACTION_DIGITS))}
{_pattern("language", LANGUAGE_PATTERN)}
{_pattern("imagetype", IMAGE_PATTERN)}
{_pattern("key", KEY_PATTERN)}
{_pattern("date", DATE_PATTERN, "xs:date")}
{_pattern("time", TIME_PATTERN, "xs:dateTime")}
  <xs:simpleType name="moment"><xs:union memberTypes="date time"/></xs:simpleType>
  <xs:simpleType name="id">{_NUMERIC_ID if numeric else _TEXT_ID}</xs:simpleType>
  <xs:simpleType name="amount">
    <xs:restriction base="xs:nonNegativeInteger"><xs:pattern value="{PRICE_PATTERN}"/>
      <xs:maxInclusive value="{MAX_MINOR}"/></xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="path">
    <xs:restriction base="xs:token"><xs:maxLength value="{MAX_CATEGORY_CHARACTERS}"/>
      <xs:pattern value="([^\\p{{C}}\\p{{Z}}]| )*"/></xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="text">
    <xs:restriction base="xs:string"><xs:maxLength value="{MAX_TEXT}"/></xs:restriction>
  </xs:simpleType>
</xs:schema>
""".encode()


def _choice(name: str, values: list[str]) -> str:
    listed = "".join(f'<xs:enumeration value="{one}"/>' for one in values)
    return f'  <xs:simpleType name="{name}"><xs:restriction base="xs:string">{listed}</xs:restriction></xs:simpleType>'


def _pattern(name: str, pattern: str, base: str = "xs:string") -> str:
    facet = f"<xs:pattern value={quoteattr(pattern)}/>"
    return f'  <xs:simpleType name="{name}"><xs:restriction base="{base}">{facet}</xs:restriction></xs:simpleType>'
