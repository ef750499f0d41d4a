"""JSON lines: every row's keys count, and one bad value costs one row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from personalization_pipelines.content.catalogue.items import catalogue_file, import_items
from personalization_pipelines.content.files.formats.row_format import Csv
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.files.read_files import open_file
from personalization_pipelines.content.users.user_tables import import_users
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.content.files import purchase, stored_events, write
from tests.content.test_hostile_files import NOW

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("packed", [False, True])
def test_a_key_that_first_appears_in_the_last_line_counts(
    home: Home, shop: Website, tmp_path: Path, packed: bool
) -> None:
    late = {"quantity": 50, "price": 9.5, "category": "/A", "event_id": "e-1", "rating": 80}
    path = write(tmp_path, "events.jsonl", [*[purchase(item=n) for n in range(1500)], purchase(item=7777, **late)])
    if packed:
        (tmp_path / "events.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = tmp_path / "events.jsonl.gz"
    import_events(home, shop, [path], now=NOW)
    (found,) = [row for row in stored_events(home, shop) if row["item"] == "7777"]
    assert (found["quantity"], found["price_minor"], found["categories"]) == (50, 950, ["/A"])
    assert (found["event_id"], found["rating"]) == ("e-1", 80)


def test_late_attributes_and_times_of_items_count(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [{"item_id": n} for n in range(1, 1500)]
    rows.append({"item_id": 1500, "valid_to": "2031-01-01", "width": 2.5})  # type: ignore[dict-item]
    import_items(home, shop, [write(tmp_path, "items.jsonl", rows)], now=NOW)
    stored = pq.read_table(catalogue_file(home, shop, NOW)).to_pylist()
    (found,) = [row for row in stored if row["item"] == "1500"]
    assert (found["valid_to"].year, found["attributes"]) == (2030, '{"width":[2.5]}')


def test_keys_that_differ_by_case_are_different_keys(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "items.jsonl", [{"item_id": 1, "price": 2, "Price": "two", "Item_ID": 3}])
    import_items(home, shop, [path], now=NOW)
    (row,) = pq.read_table(catalogue_file(home, shop, NOW)).to_pylist()
    assert (row["item"], row["price_minor"]) == ("1", 200)
    assert json.loads(row["attributes"]) == {"Price": ["two"], "Item_ID": [3]}


@pytest.mark.parametrize("value", ["18446744073709551616", "true", "[1]", '{"a": 1}', "17.5", "1e400", '"\\ud800"'])
def test_what_is_no_id_rejects_its_row_alone(home: Home, shop: Website, tmp_path: Path, value: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(f'{{"item_id": 1}}\n{{"item_id": {value}}}\n{{"item_id": 3}}\n')
    report = import_items(home, shop, [path], now=NOW)
    assert (report.added, report.rejected) == (2, 1)
    assert report.rejects_file is not None
    assert ",2," in report.rejects_file.read_text().splitlines()[1]


@pytest.mark.parametrize("value", ["true", "[1]", '{"a": 1}', "17.5", "NaN", '"\\udc00"'])
def test_what_is_no_user_is_rejected_and_not_shown(home: Home, shop: Website, tmp_path: Path, value: str) -> None:
    path = tmp_path / "users.jsonl"
    path.write_text(f'{{"user": "a", "x": 1}}\n{{"user": {value}, "x": 1}}\n')
    report = import_users(home, shop, [path], now=NOW)
    assert (report.added, report.rejected) == (1, 1)


def test_a_user_of_many_digits_is_this_user(home: Home, shop: Website, tmp_path: Path) -> None:
    for name, value, item in (("a", str(2**64), 1), ("b", f'"{2**64}"', 2)):
        row = f'{{"time":"2024-05-01","event":"buy","user":{value},"item_id":{item}}}\n'
        (tmp_path / f"{name}.jsonl").write_text(row)
        import_events(home, shop, [tmp_path / f"{name}.jsonl"], now=NOW)
    first, second = stored_events(home, shop)
    assert first["visitor"] == second["visitor"] != ""


def test_a_byte_order_mark_before_json_lines_is_skipped(home: Home, shop: Website, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_bytes(BOM + b'{"item_id": 1}\n')
    assert import_items(home, shop, [tmp_path / "items.jsonl"], now=NOW).added == 1


def test_a_byte_order_mark_before_xml_and_an_export_is_skipped(home: Home, shop: Website, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(BOM + b'<items version="1"><item type="1" id="1"/></items>')
    (tmp_path / "b.json").write_bytes(BOM + b'{"contentList": {"content": [{"contentId": 2, "contentTypeId": 1}]}}')
    assert import_items(home, shop, [tmp_path / "a.xml", tmp_path / "b.json"], now=NOW).added == 2


@pytest.mark.parametrize(("separator", "shown"), [(";", "';'"), ("\t", r"'\\t'"), ("|", "'\\|'")])
def test_another_separator_gets_a_hint(tmp_path: Path, separator: str, shown: str) -> None:
    (tmp_path / "events.csv").write_text(separator.join(["time", "event", "user", "item_id"]) + "\n")
    with pytest.raises(ImportRefused, match=f"the header has one column with {shown} in it: is the file separated by"):
        open_file(tmp_path / "events.csv", Csv())


def test_one_object_of_an_export_is_rejected_for_a_number(home: Home, shop: Website, tmp_path: Path) -> None:
    entries = ['{"contentId": 1, "contentTypeId": 1}', f'{{"contentId": {2**64}, "contentTypeId": 1}}']
    entries += ['{"contentId": 3, "contentTypeId": 1, "width": 1e400}', '{"contentId": 4, "contentTypeId": 1}']
    (tmp_path / "items.json").write_text(f'{{"contentList": {{"content": [{", ".join(entries)}]}}}}')
    report = import_items(home, shop, [tmp_path / "items.json"], now=NOW)
    assert (report.added, report.rejected) == (2, 2)
