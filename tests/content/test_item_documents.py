"""Files of XML and of a CMS's JSON: imported like all others, with rejects, gates and history."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from personalization_pipelines.cli import main
from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.content.catalogue.items import catalogue_file, import_items
from personalization_pipelines.content.change_queue import ITEMS_XML, enqueue
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.content.xml.write_xml import write_xml_items
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.foundation.errors import ConfigurationError, ImportRefused, QualityGateFailed
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.load import load_website
from tests.content.files import write

NOW = datetime(2024, 6, 1, tzinfo=UTC)
ITEMS = [
    XmlItem(1, "7", "eng-GB", 1245, "EUR", categories=["/A/B", "/C"], attributes={"title": ["one"], "size": [1.5, 2]}),
    XmlItem(1, "8", valid_from=1_704_067_200_000_000, base_item="7"),
    XmlItem(2, "7", "ger-DE", 5, "JPY", attributes={"title": ["zwei"]}),
]


def exported(items: list[XmlItem], *more: dict[str, Any]) -> bytes:
    entries = [
        {
            "contentId": int(one.item),
            "contentTypeId": one.item_type,
            "language": one.language,
            "categoryPath": one.categories,
            "price": None if one.price_minor is None else one.price_minor / (1 if one.currency == "JPY" else 100),
            "currency": one.currency,
            "validFrom": None if one.valid_from is None else one.valid_from // 1_000_000,
            "baseItem": one.base_item,
            **one.attributes,
        }
        for one in items
    ]
    return json.dumps({"contentList": {"content": [*entries, *more]}}).encode()


def rows(home: Home, website: Website) -> list[dict[str, Any]]:
    path = catalogue_file(home, website, datetime.now(UTC))
    return [] if path is None else list(pq.ParquetFile(path).read().to_pylist())


def ids(home: Home, website: Website) -> list[tuple[int, str]]:
    return [(row["item_type"], row["item"]) for row in rows(home, website)]


def zst(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


@pytest.mark.parametrize(
    "name", ["items.xml", "items.json", "items.EXPORT", "items.xml.gz", "items.json.gz", "items.json.zst"]
)
def test_a_document_brings_what_the_content_api_brings(home: Home, shop: Website, tmp_path: Path, name: str) -> None:
    data = write_xml_items(ITEMS, shop) if ".xml" in name else exported(ITEMS)
    packed = gzip.compress(data) if name.endswith(".gz") else zst(data) if name.endswith(".zst") else data
    (tmp_path / name).write_bytes(packed)
    report = import_items(home, shop, [tmp_path / name], now=NOW)
    assert (report.rows, report.added, report.rejected, report.files) == (3, 3, 0, (str(tmp_path / name),))
    other = Home(tmp_path / "other")
    other.create()
    enqueue(other, shop, ITEMS_XML, write_xml_items(ITEMS, shop), name="POST")
    apply_changes(other, shop, now=NOW)
    assert rows(home, shop) == rows(other, shop)
    again = import_items(home, shop, [tmp_path / name], now=NOW)
    assert again.already_imported


def test_the_same_items_of_columns_and_of_documents_are_no_change(home: Home, shop: Website, tmp_path: Path) -> None:
    row = {"item_id": 1, "price": 5, "category": "/A", "language": "eng-GB", "title": "one", "width": 2}
    import_items(home, shop, [write(tmp_path, "items.parquet", [row])], now=NOW)
    item = XmlItem(1, "1", "eng-GB", 500, "EUR", categories=["/A"], attributes={"width": [2], "title": ["one"]})
    (tmp_path / "items.json").write_bytes(exported([item]))
    assert not rows(home, shop)[0]["attributes"].startswith("{}")
    report = import_items(home, shop, [tmp_path / "items.json"], now=NOW)
    assert (report.rows, report.added, report.changed, report.removed) == (1, 0, 0, 0)


def test_a_full_import_removes_and_an_incremental_one_adds(home: Home, shop: Website, tmp_path: Path) -> None:
    path = tmp_path / "items.json"
    path.write_bytes(exported([XmlItem(1, str(n)) for n in range(10)] + [XmlItem(2, "1")]))
    import_items(home, shop, [path], now=NOW)
    path.write_bytes(exported([XmlItem(1, str(n)) for n in range(1, 11)]))
    assert import_items(home, shop, [path], now=NOW).removed == 1
    assert (2, "1") in ids(home, shop), "a full import replaces its own types only"
    path.write_bytes(write_xml_items([XmlItem(1, "99")], shop))
    report = import_items(home, shop, [path], mode="incremental", format="xml", now=NOW)
    assert (report.added, report.removed) == (1, 0)
    assert [row.mode for row in import_history(home, shop)] == ["full", "full", "incremental"]


def test_of_several_files_the_later_row_counts_whatever_their_formats(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    (tmp_path / "a.xml").write_bytes(write_xml_items([XmlItem(1, "1", price_minor=1, currency="EUR")], shop))
    write(tmp_path, "b.csv", [{"item_id": 1, "price": 0.02}, {"item_id": 2}])
    (tmp_path / "c.json").write_bytes(exported([XmlItem(1, "2", price_minor=3, currency="EUR")]))
    report = import_items(home, shop, [str(tmp_path / "*.*")], now=NOW)
    assert [(row["item"], row["price_minor"]) for row in rows(home, shop)] == [("1", 2), ("2", 3)]
    assert report.rows == 4 and "2 rows of items that occur more than once" in report.notes[0]


def test_objects_that_are_no_items_are_counted_and_listed(home: Home, shop: Website, tmp_path: Path) -> None:
    wrong = [{"contentId": "=1+1", "contentTypeId": 1}, {"contentId": 4, "contentTypeId": 1, "price": "free"}]
    (tmp_path / "items.json").write_bytes(exported(ITEMS, *wrong))
    report = import_items(home, shop, [tmp_path / "items.json"], now=NOW)
    assert (report.rows, report.added, report.rejected) == (5, 3, 2)
    assert report.rejects_file is not None
    listed = list(csv.reader(report.rejects_file.read_text().splitlines()))
    assert [row[:4] for row in listed[1:]] == [
        ["items.json", "4", "contentId", "'=1+1"],
        ["items.json", "5", "price", "free"],
    ]
    assert sum(report.reasons.values()) == import_history(home, shop)[-1].rejected == 2


def test_undeclared_types_of_an_export_break_the_gate(home: Home, shop: Website, tmp_path: Path) -> None:
    (tmp_path / "items.json").write_bytes(exported(ITEMS, {"contentId": 4, "contentTypeId": 52}))
    with pytest.raises(QualityGateFailed, match=r"1 rows of item type 52.*items.json row 4: item type 52"):
        import_items(home, shop, [tmp_path / "items.json"], now=NOW)
    assert rows(home, shop) == []
    assert import_items(home, shop, [tmp_path / "items.json"], force=True, now=NOW).added == 3


def test_a_broken_document_changes_nothing_and_is_kept_in_the_history(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    good = write(tmp_path, "good.csv", [{"item_id": 1}])
    import_items(home, shop, [good], now=NOW)
    broken = {
        "cut.xml": (write_xml_items(ITEMS, shop)[:-20], "line .*: no well-formed XML"),
        "cut.json": (exported(ITEMS)[:-20], "no well-formed JSON"),
        "cut.json.gz": (gzip.compress(exported(ITEMS))[:-12], "cannot be unpacked"),
        "type.xml": (write_xml_items([XmlItem(3, "1")], shop), "line 3, <item>: type '3'"),
        "empty.xml": (b"", "no element found"),
        "empty.json": (exported([]), "no item could be taken of 0 rows; the files have no row"),
        "odd.json.gz": (b"no gzip", "cannot be unpacked"),
    }
    for name, (data, sentence) in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ImportRefused, match=sentence) as refused:
            import_items(home, shop, [good, tmp_path / name] if name != "empty.json" else [tmp_path / name], now=NOW)
        assert str(refused.value).startswith(str(tmp_path / name))
        assert import_history(home, shop)[-1].error == str(refused.value)
    assert ids(home, shop) == [(1, "1")]


def test_a_mapping_for_a_document_is_refused(home: Home, shop: Website, tmp_path: Path) -> None:
    (tmp_path / "items.xml").write_bytes(write_xml_items(ITEMS, shop))
    with pytest.raises(ImportRefused, match=r"a mapping .* names columns, of which xml has none; leave it out"):
        import_items(home, shop, [tmp_path / "items.xml"], mapping="complete_journey_items", now=NOW)
    path = tmp_path / "my-shop.yaml"
    source = "content: {sources: [{files: a.json, format: export, mapping: m.yml}]}"
    path.write_text("\n".join(["website: my-shop", 'customer_id: "1"', "license_key: abcd-efgh", source]) + "\n")
    with pytest.raises(ConfigurationError, match=r"4: content\.sources\[0\]: a mapping names columns"):
        load_website(path)


def test_the_command_imports_documents(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["website: my-shop", 'customer_id: "1"', "license_key: abcd-efgh", "item_types: {1: product, 2: article}"]
    (home.websites / "my-shop.yaml").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("PERSONALIZATION_HOME", str(home.root))
    (tmp_path / "items.dat").write_bytes(exported(ITEMS))
    arguments = ["import", "items", str(tmp_path / "items.dat"), "--website", "my-shop"]
    refused = CliRunner().invoke(main, arguments)
    assert (
        refused.exit_code == 1
        and "expected a name that ends in .csv, .tsv, .jsonl, .ndjson, .parquet, .pq" in refused.output
    )
    done = CliRunner().invoke(main, [*arguments, "--format", "export"])
    assert done.exit_code == 0, done.output
    assert "3 rows read, 3 added" in done.output
