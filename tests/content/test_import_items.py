"""The catalogue: full and incremental imports, the gate, its versions, and what a crash leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from personalization_pipelines.content.catalogue.items import ITEM_SCHEMA, catalogue_file, import_items
from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.foundation.errors import Busy, ImportRefused, QualityGateFailed
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.files import Rows, write, write_mapping

DAY = timedelta(days=1)
MONDAY = datetime(2024, 6, 3, tzinfo=UTC)


def catalogue(home: Home, website: Website, as_of: datetime = MONDAY + 999 * DAY) -> list[dict[str, Any]]:
    path = catalogue_file(home, website, as_of)
    return pq.read_table(path).to_pylist() if path else []


def titles(home: Home, website: Website, as_of: datetime = MONDAY + 999 * DAY) -> dict[str, str]:
    return {row["item"]: json.loads(row["attributes"])["title"][0] for row in catalogue(home, website, as_of)}


def numbered(numbers: range | list[int], title: str = "old", **more: Any) -> Rows:
    return [{"item_id": n, "title": title, **more} for n in numbers]


def test_a_full_import_adds_changes_and_removes(home: Home, shop: Website, tmp_path: Path) -> None:
    first = import_items(home, shop, [write(tmp_path, "a.csv", numbered(range(10)))], now=MONDAY)
    assert (first.added, first.changed, first.removed) == (10, 0, 0)
    rows = [*numbered([8, 9, 10], "new"), *numbered(range(7))]
    second = import_items(home, shop, [write(tmp_path, "b.csv", rows)], now=MONDAY + DAY)
    assert (second.added, second.changed, second.removed) == (1, 2, 1)
    assert titles(home, shop) == {**dict.fromkeys("0123456", "old"), "8": "new", "9": "new", "10": "new"}


def test_an_incremental_import_keeps_what_it_does_not_bring(home: Home, shop: Website, tmp_path: Path) -> None:
    import_items(home, shop, [write(tmp_path, "a.csv", numbered(range(10)))], now=MONDAY)
    path = write(tmp_path, "b.csv", numbered([9, 10], "new"))
    report = import_items(home, shop, [path], mode="incremental", now=MONDAY + DAY)
    assert (report.added, report.changed, report.removed) == (1, 1, 0)
    assert len(catalogue(home, shop)) == 11


def test_a_full_import_of_one_type_leaves_the_other_types(home: Home, shop: Website, tmp_path: Path) -> None:
    import_items(home, shop, [write(tmp_path, "a.csv", numbered(range(3)))], now=MONDAY)
    import_items(home, shop, [write(tmp_path, "b.csv", numbered(range(2), item_type=2))], now=MONDAY)
    assert [row["item_type"] for row in catalogue(home, shop)] == [1, 1, 1, 2, 2]


def test_a_past_moment_sees_the_catalogue_of_then(home: Home, shop: Website, tmp_path: Path) -> None:
    import_items(home, shop, [write(tmp_path, "a.csv", numbered([1], "monday"))], now=MONDAY)
    import_items(home, shop, [write(tmp_path, "b.csv", numbered([1], "tuesday"))], now=MONDAY + DAY)
    assert titles(home, shop, MONDAY + DAY - timedelta(seconds=1)) == {"1": "monday"}
    assert titles(home, shop, MONDAY + DAY) == {"1": "tuesday"}
    assert titles(home, shop, MONDAY - DAY) == {"1": "monday"}, "before the first import: the oldest"
    assert [row["first_seen"] for row in catalogue(home, shop)] == [MONDAY.replace(tzinfo=None)]


def test_first_seen_survives_an_absence(home: Home, shop: Website, tmp_path: Path) -> None:
    for days, numbers in enumerate(([1, 2], [2], [1, 2])):
        path = write(tmp_path, f"{days}.csv", numbered(numbers))
        import_items(home, shop, [path], force=True, now=MONDAY + days * DAY)
    assert {row["first_seen"] for row in catalogue(home, shop)} == {MONDAY.replace(tzinfo=None)}


def test_the_same_file_again_changes_nothing_and_says_so(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", numbered(range(3)))
    import_items(home, shop, [path], now=MONDAY)
    before = catalogue_file(home, shop, MONDAY + DAY)
    assert import_items(home, shop, [path], now=MONDAY + DAY).already_imported
    assert catalogue_file(home, shop, MONDAY + DAY) == before
    assert len(import_history(home, shop)) == 1


def test_an_old_file_can_be_brought_back_after_a_newer_one(home: Home, shop: Website, tmp_path: Path) -> None:
    old, new = (write(tmp_path, f"{name}.csv", numbered([1], name)) for name in ("old", "new"))
    for days, path in enumerate((old, new, old)):
        import_items(home, shop, [path], now=MONDAY + days * DAY)
    assert titles(home, shop) == {"1": "old"}


def test_two_sources_in_turn_make_no_new_versions(home: Home, shop: Website, tmp_path: Path) -> None:
    products = write(tmp_path, "a.csv", numbered(range(3)))
    articles = write(tmp_path, "b.csv", numbered(range(2), item_type=2))
    for days in range(3):
        reports = [import_items(home, shop, [path], now=MONDAY + days * DAY) for path in (products, articles)]
    assert reports[0].notes == ("the catalogue held exactly these items already",)
    assert len(list((home.lake("shop") / "items").glob("*.parquet"))) == 2
    assert len(import_history(home, shop)) == 2


def test_a_catalogue_that_would_shrink_too_much_is_refused_unless_forced(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    import_items(home, shop, [write(tmp_path, "a.csv", numbered(range(10)))], now=MONDAY)
    small = write(tmp_path, "b.csv", numbered(range(7)))
    with pytest.raises(QualityGateFailed, match="remove 3 of 10 items, more than 20%"):
        import_items(home, shop, [small], now=MONDAY + DAY)
    assert len(catalogue(home, shop)) == 10
    assert "remove 3 of 10" in import_history(home, shop)[-1].error
    assert import_items(home, shop, [small], force=True, now=MONDAY + DAY).removed == 3
    assert len(catalogue(home, shop)) == 7


def test_a_broken_file_leaves_the_catalogue_as_it_was(home: Home, shop: Website, tmp_path: Path) -> None:
    import_items(home, shop, [write(tmp_path, "a.csv", numbered(range(3)))], now=MONDAY)
    good, bad = write(tmp_path, "b.csv", numbered(range(9))), tmp_path / "c.parquet"
    bad.write_bytes(b"PAR1")
    with pytest.raises(ImportRefused):
        import_items(home, shop, [good, bad], now=MONDAY + DAY)
    with pytest.raises(ImportRefused, match="no item could be taken"):
        import_items(home, shop, [write(tmp_path, "d.csv", [{"item_id": "x"}])], now=MONDAY + DAY)
    assert len(catalogue(home, shop)) == 3


@pytest.mark.parametrize("call", range(6))
def test_a_crash_at_any_step_leaves_the_old_catalogue_or_the_new_one(
    home: Home, shop: Website, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    import_items(home, shop, [write(tmp_path, "a.csv", numbered([1], "old"))], now=MONDAY)
    new = write(tmp_path, "b.csv", numbered([1], "new"))
    with monkeypatch.context() as patch:
        _crash_at(patch, call)
        with pytest.raises(KeyboardInterrupt):
            import_items(home, shop, [new], now=MONDAY + DAY)
    assert titles(home, shop) in ({"1": "old"}, {"1": "new"})
    import_items(home, shop, [new], now=MONDAY + 2 * DAY)
    assert titles(home, shop) == {"1": "new"}
    listed = VersionedTable(home.lake("shop") / "items", ITEM_SCHEMA).versions()
    assert len(listed) == 2


def _crash_at(patch: pytest.MonkeyPatch, call: int) -> None:
    """Make the n-th sync or rename of a catalogue's version die, as a killed process would."""
    import personalization_pipelines.content.catalogue.versions as versions

    calls = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call + 1:
                raise KeyboardInterrupt
            return real(*arguments)

        return wrapped

    patch.setattr(versions, "_sync", dying(versions._sync))
    patch.setattr(versions, "_rename", dying(versions._rename))


