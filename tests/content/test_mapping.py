"""Mapping files are read strictly, and those that are shipped fit their data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from personalization_pipelines.content.files.mapping import CANONICAL, fitting_mappings, load_mapping, shipped_mappings
from personalization_pipelines.foundation.errors import ImportRefused
from tests.content.files import write_mapping

WRONG = {
    "kind: events\ncolumn: {user: u}\n": ":2: column: unknown key",
    "kind: events\ncolumns:\n  user: u\n  usr: v\n": "'usr' is no column of events",
    "kind: things\n": ":1: kind:",
    "kind: items\n": ":1: kind: this maps items, not events",
    "kind: events\ndrop:\n  - {column: a, reason: r}\n": ":3: drop.0: expected exactly one of",
    "kind: events\ndrop:\n  - {column: a, reason: r, below: 1, above: 2}\n": ":3: drop.0: expected exactly one of",
    "kind: events\ntime:\n  zone: Mars/Olympus\n": ":3: time.zone: 'Mars/Olympus' is not a time zone",
    "kind: events\ntime: {unit: minutes}\n": ":2: time.unit:",
    "kind: events\nkind: events\n": ":2: kind: the key is given twice",
    "kind: events\nattributes: {a: b}\n": "belong to items and users",
    "kind: events\ncolumns: {user: u}\nconstants: {user: x}\n": "both a column and a constant",
    "kind: events\ndrop: [{column: a, reason: r, matches: '('}]\n": "is no regular expression",
    "kind: events\ncsv: {encoding: klingon}\n": ":2: csv.encoding: 'klingon' is no encoding",
    "kind: events\ncsv: {encoding: base64}\n": ":2: csv.encoding: 'base64' is no encoding",
    "kind: events\ncategory: [a, b]\ncategory_separator: '>'\n": "category_separator cuts the column `category`",
    "kind: events\ncategory_separator: ' '\n": ":2: category_separator: a space separates words, too",
    "[": "this is not YAML",
}


@pytest.mark.parametrize("text", list(WRONG))
def test_a_wrong_mapping_is_refused_with_file_line_and_sentence(tmp_path: Path, text: str) -> None:
    path = write_mapping(tmp_path, text)
    with pytest.raises(ImportRefused) as refused:
        load_mapping("events", path)
    assert str(refused.value).startswith(f"{path}:")
    assert WRONG[text] in str(refused.value)


def test_an_unknown_mapping_is_refused_with_the_names_of_the_shipped_ones() -> None:
    with pytest.raises(ImportRefused, match="complete_journey_events, complete_journey_items"):
        load_mapping("events", "nothing")


def test_no_mapping_is_the_canonical_columns_as_they_are() -> None:
    rules = load_mapping("events", None).rules
    assert rules.lacking(list(CANONICAL["events"])) == []
    assert rules.lacking(["time", "event"]) == ["user", "item_id"]


def test_every_shipped_mapping_reads_and_names_its_data_set() -> None:
    names = {name for kind in CANONICAL for name, rules in shipped_mappings(kind).items() if rules.title}
    assert names == {
        "complete_journey_events", "complete_journey_items", "complete_journey_users", "online_retail_events",
        "online_retail_items", "retailrocket_events", "retailrocket_multibehavior_events",
    }  # fmt: skip


def test_the_mapping_that_fits_is_found_by_its_columns() -> None:
    columns = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    assert fitting_mappings("events", columns) == ["online_retail_events"]
    assert fitting_mappings("items", columns) == ["online_retail_items"]
    assert fitting_mappings("events", ["a", "b"]) == []
