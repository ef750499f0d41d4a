"""The shipped mappings on the data sets they are for, with the figures that their publishers state."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from personalization_pipelines.content.catalogue.items import catalogue_file, import_items
from personalization_pipelines.content.files.complete_journey import PACKAGE, complete_journey_files
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.users.user_tables import import_users, users_file
from personalization_pipelines.events.lake.event_lake import event_files
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from tests.conftest import SHARED_DATA, make_website
from tests.content.files import stored_events, write

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
RETAIL = SHARED_DATA / "online_retail" / "online_retail.parquet"
ROCKET = SHARED_DATA / "retailrocket_multibehavior" / "events.parquet"
LETTERS = make_website(website="retail", item_ids="alphanumeric")

needs_retail = pytest.mark.skipif(not RETAIL.exists(), reason="the Online Retail data set is not on this machine")
needs_journey = pytest.mark.skipif(not find_spec(PACKAGE), reason="the extra `demo` is not installed")
needs_rocket = pytest.mark.skipif(not ROCKET.exists(), reason="the RetailRocket subset is not on this machine")


@needs_retail
def test_online_retail_has_397_884_purchases_of_customers(home: Home) -> None:
    report = import_events(home, LETTERS, [RETAIL], mapping="online_retail_events", now=NOW)
    assert (report.rows, report.added, report.anonymous) == (541_909, 530_104, 132_220)
    assert report.added - report.anonymous == 397_884
    assert report.reasons == {
        "cancelled invoice": 9_288,
        "not a purchase: quantity of 0 or less": 1_336,
        "not a purchase: price of 0 or less": 1_181,
    }
    files = [str(path) for path in event_files(home, LETTERS)]
    visitors, oldest = duckdb.sql(
        "select count(distinct visitor) filter (visitor <> ''), min(time) from read_parquet($files)",
        params={"files": files},
    ).fetchall()[0]
    assert visitors == 4_338
    assert oldest == datetime(2010, 12, 1, 8, 26)


@needs_retail
def test_online_retail_gives_one_item_a_stock_code_as_last_sold(home: Home) -> None:
    report = import_items(home, LETTERS, [RETAIL], mapping="online_retail_items", now=NOW)
    path = catalogue_file(home, LETTERS, NOW)
    assert path is not None
    items = {row["item"]: row for row in pq.read_table(path).to_pylist()}
    assert report.added == len(items) == 3_908
    assert json.loads(items["85123A"]["attributes"]) == {"title": ["CREAM HANGING HEART T-LIGHT HOLDER"]}
    assert (items["85123A"]["currency"], "POST" in items, "M" in items) == ("GBP", False, False)


@needs_retail
def test_online_retail_says_that_its_item_ids_have_letters(home: Home) -> None:
    with pytest.raises(ImportRefused, match="item_ids: alphanumeric"):
        import_events(home, make_website(), [RETAIL], mapping="online_retail_events", now=NOW)


@needs_retail
def test_online_retail_as_csv_of_the_spreadsheet_gives_the_same_events(home: Home, tmp_path: Path) -> None:
    table = pq.read_table(RETAIL).slice(0, 2000)
    pq.write_table(table, tmp_path / "retail.parquet")
    pyarrow.csv.write_csv(
        table.cast(pa.schema([(name, pa.string()) for name in table.column_names])), tmp_path / "retail.csv"
    )
    results = []
    for suffix in ("parquet", "csv"):
        website = make_website(website=suffix, item_ids="alphanumeric")
        import_events(home, website, [tmp_path / f"retail.{suffix}"], mapping="online_retail_events", now=NOW)
        results.append(stored_events(home, website))
    assert results[0] == results[1]


@needs_rocket
def test_the_retailrocket_subset_gives_views_carts_and_purchases(home: Home) -> None:
    website = make_website()
    report = import_events(home, website, [ROCKET], mapping="retailrocket_multibehavior_events", now=NOW)
    assert (report.rows, report.added, report.rejected) == (97_381, 97_381, 0)
    files = [str(path) for path in event_files(home, website)]
    counts = duckdb.sql(
        "select event, count(*) from read_parquet($files) group by event", params={"files": files}
    ).fetchall()
    assert dict(counts) == {"click": 75_374, "basket": 12_456, "buy": 9_551}


def test_retailrockets_kaggle_layout_is_read(home: Home, tmp_path: Path) -> None:
    rows = [
        {"timestamp": 1433221332117, "visitorid": 257597, "event": "view", "itemid": 355908, "transactionid": None},
        {
            "timestamp": 1433222276276,
            "visitorid": 599528,
            "event": "transaction",
            "itemid": 356475,
            "transactionid": 4000,
        },
    ]
    website = make_website()
    import_events(home, website, [write(tmp_path, "events.csv", rows)], mapping="retailrocket_events", now=NOW)
    view, bought = stored_events(home, website)
    assert (view["event"], view["item"], view["time"]) == ("click", "355908", datetime(2015, 6, 2, 5, 2, 12, 117000))
    assert (bought["event"], bought["quantity"], bought["order_id"]) == ("buy", 1, "4000")


@needs_journey
def test_complete_journey_is_found_imported_and_ends_today(home: Home) -> None:
    files, website = complete_journey_files(), make_website()
    report = import_events(
        home, website, [files["events"]], mapping="complete_journey_events", shift_to_now=True, now=NOW
    )
    assert (report.rows, report.added, report.rejected) == (1_469_307, 1_446_928, 22_379)
    assert any("simulated from real shopping patterns" in note for note in report.notes)
    paths = [str(path) for path in event_files(home, website)]
    newest, visitors = duckdb.sql(
        "select max(time), count(distinct visitor) from read_parquet($files)", params={"files": paths}
    ).fetchall()[0]
    assert timedelta() <= NOW.replace(tzinfo=None) - newest < timedelta(days=1)
    assert visitors == 2_467, "two of the 2,469 households bought nothing but fuel"


@needs_journey
def test_complete_journeys_products_and_households_are_imported(home: Home) -> None:
    files, website = complete_journey_files(), make_website()
    report = import_items(home, website, [files["items"]], mapping="complete_journey_items", now=NOW)
    assert (report.rows, report.added, report.rejected) == (92_331, 92_331, 0)
    path, users = catalogue_file(home, website, NOW), users_file(home, website, NOW)
    assert path is not None
    (milk,) = pq.read_table(path, filters=[("item", "=", "1070820")]).to_pylist()
    assert (milk["price_minor"], milk["currency"]) == (279, "USD")
    assert milk["categories"] == ["/GROCERY/FLUID MILK PRODUCTS/FLUID MILK WHITE ONLY"]
    assert json.loads(milk["attributes"])["title"] == ["Fluid milk white only, 1 GA"]
    assert import_users(home, website, [files["users"]], mapping="complete_journey_users", now=NOW).added == 801
    assert users is None


def test_without_the_package_the_demo_says_what_to_install() -> None:
    with pytest.raises(ImportRefused, match=r"personalization-pipelines\[demo\]"):
        complete_journey_files("no_such_package_of_ours")
