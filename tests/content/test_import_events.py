"""Events from files: every row is stored or rejected with a reason, each file once, no user id on disk."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.files import purchase, stored_events, write, write_mapping

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_a_purchase_becomes_the_lakes_row(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "events.jsonl", [purchase("anna", "007", price="12.45", order="A-1")])
    report = import_events(home, shop, [path], now=NOW)
    assert (report.rows, report.added, report.rejected) == (1, 1, 0)
    assert stored_events(home, shop) == [
        {
            "time": datetime(2024, 5, 1, 10),
            "event": "buy",
            "visitor": pseudonym(home.key, "00001", "anna"),
            "item_type": 1,
            "item": "7",
            "quantity": 1,
            "price_minor": 1245,
            "currency": "EUR",
            "rating": None,
            "percentage": None,
            "categories": [],
            "segments": [],
            "session": "",
            "order_id": "A-1",
            "event_id": "",
            "scenario": "",
            "model": "",
            "request_uuid": "",
            "language": "",
            "trigger": "",
            "verified": None,
            "source_visitor": "",
            "is_bot": None,
            "origin": "",
        }
    ]


BAD = {
    "time is missing": {"time": None},
    "time is not readable; expected ISO 8601, seconds since 1970, or what the mapping says": {"time": "yesterday"},
    "time is before 1970": {"time": "1969-12-31T23:00:00Z"},
    "time is in the future (or in another unit)": {"time": "2024-06-01T12:05:01Z"},
    "time is in milliseconds since 1970, not in seconds": {"time": "1714600000000"},
    "item_id lost digits in a spreadsheet": {"item_id": "4.00638E+12"},
    "event is missing": {"event": ""},
    "event is none of": {"event": "transaction"},
    "user is no user id": {"user": "a\\b"},
    "item_id is missing": {"item_id": ""},
    "item_id is not a whole number": {"item_id": "12345678901234567890"},
    "item type is none of": {"item_type": "9"},
    "quantity is no whole number": {"quantity": "0"},
    "price is no amount": {"price": "-1"},
    "currency is no ISO 4217 code": {"currency": "euro"},
    "rating is no whole number": {"rating": "101"},
    "percentage is no whole number": {"percentage": "100.6"},
    "category is no path": {"category": "/A\u0007"},
    "segments is no list": {"segments": "7;11"},
    "order is longer": {"order": "x" * 129},
    "a rate event needs a rating": {"event": "rate"},
}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_each_bad_row_is_rejected_with_its_reason_and_its_neighbours_stay(
    home: Home, shop: Website, tmp_path: Path, form: str
) -> None:
    rows = []
    for change in BAD.values():
        rows += [purchase(item="1"), {**purchase("a-secret-user", item="2"), **change}]
    report = import_events(home, shop, [write(tmp_path, f"events.{form}", rows)], now=NOW)
    assert [row["item"] for row in stored_events(home, shop)] == ["1"] * len(BAD)
    assert (report.added, report.rejected) == (len(BAD), len(BAD))
    assert report.rejects_file is not None
    text = report.rejects_file.read_text(encoding="utf-8")
    assert "secret" not in text
    listed = list(csv.DictReader(io.StringIO(text)))
    assert [int(one["row"]) for one in listed] == [2 * n + 2 for n in range(len(BAD))]
    for one, reason in zip(listed, BAD, strict=True):
        if reason.startswith("time is in milliseconds"):
            assert one["reason"].startswith("1714600000000 looks like milliseconds since 1970 (2024-05-01 21:46:40)")
        else:
            assert one["reason"].startswith(reason)
        assert [count for said, count in report.reasons.items() if said.startswith(reason)] == [1]


def test_nan_and_infinity_in_parquet_are_missing_or_rejected(home: Home, shop: Website, tmp_path: Path) -> None:
    table = pa.table(
        {
            "time": pa.array([1.7e9, float("nan"), float("inf"), 1e300]),
            "event": ["buy"] * 4,
            "user": pa.array([1.0, 2.0, 3.0, 4.0]),
            "item_id": pa.array([1.0, 2.0, 3.0, 4.0]),
            "price": pa.array([float("nan"), 1.0, 1.0, 1.0]),
        }
    )
    pq.write_table(table, tmp_path / "events.parquet")
    report = import_events(home, shop, [tmp_path / "events.parquet"], now=NOW)
    assert (report.added, report.rejected) == (1, 3)
    (stored,) = stored_events(home, shop)
    assert (stored["visitor"], stored["item"], stored["price_minor"]) == (pseudonym(home.key, "00001", "1"), "1", None)


def test_ids_that_a_decimal_column_cannot_hold_are_rejected(home: Home, shop: Website, tmp_path: Path) -> None:
    table = pa.table(
        {"time": ["2024-05-01"] * 3, "event": ["buy"] * 3, "user": [1.0, 1.5, 2.0**60], "item_id": pa.array([1, 2, 3])}
    )
    pq.write_table(table, tmp_path / "events.parquet")
    report = import_events(home, shop, [tmp_path / "events.parquet"], now=NOW)
    assert (report.added, report.rejected) == (1, 2)


def test_rows_of_nobody_are_kept_without_a_visitor(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "events.csv", [purchase(""), purchase("not_defined"), purchase("anna")])
    report = import_events(home, shop, [path], now=NOW)
    assert (report.added, report.anonymous) == (3, 2)
    assert [bool(row["visitor"]) for row in stored_events(home, shop)] == [False, False, True]


def test_users_who_are_nobody_to_the_tracker_are_nobody_in_a_file(home: Home, tmp_path: Path) -> None:
    users = ["undefined", "NULL", "None", "NaN", "[object Object]", "Guest", "guest2"]
    path = write(tmp_path, "events.csv", [purchase(user) for user in users])
    report = import_events(home, make_website(placeholder_users=["guest"]), [path], now=NOW)
    assert (report.added, report.anonymous) == (7, 6)


def test_numbers_are_rounded_as_the_tracker_rounds_them(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [
        purchase(quantity="2.5", price="9.999", currency="EUR"),
        purchase(quantity="0.35", price="34.333333333", currency="EUR"),
        purchase(quantity="1.0000", price="12.345", currency="EUR", percentage="33.3"),
    ]
    import_events(home, shop, [write(tmp_path, "events.csv", rows)], now=NOW)
    found = [(row["quantity"], row["price_minor"], row["percentage"]) for row in stored_events(home, shop)]
    assert sorted(found, key=str) == [(1, 1234, 33), (1, 3433, None), (2, 1000, None)]


def test_a_time_without_zone_is_the_websites(home: Home, shop: Website, tmp_path: Path) -> None:
    times = ["2024-01-10 12:00:00", "2024-05-10T12:00", "2024-03-31 02:30:00", "2023-10-29 02:30:00", "2024-05-10"]
    import_events(home, shop, [write(tmp_path, "events.csv", [purchase(time=one) for one in times])], now=NOW)
    hours = [(row["time"].day, row["time"].hour, row["time"].minute) for row in stored_events(home, shop)]
    assert hours == [(10, 11, 0), (10, 10, 0), (31, 1, 30), (29, 0, 30), (9, 22, 0)]


def test_the_same_file_again_changes_nothing_and_says_so(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "events.csv", [purchase(), purchase()])
    import_events(home, shop, [path], now=NOW)
    again = import_events(home, shop, [path], now=NOW + timedelta(days=1))
    assert again.already_imported
    assert "already imported, nothing changed" in again.lines()[0]
    assert len(stored_events(home, shop)) == 2
    assert len(import_history(home, shop)) == 1


def test_a_growing_folder_brings_only_its_new_files(home: Home, shop: Website, tmp_path: Path) -> None:
    write(tmp_path / "in", "a.csv", [purchase(item=1)])
    import_events(home, shop, [str(tmp_path / "in" / "*.csv")], now=NOW)
    write(tmp_path / "in", "b.csv", [purchase(item=2)])
    report = import_events(home, shop, [str(tmp_path / "in" / "*.csv")], now=NOW)
    assert report.added == 1
    assert [row["item"] for row in stored_events(home, shop)] == ["1", "2"]


def test_the_same_file_with_another_mapping_is_refused_unless_forced(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "events.csv", [purchase()])
    mapping = write_mapping(tmp_path, "kind: events\nconstants: {currency: USD}\n")
    import_events(home, shop, [path], now=NOW)
    with pytest.raises(ImportRefused, match="would count twice"):
        import_events(home, shop, [path], mapping=mapping, now=NOW)
    assert len(stored_events(home, shop)) == 1
    assert import_events(home, shop, [path], mapping=mapping, force=True, now=NOW).added == 1


def test_one_broken_file_of_several_leaves_everything_unchanged(home: Home, shop: Website, tmp_path: Path) -> None:
    good = write(tmp_path, "a.csv", [purchase()])
    bad = write(tmp_path, "b.csv", [purchase()])
    bad.write_text(bad.read_text() + "one,value,too,many,here\n")
    with pytest.raises(ImportRefused, match="has 5 values where the header has 4"):
        import_events(home, shop, [good, bad], now=NOW)
    assert stored_events(home, shop) == []
    assert "5 values" in import_history(home, shop)[-1].error


def test_a_file_without_one_good_row_is_refused(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "events.csv", [purchase(item="x"), purchase(item="y")])
    with pytest.raises(ImportRefused, match="2 rows: item_id is not a whole number"):
        import_events(home, shop, [path], now=NOW)
    assert stored_events(home, shop) == []


def test_missing_columns_are_named_with_what_was_found_and_what_fits(home: Home, shop: Website, tmp_path: Path) -> None:
    row = {"timestamp": 1, "visitorid": 2, "event": "view", "itemid": 3, "transactionid": None}
    with pytest.raises(ImportRefused) as refused:
        import_events(home, shop, [write(tmp_path, "events.csv", [row])], now=NOW)
    for word in ("time, user, item_id", "it has timestamp, visitorid", "retailrocket_events fits"):
        assert word in str(refused.value)


def test_two_websites_get_unrelated_visitors_and_only_their_own_events(home: Home, tmp_path: Path) -> None:
    odd, even = make_website(website="odd", customer_id="1"), make_website(website="even", customer_id="2")
    import_events(home, odd, [write(tmp_path, "odd.csv", [purchase(item=n) for n in (1, 3, 5)])], now=NOW)
    import_events(home, even, [write(tmp_path, "even.csv", [purchase(item=n) for n in (2, 4)])], now=NOW)
    assert [row["item"] for row in stored_events(home, odd)] == ["1", "3", "5"]
    assert [row["item"] for row in stored_events(home, even)] == ["2", "4"]
    assert {row["visitor"] for row in stored_events(home, odd)}.isdisjoint(
        {row["visitor"] for row in stored_events(home, even)}
    )


def test_no_user_id_reaches_the_disk(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [purchase("canary@example.org"), purchase("canary@example.org", item="x"), purchase("canary\\bad")]
    for form in ("csv", "jsonl", "parquet"):
        rows[0]["order"] = form  # other bytes, so that no file counts as imported
        import_events(
            home,
            shop,
            [write(tmp_path, f"events.{form}", [{**row, "item_id": str(row["item_id"])} for row in rows])],
            now=NOW,
        )
    broken = tmp_path / "broken.csv"
    broken.write_text("time,event,user,item_id\n2024-05-01,buy,canary@example.org,1,2\n")
    with pytest.raises(ImportRefused):
        import_events(home, shop, [broken], now=NOW)
    for path in home.root.rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes(), path


@pytest.mark.parametrize("newest", ["2017-12-31T11:59:00Z", "2017-12-31T12:01:00Z", "2024-06-01T11:00:00Z"])
def test_shifted_times_end_within_the_last_day_by_whole_days(
    home: Home, shop: Website, tmp_path: Path, newest: str
) -> None:
    path = write(tmp_path, "events.csv", [purchase(time="2017-01-01T06:00:00Z"), purchase(time=newest)])
    report = import_events(home, shop, [path], shift_to_now=True, now=NOW)
    times = [row["time"].replace(tzinfo=UTC) for row in stored_events(home, shop)]
    assert timedelta() <= NOW - times[1] < timedelta(days=1)
    shift = times[1] - datetime.fromisoformat(newest)
    assert shift == times[0] - datetime(2017, 1, 1, 6, tzinfo=UTC)
    assert shift.seconds == 0
    assert f"times shifted by {shift.days:,} days" in report.notes


@pytest.mark.parametrize("wrong", [{"time": "2090-01-01T00:00:00Z"}, {"time": "2024-05-30", "item_id": "x"}])
def test_a_row_that_is_rejected_does_not_decide_by_how_much_the_others_are_shifted(
    home: Home, shop: Website, tmp_path: Path, wrong: dict[str, str]
) -> None:
    rows = [purchase(time=f"2017-01-0{day}T06:00:00Z") for day in (1, 2, 3)]
    report = import_events(
        home, shop, [write(tmp_path, "events.csv", [rows[0], {**rows[1], **wrong}, *rows[1:]])],
        shift_to_now=True, now=NOW,
    )  # fmt: skip
    assert report.rejected == 1
    expected = [datetime(2024, 5, 30, 6), datetime(2024, 5, 31, 6), datetime(2024, 6, 1, 6)]
    assert [row["time"] for row in stored_events(home, shop)] == expected


def test_a_header_alone_can_be_shifted(home: Home, shop: Website, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("time,event,user,item_id\n")
    report = import_events(home, shop, [tmp_path / "events.csv"], shift_to_now=True, now=NOW)
    assert (report.rows, report.added) == (0, 0)


def test_a_mapping_renames_translates_and_computes(home: Home, shop: Website, tmp_path: Path) -> None:
    mapping = write_mapping(
        tmp_path,
        """
