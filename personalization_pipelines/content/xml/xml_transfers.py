"""Reads the document `transfers` (section 3 of the HTTP contract): which item's history is to count for which other.

Strictly (strict_xml.py). An item's id is the attribute `id` or the element's text, its type the attribute `type`.
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from personalization_pipelines.content.xml.strict_xml import Grammar, StrictReader
from personalization_pipelines.content.xml.xml_grammar import collapsed
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.website import Website

MAX_DOCUMENT = 10_000
"""Transfers of one document."""

_ENDS = ("sourceitem", "targetitem")
_GRAMMAR = Grammar(
    {"": ("transfers",), "transfers": ("transfer",), "transfer": _ENDS},
    dict.fromkeys(_ENDS, ("type",)),
    {"transfers": ("version",), **dict.fromkeys(_ENDS, ("id",))},
    frozenset(),
    "transfer",
)

Item = tuple[int, str]
"""Type and id of an item, in canonical form."""


class Transfer(NamedTuple):
    """The history of `source` counts for `target` from now on."""

    source: Item
    target: Item

    def __str__(self) -> str:
        """Return it as a person reads it, like `1/5 to 1/6`."""
        return "{}/{} to {}/{}".format(*self.source, *self.target)


def read_xml_transfers(file: BinaryIO, website: Website) -> list[Transfer]:
    """Return the transfers of a document in its order; no item is the source of two.

    Raises ImportRefused with line and element at the first thing that is wrong; a document without any transfer is.
    """
    return list(_Reader(website).read(file))


class _Reader(StrictReader[Transfer]):
    """One document of transfers: the ends of the one that is being read, and all sources so far."""

    def __init__(self, website: Website) -> None:
        super().__init__(_GRAMMAR)
        self.website = website
        self.types = {str(number) for number in website.item_types}
        self.ends: dict[str, Item] = {}
        self.sources: set[Item] = set()

    def begin(self, name: str) -> None:
        """Take an element that begins."""
        if name == "transfers" and self.given.get("version", "1") != "1":
            self.refuse(f"version {self.given['version'][:40]!r}; expected 1")
        if name == "transfer":
            self.ends = {}
            if self.count == MAX_DOCUMENT:
                self.refuse(f"more than {MAX_DOCUMENT:,} transfers; send the others in a document of their own")
        if name in self.ends:
            self.refuse("it occurs twice in its transfer")

    def end(self, name: str, text: str) -> None:
        """Take an element that ends."""
        if name in _ENDS:
            self.ends[name] = self._item(text)
        elif name == "transfer":
            self._end_transfer()

    def _item(self, text: str) -> Item:
        kind, plain = self.given["type"], text.strip(" \t\r\n")
        if kind not in self.types:
            known = ", ".join(sorted(self.types, key=int))
            self.refuse(f"type {kind[:40]!r}; expected one of the website's ({known})")
        if "id" in self.given and plain:
            self.refuse("the id stands in the attribute and in the text; expected it once")
        given = self.given.get("id", plain)
        try:
            return int(kind), self.website.item_id(collapsed(given) if self.website.item_ids == "numeric" else given)
        except InvalidIdentifier as error:
            self.refuse(str(error))

    def _end_transfer(self) -> None:
        for name in _ENDS:
            if name not in self.ends:
                self.refuse(f"<{name}> is missing")
        made = Transfer(*(self.ends[name] for name in _ENDS))
        if made.source == made.target:
            self.refuse(f"item {made.source[0]}/{made.source[1][:40]} is source and target")
        if made.source in self.sources:
            self.refuse(f"item {made.source[0]}/{made.source[1][:40]} is the source of two transfers")
        self.sources.add(made.source)
        self.complete(made)
