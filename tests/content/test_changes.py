"""What came over HTTP is in the catalogue exactly once, in its order, also when a refresh dies in the middle."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalization_pipelines.content import journal
from personalization_pipelines.content.catalogue import changes
from personalization_pipelines.content.catalogue.change_kinds import GONE
from personalization_pipelines.content.catalogue.changes import JOURNAL, apply_changes
from personalization_pipelines.content.catalogue.item_tables import INCOMING_SCHEMA
from personalization_pipelines.content.catalogue.items import ITEM_SCHEMA, catalogue, catalogue_file, import_items
from personalization_pipelines.content.catalogue.merging import Scope, merge_items
from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.change_queue import DELETE_ITEM, ITEMS_XML, enqueue, pending
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.content.journal import Journal
from personalization_pipelines.content.xml.write_xml import write_xml_items
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.foundation.errors import Busy
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.content.files import write
from tests.content.test_xml_items import FULL

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def send(home: Home, shop: Website, *items: tuple[int, int], kind: int = 1, lang: str = "") -> str:
    language = f' lang="{lang}"' if lang else ""
    inside = "".join(f'<item id="{i}" type="{kind}"{language}><price>{price}</price></item>' for i, price in items)
    return enqueue(home, shop, ITEMS_XML, f'<items version="1">{inside}</items>'.encode(), name=f"POST of {items}")


def delete(home: Home, shop: Website, item: str, language: str | None = None) -> str:
    body = msgspec.json.encode({"item_type": 1, "item": item, "language": language})
    return enqueue(home, shop, DELETE_ITEM, body, name=f"DELETE of item 1/{item}")


def rows(home: Home, shop: Website) -> list[dict[str, Any]]:
    path = catalogue_file(home, shop, datetime.now(UTC))
    return [] if path is None else list(pq.read_table(path, columns=ITEM_SCHEMA.names).to_pylist())


def stock(home: Home, shop: Website) -> dict[tuple[int, str, str], int]:
    return {(row["item_type"], row["item"], row["language"]): row["price_minor"] for row in rows(home, shop)}


def test_nothing_waits_and_nothing_is_done(home: Home, shop: Website) -> None:
    assert apply_changes(home, shop, now=NOW) == []
    assert import_history(home, shop) == []


def test_every_part_of_an_item_reaches_the_catalogue(home: Home, shop: Website) -> None:
    enqueue(home, shop, ITEMS_XML, FULL.encode(), name="POST of 2 items")
    apply_changes(home, shop, now=NOW)
    first, second = rows(home, shop)
    assert msgspec.json.decode(first.pop("attributes"))["width"] == [12.5, 3]
    assert first == {
        "item_type": 1,
        "item": "102",
        "price_minor": 456,
        "currency": "JPY",
        "valid_from": datetime(2023, 12, 31, 23),
        "valid_to": datetime(2024, 6, 30, 22),
        "categories": ["/A/B", "/C"],
        "language": "eng-GB",
        "base_item": "77",
        "first_seen": NOW.replace(tzinfo=None),
    }
    assert (second["item"], second["attributes"]) == ("7", "{}")


def test_items_replace_those_of_the_same_type_id_and_language_and_no_others(
    home: Home, shop: Website, tmp_path: Any
) -> None:
    files = [{"item_id": 1, "price": 1}, {"item_id": 2, "price": 2}, {"item_id": 1, "item_type": 2, "price": 3}]
    import_items(home, shop, [write(tmp_path, "items.csv", files)], now=NOW)
    send(home, shop, (1, 10), (3, 30))
    send(home, shop, (1, 11), lang="ger-DE")
    send(home, shop, (3, 31))
    (row,) = apply_changes(home, shop, now=NOW)
    assert stock(home, shop) == {
        (1, "1", ""): 10, (1, "1", "ger-DE"): 11, (1, "2", ""): 200, (1, "3", ""): 31, (2, "1", ""): 300,
    }  # fmt: skip
    assert (row.added, row.changed, row.removed, row.rows, row.mode) == (2, 1, 0, 3, "incremental")
    assert import_history(home, shop)[-1] == row
    assert len(row.files) == len(row.parts) == 3
    assert pending(home, shop) == []
    assert apply_changes(home, shop, now=NOW) == []


def test_order_counts_between_items_and_deletions(home: Home, shop: Website) -> None:
    send(home, shop, (1, 10), (2, 20))
    send(home, shop, (2, 22), lang="ger-DE")
    delete(home, shop, "1")
    delete(home, shop, "2", "ger-DE")
    delete(home, shop, "999")
    send(home, shop, (1, 11))
    first, second, third = apply_changes(home, shop, now=NOW)
    assert stock(home, shop) == {(1, "1", ""): 11, (1, "2", ""): 20}
    assert [(one.added, one.removed, one.mode) for one in (first, second, third)] == [
        (3, 0, "incremental"), (0, 2, "delete"), (1, 0, "incremental"),
    ]  # fmt: skip
    assert third.rows == 1


def test_a_change_that_the_website_refuses_now_is_kept_apart_and_the_others_are_applied(
    home: Home, shop: Website
) -> None:
    send(home, shop, (1, 10))
    bad = enqueue(home, shop, ITEMS_XML, b'<items version="1"><item id="1" type="9"/></items>', name="POST of item 9/1")
    send(home, shop, (2, 20))
    refused, done = apply_changes(home, shop, now=NOW)
    assert stock(home, shop) == {(1, "1", ""): 10, (1, "2", ""): 20}
    assert (refused.transaction, refused.files) == (bad, ("POST of item 9/1",))
    assert "type '9'; expected one of the website's (1, 2)" in refused.error
    assert (done.added, done.error) == (2, "")
    rejected = home.lake("shop") / "changes" / "rejected"
    assert sorted(path.suffix for path in rejected.iterdir()) == [".items_xml", ".reason"]
    assert pending(home, shop) == []


def test_changes_of_another_kind_are_left_to_whom_they_are_for(home: Home, shop: Website) -> None:
    enqueue(home, shop, "users_xml", b"", name="users")
    assert apply_changes(home, shop, now=NOW) == []
    assert len(pending(home, shop)) == 1


STEPS = ["write", "add", "record_import", "done"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_refresh_that_dies_at_any_step_applies_each_change_exactly_once(
    home: Home, shop: Website, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    send(home, shop, (1, 10), (2, 20))
    send(home, shop, (1, 11))
    with monkeypatch.context() as patched:
        places: dict[str, Any] = {"write": Journal, "add": VersionedTable, "record_import": changes, "done": journal}
        place = places[step]
        real = getattr(place, step)

        def dying(*given: Any) -> Any:
            if after:
                real(*given)
            raise KeyboardInterrupt

        patched.setattr(place, step, dying)
        with pytest.raises(KeyboardInterrupt):
            apply_changes(home, shop, now=NOW)
    send(home, shop, (3, 30))
    apply_changes(home, shop, now=NOW)
    assert stock(home, shop) == {(1, "1", ""): 11, (1, "2", ""): 20, (1, "3", ""): 30}
    history = import_history(home, shop)
    assert sum(row.added for row in history) == 3
    named = [change for row in history for change in row.parts]
    assert len(named) == len(set(named)) == 3
    assert pending(home, shop) == []
    assert not (home.lake("shop") / "changes" / JOURNAL).exists()


def test_an_import_between_a_crash_and_the_next_refresh_is_not_undone(
    home: Home, shop: Website, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(home, shop, (1, 10))
    with monkeypatch.context() as patched:
        patched.setattr(changes, "record_import", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            apply_changes(home, shop, now=NOW)
    import_items(home, shop, [write(tmp_path, "items.csv", [{"item_id": 1, "price": 5}])], now=NOW)
    apply_changes(home, shop, now=NOW)
    assert stock(home, shop) == {(1, "1", ""): 500}


def test_a_catalogue_that_is_being_written_is_waited_for(home: Home, shop: Website) -> None:
    send(home, shop, (1, 10))
    with changes.catalogue(home, shop).locked(), pytest.raises(Busy):
        apply_changes(home, shop, now=NOW)
    assert len(pending(home, shop)) == 1


@pytest.mark.parametrize("copies", [0, 1, 2, 5])
def test_of_equal_keys_the_last_row_counts_and_no_language_is_a_language_of_its_own(copies: int) -> None:
    random = np.random.default_rng(copies)
    names = ["1", "10", "2", "é", "€", "𝄞", ""]
    rows = [
        {"item_type": int(kind), "item": item, "language": language, "number": 0}
        for kind in (1, 2) for item in names for language in (None, "", "de")
    ] * copies  # fmt: skip
    rows = [{**rows[place], "number": number} for number, place in enumerate(random.permutation(len(rows)))]
    found = changes._last(pa.Table.from_pylist(rows, GONE.append(pa.field("number", pa.int64()))))
    last = {(row["item_type"], row["item"], row["language"]): row["number"] for row in rows}
    assert found["number"].to_pylist() == sorted(last.values())


@pytest.mark.parametrize("scope", [None, Scope(1), Scope(1, "deu")])
@pytest.mark.parametrize("full", [False, True])
def test_an_import_that_nobody_judges_changes_the_same(
    home: Home, shop: Website, full: bool, scope: Scope | None
) -> None:
    items = [XmlItem(1, str(number), language, price_minor=5) for number in (1, 2, 3) for language in ("", "deu", "en")]
    enqueue(home, shop, ITEMS_XML, write_xml_items(items, shop), name="first")
    apply_changes(home, shop)
    table = catalogue(home, shop)
    before = table.current()
    incoming = before.slice(0, 1).select(INCOMING_SCHEMA.names)
    now = datetime(2026, 3, 1)
    judged, other = (merge_items(table, incoming, full, now, scope, judged=one) for one in (True, False))
    assert replace(other, table=None, gone=None) == replace(judged, table=None, gone=None, before=0, priced=0)
    assert (other.table, other.gone) == (judged.table, judged.gone)
    assert judged.before == judged.priced == (3 if scope == Scope(1, "deu") else 9)
