"""Values that are taken but may mean something else are told once an import, with their rows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from personalization_pipelines.content.catalogue.items import import_items, read_catalogue
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.files import purchase, stored_events, write, write_mapping

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
WARNING = "with a price of three decimals"


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_point_between_thousands_is_told_with_its_row(home: Home, shop: Website, tmp_path: Path, form: str) -> None:
    rows = [purchase(item=n, price=price) for n, price in enumerate((12.5, 1.299, 9.99))]
    report = import_events(home, shop, [write(tmp_path, f"a.{form}", rows)], now=NOW)
    assert [row["price_minor"] for row in stored_events(home, shop)] == [1250, 130, 999]
    (note,) = report.notes
    assert note.startswith(f"a.{form}: 1 row {WARNING}, where no other price has more than two (row 2: 1.299 EUR)")
    assert import_history(home, shop)[-1].notes == report.notes


@pytest.mark.parametrize(
    "prices",
    [["12.50", "9.99"], ["1.299", "1.199"], ["1.299", "0.0833", "12.50"], ["0.999", "12.50"], ["1299", "12.50"]],
)
def test_prices_that_may_well_be_meant_are_not_told(
    home: Home, shop: Website, tmp_path: Path, prices: list[str]
) -> None:
    path = write(tmp_path, "items.csv", [{"item_id": n, "price": price} for n, price in enumerate(prices)])
    assert import_items(home, shop, [path], now=NOW).notes == ()


def test_a_currency_of_three_digits_has_three_decimals(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [{"item_id": 1, "price": "1.299", "currency": "KWD"}, {"item_id": 2, "price": "1.29", "currency": "EUR"}]
    assert import_items(home, shop, [write(tmp_path, "items.csv", rows)], now=NOW).notes == ()


def test_levels_in_one_text_are_told_and_a_mapping_cuts_them(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [
        {"item_id": 1, "category": "Home & Garden > Kitchen"},
        {"item_id": 2, "category": "Men/Boys > Shoes|Sale>Shoes"},
        {"item_id": 3, "category": '["Home > Bath", "Sale"]'},
    ]
    path = write(tmp_path, "items.csv", rows)
    (note,) = import_items(home, shop, [path], now=NOW).notes
    assert "(row 1: Home & Garden > Kitchen" in note
    assert "`category_separator: '>'`" in note
    mapping = write_mapping(tmp_path, "kind: items\ncategory_separator: '>'\n")
    assert import_items(home, shop, [path], mapping=mapping, now=NOW).notes == ()
    assert read_catalogue(home, shop, NOW)["categories"].to_pylist() == [
        ["/Home & Garden/Kitchen"],
        ["/Men-Boys/Shoes", "/Sale/Shoes"],
        ["/Home/Bath", "/Sale"],
    ]


def test_a_bar_may_separate_levels(home: Home, shop: Website, tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path, "kind: items\ncategory_separator: '|'\n")
    path = write(tmp_path, "items.csv", [{"item_id": 1, "category": "Home|Kitchen"}])
    import_items(home, shop, [path], mapping=mapping, now=NOW)
    assert read_catalogue(home, shop, NOW)["categories"].to_pylist() == [["/Home/Kitchen"]]


def test_a_spreadsheets_dates_are_rejected_with_what_to_write(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [{"item_id": 1, "valid_from": "44927"}, {"item_id": 2, "valid_to": "20261101"}, {"item_id": 3}]
    report = import_items(home, shop, [write(tmp_path, "items.csv", rows)], now=NOW)
    assert read_catalogue(home, shop, NOW)["item"].to_pylist() == ["3"]
    assert report.notes == (
        "items.csv row 1: 44927 looks like a spreadsheet's day number (2023-01-01); write 2023-01-01",
        "items.csv row 2: 20261101 looks like the date 2026-11-01; write 2026-11-01, or let a mapping say "
        "`time: {format: '%Y%m%d'}`",
    )
    assert report.rejects_file is not None
    assert "44927 looks like a spreadsheet's day number" in report.rejects_file.read_text(encoding="utf-8")


def test_a_file_of_nothing_but_day_numbers_is_refused_with_an_example(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    with pytest.raises(ImportRefused, match=r"events.csv row 1: 44927 looks like .* \(2023-01-01\); write 2023-01-01"):
        import_events(home, shop, [write(tmp_path, "events.csv", [purchase(time="44927")])], now=NOW)


@pytest.mark.parametrize("column", ["item_id", "user", "order", "session", "event_id"])
def test_ids_that_a_spreadsheet_has_cut_are_rejected(home: Home, tmp_path: Path, column: str) -> None:
    site = make_website(item_ids="alphanumeric")
    rows = [purchase(), {**purchase("4.00638E+11x"), column: "4.00638E+12"}]
    report = import_events(home, site, [write(tmp_path, "events.csv", rows)], now=NOW)
    assert report.reasons == {f"{column} lost digits in a spreadsheet (like 4.00638E+12); export the column as text": 1}
