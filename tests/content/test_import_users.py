"""User attributes by visitor and source; the users' own ids are stored nowhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from personalization_pipelines.content.users.user_tables import import_users, users_file
from personalization_pipelines.foundation.errors import ImportRefused, InvalidIdentifier
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.website import Website
from tests.content.files import write

DAY = timedelta(days=1)
MONDAY = datetime(2024, 6, 3, tzinfo=UTC)


def stored(home: Home, website: Website, as_of: datetime = MONDAY + 99 * DAY) -> dict[tuple[str, str], Any]:
    path = users_file(home, website, as_of)
    rows = pq.read_table(path).to_pylist() if path else []
    return {(row["visitor"], row["source"]): json.loads(row["attributes"]) for row in rows}


def test_an_import_replaces_the_attributes_of_its_source_only(home: Home, shop: Website, tmp_path: Path) -> None:
    anna, bert = (pseudonym(home.key, shop.customer_id, user) for user in ("anna", "bert"))
    first = write(tmp_path, "a.csv", [{"user": "anna", "city": "Köln", "age": "42"}, {"user": "bert", "city": "Bonn"}])
    import_users(home, shop, [first], now=MONDAY)
    import_users(home, shop, [write(tmp_path, "b.csv", [{"user": "anna", "city": "Ulm"}])], source="crm", now=MONDAY)
    report = import_users(home, shop, [write(tmp_path, "c.csv", [{"user": "anna", "age": "43"}])], now=MONDAY + DAY)
    assert (report.added, report.changed) == (0, 1)
    assert stored(home, shop) == {
        (anna, "import"): {"age": ["43"]},
        (anna, "crm"): {"city": ["Ulm"]},
        (bert, "import"): {"city": ["Bonn"]},
    }
    assert stored(home, shop, MONDAY)[anna, "import"] == {"city": ["Köln"], "age": ["42"]}


def test_of_two_rows_of_a_user_the_later_one_counts(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", [{"user": "anna", "city": "old"}, {"user": "anna", "city": "new"}])
    import_users(home, shop, [path], now=MONDAY)
    assert list(stored(home, shop).values()) == [{"city": ["new"]}]


def test_the_same_file_again_changes_nothing_and_says_so(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", [{"user": "anna", "city": "Köln"}])
    import_users(home, shop, [path], now=MONDAY)
    assert import_users(home, shop, [path], now=MONDAY + DAY).already_imported


def test_users_without_id_and_malformed_ones_are_rejected_and_never_shown(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    rows = [{"user": "", "city": "x"}, {"user": "canary\\", "city": "x"}, {"user": "canary", "city": "x"}]
    report = import_users(home, shop, [write(tmp_path, "a.csv", rows)], now=MONDAY)
    assert (report.added, report.rejected) == (1, 2)
    for path in home.root.rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes(), path


def test_a_file_without_users_and_a_wrong_source_are_refused(home: Home, shop: Website, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="no user could be taken"):
        import_users(home, shop, [write(tmp_path, "a.csv", [{"user": "", "city": "x"}])], now=MONDAY)
    with pytest.raises(InvalidIdentifier, match="source"):
        import_users(home, shop, [write(tmp_path, "b.csv", [{"user": "anna"}])], source="../x", now=MONDAY)
    assert users_file(home, shop, MONDAY) is None
