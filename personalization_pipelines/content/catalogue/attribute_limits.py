"""The limits of attributes for changes that come one by one: what is new must fit, what is there may stay.

A document that brings names of attributes, or values of nominal ones, beyond `max_attributes` and `max_values` of
`quality: items` is refused as a whole; one that brings nothing new is applied also where a limit is exceeded already.
Documents are judged together. Only where they might not fit by what is known (known_attributes.py) are the attributes
in doubt counted exactly, once; the guilty documents are then found by halving, each half after what fits of those
before it, which costs what the documents bring.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import duckdb
import pyarrow as pa

from personalization_pipelines.content.catalogue.item_gates import FREE_TEXT, SHOWN, attributes_gate, values_gate
from personalization_pipelines.content.catalogue.known_attributes import (
    TEXTS,
    KnownAttributes,
    Single,
    attributes_of,
    known_attributes,
    texts_of,
)
from personalization_pipelines.content.catalogue.merging import KEY
from personalization_pipelines.content.catalogue.versions import WHOLE_ROWS, VersionedTable
from personalization_pipelines.content.files.mapping import load_mapping, source_mapping
from personalization_pipelines.content.report import GateRow
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.values import ItemQuality

NEW_NAMES = "it brings names of attributes beyond the limit"
NEW_VALUES = "it brings values of a nominal attribute beyond the limit"
_NAMES = "select key, count(*) from (select unnest(json_keys(attributes)) as key from ({state})) group by key"
_VALUES = f"select key, text, count(*) from ({TEXTS}) group by key, text"  # noqa: S608 - our own query
_MOST = f"select key, max(n) from (select key, count(*) as n from ({TEXTS}) group by key, number) group by key"  # noqa: S608
_log = logging.getLogger(__name__)

ItemKey = tuple[int, str, str]
Attributes = dict[str, list[object]]
Row = tuple[ItemKey, Attributes]


@dataclass
class Excess:
    """Why a document is refused: the broken rules, and each item (type/id) with what it brings, and the reason."""

    gates: list[GateRow] = field(default_factory=list)
    items: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, gate: GateRow, new: dict[str, list[str]], reason: str) -> None:
        """Note a broken rule; `new` are the names or values that items bring."""
        self.gates.append(gate)
        for item, brought in new.items():
            more = f" and {len(brought) - SHOWN:,} more" if len(brought) > SHOWN else ""
            self.items.setdefault(item, (f"{item}: {', '.join(brought[:SHOWN])}{more}", reason))


class AttributeLimits:
    """Judges documents for one catalogue, under its lock, and keeps what is known of it."""

    def __init__(self, home: Home, website: Website, table: VersionedTable) -> None:
        self._home = home
        self._website = website
        self._table = table
        self._limits = website.quality.items

    @cached_property
    def _known(self) -> KnownAttributes:
        return known_attributes(self._table, text_names(self._home, self._website), self._limits)

    def excesses(self, documents: Sequence[pa.Table]) -> dict[int, Excess]:
        """Return why documents (items as INCOMING_SCHEMA) do not fit, by their numbers; the others fit together.

        What the others bring is known from here on: the caller applies them, then calls `keep`.
        """
        rows = [one["attributes"].to_pylist() for one in documents]
        news = self._known.look(row for one in rows for row in one)
        names, keys = self._known.doubtful(news, self._limits)
        if not (names or keys):
            self._known.learn(news)
            return {}
        counted = _Counted(self._limits, self._table, documents, names, keys)
        refused = _halved(counted, [_rows(one) for one in documents])
        good = (row for number, one in enumerate(rows) if number not in refused for row in one)
        self._known.learn(self._known.look(good))
        counted.correct(self._known)
        return refused

    def keep(self) -> None:
        """Write down what is known, once the documents are the catalogue's newest version."""
        self._known.keep(self._table)

    def keep_whole(self) -> None:
        """Count the newest version if it is large and was written whole: the next document then need not do it."""
        newest = self._table.newest()
        if newest is not None and newest.changes is None and newest.rows >= WHOLE_ROWS:
            self.keep()


def text_names(home: Home, website: Website) -> frozenset[str]:
    """Return the names (lower case) of attributes that are text: usual ones, and those of the sources' mappings."""
    names = set(FREE_TEXT)
    for source in website.content.sources:
        try:
            rules = load_mapping("items", source_mapping(home, source.mapping)).rules
        except ImportRefused as error:  # the import of that source fails with it; documents need not
            _log.warning("website %s: content.sources: %s", website.name, error)
        else:
            names |= {name.lower() for name in (*rules.text, *rules.joined)}
    return frozenset(names)


def _halved(counted: _Counted, documents: Sequence[Sequence[Row]]) -> dict[int, Excess]:
    """Take what fits, oldest first, and return why the others do not."""
    refused: dict[int, Excess] = {}
    waiting = [range(len(documents))]
    while waiting:
        part = waiting.pop()
        excess = counted.take([row for number in part for row in documents[number]])
        if excess and len(part) == 1:
            refused[part[0]] = excess
        elif excess:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
    return refused


