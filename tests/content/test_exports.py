"""A notified export is in the catalogue wholly or not at all, exactly once, and its secrets are nowhere."""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from personalization_pipelines.commands.refresh import prepare_dagster
from personalization_pipelines.content import journal
from personalization_pipelines.content.assets import build_assets
from personalization_pipelines.content.catalogue import changes
from personalization_pipelines.content.catalogue.changes import JOURNAL
from personalization_pipelines.content.catalogue.items import catalogue, import_items
from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.change_queue import pending
from personalization_pipelines.content.exports import waiting_exports as exports
from personalization_pipelines.content.exports.tries import read_tries
from personalization_pipelines.content.import_history import import_history, imports_directory
from personalization_pipelines.content.journal import Journal
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.parts import installation
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.cms import Cms, answer, content, document, export, listed
from tests.content.files import write
from tests.content.notified import SECRETS, apply, named, notify, places_with, titles
from tests.content.test_changes import rows, send


def test_a_full_replaces_its_type_and_language_and_nothing_else(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {
        "/1-eng": document(*named(1, 2, 3, 4, 5)),
        "/1-ger": document(*named(1, 9, language="ger-DE", title="deutsch")),
        "/2-eng": document(*named(1, kind=2, title="article")),
    }
    notify(
        home,
        site,
        {"uri": cms.url("/1-eng")},
        {"uri": cms.url("/1-ger"), "lang": "ger-DE"},
        {"uri": [cms.url("/2-eng")], "contentTypeId": 2},
    )
    assert [(row.added, row.removed, row.error) for row in apply(home, site)] == [(5, 0, ""), (2, 0, ""), (1, 0, "")]
    cms.answers["/1-eng"] = document(*named(1, 2, 3, 5, title="new"), *named(6))
    notify(home, site, {"uri": cms.url("/1-eng")})
    (row,) = apply(home, site)
    assert (row.rows, row.added, row.changed, row.removed, row.mode) == (5, 1, 4, 1, "full")
    assert titles(home, site) == {
        (1, "1", "eng-GB"): "new", (1, "2", "eng-GB"): "new", (1, "3", "eng-GB"): "new", (1, "5", "eng-GB"): "new",
        (1, "6", "eng-GB"): "t6", (1, "1", "ger-DE"): "deutsch", (1, "9", "ger-DE"): "deutsch",
        (2, "1", "eng-GB"): "article",
    }  # fmt: skip
    assert pending(home, site) == []


def test_a_full_without_a_language_replaces_all_languages_of_its_type(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {
        "/all": document(*named(1, 2, 3), *named(1, 2, 3, language="ger-DE")),
        "/two": document(*named(1, kind=2)),
    }
    notify(home, site, {"uri": cms.url("/all"), "lang": None}, {"uri": cms.url("/two"), "contentTypeId": 2})
    apply(home, site)
    cms.answers["/all"] = document(*named(1, 2, 3), *named(1, 2, language="ger-DE"))
    notify(home, site, {"uri": cms.url("/all"), "lang": None})
    (row,) = apply(home, site)
    assert (row.removed, row.languages, row.item_types) == (1, ("eng-GB", "ger-DE"), (1,))
    assert (2, "1", "eng-GB") in titles(home, site)


def test_all_documents_of_an_event_are_one_version_and_one_row_of_the_history(
    home: Home, site: Website, cms: Cms
) -> None:
    cms.answers = {f"/{n}?page={n}": document(*named(*range(n * 10, n * 10 + 10))) for n in range(30)}
    notify(home, site, {"uri": [cms.url(f"/{n}?page={n}") for n in range(30)], "credentials": SECRETS})
    (row,) = apply(home, site)
    assert (row.rows, row.added, row.item_types, row.languages) == (300, 300, (1,), ("eng-GB",))
    assert row.notification == "20240601-1"
    assert row.files == (*(f"127.0.0.1:{cms.port}/{n}" for n in range(20)), "and 10 more")
    assert len(catalogue(home, site).versions()) == 1
    assert import_history(home, site) == [row]
    assert all("Authorization: Basic " in one for one in cms.requests)


BROKEN = {
    "not there": answer(b"", "404 Not Found"),
    "no JSON": answer(b"<html>Please log in</html>"),
    "cut off, yet of the right length": answer(export(*named(*range(10, 60)))[:-30]),
    "compressed": answer(b"x", Content_Encoding="gzip"),
    "no export": answer(b'{"content": []}'),
}
LATER = {
    "failing": answer(b"", "502 Bad Gateway"),
    "broken off": answer(export(*named(*range(10, 60))), Content_Length="100000"),
    "nothing": b"",
}


@pytest.mark.parametrize("name", [*BROKEN, *LATER])
def test_half_a_full_never_replaces_a_whole_one(home: Home, site: Website, cms: Cms, name: str) -> None:
    cms.answers = {"/1": document(*named(1, 2, 3)), "/2": document(*named(4, 5, 6))}
    event = {"uri": [cms.url("/1"), cms.url("/2")], "credentials": SECRETS}
    notify(home, site, event)
    apply(home, site)
    before = titles(home, site)
    cms.answers = {"/1": document(*named(1, 2, 3, title="new")), "/2": {**BROKEN, **LATER}[name]}
    (change,) = notify(home, site, event)
    found = apply(home, site)
    assert titles(home, site) == before
    assert len(catalogue(home, site).versions()) == 1
    if name in LATER:
        assert found == []
        assert [one.id for one in pending(home, site)] == [change]
        cms.answers["/2"] = document(*named(4, 5, 6, title="new"))
        (row,) = apply(home, site)
        assert (row.changed, set(titles(home, site).values())) == (6, {"new"})
        assert read_tries(home, site) == {}
    else:
        (row,) = found
        assert f"127.0.0.1:{cms.port}/2" in row.error
        assert (row.transaction, row.notification, row.item_types, row.languages, row.mode) == (
            change, "20240601-1", (1,), ("eng-GB",), "full",
        )  # fmt: skip
        assert import_history(home, site)[-1] == row
        kept = (home.lake("shop") / "changes" / "rejected" / f"{change}.export_full").read_bytes()
        assert b"sealed" not in kept and b"20240601-1" in kept
    assert pending(home, site) == []


def test_a_gate_that_is_broken_leaves_the_catalogue_and_says_rule_and_rows(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {"/a": document(*named(*range(10))), "/b": document(*named(100, language="ger-DE"))}
    notify(home, site, {"uri": cms.url("/a")}, {"uri": cms.url("/b"), "lang": "ger-DE"})
    apply(home, site)
    cms.answers["/a"] = document(*named(*range(7)))
    (refused,) = notify(home, site, {"uri": cms.url("/a")})
    notify(home, site, {"uri": cms.url("/b"), "lang": "ger-DE"})
    first, second = apply(home, site)
    assert (first.transaction, second.error) == (refused, "")
    assert "item drop: the import would remove 3 of 10 items, more than 20% may not go; for example 1/7" in first.error
    assert "let it be sent again" in first.error
    (broken,) = [gate for gate in first.gates if not gate.ok]
    assert broken.rows == ("1/7", "1/8", "1/9")
    assert len(titles(home, site)) == 11
    assert all(gate.ok for gate in second.gates) and second.gates
    cms.answers["/a"] = document()
    notify(home, site, {"uri": cms.url("/a")})
    (row,) = apply(home, site)
    assert "would remove 10 of 10 items" in row.error


def test_updates_merge_and_deletions_remove_in_their_order(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {
        "/a": document(*named(1, 2, 3)),
        "/2": document(*named(2, title="new")),
        "/4": document(*named(4)),
        "/4b": document(*named(4, title="again")),
    }
    gone = {"action": "DELETE", "itemId": 4, "uri": None}
    notify(
        home,
        site,
        {"uri": cms.url("/a")},
        {"action": "UPDATE", "uri": cms.url("/2"), "itemId": 2},
        {"action": "UPDATE", "uri": cms.url("/4"), "itemId": 4},
        gone,
        {"action": "DELETE", "itemId": 3, "lang": None},
        {"action": "DELETE", "itemId": 1, "lang": "ger-DE"},
    )
    made = apply(home, site)
    assert [(row.mode, row.added, row.changed, row.removed) for row in made] == [
        ("full", 3, 0, 0), ("incremental", 1, 1, 0), ("delete", 0, 0, 2),
    ]  # fmt: skip
    assert titles(home, site) == {(1, "1", "eng-GB"): "t1", (1, "2", "eng-GB"): "new"}
    assert made[2].files == tuple(f"DELETE of item 1/{item} (transaction 20240601-1)" for item in (4, 3, 1))
    notify(home, site, gone, {"action": "UPDATE", "uri": cms.url("/4b"), "itemId": 4})
    apply(home, site)
    assert titles(home, site)[1, "4", "eng-GB"] == "again"


def test_items_that_are_not_what_the_notification_says_are_rejected_and_listed(
    home: Home, site: Website, cms: Cms
) -> None:
    contents = [*named(1, 2), *named(3, kind=2), *named(4, language="ger-DE"), {**content(5), "language": ""}]
    cms.answers = {"/a?token=Canary": document(*contents)}
    notify(home, site, {"uri": cms.url("/a?token=Canary")})
    (row,) = apply(home, site)
    assert sorted(titles(home, site)) == [(1, one, "eng-GB") for one in ("1", "2", "5")]
    assert (row.rows, row.rejected, row.added) == (5, 2, 3)
    assert row.reasons == {
        "it is of another item type than the notification says": 1,
        "it is in another language than the notification says": 1,
    }
    with (imports_directory(home, site) / row.rejects_file).open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["file"], line["value"]) for line in lines] == [
        (f"127.0.0.1:{cms.port}/a", "2/3"), (f"127.0.0.1:{cms.port}/a", "1/4"),
    ]  # fmt: skip
    cms.answers["/a?token=Canary"] = document(*named(3, kind=2))
    notify(home, site, {"uri": cms.url("/a?token=Canary")})
    (row,) = apply(home, site)
    assert "no item could be taken; 1 of them: it is of another item type" in row.error
    assert len(titles(home, site)) == 3


def test_a_host_that_is_not_listed_any_more_is_not_asked(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {"/a": document(*named(1))}
    notify(home, site, {"uri": cms.url("/a")})
    (row,) = apply(home, make_website())
    assert "is not among the website's hosts (content: export_hosts)" in row.error
    assert cms.connections == 0


def test_a_type_that_is_gone_from_the_website_is_refused_unfetched(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {"/a": document(*named(1, kind=2))}
    notify(home, site, {"uri": cms.url("/a"), "contentTypeId": 2})
    models = {"item_types": {1: "product"}, "scenarios": {}, "models": {}}
    (row,) = apply(home, make_website(content=listed([cms]), **models))
    assert "item type 2 is none of the website's any more" in row.error
    assert cms.connections == 0


def test_exports_that_do_not_fit_into_memory_together_are_applied_one_after_the_other(
    home: Home, site: Website, cms: Cms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MAX_HELD_BYTES", 1)
    cms.answers = {f"/{n}": document(*named(n, title=f"from {n}"), *named(0, title=f"from {n}")) for n in range(1, 5)}
    for number in range(1, 5):
        notify(home, site, {"action": "UPDATE", "uri": cms.url(f"/{number}"), "itemId": number})
        send(home, site, (900, number))
    assert [row.mode for row in apply(home, site)] == ["incremental"] * 8
    found = {(row["item"], row["language"]): row for row in rows(home, site)}
    assert found["900", ""]["price_minor"] == 4
    assert json.loads(found["0", "eng-GB"]["attributes"])["title"] == ["from 4"]
    assert cms.paths() == ["/1", "/2", "/3", "/4"]


@pytest.mark.parametrize("step", ["write", "add", "record_import", "done"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_refresh_that_dies_at_any_step_applies_each_export_exactly_once(
    home: Home, site: Website, cms: Cms, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    cms.answers = {"/a": document(*named(1, 2, 3)), "/4": document(*named(4))}
    notify(home, site, {"uri": cms.url("/a")}, {"action": "UPDATE", "uri": cms.url("/4"), "itemId": 4})
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
            apply(home, site)
    apply(home, site)
    assert sorted(titles(home, site)) == [(1, str(item), "eng-GB") for item in (1, 2, 3, 4)]
    history = import_history(home, site)
    assert [(row.mode, row.added) for row in history] == [("full", 3), ("incremental", 1)]
    assert pending(home, site) == []
    assert not (home.lake("shop") / "changes" / JOURNAL).exists()


def test_nothing_is_left_of_what_was_fetched(home: Home, site: Website, cms: Cms) -> None:
    cms.answers = {"/a": document(*named(1)), "/b": answer(export(*named(2)), Content_Length="9999")}
    notify(home, site, {"uri": cms.url("/a")}, {"uri": cms.url("/b"), "contentTypeId": 2})
    apply(home, site)
    left = sorted(path.name for path in (home.lake("shop") / "changes").iterdir())
    assert left == [pending(home, site)[0].path.name, "tries.json"]


def test_passwords_and_queries_are_in_no_byte_of_the_home_whatever_happens(
    home: Home,
    site: Website,
    cms: Cms,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Queued, fetched, failed for now and for good, in a run that Dagster keeps in its own storage."""
    query = "?access_token=Canary-Token-4242"
    secret = base64.b64encode(b"editor:Canary-Pass-7731")
    secrets = [b"Canary-Pass-7731", b"Canary-Token-4242", secret, base64.b64encode(b"Canary-Pass-7731")[:-4]]
    cms.answers = {
        f"/good{query}": document(*named(1)),
        f"/bad{query}": answer(b"", "404 Not Found"),
        f"/html{query}": answer(b"<html>"),
        f"/later{query}": answer(b"", "500 Oops"),
        f"/torn{query}": answer(b"{", Content_Length="99"),
        f"/away{query}": answer(b"", "302 Found", Location=f"http://127.0.0.2:{cms.port}/x?y=Canary-Token-4242"),
        f"/head{query}": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n bad : x\r\n\r\n{}",
    }
    import_items(home, site, [write(tmp_path, "items.csv", [{"item_id": 50}])])
    places = [path.removeprefix("/") for path in cms.answers]
    for number, place in enumerate(places, 1):
        event = {"action": "UPDATE", "itemId": number, "uri": cms.url(f"/{place}"), "credentials": SECRETS}
        notify(home, site, event)
    assert places_with(home, secrets) == {one.decode(): [] for one in secrets}
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_dagster(home)
    with dg.DagsterInstance.get() as instance:
        items, resources = build_assets(site)[0], {"installation": installation(home)}
        result = dg.materialize([items], instance=instance, resources=resources)
    (shown,) = result.asset_materializations_for_node(items.node_def.name)
    assert "status 500" in str(shown.metadata["waiting"].value)
    assert [row.error == "" for row in import_history(home, site)].count(True) == 2
    assert len(pending(home, site)) == 2
    assert places_with(home, secrets) == {one.decode(): [] for one in secrets}
    assert len(places_with(home, [b"/later"])["/later"]) > 0, "the search finds what is there"
    assert list(home.dagster.rglob("*.db"))
    assert any(f"Authorization: Basic {secret.decode()}" in one for one in cms.requests)
    said = "".join(capfd.readouterr())
    assert not [one for one in secrets if one.decode() in said]
