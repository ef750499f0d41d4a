"""Gates of an item import: a broken rule is named with its rows, and catalogue, report and history tell the same."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.commands.refresh import refresh
from personalization_pipelines.content.catalogue.item_gates import judge_items
from personalization_pipelines.content.catalogue.items import catalogue, catalogue_file, import_items
from personalization_pipelines.content.catalogue.merging import merge_items
from personalization_pipelines.content.catalogue.read_items import ITEM_SCHEMA, Incoming
from personalization_pipelines.content.files.mapping import Mapping
from personalization_pipelines.content.import_history import import_history, imports_directory
from personalization_pipelines.content.report import GateRow, ImportReport
from personalization_pipelines.foundation.errors import QualityGateFailed
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.files import Rows, write, write_mapping

DAY = timedelta(days=1)
MONDAY = datetime(2024, 6, 3, tzinfo=UTC)
TUESDAY = MONDAY + DAY


def priced(prices: dict[int, Any], **more: Any) -> Rows:
    return [{"item_id": item, "price": price, **more} for item, price in prices.items()]


def imported(home: Home, website: Website, path: Path, now: datetime = MONDAY, **options: Any) -> ImportReport:
    return import_items(home, website, [path], now=now, **options)


def gate(report: ImportReport, rule: str) -> GateRow:
    (found,) = [one for one in report.gates if one.rule == rule]
    return found


def test_a_broken_gate_changes_nothing_and_the_history_names_rule_limit_and_rows(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    imported(home, shop, write(tmp_path, "a.csv", priced(dict.fromkeys(range(10), "5.00"))))
    before = catalogue_file(home, shop, TUESDAY)
    small = write(tmp_path, "b.csv", [*priced(dict.fromkeys(range(7), "5.00")), {"item_id": "x"}])
    with pytest.raises(QualityGateFailed, match=r"for example 1/7, 1/8, 1/9 \(quality: items: max_drop") as caught:
        imported(home, shop, small, TUESDAY)
    assert caught.value.rows[0]["rule"] == "item drop" and len(caught.value.rows) == 1
    assert catalogue_file(home, shop, TUESDAY) == before
    row = import_history(home, shop)[-1]
    (broken,) = [one for one in row.gates if not one.ok]
    assert (broken.rule, broken.rows) == ("item drop", ("1/7", "1/8", "1/9"))
    assert (row.rows, row.rejected, row.item_types, row.mode) == (8, 1, (1,), "full")
    assert "x" in (imports_directory(home, shop) / row.rejects_file).read_text()
    rejects = imports_directory(home, shop) / row.rejects_file
    assert row.error.startswith("1 of 8 rows could not be taken (1 row: item_id ") and row.transaction
    assert (
        "and an item without a good row counts as gone: item drop: the import would remove 3 of 10 items" in row.error
    )
    assert f"Correct these rows ({rejects} lists them) and import again" in row.error


def test_the_report_says_what_every_gate_found_and_what_was_forced(home: Home, shop: Website, tmp_path: Path) -> None:
    first = imported(home, shop, write(tmp_path, "a.csv", priced(dict.fromkeys(range(10), "5.00"))))
    rules = ["item drop", "unknown types", "price jumps", "attributes", "nominal values"]
    assert [(one.rule, one.ok) for one in first.gates] == [(rule, True) for rule in rules]
    again = imported(home, shop, write(tmp_path, "b.csv", priced({1: "5.00"})), TUESDAY, force=True)
    lines = [line for line in again.lines() if line.startswith("  forced: ")]
    assert lines == [
        "  forced: item drop: the import would remove 9 of 10 items, more than 20% may not go; "
        "for example 1/0, 1/2, 1/3, 1/4, 1/5"
    ]
    assert import_history(home, shop)[-1].gates == again.gates


def test_item_types_that_the_website_does_not_declare_refuse_the_import(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    rows = [
        {"item_id": 1},
        {"item_id": 2, "item_type": 7},
        {"item_id": 3, "item_type": 7},
        {"item_id": 4, "item_type": 8},
    ]
    path = write(tmp_path, "a.csv", rows)
    said = r"3 rows of item type 7, 8, declared are 1, 2; for example a\.csv row 2: item type 7"
    with pytest.raises(QualityGateFailed, match=said):
        imported(home, shop, path)
    assert catalogue_file(home, shop, TUESDAY) is None
    report = imported(home, shop, path, force=True)
    assert (report.added, report.rejected) == (1, 3)


def test_what_is_no_item_type_at_all_rejects_its_row_only(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", [{"item_id": 1, "item_type": 1}, {"item_id": 2, "item_type": "lamp"}])
    report = imported(home, shop, path)
    assert (report.added, report.rejected, gate(report, "unknown types").found) == (1, 1, "none")


def test_rows_that_a_mapping_drops_bring_no_unknown_type(home: Home, shop: Website, tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path, "kind: items\ndrop: [{column: item_type, equals: '9', reason: a service}]\n")
    path = write(tmp_path, "a.csv", [{"item_id": 1, "item_type": 1}, {"item_id": 2, "item_type": 9}])
    assert imported(home, shop, path, mapping=mapping).reasons == {"a service": 1}


@pytest.mark.parametrize(
    ("price", "currency"), [("500.00", "EUR"), ("0.50", "EUR"), ("0", "EUR"), (None, "EUR"), ("5.00", "USD")]
)
def test_prices_that_jump_in_many_items_refuse_the_import(
    home: Home, shop: Website, tmp_path: Path, price: str | None, currency: str
) -> None:
    imported(home, shop, write(tmp_path, "a.csv", priced(dict.fromkeys(range(20), "5.00"))))
    rows = priced(dict.fromkeys(range(20), "5.00") | dict.fromkeys(range(11), price))
    path = write(tmp_path, "b.csv", [{**row, "currency": currency if row["item_id"] < 11 else "EUR"} for row in rows])
    with pytest.raises(QualityGateFailed, match=r"price jumps: 11 of 20 prices, at most 10% .* 1/0: 500 EUR →"):
        imported(home, shop, path, TUESDAY)
    assert imported(home, shop, path, TUESDAY, force=True).changed == 11


def test_a_sale_and_a_few_corrections_are_no_jump(home: Home, shop: Website, tmp_path: Path) -> None:
    imported(home, shop, write(tmp_path, "a.csv", priced(dict.fromkeys(range(20), "5.00"))))
    prices = dict.fromkeys(range(20), "0.51") | dict.fromkeys(range(10), "500")
    report = imported(home, shop, write(tmp_path, "b.csv", priced(prices)), TUESDAY)
    assert (report.changed, gate(report, "price jumps").found) == (20, "10 of 20 prices")


def test_the_limits_are_those_of_the_file_of_the_website(home: Home, tmp_path: Path) -> None:
    lenient = make_website(quality={"items": {"max_price_jumps": "100%", "max_drop": "100%"}})
    imported(home, lenient, write(tmp_path, "a.csv", priced(dict.fromkeys(range(30), "5.00"))))
    path = write(tmp_path, "b.csv", priced(dict.fromkeys(range(15), "500")))
    assert imported(home, lenient, path, TUESDAY).removed == 15


def test_names_of_attributes_are_counted_over_all_imports(home: Home, tmp_path: Path) -> None:
    website = make_website(quality={"items": {"max_attributes": 3}})
    imported(home, website, write(tmp_path, "a.jsonl", [{"item_id": 1, "a": 1, "b": 2}]))
    path = write(tmp_path, "b.jsonl", [{"item_id": 2, "b": 1, "c/d~e": 2, 'f"': 3}])
    with pytest.raises(
        QualityGateFailed, match=r"attributes: 4 names of attributes, at most 3; for example a \(item 1/1"
    ):
        imported(home, website, path, TUESDAY, mode="incremental")
    assert len(import_history(home, website)) == 2


def many(values: int, items: int, name: str = "color") -> Rows:
    return [{"item_id": number, name: [f"v{number % values}"]} for number in range(items)]


def test_a_nominal_attribute_may_have_ten_thousand_values_and_no_more(home: Home, tmp_path: Path) -> None:
    website = make_website()
    assert imported(home, website, write(tmp_path, "a.jsonl", many(10_000, 20_002))).added == 20_002
    with pytest.raises(
        QualityGateFailed, match=r"nominal values: color has 10,001, at most 10,000 .*color \"v0\" \(item 1/0\)"
    ):
        imported(home, website, write(tmp_path, "b.jsonl", many(10_001, 20_002)), TUESDAY)


@pytest.mark.parametrize("name", ["Title", "ean", "weight/g", "a~b", 'x"y', "code"])
def test_text_numbers_and_what_names_single_items_are_not_nominal(home: Home, tmp_path: Path, name: str) -> None:
    website = make_website(quality={"items": {"max_values": 5}})
    rows = {
        "Title": many(8, 20, "Title"),  # its name says so
        "ean": many(20, 20, "ean"),  # every item has its own
        "weight/g": [{"item_id": number, "weight/g": number % 8} for number in range(20)],
        "code": many(8, 20, "code"),  # the mapping says so
    }.get(name)
    mapping = write_mapping(tmp_path, "kind: items\ntext: [code]\n")
    if rows:
        assert imported(home, website, write(tmp_path, "a.jsonl", rows), mapping=mapping).added == 20
    else:
        path = write(tmp_path, "a.jsonl", many(8, 20, name))
        with pytest.raises(QualityGateFailed, match=re.escape(f"nominal values: {name} has 8")):
            imported(home, website, path, mapping=mapping)


def test_a_hundred_thousand_names_of_attributes_are_counted_and_five_are_shown(home: Home, shop: Website) -> None:
    count, names = 1_000, 100
    attributes = [json.dumps({f"k{item * names + one}": ["v"] for one in range(names)}) for item in range(count)]
    columns: dict[str, Any] = {
        "item_type": [1] * count, "item": [str(item) for item in range(count)], "attributes": attributes,
        "language": [""] * count, "currency": [""] * count, "base_item": [""] * count,
    }  # fmt: skip
    items = pa.table([pa.array(columns.get(one.name, [None] * count), one.type) for one in ITEM_SCHEMA], ITEM_SCHEMA)
    changes = merge_items(catalogue(home, shop), items.drop_columns("first_seen"), False, MONDAY.replace(tzinfo=None))
    mapping = Mapping(kind="items")
    incoming = Incoming(items, count)
    gates = judge_items(shop, mapping, incoming, changes, catalogue(home, shop))
    (broken,) = [one for one in gates if not one.ok]
    assert (broken.rule, broken.found, len(broken.rows)) == ("attributes", "100,000 names of attributes", 5)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=3), min_size=1, max_size=12))
def test_values_are_counted_as_a_set_counts_them(
    tmp_path_factory: pytest.TempPathFactory, values: list[list[str]]
) -> None:
    directory = tmp_path_factory.mktemp("home")
    home = Home(directory / "home")
    home.create()
    website = make_website(quality={"items": {"max_values": 2}})
    path = write(directory, "a.jsonl", [{"item_id": n, "color": given} for n, given in enumerate(values)])
    flat = [one for given in values for one in given]
    if len(set(flat)) > 2 and 2 * len(set(flat)) <= len(flat):
        with pytest.raises(QualityGateFailed, match=f"color has {len(set(flat))},"):
            imported(home, website, path)
    else:
        assert imported(home, website, path).added == len(values)


@pytest.mark.builds
def test_a_source_that_breaks_a_gate_fails_its_asset_with_the_rows_and_keeps_the_catalogue(
    home: Home, tmp_path: Path
) -> None:
    website = make_website(content={"sources": [{"files": "data/*.csv", "format": "csv"}]})
    write(home.root / "data", "a.csv", priced(dict.fromkeys(range(10), "5.00")))
    assert refresh(home, website).steps
    before = catalogue_file(home, website, datetime.now(UTC))
    write(home.root / "data", "a.csv", priced(dict.fromkeys(range(3), "5.00")))
    report = refresh(home, website)
    assert any("content/items: item drop" in one.replace("__", "/") for one in report.failures), report.failures
    assert catalogue_file(home, website, datetime.now(UTC)) == before
    with dg.DagsterInstance.get() as instance:
        events = instance.all_logs(report.run_id, dg.DagsterEventType.STEP_FAILURE)
        told = [one.dagster_event.step_failure_data.user_failure_data for one in events if one.dagster_event]
    assert any("1/3, 1/4" in str(one.metadata["broken gates"].value) for one in told if one)
