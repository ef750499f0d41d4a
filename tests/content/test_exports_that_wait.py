"""An export that can not be had now is tried again for a while, and nothing newer goes before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.content.change_queue import Deletion, pending
from personalization_pipelines.content.exports import tries
from personalization_pipelines.content.exports import waiting_exports as exports
from personalization_pipelines.content.exports.fetch_export import Fetcher
from personalization_pipelines.content.exports.notification import Export, conflicts
from personalization_pipelines.content.exports.tries import read_tries
from personalization_pipelines.content.import_history import ImportRow
from personalization_pipelines.foundation.errors import ExportUnavailable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.export_hosts import parse_export_address
from tests.conftest import make_website
from tests.content.cms import Answer, Cms, answer, document, listed
from tests.content.notified import apply, named, notify, titles
from tests.content.test_changes import NOW, delete, send

State = dict[tuple[int, str, str], str]
TYPES, LANGUAGES, ITEMS = st.sampled_from([1, 2]), st.sampled_from(["eng-GB", "ger-DE"]), st.integers(1, 2)
EVENTS = st.tuples(
    st.sampled_from(["FULL", "UPDATE", "DELETE"]), TYPES, LANGUAGES, ITEMS, st.sets(ITEMS), st.booleans()
)


def test_tries_are_counted_by_time_and_end(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {"/a": answer(b"", "503 Service Unavailable")}
    (change,) = notify(home, site, {"uri": cms.url("/a")})
    began = datetime.now(UTC)
    assert apply(home, site, began) == apply(home, site, began + timedelta(seconds=30)) == []
    assert read_tries(home, site)[change].count == 1
    moment, waits, found = began, [], list[ImportRow]()
    while not found:
        due = read_tries(home, site)[change].due
        waits.append(round((due - moment) / timedelta(minutes=1)))
        moment = due
        found = apply(home, site, moment)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert found[0].error == f"127.0.0.1:{cms.port}/a: status 503; given up after 10 tries"
    assert (pending(home, site), read_tries(home, site)) == ([], {})
    assert len(cms.requests) == 11


def test_after_a_day_it_is_given_up_but_never_at_the_first_try(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {"/a": answer(b"", "503 Service Unavailable")}
    notify(home, site, {"uri": cms.url("/a")})
    late = datetime.now(UTC) + 2 * tries.MAX_AGE
    assert apply(home, site, late) == []
    (row,) = apply(home, site, late + timedelta(minutes=2))
    assert "given up after 2 tries" in row.error


def test_what_is_about_the_same_items_waits_behind_and_all_else_goes_on(home: Home, site: Website, cms: Cms) -> None:
    bad = answer(b"", "500 Internal Server Error")
    cms.answers = {"/1": document(*named(1, 2)), "/full": bad, "/2": document(*named(2, title="newer"))}
    cms.answers |= {"/ger": document(*named(7, language="ger-DE")), "/two": document(*named(1, kind=2))}
    notify(home, site, {"uri": cms.url("/1")})
    apply(home, site)
    full, update, gone = notify(
        home,
        site,
        {"uri": cms.url("/full")},
        {"action": "UPDATE", "uri": cms.url("/2"), "itemId": 2},
        {"action": "DELETE", "itemId": 1},
    )
    notify(home, site, {"uri": cms.url("/ger"), "lang": "ger-DE"}, {"uri": cms.url("/two"), "contentTypeId": 2})
    delete(home, site, "7", "ger-DE")
    send(home, site, (50, 5))
    assert all(row.error == "" for row in apply(home, site))
    assert titles(home, site) == {
        (1, "1", "eng-GB"): "t1", (1, "2", "eng-GB"): "t2", (2, "1", "eng-GB"): "t1", (1, "50", ""): "",
    }  # fmt: skip
    assert [one.id for one in pending(home, site)] == [full, update, gone]
    assert "/2" not in cms.paths(), "not even fetched: it would be older when its turn comes"
    cms.answers["/full"] = document(*named(1, 2, 3))
    apply(home, site)
    assert titles(home, site)[1, "2", "eng-GB"] == "newer"
    assert (1, "3", "eng-GB") in titles(home, site) and (1, "1", "eng-GB") not in titles(home, site)


@pytest.mark.parametrize(
    ("later", "waits"),
    [
        (Export("", ["a"], 1, "eng-GB"), True),
        (Export("", ["a"], 1, None), True),
        (Export("", ["a"], None, None), True),
        (Export("", ["a"], 1, "ger-DE"), False),
        (Export("", ["a"], 2, "eng-GB"), False),
        (Export("", ["a"], 1, "eng-GB", "7"), True),
        (Export("", ["a"], 1, "eng-GB", "8"), False),
        (Deletion(1, "7"), True),
        (Deletion(1, "7", "ger-DE"), False),
        (Deletion(1, "8"), False),
    ],
)
def test_an_update_holds_back_what_may_be_about_its_item(later: Export | Deletion, waits: bool) -> None:
    assert conflicts(Export("", ["a"], 1, "eng-GB", "7"), later) is waits


def test_a_host_that_is_away_is_asked_once_a_refresh(home: Home) -> None:
    with Cms() as gone:
        site = make_website(content=listed([gone]))
    ids = notify(home, site, *({"action": "UPDATE", "uri": gone.url(f"/{n}"), "itemId": n} for n in range(1, 40)))
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return [host]

    fetcher = replace(Fetcher(site.content.export_hosts), resolve=resolve)
    assert apply_changes(home, site, now=NOW, fetcher=fetcher) == []
    assert len(asked) == 1
    assert {change: tried.count for change, tried in read_tries(home, site).items()} == dict.fromkeys(ids, 1)


def test_what_one_refresh_has_no_time_for_is_the_next_ones(
    home: Home, site: Website, cms: Cms, monkeypatch: pytest.MonkeyPatch
) -> None:
    cms.answers = {"/a": document(*named(1))}
    notify(home, site, {"uri": cms.url("/a")})
    with monkeypatch.context() as patched:
        patched.setattr(exports, "SECONDS", -1.0)
        assert apply(home, site) == []
    assert read_tries(home, site) == {}
    assert apply(home, site)[0].added == 1


def test_an_event_whose_documents_take_too_long_together_is_given_back(
    home: Home, site: Website, cms: Cms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MAX_EVENT_SECONDS", -1.0)
    notify(home, site, {"uri": [cms.url("/1"), cms.url("/2")]})
    assert apply(home, site) == []
    ((_, tried),) = read_tries(home, site).items()
    assert tried.reason == f"127.0.0.1:{cms.port}: its documents were not complete within the time for one event"
    assert cms.connections == 0


def test_a_disk_that_is_full_is_no_fault_of_the_export(cms: Cms, site: Website) -> None:
    cms.answers = {"/a": document(*named(1))}
    fetcher = Fetcher(site.content.export_hosts)
    reason = r"/a: the disk does not take it \(No space left on device\)"
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(ExportUnavailable, match=reason):
        fetcher.fetch(parse_export_address(cms.url("/a")), None, full)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, min_size=2, max_size=6))
def test_whatever_fails_meanwhile_the_catalogue_ends_as_if_all_had_come_in_order(events: list[Any]) -> None:
    """Some documents can not be had at first; the oracle knows nothing of that."""
    expected: State = {}
    later: dict[str, Answer] = {}
    with TemporaryDirectory() as directory, Cms() as cms:
        home = Home(Path(directory) / "home")
        home.create()
        site = make_website(content=listed([cms]), quality={"items": {"max_drop": 1.0}})
        for number, (action, kind, language, item, others, fails) in enumerate(events):
            brought = others if action == "FULL" else {item}
            key = {(kind, str(one), language) for one in brought}
            if action == "FULL":
                expected = {one: title for one, title in expected.items() if (one[0], one[2]) != (kind, language)}
            if action == "DELETE":
                expected.pop((kind, str(item), language), None)
            else:
                expected |= dict.fromkeys(key, f"v{number}")
                good = document(*named(*brought, title=f"v{number}", kind=kind, language=language))
                cms.answers[f"/{number}"] = answer(b"", "500 Oops") if fails else good
                later[f"/{number}"] = good
            notify(home, site, {"action": action, "contentTypeId": kind, "lang": language, "itemId": item,
                                "uri": cms.url(f"/{number}")})  # fmt: skip
        apply(home, site)
        cms.answers = later
        apply(home, site)
        assert titles(home, site) == expected
        assert pending(home, site) == []
