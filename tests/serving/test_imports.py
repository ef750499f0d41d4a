"""The import history over HTTP, and the lists of rejected rows: only with the key, only what the history names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.content.import_history import ImportRow, imports_directory, record_import
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from tests.content.files import write
from tests.serving.shopfront import Installation, website
from tests.serving.test_content import KEY

URL = "/api/00001/imports"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
FORMULAS = ['=HYPERLINK("http://evil.example/","x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1+1", "\r=1"]


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website())
    yield made
    made.close()


def get(shop: Installation, url: str, key: dict[str, str] = KEY) -> Any:
    return shop.client.get(url, headers=key)


def listed(shop: Installation, query: str = "") -> list[dict[str, Any]]:
    answer = get(shop, URL + query)
    assert answer.status_code == 200, answer.text
    return list(answer.json["imports"])


def record(shop: Installation, transaction: str, **fields: Any) -> None:
    row = ImportRow(NOW, fields.pop("kind", "items"), ("items.csv",), transaction=transaction, **fields)
    record_import(shop.home, shop.websites["shop"], row)


def folder(shop: Installation) -> Path:
    made = imports_directory(shop.home, shop.websites["shop"])
    made.mkdir(parents=True, exist_ok=True)
    return made


def test_nothing_was_imported_and_nothing_is_listed(shop: Installation) -> None:
    assert listed(shop) == []


def test_the_newest_import_stands_first_and_may_be_asked_for_by_kind_and_number(shop: Installation) -> None:
    for number in range(60):
        record(shop, f"t{number}", kind="users" if number % 3 else "items")
    names = [f"t{number}" for number in reversed(range(60))]
    assert [one["transaction"] for one in listed(shop)] == names[:50]
    assert [one["transaction"] for one in listed(shop, "?limit=2")] == names[:2]
    assert [one["transaction"] for one in listed(shop, "?kind=items&limit=3")] == ["t57", "t54", "t51"]
    assert [one["transaction"] for one in listed(shop, "?limit=1000")] == names
    assert listed(shop, "?kind=events") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "kind=models", "limit=1&limit=2"])
def test_what_can_not_be_asked_for_is_400(shop: Installation, query: str) -> None:
    answer = get(shop, f"{URL}?{query}")
    assert answer.status_code == 400
    assert answer.json["detail"].startswith((query.split("=")[0], "limit"))


def test_a_document_beyond_the_limits_of_attributes_is_listed_as_refused_with_its_items_to_download(
    home: Home,
) -> None:
    limited = website(quality={"items": {"max_attributes": 1}})
    shop = Installation(home, limited)
    item = '<item id="{}" type="1"><attributes><attribute key="{}" value="x"/></attributes></item>'
    for key in ("a", "b"):
        body = f'<items version="1">{item.format(1, "a")}{item.format(2, key)}</items>'
        answer = shop.client.post("/api/00001/item", data=body, headers=KEY, content_type="application/xml")
        assert answer.status_code == 202
    apply_changes(home, limited)
    done, refused = listed(shop)
    assert (done["error"], done["added"]) == ("", 2)
    assert refused["transaction"] == answer.headers["X-Change"]
    assert refused["error"].startswith("attributes: 2 names of attributes, at most 1; for example b (item 1/2)")
    (gate,) = refused["gates"]
    assert (gate["rule"], gate["ok"], gate["key"]) == ("attributes", False, "quality: items: max_attributes")
    (row,) = csv.DictReader(io.StringIO(get(shop, refused["rejects_file"]).text))
    assert row["value"] == "1/2: b"
    shop.close()


def test_only_who_has_the_key_reads_the_history(shop: Installation) -> None:
    (folder(shop) / "t.rejects.csv").write_text("x\n")
    record(shop, "t", rejects_file="t.rejects.csv")
    for url in (URL, f"{URL}/t/rejects.csv"):
        assert get(shop, url, {}).status_code == 401
        assert get(shop, url.replace("00001", "99999")).status_code == 401
        assert shop.client.post(url, headers=KEY).status_code == 405


def test_rows_that_were_rejected_are_downloaded_as_they_were_listed_and_no_spreadsheet_runs_them(
    shop: Installation, tmp_path: Path
) -> None:
    site = shop.websites["shop"]
    rows = [{"item_id": text, "price": 1} for text in FORMULAS] + [{"item_id": 7, "price": 1}]
    import_items(shop.home, site, [write(tmp_path, "=1+1.jsonl", rows)], now=NOW)
    (row,) = listed(shop)
    assert (row["added"], row["rejected"]) == (1, len(FORMULAS))
    answer = get(shop, row["rejects_file"])
    assert (answer.status_code, answer.content_type) == (200, "text/csv; charset=utf-8")
    assert answer.headers["Content-Disposition"] == f"attachment; filename=rejects-{row['transaction']}.csv"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    head, *cells = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert head == ["file", "row", "column", "value", "reason"]
    assert len(cells) == len(FORMULAS)
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for line in cells for cell in line)
    assert [line[3] for line in cells[:2]] == ["'" + FORMULAS[0], "'" + FORMULAS[1]]


def test_no_path_of_this_machine_goes_out(shop: Installation, tmp_path: Path) -> None:
    site, path = shop.websites["shop"], tmp_path / "items.csv"
    path.write_text("nonsense\n1\n")
    with pytest.raises(ImportRefused):
        import_items(shop.home, site, [path], now=NOW)
    (row,) = listed(shop)
    assert row["files"] == ["items.csv"]
    assert row["error"].startswith("items.csv")
    assert str(tmp_path) not in msgspec.json.encode(row).decode()


@pytest.mark.parametrize(
    "transaction",
    ["other", "..", "%2e%2e", "history.jsonl", "t%00", "..%2f..%2fkey", "%2fetc%2fpasswd", "t.rejects.csv"],
)
def test_a_transaction_that_the_history_does_not_list_is_no_file(shop: Installation, transaction: str) -> None:
    (folder(shop) / "t.rejects.csv").write_text("file\n")
    (folder(shop) / "other.rejects.csv").write_text("of nobody\n")
    record(shop, "t", rejects_file="t.rejects.csv")
    record(shop, "none")
    assert get(shop, f"{URL}/t/rejects.csv").text == "file\n"
    assert get(shop, f"{URL}/none/rejects.csv").status_code == 404
    assert get(shop, f"{URL}/{transaction}/rejects.csv").status_code in (400, 404)


@pytest.mark.parametrize("named", ["../../../key", "history.jsonl/../../../key", "gone.csv", "..", ".", "link.csv"])
def test_a_history_that_somebody_changed_names_nothing_outside_its_folder(shop: Installation, named: str) -> None:
    (folder(shop) / "link.csv").symlink_to(shop.home.root / "key")
    record(shop, "t", rejects_file=named)
    assert get(shop, f"{URL}/t/rejects.csv").status_code == 404


def test_one_website_does_not_see_the_imports_of_another(home: Home) -> None:
    other = website(website="other", customer_id="00002", license_key="9999-2222-3333-4444-5555")
    shop = Installation(home, website(), other)
    (folder(shop) / "t.rejects.csv").write_text("x\n")
    record(shop, "t", rejects_file="t.rejects.csv")
    record_import(home, other, ImportRow(NOW + timedelta(days=1), "items", ("b.csv",), transaction="u"))
    assert [one["transaction"] for one in listed(shop)] == ["t"]
    assert get(shop, "/api/00002/imports").status_code == 401
    shop.close()
