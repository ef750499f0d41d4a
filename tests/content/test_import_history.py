"""The history keeps every import, refused ones too, and survives a crash in the middle of a line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.import_history import ImportRow, import_history, imports_directory, record_import
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.files import purchase, write

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def test_an_import_is_kept_with_its_counts_and_reasons(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [{"item_id": 1, "language": "eng-GB"}, {"item_id": 2, "item_type": 2}, {"item_id": "x"}]
    path = write(tmp_path, "items.csv", rows)
    report = import_items(home, shop, [path], now=NOW)
    (row,) = import_history(home, shop)
    assert (row.kind, row.files, row.mode, row.transaction) == ("items", (str(path),), "full", report.import_id)
    assert (row.item_types, row.languages) == ((1, 2), ("eng-GB",))
    assert (row.rows, row.added, row.rejected, row.error) == (3, 2, 1, "")
    assert sum(row.reasons.values()) == 1
    assert (imports_directory(home, shop) / row.rejects_file).is_file()


def test_a_line_that_a_crash_cut_off_is_skipped_and_the_next_one_is_whole(home: Home, shop: Website) -> None:
    record_import(home, shop, ImportRow(NOW, "items", ("a.csv",)))
    path = imports_directory(home, shop) / "history.jsonl"
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole + whole[:length])
        record_import(home, shop, ImportRow(NOW, "items", ("b.csv",)))
        assert [row.files[0] for row in import_history(home, shop) if row.files != ("a.csv",)] == ["b.csv"]


def test_an_import_that_died_before_its_history_line_is_not_imported_twice(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    path = write(tmp_path, "events.csv", [purchase()])
    import_events(home, shop, [path], now=NOW)
    (imports_directory(home, shop) / "history.jsonl").unlink()
    assert import_events(home, shop, [path], now=NOW).already_imported


def test_each_website_has_its_own_history(home: Home, shop: Website, tmp_path: Path) -> None:
    import_events(home, shop, [write(tmp_path, "events.csv", [purchase()])], now=NOW)
    assert import_history(home, make_website(website="other")) == []
