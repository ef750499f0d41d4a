"""The reader gives back what was written, and refuses everything else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.publications.format.arrays import Texts
from personalization_pipelines.publications.format.publication_arrays import Content
from personalization_pipelines.publications.format.publication_manifest import (
    MANIFEST,
    SEAL,
    encode_manifest,
    read_manifest,
)
from personalization_pipelines.publications.read.published import EVENTS, Publication, verify
from personalization_pipelines.publications.read.published_items import Items
from personalization_pipelines.publications.read.published_models import PublishedModel
from personalization_pipelines.website import Website
from tests.scenarios.publishing import AS_OF, ID, Item, content, neighbours, ranking, visitor, write

ITEMS = [
    Item(1, "10", ["/A/B", "/A"], price_minor=1250, attributes={"title": ["Désk"], "width": [80]}),
    Item(1, "20", ["/AB"], valid_from=5, valid_to=9),
    Item(1, "666", allowed=False),
    Item(2, "10", ["/A/B/C"]),
]
MODELS = {
    "top_bought": ranking(site_1=[(1, 8.0), (0, 2.0)], site_2=[(3, 1.0)]),
    "also_bought": neighbours([(1, 0.5)], [(0, 0.5), (3, 0.25)], [], []),
}
HISTORIES = {"anna": [(3, "buy", 30), (0, "click", 20)], "ben": [(1, "click", 10)], "nobody yet": []}


@pytest.fixture
def made(shop: Website) -> Content:
    return content(shop, ITEMS, HISTORIES, MODELS)


@pytest.fixture
def directory(tmp_path: Path, made: Content) -> Path:
    return write(tmp_path, made)


@pytest.fixture
def publication(directory: Path) -> Publication:
    return Publication.open(directory)


def test_the_whole_directory_verifies(directory: Path) -> None:
    assert verify(directory).id == ID


def test_a_publication_knows_its_name_website_and_time(publication: Publication) -> None:
    assert (publication.id, publication.website) == (ID, "shop")
    assert publication.as_of == int(AS_OF.timestamp() * 1_000_000)
    assert publication.plan.scenarios["product_page"].models() == ("also_bought", "top_bought")


def test_an_item_is_found_by_type_and_id_and_by_nothing_else(publication: Publication) -> None:
    items = publication.items
    assert [items.row(item.type, item.id) for item in ITEMS] == [0, 1, 2, 3]
    assert {items.row(1, "11"), items.row(3, "10"), items.row(1, ""), items.row(1, "\ud800"), items.row(-1, "10")} == {
        -1
    }


def test_rows_keep_what_the_catalogue_said(publication: Publication) -> None:
    items = publication.items
    assert list(items.ids) == ["10", "20", "666", "10"]
    assert items.price_minor.tolist() == [1250, -1, -1, -1]
    assert (items.valid_from[1], items.valid_to[1]) == (5, 9)
    assert items.valid_from[0] < 0 < items.valid_to[0]
    assert items.allowed.tolist() == [True, True, False, True]
    assert items.attributes(0) == {"title": ["Désk"], "width": [80]}
    assert items.attributes(1) == {}


def test_categories_hold_ancestors_and_an_item_its_own_paths(publication: Publication) -> None:
    items = publication.items
    assert items.categories == ("/A", "/A/B", "/A/B/C", "/AB")
    assert items.paths(0) == ["/A", "/A/B"]
    assert items.codes(3).tolist() == [2]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/A", (0, 3)), ("A/B/", (1, 3)), ("/AB", (3, 4)), ("/", (0, 4)), ("", (0, 4)), ("/A/X", (0, 0)), ("/a", (0, 0))],
)
def test_below_a_path_is_a_range_of_codes(publication: Publication, path: str, expected: tuple[int, int]) -> None:
    assert publication.items.below(path) == expected


def test_a_history_is_found_by_pseudonym_newest_first(publication: Publication) -> None:
    rows, events, times = publication.visitors.history(visitor("anna"))
    assert rows.tolist() == [3, 0]
    assert [EVENTS[code] for code in events] == ["buy", "click"]
    assert times.tolist() == [30, 20]


@pytest.mark.parametrize("unknown", [visitor("carl"), "", "nobody", "é" * 22, "=" * 22, "x" * 23])
def test_an_unknown_visitor_has_an_empty_history(publication: Publication, unknown: str) -> None:
    assert [len(part) for part in publication.visitors.history(unknown)] == [0, 0, 0]


def test_a_model_has_its_lists_numbers_and_relevance(publication: Publication) -> None:
    top, also = publication.models["top_bought"], publication.models["also_bought"]
    assert (top.number, top.needs, also.number, also.needs) == (1, "none", 2, "items")
    assert (top.answer.form, also.answer.form) == ("ranking", "neighbours")
    number = top.list_number["site:1"]
    assert top.answer.lists.of(number)[0].tolist() == [1, 0]
    assert [top.relevance(score) for score in (8.0, 2.0, 1.0, 99.0)] == [1000, 250, 125, 1000]
    assert also.answer.lists.of(1)[0].tolist() == [0, 3]
    assert also.parameters == {"recency": 2.0}


def test_arrays_cannot_be_written_to(publication: Publication) -> None:
    with pytest.raises(ValueError, match="read-only"):
        publication.items.types[0] = 9


def test_a_publication_of_nothing_opens(tmp_path: Path, shop: Website) -> None:
    directory = write(tmp_path, content(shop, []))
    verify(directory)
    empty = Publication.open(directory)
    assert (len(empty.items), len(empty.visitors), empty.models) == (0, 0, {})
    assert empty.items.row(1, "1") == -1
    assert len(empty.visitors.history(visitor("anna"))[0]) == 0


def test_writing_twice_gives_the_same_bytes(tmp_path: Path, made: Content) -> None:
    one, two = (write(tmp_path / name, made) for name in ("one", "two") if (tmp_path / name).mkdir() is None)
    assert (one / SEAL).read_bytes() == (two / SEAL).read_bytes()


def test_reading_needs_no_heavy_library() -> None:
    heavy = ("dagster", "pandas", "scipy", "implicit", "great_expectations", "pyarrow", "duckdb")
    code = (
        "import sys; import personalization_pipelines.publications.read.published; "
        "import personalization_pipelines.scenarios.plan; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


PATHS = st.lists(st.sampled_from(["A", "AB", "B", "a b", "Ä", "-", "A-"]), min_size=1, max_size=4).map(
    lambda elements: "/" + "/".join(elements)
)


@given(st.lists(PATHS, max_size=20), PATHS)
def test_below_equals_the_filter_by_path_elements(paths: list[str], asked: str) -> None:
    made = category_items(paths)
    low, high = made.below(asked)
    elements = asked.split("/")
    expected = [path for path in made.categories if path.split("/")[: len(elements)] == elements]
    assert list(made.categories[low:high]) == expected
    assert [made.paths(row) == [path] for row, path in enumerate(paths)] == [True] * len(paths)


def category_items(paths: list[str]) -> Items:
    from tests.conftest import make_website

    made = content(make_website(), [Item(1, str(row), [path]) for row, path in enumerate(paths)])
    return Items(made.items, made.categories)


@given(st.lists(st.floats(2**-20, 2**20, width=32), min_size=1, max_size=50))
def test_relevance_keeps_the_order_and_stays_between_1_and_1000(scores: list[float]) -> None:
    ordered = sorted(scores, reverse=True)
    model = PublishedModel("m", 1, "popularity", "none", "b", {}, ordered[0], {})
    numbers = [model.relevance(score) for score in ordered]
    assert numbers[0] == 1000
    assert min(numbers) >= 1
    assert numbers == sorted(numbers, reverse=True)


@given(st.lists(st.tuples(st.integers(1, 2**31 - 1), st.text(max_size=5)), unique=True, max_size=30))
def test_every_item_is_found_whatever_its_id(pairs: list[tuple[int, str]]) -> None:
    from tests.conftest import make_website

    clean = [(kind, item) for kind, item in pairs if item.isprintable()]
    made = content(make_website(), [Item(kind, item) for kind, item in clean])
    items = Items(made.items, made.categories)
    assert [items.row(kind, item) for kind, item in clean] == list(range(len(clean)))


# What a damaged or forged publication meets.


def test_every_truncation_of_every_file_is_refused_on_opening(directory: Path) -> None:
    for path in sorted(directory.iterdir()):
        whole = path.read_bytes()
        for length in {0, 1, len(whole) // 2, len(whole) - 1} - {len(whole)}:
            path.write_bytes(whole[:length])
            with pytest.raises(CorruptData):
                Publication.open(directory)
        path.write_bytes(whole)
    verify(directory)


def test_a_bit_flip_in_any_byte_of_any_file_is_refused_by_verify(directory: Path) -> None:
    flips = 0
    for path in sorted(directory.iterdir()):
        whole = bytearray(path.read_bytes())
        step = max(1, len(whole) // 60)
        for place in range(0, len(whole), step):
            whole[place] ^= 1 << (place % 8)
            path.write_bytes(whole)
            with pytest.raises(CorruptData):
                verify(directory)
            whole[place] ^= 1 << (place % 8)
            flips += 1
        path.write_bytes(whole)
    verify(directory)
    assert flips > 300


def test_missing_and_foreign_files_are_refused(directory: Path) -> None:
    (directory / "extra.txt").write_text("x")
    with pytest.raises(CorruptData, match=r"extra\.txt"):
        verify(directory)
    (directory / "extra.txt").unlink()
    (directory / "visitors.bin").unlink()
    with pytest.raises(CorruptData, match=r"visitors\.bin: is missing"):
        Publication.open(directory)


def test_a_manifest_without_its_seal_or_with_another_is_refused(directory: Path) -> None:
    manifest = read_manifest(directory)
    text, _ = encode_manifest(replace_field(manifest, items=99))
    (directory / MANIFEST).write_bytes(text)
    with pytest.raises(CorruptData, match="seal"):
        Publication.open(directory)
    (directory / SEAL).unlink()
    with pytest.raises(CorruptData, match="cannot be read"):
        Publication.open(directory)


def replace_field(manifest: Any, **changes: object) -> Any:
    return msgspec.structs.replace(manifest, **changes)


CRAFTED_ITEMS = {
    "key_rows": 4, "types": 0, "id_starts": 99, "category_starts": -1, "category_codes": 4, "category_ends": 9,
    "attribute_starts": 10**9,
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), CRAFTED_ITEMS.items())
def test_crafted_item_arrays_are_refused_on_opening(tmp_path: Path, made: Content, name: str, value: int) -> None:
    made.items[name] = poked(made.items[name], value)
    with pytest.raises(CorruptData):
        Publication.open(write(tmp_path, made))


@pytest.mark.parametrize(("name", "value"), [("starts", 99), ("rows", 4), ("rows", -1), ("events", 200)])
def test_crafted_histories_are_refused_on_opening(tmp_path: Path, made: Content, name: str, value: int) -> None:
    made.visitors[name] = poked(made.visitors[name], value)
    with pytest.raises(CorruptData):
        Publication.open(write(tmp_path, made))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ranking_rows", 4), ("ranking_rows", -1), ("ranking_rows", 2**31 - 1), ("ranking_starts", -5),
        ("ranking_scores", np.nan), ("ranking_scores", np.inf), ("ranking_scores", 0.0), ("ranking_scores", -1.0),
    ],
)  # fmt: skip
def test_crafted_lists_are_refused_on_opening(tmp_path: Path, made: Content, name: str, value: float) -> None:
    arrays = made.models[0][1]
    arrays[name] = poked(arrays[name], value)
    with pytest.raises(CorruptData, match="top_bought"):
        Publication.open(write(tmp_path, made))


@pytest.mark.parametrize("name", ["keys", "types", "allowed", "id_text"])
def test_arrays_of_another_type_or_name_are_refused(tmp_path: Path, made: Content, name: str) -> None:
    array = made.items.pop(name)
    other = replace(made, items={**made.items, name: array.astype("<f8")})
    with pytest.raises(CorruptData, match=name):
        Publication.open(write(tmp_path, other))
    (tmp_path / "two").mkdir()
    renamed = replace(made, items={**made.items, "__class__": array, "types": np.ones(4, np.int32)})
    with pytest.raises(CorruptData, match="__class__"):
        Publication.open(write(tmp_path / "two", renamed))


def test_attributes_that_are_no_json_object_are_refused_by_verify(tmp_path: Path, made: Content) -> None:
    made.items["attribute_text"] = poked(made.items["attribute_text"], ord("!"))
    with pytest.raises(CorruptData, match="JSON object"):
        verify(write(tmp_path, made))


@pytest.mark.parametrize(
    "text",
    [b'{"a":["\xff"]}', b"[1]", b"1", b'{"a":[1],}', b'{"a":tru}', b'{"a":1}{}', b"{", b'{"a":"\x01"}', b"[" * 100_000],
)
def test_the_row_whose_attributes_are_no_json_object_is_named(
    tmp_path: Path, made: Content, text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personalization_pipelines.publications.format.arrays._AT_ONCE", 2)
    rows = [b'{"a":["\xc3\xa9"]}', b"", text, b"{}"]
    starts = np.cumsum([0, *map(len, rows)])
    items = {**made.items, "attribute_starts": starts, "attribute_text": np.frombuffer(b"".join(rows), np.uint8)}
    wanted = Texts(made.items["id_starts"], made.items["id_text"])[2]
    with pytest.raises(CorruptData, match=f"item '{wanted}' .*JSON object"):
        verify(write(tmp_path, replace(made, items=items)))


def test_an_item_that_is_there_twice_is_refused_when_written(shop: Website) -> None:
    with pytest.raises(CorruptData, match="twice"):
        content(shop, [Item(1, "7"), Item(1, "7")])


def test_a_visitor_that_is_no_pseudonym_is_refused_when_written(shop: Website) -> None:
    from personalization_pipelines.publications.format.publication_arrays import visitor_arrays

    none = np.empty(0, np.int32)
    with pytest.raises(CorruptData, match=r"anna@example\.org"):
        visitor_arrays(["anna@example.org"], np.zeros(2, np.int64), none, none.astype(np.uint8), none.astype(np.int64))


def poked(array: np.ndarray[Any, Any], value: float) -> np.ndarray[Any, Any]:
    changed = array.copy()
    changed[0 if len(changed) < 3 else 1] = value
    return changed


def test_long_arrays_are_checked_at_both_ends_on_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    from personalization_pipelines.foundation import array_checks

    monkeypatch.setattr(array_checks, "CHECKED", 10)
    monkeypatch.setattr(array_checks, "_END", 2)
    rows = np.zeros(100, np.int32)
    array_checks.check_range("rows", rows, 0, 1, thorough=False)
    for place, thorough in ((99, False), (0, False), (50, True)):
        rows[:] = 0
        rows[place] = 7
        with pytest.raises(CorruptData):
            array_checks.check_range("rows", rows, 0, 1, thorough=thorough)
