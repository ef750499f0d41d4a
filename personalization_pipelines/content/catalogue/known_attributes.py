"""Which attributes the catalogue has, kept beside it, so that judging a change costs what the change brings.

`lake/<website>/known_attributes.json` holds the names, the texts of each nominal attribute, and bounds for those that
name single items. It follows the catalogue's versions: those of changes are read once, a whole one is counted anew,
by whoever writes it where it is large.
What has left the catalogue stays known until then, so that there are *at most* as many names and values as known: a
change that keeps to the limits by this count keeps to them. Where it does not, attribute_limits.py counts exactly.
The file can be deleted at any time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow.parquet as pq

from personalization_pipelines.content.catalogue.versions import Version, VersionedTable
from personalization_pipelines.website.values import ItemQuality

FILE = "known_attributes.json"
SAMPLE, MANY = 20_000, 5_000
"""An attribute with so many different lists of values in so many rows has too many to be listed in one go."""
# Slashes and tildes of a name are written as JSON pointers want them.
TEXTS = """
select key, json_extract_string(v, '$') as text, key_rows.number as number
from (select key, number, unnest(from_json(json_extract(attributes, '/' || place), '["JSON"]')) v
      from (select attributes, key, replace(replace(key, '~', '~0'), '/', '~1') as place,
                   row_number() over () as number
            from (select attributes, unnest(json_keys(attributes)) as key from ({state}))
            where list_contains($names, key))) key_rows
where json_type(v) = 'VARCHAR'
"""
"""A DuckDB query for key, text and number of the row: every text of some attributes."""
_SINGLES = f"""
with found as ({TEXTS})
select c.key, c.different, c.texts, m.most
from (select key, count(distinct text) as different, count(*) as texts from found group by key) c
join (select key, max(n) as most from (select key, count(*) as n from found group by key, number) group by key) m
  using (key)
"""  # noqa: S608 - our own query
_NAMES = "select distinct unnest(json_keys(attributes)) from ({state})"
_LISTS = """
select number, list(found::varchar)
from (select distinct unnest(range(len($places))) as number, unnest(json_extract(attributes, $places)) as found
      from ({state}))
where found is not null group by number
"""
_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(dict[str, list[Any]])


class _Anything:
    """Stands for the texts of an attribute that nobody counts."""

    def issuperset(self, _: Iterable[object]) -> bool:
        return True


class Single(msgspec.Struct):
    """An attribute whose texts name single items, as an article number does, by bounds that hold after any change."""

    different: int
    """At least so many different texts."""
    texts: int
    """At most so many texts."""
    most: int
    """Of one item, at most."""

    def stays(self, rows: int, texts: int) -> bool:
        """Say whether it surely is none with few values after so many rows with so many texts replaced others."""
        return 2 * (self.different - rows * self.most) > self.texts + texts


@dataclass
class News:
    """What rows bring that is not known: names, texts of nominal attributes; of singles how many, and most of one."""

    rows: int = 0
    names: set[str] = field(default_factory=set)
    values: dict[str, set[str]] = field(default_factory=dict)
    singles: dict[str, tuple[int, int]] = field(default_factory=dict)


class KnownAttributes(msgspec.Struct):
    """The attributes of a version and of all before it that it was made from; `text` are names that nobody counts."""

    version: str
    text: set[str]
    names: set[str] = msgspec.field(default_factory=set)
    values: dict[str, set[str]] = msgspec.field(default_factory=dict)
    singles: dict[str, Single] = msgspec.field(default_factory=dict)

    def look(self, rows: Iterable[str | None]) -> News:
        """Return what rows (JSON objects of attributes; None: a row that goes) bring that is not known."""
        news = News()
        known: dict[str, Any] = {**dict.fromkeys(filter(self.is_text, self.names), _Anything()), **self.values}
        for row in rows:
            news.rows += 1
            for name, found in attributes_of(row).items():
                texts = known.get(name)
                if (texts is None or not texts.issuperset(found)) and ((new := texts_of(found)) or texts is None):
                    self._note(news, name, new)
        return news

    def _note(self, news: News, name: str, texts: list[str]) -> None:
        if name not in self.names:
            news.names.add(name)
        if name in self.singles:
            count, most = news.singles.get(name, (0, 0))
            news.singles[name] = count + len(texts), max(most, len(texts))
        elif not self.is_text(name):
            new = news.values.setdefault(name, set())
            new.update(set(texts) - self.values.get(name, set()))

    def learn(self, news: News) -> None:
        """Know what rows brought that are in the catalogue now."""
        self.names |= news.names
        for name, new in news.values.items():
            self.values.setdefault(name, set()).update(new)
        for name, one in self.singles.items():
            texts, most = news.singles.get(name, (0, 0))
            one.different -= news.rows * one.most
            one.texts += texts
            one.most = max(one.most, most)

    def is_text(self, name: str) -> bool:
        """Say whether an attribute is text, of which nobody counts the values."""
        return name.lower() in self.text

    def doubtful(self, news: News, limits: ItemQuality) -> tuple[bool, set[str]]:
        """Return whether there may be too many names, and which attributes may have too many values, with the news."""
        names = bool(news.names) and len(self.names) + len(news.names) > limits.max_attributes
        keys = {
            name
            for name, new in news.values.items()
            if new and len(self.values.get(name, ())) + len(new) > limits.max_values
        }
        keys |= {name for name, (texts, _) in news.singles.items() if not self.singles[name].stays(news.rows, texts)}
        return names, keys

    def keep(self, table: VersionedTable) -> None:
        """Write it down as what the newest version has. It is no loss if a crash loses it."""
        newest = table.newest()
        if newest is None:
            return
        self.version = newest.file
        path = _path(table)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(msgspec.json.encode(self))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def known_attributes(table: VersionedTable, text: Iterable[str], limits: ItemQuality) -> KnownAttributes:
    """Return what is known of the newest version: as it was kept, with the versions since, or counted anew.

    `text` are lower-case names of attributes whose values nobody counts.
    """
    kept = _kept(table, set(text))
    since = _since(table.versions(), kept.version) if kept else None
    if kept is None or since is None:
        return _counted(table, set(text), limits.max_values)
    for version in since:
        rows = pq.read_table(table.directory / version.file, columns=["attributes"])
        kept.learn(kept.look(rows["attributes"].to_pylist()))
    return kept


def attributes_of(row: str | None) -> dict[str, list[Any]]:
    """Return an item's attributes; none of a row without."""
    return _decoder.decode(row) if row else {}


