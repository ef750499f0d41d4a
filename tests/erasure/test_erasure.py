"""`personalization erase`, proven by a search of every byte of the home."""

from __future__ import annotations

import re
import sqlite3

import pytest

from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.erasure.receipts import PLACES, receipts
from personalization_pipelines.events.lake.event_lake import ingest
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.features.sql_models import load_feature
from personalization_pipelines.foundation.errors import PermanentError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.write.publishing import listing, rollback
from personalization_pipelines.website.load import load_website
from personalization_pipelines.website.one_build import Build
from tests.e2e import shop
from tests.erasure.homes import MAIL, USER, day_before, follow, make_home, told_by, traces, visitor, write

pytestmark = pytest.mark.builds

FOLDERS = {"log", "live.db", "lake/shop/events", "lake/shop/events_quarantine", "lake/shop/users", "lake/shop/features",
           "lake/shop/rebuilds", "publications/shop"}  # fmt: skip


def folders(found: list[str]) -> set[str]:
    return {
        folder
        for folder in FOLDERS
        for path in found
        if path == folder or path.startswith((f"{folder}/", f"{folder}-"))
    }


def live_items(home: Home, user: str) -> list[str]:
    reader = LiveReader(home.live_database, deadline=5.0)
    found = [event.item for event in reader.history("shop", visitor(home, user))]
    reader.close()
    return found


def test_after_an_erasure_no_file_of_the_home_holds_the_visitor(
    home: Home, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("files")
    make_home(home, folder)
    told_by(home)
    shop.command_here(home.root, "build")
    shop.command_here(home.root, "build", "--as-of", day_before())
    name, site = visitor(home, USER), load_website(home.websites / "shop.yaml")
    before = traces(home, name, MAIL)
    assert folders(before) == FOLDERS
    assert live_items(home, "desk") == ["3", "2", "1"] and live_items(home, "phone") == ["4", "3", "2", "1"]
    (old,) = listing(home, site)

    done = shop.command_here(home.root, "erase", "shop", USER)

    assert traces(home, name, MAIL) == []
    assert all(re.search(rf"{re.escape(place)}\s.*\d\d:\d\d:\d\d", done.stdout) for place in PLACES), done.stdout
    (receipt,) = receipts(home, site)
    assert receipt.missing == [] and receipt.completed
    (row,) = [row for row in import_history(home, site) if row.kind == "erasure"]
    assert row.transaction == receipt.id and len(row.notes) == len(PLACES)
    assert [live_items(home, user) for user in (USER, "anon", "desk", "phone")] == [[], ["2"], [], ["4"]]
    visitors = load_feature(Build(home, site, receipt.completed), "visitor_history")["visitor"].to_pylist()
    assert visitor(home, "red-4") in visitors and visitor(home, "anon") in visitors
    assert not list(home.log.glob("*.open"))
    with pytest.raises(PermanentError, match=r"it was deleted at .* held the history of a user who was erased"):
        rollback(home, site, old.id)

    (home.root / "live.db").unlink()  # the log is replayed: nobody comes back
    follow(home)
    assert live_items(home, USER) == [] and live_items(home, "phone") == ["4"]
    write(home, ("click", USER, "5"))  # he does
    follow(home)
    assert live_items(home, USER) == ["5"]
    assert ingest(home, site).events == 1
    with sqlite3.connect(home.root / "live.db") as live:
        assert live.execute("select count(*) from applied_erasures").fetchone() == (1,)


def test_nobody_is_refused_with_a_sentence_and_nothing_is_buried(home: Home) -> None:
    shop.write_website(home.root, "shop", "00001")
    done = shop.command_here(home.root, "erase", "shop", "not_defined", status=1)
    assert "user id 'not_defined' is nobody's" in done.stderr
    assert not (home.lake("shop") / "erasures").exists()
