"""A published catalogue as a shop shows it: departments, shelves of a category, cards of items."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.currency import fraction_digits
from personalization_pipelines.models.forms.ranking import Ranking
from personalization_pipelines.publications.read.published import Items, Publication
from serving.recommending.shelf import shelf_of

SIZE = "package_size"
_TITLES = ("title", "name")
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


@dataclass(frozen=True)
class Category:
    """A category to click on: its path, how many items are in it and below."""

    path: str
    items: int

    @property
    def name(self) -> str:
        """The last element of the path, readable."""
        return readable(self.path.rsplit("/", 1)[-1])


@dataclass(frozen=True)
class Card:
    """An item as a shop shows it; every text is plain, templates escape it."""

    type: int
    id: str
    title: str
    caption: str
    price: str
    price_minor: int
    price_parameter: str
    category: str
    facts: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """Type and id in one text."""
        return f"{self.type}:{self.id}"

    @property
    def name(self) -> str:
        """What a customer takes for one thing: the title in small letters, without the size of the package."""
        size = dict(self.facts).get(readable(SIZE.replace("_", " ")), "")
        return self.title.lower().removesuffix(f", {size.lower()}")


class Catalogue:
    """What can be bought from one publication; made once for each."""

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        self.items: Items = publication.items
        owners = np.diff(self.items.category_starts)
        self._owners: NDArray[np.int64] = np.repeat(np.arange(len(self.items)), owners)
        self._children: dict[str, list[Category]] = {}
        self._names: NDArray[np.int64] | None = None

    def card(self, row: int) -> Card:
        """Return the card of an item row."""
        attributes = {
            name: ", ".join(map(str, values)) for name, values in self.items.attributes(row).items() if values
        }
        paths = self.items.paths(row)
        title = _title(attributes, self.items.ids[row])
        minor, currency = int(self.items.price_minor[row]), self.publication.plan.currency
        captions = [attributes.get(name, "") for name in ("brand", SIZE, "author", "color")]
        return Card(
            type=int(self.items.types[row]),
            id=self.items.ids[row],
            title=title,
            caption=" · ".join(readable(text) for text in captions if text.lower() not in title.lower())[:60],
            price=money(minor, currency),
            price_minor=minor,
            price_parameter=f"{_amount(minor, currency)}{currency}" if minor >= 0 else "",
            category=paths[0] if paths else "",
            facts=tuple((readable(name.replace("_", " ")), readable(text)) for name, text in attributes.items()),
        )

    def cards(self, keys: Iterable[tuple[int, str]]) -> list[Card]:
        """Return the cards of the items among `keys` that the publication knows, in the order given."""
        rows = (self.items.row(*key) for key in keys)
        return [self.card(row) for row in rows if row >= 0]

    def children(self, path: str, now: int) -> list[Category]:
        """Return the categories directly below a path ("" for the top), those with most names of items first.

        Counted once; what becomes valid later is counted by the next publication.
        """
        if path not in self._children:
            depth = len([part for part in path.split("/") if part]) + 1
            low, high = self.items.below(path)
            inside = ("/" + "/".join(known[1:].split("/")[:depth]) for known in self.items.categories[low:high])
            found = [
                Category(child, len(np.unique(self.names()[self._standing(child, now)])))
                for child in dict.fromkeys(inside)
                if child != path
            ]
            found.sort(key=lambda child: (-child.items, child.path))
            self._children[path] = [child for child in found if child.items]
        return self._children[path]

    def rows(self, path: str, now: int) -> NDArray[np.int64]:
        """Return the rows that may be sold now, in a category or below it ("" for all), most wanted first.

        Of items with the same name the most wanted one stands for all: a shelf does not show a name twice.
        """
        rows, places = self._standing(path, now), self._places(path)
        order: NDArray[np.int64] = rows[np.argsort(places[rows], kind="stable")]
        _, first = np.unique(self.names()[order], return_index=True)
        return order[np.sort(first)]

    def names(self) -> NDArray[np.int64]:
        """Return a number a row; rows with the same type and title have the same."""
        if self._names is None:
            known: dict[tuple[int, str], int] = {}
            keys = zip(self.items.types.tolist(), map(self._name, range(len(self.items))), strict=True)
            self._names = np.fromiter((known.setdefault(key, len(known)) for key in keys), np.int64, len(self.items))
        return self._names

    def _name(self, row: int) -> str:
        attributes = self.items.attributes(row)
        for name in _TITLES:
            if text := ", ".join(map(str, attributes.get(name, ()))):
                return text.lower()
        return f"item {self.items.ids[row]}".lower()

    def _standing(self, path: str, now: int) -> NDArray[np.int64]:
        standing = np.frombuffer(shelf_of(self.publication).standing(now), bool)
        if not path:
            return np.flatnonzero(standing)
        low, high = self.items.below(path)
        codes = self.items.category_codes
        rows: NDArray[np.int64] = np.unique(self._owners[(codes >= low) & (codes < high)])
        return np.asarray(rows[standing[rows]], np.int64)

    def _places(self, path: str) -> NDArray[np.float64]:
        """Return each row's place in the first popularity model that has lists of this category, else infinity."""
        places = np.full(len(self.items), np.inf)
        for model in self.publication.models.values():
            if model.type != "popularity" or not isinstance(model.answer, Ranking):
                continue
            for item_type in self.publication.plan.item_types:
                key = f"category:{item_type}:{path}" if path else f"site:{item_type}"
                if key in model.list_number:
                    rows, _ = model.answer.lists.of(model.list_number[key])
                    places[rows] = np.minimum(places[rows], np.arange(len(rows)))
            if np.isfinite(places).any():
                break
        return places


def _title(attributes: dict[str, str], item: str) -> str:
    """Take the title out of an item's attributes, readable; the id where there is none."""
    for name in _TITLES:
        if text := attributes.pop(name, ""):
            return readable(text)
    return f"Item {item}"


def readable(text: str) -> str:
    """Return a text that is all in capitals in small letters, as a sentence begins; any other as it is."""
    return text.capitalize() if text.isupper() and len(text) > 3 else text


def money(minor: int, currency: str) -> str:
    """Return an amount in a currency's smallest unit for people, "" where it is unknown."""
    if minor < 0:
        return ""
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{_amount(minor, currency)}" if symbol else f"{_amount(minor, currency)} {currency}"


def _amount(minor: int, currency: str) -> str:
    digits = fraction_digits(currency)
    whole, fraction = divmod(minor, 10**digits)
    return f"{whole}.{fraction:0{digits}d}" if digits else str(whole)
