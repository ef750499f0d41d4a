"""An item that was sent over HTTP is in the catalogue of the next build, and Dagit shows its import."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from personalization_pipelines.content.assets import build_assets
from personalization_pipelines.content.catalogue.items import catalogue_file, import_items
from personalization_pipelines.content.change_queue import ITEMS_XML, TRANSFER_ITEMS, enqueue, pending
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.parts import installation
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.files import write
from tests.content.test_xml_transfers import document


def test_a_refresh_applies_what_waits_and_shows_it(home: Home, shop: Website, tmp_path: Path) -> None:
    import_items(home, shop, [write(tmp_path, "items.csv", [{"item_id": 1, "price": 1}])])
    body = b'<items version="1"><item id="77" type="1"><price>1245</price></item></items>'
    enqueue(home, shop, ITEMS_XML, body, name="POST of item 77 (1)")
    items = build_assets(shop)[0]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([items], instance=instance, resources={"installation": installation(home)})
        (shown,) = result.asset_materializations_for_node(items.node_def.name)
    assert shown.metadata["dagster/row_count"].value == 2, "this very build sees it"
    assert "POST of item 77 (1)" in str(shown.metadata["imports"].value)
    file = catalogue_file(home, shop, datetime.now(UTC))
    assert file is not None
    assert pq.read_table(file)["price_minor"].to_pylist() == [100, 1245]
    assert pending(home, shop) == []


def test_a_refresh_shows_transfers_and_is_another_version_though_the_catalogue_is_not(
    home: Home, shop: Website
) -> None:
    items, versions, shown = build_assets(shop)[0], [], []
    with dg.DagsterInstance.ephemeral() as instance:
        for pair in (None, ((1, "5"), (1, "6"))):
            if pair:
                enqueue(home, shop, TRANSFER_ITEMS, document(pair).encode(), name="transfer of item 1/5 to 1/6")
            result = dg.materialize([items], instance=instance, resources={"installation": installation(home)})
            (shown,) = result.asset_materializations_for_node(items.node_def.name)
            versions.append(shown.tags["dagster/data_version"])
    assert versions[0] != versions[1]
    assert "1/5 to 1/6" in str(shown.metadata["transfers"].value)
    assert "transfer of item 1/5 to 1/6" in str(shown.metadata["imports"].value)


def test_a_source_that_changed_is_in_the_catalogue_of_the_very_build_that_fetched_it(home: Home) -> None:
    site = make_website(content={"sources": [{"files": "data/*.csv", "format": "csv"}]})
    items, rows = build_assets(site)[0], []
    for count in (1, 2):
        (home.root / "data").mkdir(exist_ok=True)
        write(home.root / "data", "a.csv", [{"item_id": number} for number in range(1, count + 1)])
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize([items], instance=instance, resources={"installation": installation(home)})
            (shown,) = result.asset_materializations_for_node(items.node_def.name)
        rows.append(shown.metadata["dagster/row_count"].value)
    assert rows == [1, 2]
