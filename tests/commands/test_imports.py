"""`personalization imports`: every import with what it did, why rows and files were refused, and the rejects' place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from personalization_pipelines.cli import main
from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.users.user_tables import import_users
from personalization_pipelines.foundation.errors import ImportRefused, QualityGateFailed
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.example import example_text
from personalization_pipelines.website.load import load_website
from tests.content.files import purchase, write

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def site(home: Home) -> Website:
    (home.websites / "shop.yaml").write_text(example_text("shop"))
    return load_website(home.websites / "shop.yaml")


def run(home: Home, *arguments: str) -> str:
    environment = {"PERSONALIZATION_HOME": str(home.root)}
    result = CliRunner().invoke(main, ["imports", *arguments], env=environment, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def listed(home: Home, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(home, "shop", "--json", *arguments))
    return found


def import_some(home: Home, site: Website, tmp_path: Path) -> None:
    items = [{"item_id": str(n), "language": "eng-GB", "title": "Lamp"} for n in range(5)]
    bad = {"item_id": "9", "price": "free"}
    import_items(home, site, [write(tmp_path, "items.csv", [*items, bad])], now=NOW)
    import_events(home, site, [write(tmp_path, "events.csv", [purchase()])], now=NOW)
    import_users(home, site, [write(tmp_path, "users.csv", [{"user": "anna", "city": "Köln"}])], now=NOW)
    with pytest.raises(QualityGateFailed):
        import_items(home, site, [write(tmp_path, "few.csv", items[:2])], now=NOW)


def test_the_json_has_every_field_and_the_place_of_the_rejects(home: Home, site: Website, tmp_path: Path) -> None:
    import_some(home, site, tmp_path)
    first, events, users, refused = listed(home)
    assert (first["kind"], first["mode"], first["languages"], first["item_types"]) == ("items", "full", ["eng-GB"], [1])
    assert (first["added"], first["changed"], first["removed"], first["rejected"]) == (5, 0, 0, 1)
    assert first["reasons"] == {"price is no amount of 0 or more": 1} and first["transaction"]
    assert "free" in Path(first["rejects_file"]).read_text()
    assert (events["kind"], events["added"], users["kind"], users["rejects_file"]) == ("events", 1, "users", "")
    assert refused["error"].startswith("item drop: the import would remove 3 of 5 items")
    assert [gate["rule"] for gate in refused["gates"] if not gate["ok"]] == ["item drop"]


def test_the_table_says_the_same_to_a_person(home: Home, site: Website, tmp_path: Path) -> None:
    import_some(home, site, tmp_path)
    shown = run(home, "shop")
    for text in (
        "shop: 4 imports",
        "items.csv",
        "eng-GB",
        "1 row: price is no amount of 0 or more",
        "refused: item drop",
    ):
        assert text in shown
    assert f"rejects: {home.lake('shop') / 'imports'}" in shown


def test_one_kind_and_the_newest_can_be_asked_for(home: Home, site: Website, tmp_path: Path) -> None:
    import_some(home, site, tmp_path)
    assert [row["kind"] for row in listed(home, "--kind", "items")] == ["items", "items"]
    (newest,) = listed(home, "--limit", "1")
    assert newest["error"]
    assert run(home, "shop", "--json", "--kind", "events").count('"kind"') == 1


@pytest.mark.parametrize("kind", ["items", "events", "users"])
def test_an_import_that_is_refused_as_no_row_can_be_taken_keeps_its_rejects(
    home: Home, site: Website, tmp_path: Path, kind: str
) -> None:
    rows = {
        "items": [{"item_id": "1", "price": "dear"}],
        "events": [purchase(time="dear")],
        "users": [{"user": "a\\b", "source": "crm"}],
    }[kind]
    load = {"items": import_items, "events": import_events, "users": import_users}[kind]
    with pytest.raises(ImportRefused):
        load(home, site, [write(tmp_path, "bad.csv", rows)], now=NOW)  # type: ignore[operator]
    (row,) = listed(home)
    assert row["error"] and row["transaction"]
    assert len(Path(row["rejects_file"]).read_text().splitlines()) == 2


def test_a_website_without_imports_has_an_empty_list(home: Home, site: Website) -> None:
    assert listed(home) == []
    assert "shop: 0 imports" in run(home, "shop")
