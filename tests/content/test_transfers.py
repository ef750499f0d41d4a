"""Transfers: the old item's history is the new one's from then on, exactly once, whatever dies when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.content import journal
from personalization_pipelines.content.catalogue import changes
from personalization_pipelines.content.catalogue.changes import JOURNAL, apply_changes
from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.content.catalogue.transfers import (
    CIRCLE,
    MAX_STEPS,
    TOO_LONG,
    TOO_MANY,
    Ways,
    targets_of,
    transfers,
    transfers_file,
)
from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.change_queue import TRANSFER_ITEMS, enqueue, pending
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.content.journal import Journal
from personalization_pipelines.content.xml.xml_transfers import Item, Transfer
from personalization_pipelines.features.building import run_feature
from personalization_pipelines.features.sql_models import load_feature
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build
from tests.conftest import make_website
from tests.content.cms import Cms, answer, listed
from tests.content.cms import document as export
from tests.content.files import write
from tests.content.test_changes import NOW, rows, send, stock
from tests.content.test_exports import apply, named, notify
from tests.content.test_xml_transfers import document
from tests.features.engines import SqlEngine, duckdb_engine, translated

LATER = NOW + timedelta(days=1)


def transfer(home: Home, shop: Website, *pairs: tuple[Any, Any]) -> str:
    """Queue transfers as the endpoint does; a number is a product."""
    asked = [tuple(one if isinstance(one, tuple) else (1, str(one)) for one in pair) for pair in pairs]
    return enqueue(home, shop, TRANSFER_ITEMS, document(*asked).encode(), name=f"transfer of {len(pairs)} items")  # type: ignore[arg-type]


def standing(home: Home, shop: Website) -> dict[Item, Item]:
    return targets_of(transfers(home, shop).current())


def applied(home: Home, shop: Website, moment: datetime = NOW) -> list[tuple[str, int, int, dict[str, int]]]:
    """Apply what waits; return mode, removed items, rejected transfers and why of each import."""
    return [(row.mode, row.removed, row.rejected, row.reasons) for row in apply_changes(home, shop, now=moment)]


def test_the_old_item_leaves_the_catalogue_in_all_languages_and_the_new_one_stays_as_it_is(
    home: Home, shop: Website
) -> None:
    send(home, shop, (1, 10), (2, 20))
    send(home, shop, (1, 11), lang="ger-DE")
    apply_changes(home, shop, now=NOW)
    (before,) = [row for row in rows(home, shop) if row["item"] == "2"]
    transfer(home, shop, (1, 2))
    (row,) = apply_changes(home, shop, now=LATER)
    assert rows(home, shop) == [before]
    assert standing(home, shop) == {(1, "1"): (1, "2")}
    assert (row.kind, row.mode, row.removed, row.rows, row.item_types) == ("items", "transfer", 2, 1, (1,))
    assert row.files == ("transfer of 1 items",)
    assert import_history(home, shop)[-1] == row
    assert pending(home, shop) == []


def test_neither_item_need_exist(home: Home, shop: Website) -> None:
    transfer(home, shop, (1, 2))
    assert applied(home, shop) == [("transfer", 0, 0, {})]
    assert standing(home, shop) == {(1, "1"): (1, "2")}


def test_what_can_not_be_is_listed_with_its_reason_and_the_rest_counts(home: Home, shop: Website) -> None:
    transfer(home, shop, (1, 2), (2, 1), (3, (2, "3")))
    (row,) = apply_changes(home, shop, now=NOW)
    assert (row.rows, row.rejected, row.reasons) == (3, 1, {CIRCLE: 1})
    listed = home.lake("shop") / "imports" / row.rejects_file
    assert listed.read_text().splitlines()[1] == f"transfer of 3 items,,,1/2 to 1/1,{CIRCLE}"
    assert standing(home, shop) == {(1, "1"): (1, "2"), (1, "3"): (2, "3")}
    transfer(home, shop, (2, 1))
    assert applied(home, shop) == [("transfer", 0, 1, {CIRCLE: 1})]
    assert len(transfers(home, shop).versions()) == 1


def test_a_transfer_that_is_sent_again_changes_nothing_and_one_to_another_item_replaces_it(
    home: Home, shop: Website
) -> None:
    for target in (2, 2, 3):
        transfer(home, shop, (1, target))
        apply_changes(home, shop, now=NOW)
    assert standing(home, shop) == {(1, "1"): (1, "3")}
    assert len(transfers(home, shop).versions()) == 2


def test_what_came_one_by_one_is_one_import_and_judged_in_its_order(home: Home, shop: Website) -> None:
    send(home, shop, (1, 10), (3, 30))
    apply_changes(home, shop, now=NOW)
    for pair in ((1, 2), (2, 1), (1, 2), (3, 1), (3, 4)):
        transfer(home, shop, pair)
    assert applied(home, shop) == [("transfer", 2, 1, {CIRCLE: 1})]
    assert standing(home, shop) == {(1, "1"): (1, "2"), (1, "3"): (1, "4")}
    assert [one.rows for one in transfers(home, shop).versions()] == [3]


def test_order_counts_between_items_and_transfers(home: Home, shop: Website) -> None:
    transfer(home, shop, (1, 2))
    send(home, shop, (1, 10), (3, 30))
    transfer(home, shop, (3, 2))
    apply_changes(home, shop, now=NOW)
    assert set(stock(home, shop)) == {(1, "1", "")}, "an item that comes again after its transfer is there again"


def test_a_type_that_the_website_no_longer_has_refuses_the_whole_document(home: Home, shop: Website) -> None:
    transfer(home, shop, (1, 2), (3, (9, "4")))
    (row,) = apply_changes(home, shop, now=NOW)
    assert "type '9'; expected one of the website's (1, 2)" in row.error
    assert standing(home, shop) == {}
    assert pending(home, shop) == []


def test_a_transfer_waits_behind_an_export_that_may_bring_the_old_item_again(home: Home) -> None:
    with Cms() as cms:
        site = make_website(content=listed([cms]))
        cms.answers = {"/1": answer(b"", "503 Busy")}
        notify(home, site, {"action": "UPDATE", "uri": cms.url("/1"), "itemId": 1, "contentTypeId": 1})
        transfer(home, site, (1, 2))
        apply(home, site)
        assert standing(home, site) == {}
        cms.answers = {"/1": export(*named(1))}
        apply(home, site)
    assert standing(home, site) == {(1, "1"): (1, "2")}
    assert rows(home, site) == []


STEPS = ["write", "transfers", "items", "record_import", "done"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_refresh_that_dies_at_any_step_applies_each_transfer_exactly_once(
    home: Home, shop: Website, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    send(home, shop, (1, 10), (3, 30), (5, 50))
    apply_changes(home, shop, now=NOW)
    transfer(home, shop, (1, 2), (2, 1))
    with monkeypatch.context() as patched:
        places: dict[str, Any] = {"write": Journal, "record_import": changes, "done": journal}
        place, name = places.get(step, VersionedTable), step if step in places else "add"
        real = getattr(place, name)

        def dying(*given: Any) -> Any:
            if name == "add" and given[0].directory.name != step:
                return real(*given)
            if after:
                real(*given)
            raise KeyboardInterrupt

        patched.setattr(place, name, dying)
        with pytest.raises(KeyboardInterrupt):
            apply_changes(home, shop, now=NOW)
    transfer(home, shop, (3, 1))
    apply_changes(home, shop, now=LATER)
    assert set(stock(home, shop)) == {(1, "5", "")}
    assert standing(home, shop) == {(1, "1"): (1, "2"), (1, "3"): (1, "1")}
    assert transfers(home, shop).current().num_rows == 2
    history = import_history(home, shop)[1:]
    assert (sum(row.removed for row in history), sum(row.rejected for row in history)) == (2, 1)
    named = [change for row in history for change in row.parts]
    assert len(named) == len(set(named)) == 2
    assert pending(home, shop) == []
    assert not (home.lake("shop") / "changes" / JOURNAL).exists()


def test_a_build_as_of_before_a_transfer_does_not_see_it(home: Home, shop: Website, tmp_path: Path) -> None:
    visitors = ["ann", "bob", "cem", "dan", "eve"]
    events = [
        {"time": NOW - timedelta(hours=number), "event": "buy", "user": user, "item_id": item}
        for number, user in enumerate(visitors)
        for item in (1, 3)
    ] + [{"time": LATER + timedelta(hours=1), "event": "buy", "user": "fay", "item_id": 1}]
    texts = [{**one, "time": one["time"].isoformat()} for one in events]  # type: ignore[attr-defined]
    import_items(home, shop, [write(tmp_path, "items.csv", [{"item_id": 1}, {"item_id": 3}])], now=NOW)
    import_events(home, shop, [write(tmp_path, "events.csv", texts)], now=LATER + timedelta(days=1))
    transfer(home, shop, (1, 2))
    apply_changes(home, shop, now=LATER)
    after, before = LATER + timedelta(days=2), LATER - timedelta(seconds=1)
    assert transfers_file(home, shop, before) is None
    assert bought(Build(home, shop, after)) == {"2": 6, "3": 5}
    assert bought(Build(home, shop, before)) == {"1": 5, "3": 5}
    transfer(home, shop, (2, (2, "7")))
    apply_changes(home, shop, now=after)
    assert bought(Build(home, shop, after - timedelta(seconds=1))) == {"2": 6, "3": 5}
    assert bought(Build(home, shop, after)) == {"7": 6, "3": 5}


def bought(build: Build) -> dict[str, int]:
    """Build the events that count, and return how many visitors bought each item."""
    for name in ("robots", "visitor_logins", "item_transfers", "stg_events"):
        run_feature(build, name)
    found: dict[str, set[str]] = {}
    for row in load_feature(build, "stg_events").to_pylist():
        if row["event"] == "buy":
            found.setdefault(row["item"], set()).add(row["visitor"])
    return {item: len(visitors) for item, visitors in found.items()}


def test_ways_have_a_longest_one_and_a_replaced_transfer_no_longer_counts() -> None:
    ways = Ways({})
    for number in range(MAX_STEPS):
        assert add(ways, number, number + 1) == ""
    assert add(ways, MAX_STEPS, MAX_STEPS + 1) == TOO_LONG
    assert add(ways, -1, 0) == TOO_LONG
    assert add(ways, -1, 1) == ""
    assert add(ways, 5, 100) == ""
    assert add(ways, MAX_STEPS, MAX_STEPS + 1) == "", "what led there was moved elsewhere"


def test_a_website_has_only_so_many_transferred_items() -> None:
    ways = Ways({(1, "1"): (1, "2"), (1, "3"): (1, "2")}, most=2)
    assert ways.refusal(Transfer((1, "4"), (1, "2"))) == TOO_MANY
    assert ways.refusal(Transfer((1, "3"), (1, "1"))) == ""


def add(ways: Ways, source: int, target: int) -> str:
    asked = Transfer((1, str(source)), (1, str(target)))
    refusal = ways.refusal(asked)
    if not refusal:
        ways.add(asked)
    return refusal


Pair = tuple[tuple[int, int], tuple[int, int]]
ITEMS = st.tuples(st.sampled_from([1, 2]), st.integers(1, 8))


@pytest.fixture(scope="module")
def engine() -> Iterator[SqlEngine]:
    with duckdb_engine() as made:
        yield made


@settings(max_examples=60)
@given(st.lists(st.tuples(ITEMS, ITEMS).filter(lambda pair: pair[0] != pair[1]), max_size=40))
def test_every_accepted_transfer_leads_where_a_person_would_say(engine: SqlEngine, asked: list[Pair]) -> None:
    """The oracle keeps a dictionary and walks it wholly each time; the SQL must find the same ends."""
    told: dict[tuple[int, int], tuple[int, int]] = {}
    ways, accepted = Ways({}), []
    for source, target in asked:
        tried = {**told, source: target}
        possible = all(len(walked(tried, one)) <= MAX_STEPS for one in tried)
        one = Transfer((source[0], str(source[1])), (target[0], str(target[1])))
        assert (ways.refusal(one) == "") == possible
        if possible:
            told = tried
            ways.add(one)
            accepted.append(one)
    ends = [(*source, *walked(told, source)[-1]) for source in sorted(told, key=lambda one: (one[0], str(one[1])))]
    engine.run("delete from lake_transfers")
    if accepted:
        cells = ", ".join(str((place, *one.source, *one.target)) for place, one in enumerate(accepted))
        engine.run(f"insert into lake_transfers (position, source_type, source, target_type, target) values {cells}")
    found = engine.run(translated("item_transfers", "duckdb"))
    assert [(kind, int(item), to, int(target)) for kind, item, to, target, _ in found] == ends


def walked(told: Mapping[tuple[int, int], tuple[int, int]], item: tuple[int, int]) -> list[tuple[int, int]]:
    """Return all items after one; as many as are too many where it goes in a circle."""
    found: list[tuple[int, int]] = []
    while item in told and len(found) <= MAX_STEPS:
        item = told[item]
        found.append(item)
    return found


def test_transfers_are_kept_in_their_order_with_moment_and_change(home: Home, shop: Website) -> None:
    first = transfer(home, shop, (1, 2), (3, (2, "4")))
    second = transfer(home, shop, (5, 2))
    apply_changes(home, shop, now=NOW)
    file = transfers_file(home, shop, datetime.now(UTC))
    assert file is not None
    assert [tuple(row.values()) for row in pq.read_table(file).to_pylist()] == [
        (1, 1, "1", 1, "2", NOW.replace(tzinfo=None), first),
        (2, 1, "3", 2, "4", NOW.replace(tzinfo=None), first),
        (3, 1, "5", 1, "2", NOW.replace(tzinfo=None), second),
    ]