def test_what_is_wrong_with_an_item_is_said_and_the_others_are_taken(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [
        {"item_id": "1", "price": "12.45", "currency": "KWD", "category": "A/B/"},
        {"item_id": "2", "price": "free"},
        {"item_id": "3", "valid_from": "2024-02-01", "valid_to": "2024-01-01"},
        {"item_id": "4", "language": "german!"},
        {"item_id": "5", "currency": "XXX"},
        {"item_id": "6", "item_type": "lamp"},
    ]
    report = import_items(home, shop, [write(tmp_path, "a.jsonl", rows)], now=MONDAY)
    assert (report.added, report.rejected, len(report.reasons)) == (1, 5, 5)
    (row,) = catalogue(home, shop)
    assert (row["price_minor"], row["currency"], row["categories"]) == (12450, "KWD", ["/A/B"])


def test_of_two_rows_of_an_item_the_later_one_counts_or_the_newest(home: Home, tmp_path: Path) -> None:
    rows = [{"item_id": 1, "title": "new", "at": "2024-02-02"}, {"item_id": 1, "title": "old", "at": "2024-01-01"}]
    path = write(tmp_path, "a.csv", rows)
    last, newest = make_website(website="last"), make_website(website="newest")
    mapping = write_mapping(tmp_path, "kind: items\nnewest_by: at\nattributes: {title: title}\n")
    import_items(home, last, [path], now=MONDAY)
    report = import_items(home, newest, [path], mapping=mapping, now=MONDAY)
    assert (titles(home, last), titles(home, newest)) == ({"1": "old"}, {"1": "new"})
    assert report.notes == ("1 row of items that occur more than once; the newest by at counts",)


@pytest.mark.parametrize("wrong", ["2090-01-01", "44927", "soon"])
def test_a_wrong_time_does_not_decide_which_row_of_an_item_counts(
    home: Home, shop: Website, tmp_path: Path, wrong: str
) -> None:
    rows = [{"item_id": 1, "title": "wrong", "at": wrong}, {"item_id": 1, "title": "old", "at": "2024-01-01"}]
    mapping = write_mapping(tmp_path, "kind: items\nnewest_by: at\nattributes: {title: title}\n")
    report = import_items(home, shop, [write(tmp_path, "a.csv", rows)], mapping=mapping, now=MONDAY)
    assert (titles(home, shop), report.rejected) == ({"1": "old"}, 1)


def test_attributes_keep_types_lists_and_names(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [{"item_id": 1, "color": ["red", "lime"], "width": 12, "new": True, "note": None, "more": {"a": 1}}]
    import_items(home, shop, [write(tmp_path, "a.jsonl", rows)], now=MONDAY)
    assert json.loads(catalogue(home, shop)[0]["attributes"]) == {
        "color": ["red", "lime"], "width": [12], "new": ["true"], "more": ['{"a":1}'],
    }  # fmt: skip


def test_a_mapping_chooses_joins_splits_and_types_attributes(home: Home, shop: Website, tmp_path: Path) -> None:
    mapping = write_mapping(
        tmp_path,
        """
kind: items
attributes: {brand: maker, colors: colors, code: code}
joined: {title: {columns: [[name, family], size], separator: " - ", letters: sentence}}
split: {colors: ";"}
text: [code]
""",
    )
    rows = [
        {
            "item_id": 1,
            "maker": "Acme",
            "name": "RED LAMP",
            "family": "LAMPS",
            "size": "XL",
            "colors": "a;b",
            "code": 7,
        },
        {"item_id": 2, "maker": None, "name": None, "family": "LAMPS", "size": None, "colors": None, "code": 8},
    ]
    import_items(home, shop, [write(tmp_path, "a.parquet", rows)], mapping=mapping, now=MONDAY)
    assert [json.loads(row["attributes"]) for row in catalogue(home, shop)] == [
        {"brand": ["Acme"], "title": ["Red lamp - XL"], "colors": ["a", "b"], "code": ["7"]},
        {"title": ["Lamps"], "code": ["8"]},
    ]


def test_prices_can_come_from_the_newest_sale_beside_the_file(home: Home, shop: Website, tmp_path: Path) -> None:
    mapping = write_mapping(
        tmp_path,
        """
kind: items
price_from: {file: sales.csv, item_id: product, time: day, total: paid, quantity: pieces}
""",
    )
    items = write(tmp_path, "items.csv", numbered([1, 2, 3]))
    with pytest.raises(ImportRefused, match=r"takes prices from sales\.csv, which is not beside it"):
        import_items(home, shop, [items], mapping=mapping, now=MONDAY)
    sales = [
        {"product": 1, "day": "2024-01-02", "paid": 9.0, "pieces": 2},
        {"product": 1, "day": "2024-01-01", "paid": 1.0, "pieces": 1},
        {"product": 2, "day": "2024-01-01", "paid": 5.0, "pieces": 0},
    ]
    write(tmp_path, "sales.csv", sales)
    import_items(home, shop, [items], mapping=mapping, now=MONDAY)
    assert [(row["price_minor"], row["currency"]) for row in catalogue(home, shop)] == [
        (450, "EUR"), (None, ""), (None, ""),
    ]  # fmt: skip
    write(tmp_path, "sales.csv", [*sales, {"product": 2, "day": "2024-01-03", "paid": 1.0, "pieces": 4}])
    assert import_items(home, shop, [items], mapping=mapping, now=MONDAY + DAY).changed == 1


def test_letters_in_item_ids_need_a_website_that_allows_them(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", [{"item_id": "85123A"}])
    mapping = write_mapping(tmp_path, "kind: items\nitem_ids: alphanumeric\n")
    with pytest.raises(ImportRefused, match="set `item_ids: alphanumeric`"):
        import_items(home, shop, [path], mapping=mapping, now=MONDAY)
    letters = make_website(website="letters", item_ids="alphanumeric")
    assert import_items(home, letters, [path], mapping=mapping, now=MONDAY).added == 1


def test_two_websites_with_the_same_item_ids_do_not_see_each_other(home: Home, tmp_path: Path) -> None:
    one, two = make_website(website="one"), make_website(website="two")
    import_items(home, one, [write(tmp_path, "a.csv", numbered([1], "one"))], now=MONDAY)
    import_items(home, two, [write(tmp_path, "b.csv", numbered([1], "two"))], now=MONDAY)
    assert (titles(home, one), titles(home, two)) == ({"1": "one"}, {"1": "two"})


def test_a_second_writer_is_told_to_wait(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", numbered([1]))
    table = VersionedTable(home.lake("shop") / "items", ITEM_SCHEMA)
    with table.locked(), pytest.raises(Busy, match="another import"):
        import_items(home, shop, [path], now=MONDAY)


def test_the_same_import_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", numbered(range(100)))
    contents = []
    for name in ("one", "two"):
        home = Home(tmp_path / name)
        home.create()
        import_items(home, make_website(), [path], now=MONDAY)
        file = catalogue_file(home, make_website(), MONDAY)
        assert file is not None
        contents.append(file.read_bytes())
    assert contents[0] == contents[1]