kind: events
notice: Say this.
columns: {time: when, user: who, item_id: what, event: did, total: paid, quantity: pieces}
constants: {currency: JPY}
values: {event: {sold: buy}}
time: {format: "%d.%m.%Y %H:%M", zone: Asia/Tokyo}
category: [floor, shelf]
whole_numbers: [who]
drop: [{column: note, matches: "^(test|canary)", reason: a test order}]
reject: [{column: pieces, above: 100, reason: too many}]
""",
    )
    row = {"when": "01.05.2024 09:00", "who": "17850.0", "what": 5, "did": "sold", "paid": "1000", "pieces": "3"}
    rows = [
        {**row, "floor": "Men/Boys", "shelf": "Shoes", "note": ""},
        {**row, "note": "test order"},
        {**row, "pieces": "101"},
    ]
    report = import_events(home, shop, [write(tmp_path, "sold.csv", rows)], mapping=mapping, now=NOW)
    assert report.reasons == {"a test order": 1, "too many": 1}
    assert "Say this." in report.notes
    assert len(report.rejects_file.read_text().splitlines()) == 2  # type: ignore[union-attr]
    (stored,) = stored_events(home, shop)
    assert stored["time"] == datetime(2024, 5, 1)
    assert stored["visitor"] == pseudonym(home.key, "00001", "17850")
    assert (stored["price_minor"], stored["currency"], stored["quantity"]) == (333, "JPY", 3)
    assert stored["categories"] == ["/Men-Boys/Shoes"]
