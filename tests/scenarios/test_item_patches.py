"""Items made from those of the publication before are those read whole, byte by byte; and what they are not made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.features.stored import Change
from personalization_pipelines.features.table_columns import sha256
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.publications.format.arrays import Chain
from personalization_pipelines.publications.format.publication_arrays import Content, visitor_arrays
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.publications.read.published_items import ITEMS
from personalization_pipelines.publications.write.feature_tables import stored_table
from personalization_pipelines.publications.write.item_patches import ItemsBefore, patched_items
from personalization_pipelines.publications.write.item_table import ItemTable, read_items
from personalization_pipelines.publications.write.writing import write_publication
from personalization_pipelines.scenarios.plan import make_plan
from tests.conftest import make_website
from tests.scenarios.built import ITEM_SCHEMA, LANGUAGES_SCHEMA, LEARNED_SCHEMA, write_table
from tests.scenarios.test_items_read import item

Row = dict[str, Any]
Key = tuple[Any, ...]
TABLES = ("items", "item_languages", "learned_categories")
NOBODY: frozenset[tuple[int, str]] = frozenset()
EVERYTHING = {
    (1, "1"): item(1, "1", categories=["/A/x"], price_minor=5, currency="EUR", attributes='{"a":[1]}'),
    (1, "10"): item(1, "10", categories=["/B"], price_minor=7, currency="EUR", language="en"),
    (1, "2"): item(1, "2", attributes='{"title":["two"]}'),
    (2, "1"): item(2, "1", categories=["/A", "/C"], attributes='{"title":["ü€𝄞"]}'),
}


@dataclass
class Table:
    """A feature table made by hand: its rows, and what changed since it was written whole, as a build lays it down."""

    path: Path
    schema: pa.Schema
    key: tuple[str, ...]
    rows: dict[Key, Row] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def write(self) -> None:
        for change in self.changes:
            for name in filter(None, (change.rows, change.gone)):
                self.path.with_name(name).unlink()
        self.changes = []
        rows = [self.rows[key] for key in sorted(self.rows, key=in_bytes)]
        write_table(self.path, pa.Table.from_pylist(rows, self.schema))

    def change(self, news: dict[Key, Row | None]) -> None:
        """Write rows that are new or other, and the keys of those that go (None), beside the table."""
        came = {key: row for key, row in news.items() if row is not None}
        went = [key for key, row in news.items() if row is None and key in self.rows]
        self.rows = {key: row for key, row in (self.rows | came).items() if key not in went}
        if not came and not went:
            return
        number = len(self.changes)
        names = [self._part(f"rows-{number}", [came[key] for key in sorted(came, key=in_bytes)], self.schema)]
        gone = [dict(zip(self.key, key, strict=True)) for key in sorted(went, key=in_bytes)]
        names.append(self._part(f"gone-{number}", gone, pa.schema([self.schema.field(name) for name in self.key])))
        digests = [sha256(self.path.with_name(name)) if name else "" for name in names]
        self.changes.append(Change(*names, *digests, len(came) + len(gone)))
        self._say()

    def _part(self, what: str, rows: list[Row], schema: pa.Schema) -> str:
        if not rows:
            return ""
        path = self.path.with_suffix(f".{what}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema), path)
        return path.name

    def _say(self) -> None:
        sidecar = self.path.with_suffix(".json")
        files = [self.path, *(self.path.with_name(n) for one in self.changes for n in (one.rows, one.gone) if n)]
        content = json.loads(sidecar.read_text()) | {
            "key": self.key,
            "changes": [asdict(one) for one in self.changes],
            "bytes": sum(file.stat().st_size for file in files),
        }
        sidecar.write_text(json.dumps(content))


def in_bytes(key: Key) -> Key:
    """Text sorts as its bytes do, as in the database."""
    return tuple(part.encode() if isinstance(part, str) else part for part in key)


class Shop:
    """The three tables that items are read of, and the publication that was made of them last."""

    def __init__(self, directory: Path) -> None:
        self.features, self.directory = directory / "features", directory
        self.features.mkdir()
        self.items = Table(self.features / "items.parquet", ITEM_SCHEMA, ("item_type", "item"))
        self.languages = Table(
            self.features / "item_languages.parquet", LANGUAGES_SCHEMA, ("item_type", "item", "language")
        )
        self.learned = Table(self.features / "learned_categories.parquet", LEARNED_SCHEMA, ())
        self.published = 0
        for table in (self.items, self.languages, self.learned):
            table.write()

    def publish(self, table: ItemTable) -> Path:
        plan, self.published = make_plan(make_website()), self.published + 1
        none = np.zeros(0, np.int64)
        visitors = visitor_arrays([], np.zeros(1, np.int64), none.astype(np.int32), none.astype(np.uint8), none)
        content = Content(plan, table.arrays, table.categories, visitors, [], table.languages, table.language_names)
        directory = self.directory / f"2026060{self.published}T000000Z-{self.published:016x}"
        states = {name: stored_table(self.features, name).state for name in TABLES}
        write_publication(
            directory, content, publication=directory.name, as_of=datetime(2026, 6, 1, tzinfo=UTC), features=states
        )
        return directory

    def before(self) -> ItemsBefore:
        """Publish what is there, read whole, and return it as the next publication finds it."""
        before = ItemsBefore.of(self.publish(read_items(self.features, "EUR", NOBODY)))
        assert before is not None
        return before

    def learn(self, rows: Sequence[tuple[int, str, str]]) -> None:
        self.learned.rows = {
            row: {"item_type": row[0], "item": row[1], "category": row[2], "visitors": 3} for row in rows
        }
        self.learned.write()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.items.rows = dict(EVERYTHING)
    shop.items.write()
    return shop


def assert_same(one: ItemTable, two: ItemTable) -> None:
    assert one.categories == two.categories and one.language_names == two.language_names
    assert list(one.arrays) == list(two.arrays) and list(one.languages) == list(two.languages)
    for name, array in (*two.arrays.items(), *two.languages.items()):
        other = one.arrays[name] if name in one.arrays else one.languages[name]
        assert other.dtype == array.dtype and np.array_equal(whole(other), array), name
    assert np.array_equal(one.types, two.types) and list(one.ids) == list(two.ids)


def whole(array: Any) -> Any:
    return array.whole() if isinstance(array, Chain) else array


IDS = st.sampled_from(["1", "10", "2", "é", "zz", "i" * 200])
PATHS = st.lists(st.sampled_from(["/A", "/A/x", "/B", "A/x/", "/é", "/", ""]), max_size=3)
LANGUAGES = st.sampled_from(["", "de", "en", "é"])
ATTRIBUTES = st.sampled_from([None, "", "{}", '{"a":[1]}', '{"title":["ü€𝄞"]}'])
NEW_ITEMS = st.dictionaries(
    st.tuples(st.integers(1, 2), IDS),
    st.none() | st.tuples(PATHS, st.integers(-2, 5), st.sampled_from(["", "EUR", "USD"]), LANGUAGES, ATTRIBUTES),
    max_size=5,
)
NEW_LANGUAGES = st.dictionaries(
    st.tuples(st.integers(1, 2), IDS, LANGUAGES), st.none() | st.sampled_from(["{}", '{"b":["x"]}']), max_size=4
)
LEARNED = st.none() | st.lists(st.tuples(st.integers(1, 2), IDS, st.sampled_from(["/L", "/A/x"])), max_size=3)
STEPS = st.lists(st.tuples(NEW_ITEMS, NEW_LANGUAGES, LEARNED, st.booleans()), min_size=2, max_size=6)


def do(shop: Shop, items: Any, languages: Any, learned: Any) -> None:
    shop.items.change({key: row and made(key, row) for key, row in items.items()})
    known = {**dict.fromkeys(shop.languages.rows, "{}"), **languages}
    news = {key: None if text is None else named(key, text) for key, text in languages.items()}
    news |= {key: None for key in known if key[:2] not in shop.items.rows}
    shop.languages.change({key: row for key, row in news.items() if row is None or key[:2] in shop.items.rows})
    if learned is not None:
        shop.learn(learned)


def made(key: Key, row: tuple[Any, ...]) -> Row:
    names = ("categories", "price_minor", "currency", "language", "attributes")
    return item(*key, **dict(zip(names, row, strict=True)))


def named(key: Key, text: str) -> Row:
    return dict(zip(LANGUAGES_SCHEMA.names, (*key, text), strict=True))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_items_patched_from_publication_to_publication_are_those_read_whole(
    tmp_path_factory: Any, steps: list[tuple[Any, ...]]
) -> None:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    before = shop.before()
    for items, languages, learned, publishes in steps:
        do(shop, items, languages, learned)
        banned = frozenset({(1, "1"), (2, "nowhere")})
        assert patched_items(before, shop.features, "EUR") is not None
        found = read_items(shop.features, "EUR", banned, before)
        assert_same(found, read_items(shop.features, "EUR", banned))
        if publishes:
            published = shop.publish(found)
            assert Publication.open(published, thorough=True).items.row(1, "10") == (
                sorted(shop.items.rows, key=in_bytes).index((1, "10")) if (1, "10") in shop.items.rows else -1
            )
            again = ItemsBefore.of(published)
            assert again is not None
            before = again


def test_a_small_change_reads_only_what_changed(shop: Shop) -> None:
    before = shop.before()
    shop.items.change({(1, "2"): item(1, "2", price_minor=9, currency="EUR"), (1, "3"): item(1, "3")})
    whole = read_items(shop.features, "EUR", NOBODY)
    size = shop.items.path.stat().st_size
    shop.items.path.write_bytes(pq_footer_only(shop.items.path))
    assert shop.items.path.stat().st_size == size
    assert_same(read_items(shop.features, "EUR", NOBODY, before), whole)
    with pytest.raises(CorruptData, match="does not match the SHA-256"):
        read_items(shop.features, "EUR", NOBODY)


def pq_footer_only(path: Path) -> bytes:
    """The bytes of a Parquet file whose pages are nothing but zeros."""
    data = path.read_bytes()
    footer = 8 + int.from_bytes(data[-8:-4], "little")
    return data[:4] + bytes(len(data) - 4 - footer) + data[-footer:]


def test_a_table_written_whole_since_or_another_currency_is_read_whole(shop: Shop) -> None:
    before = shop.before()
    shop.items.change({(1, "2"): item(1, "2", price_minor=9, currency="EUR")})
    assert patched_items(before, shop.features, "EUR") is not None
    assert patched_items(before, shop.features, "USD") is None, "prices in EUR are unknown now"
    assert_same(read_items(shop.features, "USD", NOBODY, before), read_items(shop.features, "USD", NOBODY))
    shop.items.write()
    assert patched_items(before, shop.features, "EUR") is None
    assert_same(read_items(shop.features, "EUR", NOBODY, before), read_items(shop.features, "EUR", NOBODY))


def test_paths_learned_from_clicks_go_and_come_with_the_table_that_holds_them(shop: Shop) -> None:
    shop.learn([(1, "2", "/learned")])
    before = shop.before()
    shop.items.change({(1, "2"): item(1, "2", categories=["/own"])})
    kept = read_items(shop.features, "EUR", NOBODY, before)
    assert {"/learned", "/own"} <= set(kept.categories)
    shop.learn([(2, "1", "/other")])
    found = read_items(shop.features, "EUR", NOBODY, before)
    assert "/learned" not in found.categories and "/other" in found.categories
    assert_same(found, read_items(shop.features, "EUR", NOBODY))


def test_what_was_published_is_looked_at_byte_by_byte_before_it_is_taken(shop: Shop) -> None:
    directory = shop.publish(read_items(shop.features, "EUR", NOBODY))
    data = bytearray((directory / ITEMS).read_bytes())
    data[-100] ^= 1
    (directory / ITEMS).write_bytes(data)
    with pytest.raises(CorruptData, match=r"items\.bin: does not match its checksum"):
        ItemsBefore.of(directory)


def test_what_another_version_of_the_program_published_is_not_taken(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = shop.publish(read_items(shop.features, "EUR", NOBODY))
    monkeypatch.setattr("personalization_pipelines.publications.write.item_patches.__version__", "another")
    assert ItemsBefore.of(directory) is None