def texts_of(values: Iterable[object]) -> list[str]:
    """Return the texts among the values of an attribute; numbers are no nominal values."""
    return [one for one in values if type(one) is str]


def _path(table: VersionedTable) -> Path:
    return table.directory.parent / FILE


def _kept(table: VersionedTable, text: set[str]) -> KnownAttributes | None:
    """Return what was kept, None where there is nothing, or of other names that are text."""
    path = _path(table)
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=KnownAttributes)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        _log.warning("%s: %s; the attributes of the catalogue are counted anew", path, error)
        return None
    return kept if kept.text == text else None


def _since(versions: Sequence[Version], file: str) -> list[Version] | None:
    """Return the versions after one, all of them of changes; None where there is another, or not that one."""
    place = next((number for number, one in enumerate(versions) if one.file == file), None)
    if place is None or any(one.changes is None for one in versions[place + 1 :]):
        return None
    return list(versions[place + 1 :])


def _counted(table: VersionedTable, text: set[str], limit: int) -> KnownAttributes:
    """Count the newest version: an attribute with more values than the limit either names single items, or has them.

    DuckDB finds the different lists of values of each attribute, which are few where the attribute is nominal.
    """
    newest = table.newest()
    known, state = KnownAttributes(newest.file if newest else "", text), table.sql(newest, ("attributes",))
    with duckdb.connect() as connection:
        known.names = {name for (name,) in connection.execute(_NAMES.format(state=state)).fetchall()}
        nominal = sorted(name for name in known.names if not known.is_text(name))
        sampled = f"select * from ({state}) limit {SAMPLE}"  # noqa: S608 - our own query
        many = {name for name, lists in _lists(connection, sampled, nominal) if len(lists) > MANY}
        for name, lists in _lists(connection, state, [name for name in nominal if name not in many]):
            known.values[name] = {one for values in lists for one in texts_of(msgspec.json.decode(values))}
        many |= {name for name, values in known.values.items() if len(values) > limit}
        if many:
            _measure(known, connection, state, many, limit)
    return known


def _lists(connection: duckdb.DuckDBPyConnection, state: str, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the different lists of values of some attributes, as JSON."""
    places = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]
    found = connection.execute(_LISTS.format(state=state), {"places": places}).fetchall() if names else []
    return [(names[number], lists) for number, lists in found]


def _measure(
    known: KnownAttributes, connection: duckdb.DuckDBPyConnection, state: str, many: set[str], limit: int
) -> None:
    """Find out which of the attributes with many values name single items, and know the values of the others."""
    known.values |= {name: set[str]() for name in many}
    for name, different, texts, most in connection.execute(
        _SINGLES.format(state=state), {"names": sorted(many)}
    ).fetchall():
        if different > limit and 2 * different > texts:
            known.singles[name] = Single(different, texts, most)
            del known.values[name]
    query = f"select key, list(distinct text) from ({TEXTS.format(state=state)}) group by key"  # noqa: S608 - as above
    nominal = {"names": sorted(many - known.singles.keys())}
    for name, values in connection.execute(query, nominal).fetchall() if nominal["names"] else ():
        known.values[name] = set(values)
