"""One contract for the three formats: the same rows give the same tables, byte for byte."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.catalogue.items import catalogue_file, import_items
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.users.user_tables import import_users, users_file
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.files import FORMATS, purchase, stored_events, write, write_mapping

NOW = datetime(2024, 6, 1, tzinfo=UTC)

EVENTS = [
    purchase("anna", 7, quantity=2, price=2.55, currency="GBP", category="/Home/Lamps|/Sale", session="s1", order="A1"),
    purchase("bert", 8, "2024-05-01 12:00:00", price=3, event_id="e-1", segments="7,11"),
    purchase("", 9, "2024-05-02"),
    {"time": "1714600000", "event": "rate", "user": "anna", "item_id": 7, "rating": 80, "item_type": 2},
    {"time": "2024-05-03T00:00:00.125+02:00", "event": "consume", "user": "çelik", "item_id": 7, "percentage": 55},
]
ITEMS = [
    {"item_id": 1, "price": 2.5, "title": 'Lamp, "big"\nand red', "width": 12.5, "categories": "/Home/Lamps|/Sale"},
    {"item_id": 2, "price": 3.0, "title": "=cmd()", "width": 3.0, "valid_from": "2024-01-01", "valid_to": "2025-01-01"},
    {"item_id": 3, "title": "Ü", "language": "ger-DE", "base_item": 1},
    {"item_id": 3, "title": "U", "language": "eng-GB", "base_item": 1},
]
USERS = [{"user": "anna", "age": 42, "city": "Köln"}, {"user": "bert", "city": "Bonn", "source": "crm"}]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_events_of_every_format_give_identical_rows(home: Home, tmp_path: Path, form: str) -> None:
    first, second = make_website(website="first"), make_website(website="second")
    import_events(home, first, [write(tmp_path, "events.parquet", EVENTS)], now=NOW)
    import_events(home, second, [write(tmp_path, f"events.{form}", EVENTS)], now=NOW)
    assert stored_events(home, first) == stored_events(home, second)
    assert len(stored_events(home, first)) == len(EVENTS)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_items_of_every_format_give_identical_rows(home: Home, tmp_path: Path, form: str) -> None:
    mapping = write_mapping(tmp_path, "kind: items\nnumbers: [width]\n")
    tables = []
    for name, suffix in (("first", "parquet"), ("second", form)):
        website = make_website(website=name)
        import_items(home, website, [write(tmp_path, f"items.{suffix}", ITEMS)], mapping=mapping, now=NOW)
        tables.append(pq.read_table(catalogue_file(home, website, NOW)).to_pylist())
    assert tables[0] == tables[1]
    assert tables[0][0] == {
        "item_type": 1,
        "item": "1",
        "price_minor": 250,
        "currency": "EUR",
        "valid_from": None,
        "valid_to": None,
        "categories": ["/Home/Lamps", "/Sale"],
        "language": "",
        "base_item": "",
        "first_seen": datetime(2024, 6, 1),
        "attributes": '{"title":["Lamp, \\"big\\"\\nand red"],"width":[12.5]}',
    }


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_users_of_every_format_give_identical_rows(home: Home, tmp_path: Path, form: str) -> None:
    mapping = write_mapping(tmp_path, "kind: users\nnumbers: [age]\n")
    tables = []
    for suffix in ("parquet", form):
        website = make_website(website=suffix)
        import_users(home, website, [write(tmp_path, f"users.{suffix}", USERS)], mapping=mapping, now=NOW)
        tables.append(pq.read_table(users_file(home, website, NOW)).to_pylist())
    assert tables[0] == tables[1]
    assert sorted(row["attributes"] for row in tables[0]) == ['{"age":[42],"city":["Köln"]}', '{"city":["Bonn"]}']


def test_ids_that_a_tool_wrote_as_decimal_numbers_are_the_same_ids(home: Home, tmp_path: Path) -> None:
    results = []
    for form in ("parquet", "jsonl"):
        website = make_website(website=form)
        rows = [{**purchase(), "user": 17850.0, "item_id": 7.0}, {**purchase(), "user": 1.0, "item_id": 8.0}]
        import_events(home, website, [write(tmp_path, f"events.{form}", rows)], now=NOW)
        results.append(stored_events(home, website))
    assert results[0] == results[1]
    assert results[0][0]["visitor"] == pseudonym(home.key, "00001", "17850")


def test_the_format_can_be_told_and_a_name_may_hold_brackets(home: Home, shop: Website, tmp_path: Path) -> None:
    write(tmp_path, "events[1].jsonl", EVENTS).rename(tmp_path / "events[1].export.txt")
    assert import_events(home, shop, [tmp_path / "events[1].export.txt"], format="jsonl", now=NOW).added == len(EVENTS)
    with pytest.raises(ImportRefused, match="xml files hold items only"):
        import_events(home, shop, [tmp_path / "events[1].export.txt"], format="xml", now=NOW)


def test_a_compressed_file_is_read_like_the_plain_one(home: Home, tmp_path: Path) -> None:
    for form in ("csv", "jsonl"):
        website = make_website(website=form)
        plain = write(tmp_path, f"events.{form}", EVENTS)
        packed = tmp_path / f"packed.{form}.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        assert import_events(home, website, [packed], now=NOW).added == len(EVENTS)


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.datetimes(datetime(1971, 1, 1), datetime(2024, 5, 30)).map(
                lambda moment: moment.isoformat() + "Z"
            ),
            "event": st.sampled_from(["buy", "click", "basket"]),
            "user": _TEXT.filter(lambda text: "\\" not in text and "\ufffd" not in text),
            "item_id": st.integers(0, 2**63 - 1).map(str),
            "quantity": st.integers(1, 2**31 - 1).map(str),
            "price": st.integers(0, 10**12).map(lambda minor: f"{minor // 100}.{minor % 100:02}"),
            "order": _TEXT,
        }
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=_ROWS)
def test_whatever_rows_are_written_every_format_brings_them_back(home: Home, rows: list[dict[str, Any]]) -> None:
    directory = Path(tempfile.mkdtemp())
    results = []
    for form in FORMATS:
        website = make_website(website=form, time_zone="UTC")
        shutil.rmtree(home.lake(form), ignore_errors=True)
        report = import_events(home, website, [write(directory, f"events.{form}", rows)], now=NOW)
        assert report.added == len(rows), report.reasons
        results.append(stored_events(home, website))
    shutil.rmtree(directory)
    assert results[0] == results[1] == results[2]
    assert [row["order_id"] for row in results[0]] == [row["order"] for row in rows]
    assert [row["item"] for row in results[0]] == [row["item_id"] for row in rows]
    assert [row["price_minor"] for row in results[0]] == [round(float(row["price"]) * 100) for row in rows]
    assert [row["time"].isoformat() + "Z" for row in results[0]] == [row["time"] for row in rows]