class _Values:
    """The texts of one attribute: how many of each, of all, and of one item at most."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.most = 0

    def add(self, texts: Sequence[str], sign: int) -> None:
        """Count the texts of an item that comes (1) or goes (-1)."""
        _add(self.counts, texts, sign)
        self.total += sign * len(texts)
        self.most = max(self.most, len(texts))

    def exceed(self, limit: int) -> bool:
        """Say whether there are too many, and most of them more than once: else they name single items."""
        return limit < len(self.counts) <= self.total / 2


class _Counted:
    """The attributes in doubt, counted exactly: how many rows have each name, and how many texts are each value."""

    def __init__(
        self, limits: ItemQuality, table: VersionedTable, documents: Sequence[pa.Table], names: bool, keys: set[str]
    ) -> None:
        self._limits = limits
        self._with_names = names
        self._names: Counter[str] = Counter()
        self._values = {key: _Values() for key in keys}
        state = table.sql(table.newest(), (*KEY, "attributes"))
        with duckdb.connect() as connection:
            connection.register("incoming", pa.concat_tables([one.select(list(KEY)) for one in documents]))
            if names:
                self._names.update(dict(connection.execute(_NAMES.format(state=state)).fetchall()))
            if keys:
                self._count_values(connection, state)
            touched = f"from ({state}) e semi join incoming i using ({', '.join(KEY)})"
            before = connection.execute(f"select {', '.join(KEY)}, attributes {touched}").fetchall()
        self._rows: dict[ItemKey, Attributes] = {row[:3]: attributes_of(row[3]) for row in before}

    def _count_values(self, connection: duckdb.DuckDBPyConnection, state: str) -> None:
        names = {"names": sorted(self._values)}
        for key, text, count in connection.execute(_VALUES.format(state=state), names).fetchall():
            self._values[key].counts[text] = count
            self._values[key].total += count
        for key, most in connection.execute(_MOST.format(state=state), names).fetchall():
            self._values[key].most = most

    def take(self, rows: Sequence[Row]) -> Excess | None:
        """Replace items by those that come; where that breaks a limit, do not, and return why."""
        names, values = self._new(rows)
        before = self._put(rows)
        excess = Excess()
        if names and len(self._names) > self._limits.max_attributes:
            gate = attributes_gate(self._limits, len(self._names), _shown(names))
            excess.add(gate, names, NEW_NAMES)
        broken = {key: found for key, found in values.items() if self._values[key].exceed(self._limits.max_values)}
        if broken:
            counts = {key: len(self._values[key].counts) for key in broken}
            new = _by_item(broken)
            excess.add(values_gate(self._limits, counts, _shown(new)), new, NEW_VALUES)
        if not excess.gates:
            return None
        self._put(before[::-1])
        return excess

    def _new(self, rows: Iterable[Row]) -> tuple[dict[str, list[str]], dict[str, dict[str, list[str]]]]:
        """Return the names that no item has yet, by item, and the values, by attribute and item."""
        names: dict[str, list[str]] = {}
        values: dict[str, dict[str, list[str]]] = {}
        for (item_type, number, _), attributes in rows:
            item = f"{item_type}/{number}"
            if self._with_names and (new := [name for name in attributes if name not in self._names]):
                names.setdefault(item, []).extend(new)
            for key in self._values.keys() & attributes.keys():
                if new := [text for text in texts_of(attributes[key]) if text not in self._values[key].counts]:
                    values.setdefault(key, {}).setdefault(item, []).extend(new)
        return names, values

    def _put(self, rows: Iterable[Row]) -> list[Row]:
        """Count rows in place of those of the same items, and return these: put in reverse order, they undo it."""
        before = []
        for item, attributes in rows:
            before.append((item, self._rows.get(item, {})))
            self._count(before[-1][1], -1)
            self._count(attributes, 1)
            self._rows[item] = attributes
        return before

    def _count(self, attributes: Attributes, sign: int) -> None:
        if self._with_names:
            _add(self._names, attributes, sign)
        for key in self._values.keys() & attributes.keys():
            self._values[key].add(texts_of(attributes[key]), sign)

    def correct(self, known: KnownAttributes) -> None:
        """Let be known what was counted, in place of what there was at most."""
        if self._with_names:
            known.names = set(self._names)
            known.values = {name: texts for name, texts in known.values.items() if name in self._names}
            known.singles = {name: one for name, one in known.singles.items() if name in self._names}
        for key, found in self._values.items():
            known.singles.pop(key, None)
            known.values.pop(key, None)
            if len(found.counts) > self._limits.max_values and not found.exceed(self._limits.max_values):
                known.singles[key] = Single(len(found.counts), found.total, found.most)
            elif key in known.names:
                known.values[key] = set(found.counts)


def _shown(new: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(f"{one} (item {item})" for item, brought in new.items() for one in brought)[:SHOWN]


def _by_item(values: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, list[str]]:
    new: dict[str, list[str]] = {}
    for key, items in values.items():
        for item, texts in items.items():
            new.setdefault(item, []).extend(f'{key} "{text}"' for text in texts)
    return new


def _add(counts: Counter[str], found: Iterable[str], sign: int) -> None:
    for one in found:
        counts[one] += sign
        if not counts[one]:
            del counts[one]


def _rows(table: pa.Table) -> list[Row]:
    keys = zip(*(table[name].to_pylist() for name in KEY), strict=True)
    return list(zip(keys, map(attributes_of, table["attributes"].to_pylist()), strict=True))
