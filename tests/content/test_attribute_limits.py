"""Documents and updates keep to the limits of attributes: what is new must fit, what is there may stay."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.catalogue import attribute_limits, versions
from personalization_pipelines.content.catalogue import known_attributes as known_attributes_module
from personalization_pipelines.content.catalogue.attribute_limits import NEW_NAMES, NEW_VALUES, text_names
from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.content.catalogue.items import ITEM_SCHEMA, catalogue, import_items, read_catalogue
from personalization_pipelines.content.catalogue.known_attributes import FILE, KnownAttributes, known_attributes
from personalization_pipelines.content.catalogue.merging import Changes
from personalization_pipelines.content.change_queue import ITEMS_XML, enqueue, pending
from personalization_pipelines.content.import_history import ImportRow, import_history, imports_directory
from personalization_pipelines.content.xml.write_xml import write_xml_items
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.content.cms import Cms, document, listed
from tests.content.files import write, write_mapping
from tests.content.notified import apply, named, notify
from tests.content.test_changes import NOW, delete

Attributes = dict[str, list[Any]]


def limited(names: int = 200, values: int = 10_000, **more: Any) -> Website:
    return make_website(quality={"items": {"max_attributes": names, "max_values": values}}, **more)


def post(home: Home, website: Website, items: dict[int, Attributes]) -> str:
    """Queue one document of items, by id with their attributes."""
    document = [XmlItem(1, str(item), attributes=attributes) for item, attributes in items.items()]
    return enqueue(home, website, ITEMS_XML, write_xml_items(document, website), name=f"POST of {list(items)}")


def posted(home: Home, website: Website, *documents: dict[int, Attributes]) -> list[ImportRow]:
    for one in documents:
        post(home, website, one)
    return apply_changes(home, website, now=NOW)


def stored(home: Home, website: Website) -> dict[int, Attributes]:
    rows = read_catalogue(home, website, NOW + timedelta(days=9)).to_pylist()
    return {int(row["item"]): msgspec.json.decode(row["attributes"]) for row in rows}


def colors(numbers: Iterable[int], texts: Sequence[str]) -> dict[int, Attributes]:
    return {number: {"color": [texts[number % len(texts)]]} for number in numbers}


def test_a_document_with_a_name_beyond_the_limit_is_refused_and_its_items_are_listed(home: Home) -> None:
    website = limited(names=2)
    posted(home, website, {1: {"a": ["x"], "b": ["x"]}})
    before = stored(home, website)
    change = post(home, website, {2: {"a": ["x"]}, 3: {"c": ["x"]}, 4: {"c": ["x"], "d": [1]}})
    (row,) = apply_changes(home, website, now=NOW)
    assert row.error.startswith("attributes: 4 names of attributes, at most 2; for example c (item 1/3)")
    assert "quality: items: max_attributes of website" in row.error and "let it be sent again" in row.error
    assert (row.transaction, row.rows, row.rejected, row.reasons) == (change, 3, 2, {NEW_NAMES: 2})
    assert (row.added, row.changed, row.item_types, row.parts) == (0, 0, (1,), {})
    assert [(gate.rule, gate.ok) for gate in row.gates] == [("attributes", False)]
    assert import_history(home, website)[-1] == row
    assert stored(home, website) == before and len(catalogue(home, website).versions()) == 1
    with (imports_directory(home, website) / row.rejects_file).open(newline="") as file:
        cells = [(one["file"], one["value"], one["reason"]) for one in csv.DictReader(file)]
    source = "POST of [2, 3, 4]"
    assert cells == [(source, "1/3: c", NEW_NAMES), (source, "1/4: c, d", NEW_NAMES)]
    rejected = home.lake(website.name) / "changes" / "rejected"
    assert (rejected / f"{change}.items_xml.reason").read_text().strip() == row.error
    assert pending(home, website) == []


def test_a_nominal_value_beyond_the_limit_refuses_its_document_and_no_other(home: Home) -> None:
    website = limited(values=3)
    refused, done = posted(
        home,
        website,
        colors(range(10), ("red", "green")),
        colors((10, 11), ("blue",)),
        colors((20, 21), ("pink", "grey")),
        colors((30, 31), ("red", "blue")),
    )
    assert refused.error.startswith(
        'nominal values: color has 5, at most 3 different ones an attribute; for example color "pink" (item 1/20)'
    )
    assert refused.reasons == {NEW_VALUES: 2}
    assert (done.error, done.added, len(done.parts)) == ("", 14, 3)
    assert set(stored(home, website)) == {*range(12), 30, 31}


def test_a_few_bad_documents_among_a_hundred_hold_up_nobody_and_the_rest_is_one_import(home: Home) -> None:
    website = limited(values=5)
    bad = {7, 8, 63, 99}
    documents = [
        colors(range(9 * n, 9 * n + 9), (f"new {n}",) if n in bad else ("a", "b", "c", "d", "e")) for n in range(100)
    ]
    rows = posted(home, website, *documents)
    assert [bool(row.error) for row in rows] == [True] * 4 + [False]
    assert [row.files for row in rows[:4]] == [(f"POST of {list(documents[n])}",) for n in sorted(bad)]
    assert len(catalogue(home, website).versions()) == 1
    assert set(stored(home, website)) == {item for n, one in enumerate(documents) if n not in bad for item in one}


def test_what_brings_nothing_new_is_applied_where_the_limits_are_exceeded_already(home: Home, tmp_path: Path) -> None:
    wide = limited()
    posted(home, wide, colors(range(20), [f"c{n}" for n in range(8)]), {90: {"a": [1], "b": [1], "c": [1]}})
    narrow = limited(names=2, values=3)
    refused, *done = posted(
        home, narrow, {1: {"color": ["c7"], "a": [2]}, 2: {"color": ["c7"]}}, {3: {"color": ["new"]}}
    )
    assert refused.reasons == {NEW_VALUES: 1}
    assert [(row.error, row.changed) for row in done] == [("", 2)]
    (name,) = posted(home, narrow, {4: {"d": [1]}})
    assert name.reasons == {NEW_NAMES: 1}


def test_a_name_and_a_value_that_go_make_room_for_others_in_the_same_document(home: Home) -> None:
    website = limited(names=2, values=2)
    posted(
        home,
        website,
        {1: {"color": ["red"], "old": ["x"]}, 2: {"color": ["green"]}, 3: {"color": ["red"]}, 4: {"color": ["green"]}},
    )
    (row,) = posted(
        home, website, {1: {"color": ["red"], "new": ["x"]}, 2: {"color": ["blue"]}, 4: {"color": ["blue"]}}
    )
    assert row.error == "" and stored(home, website)[1] == {"color": ["red"], "new": ["x"]}


def test_what_was_deleted_makes_room(home: Home) -> None:
    website = limited(names=1)
    posted(home, website, {1: {"a": ["x"]}})
    delete(home, website, "1")
    gone, row = posted(home, website, {2: {"b": ["x"]}})
    assert (gone.removed, row.error) == (1, "")
    assert stored(home, website) == {2: {"b": ["x"]}}


def test_text_numbers_and_what_names_single_items_have_no_limit(home: Home) -> None:
    website = limited(values=3)
    items = {n: {"Title": [f"t{n % 8}"], "weight": [n], "ean": [f"e{n}"]} for n in range(40)}
    assert [row.error for row in posted(home, website, items)] == [""]
    for start in range(100, 200, 10):
        more = {n: {"Title": [f"t{n % 9}"], "weight": [n], "ean": [f"e{n}"]} for n in range(start, start + 10)}
        assert [row.error for row in posted(home, website, more)] == [""]


def test_what_named_single_items_and_does_not_any_more_is_nominal(home: Home) -> None:
    website = limited(values=3)
    posted(home, website, {n: {"ean": [f"e{n}"]} for n in range(8)})
    rows = [posted(home, website, {100 + n: {"ean": [f"e{n % 8}"]}})[0] for n in range(7)]
    assert all(row.error == "" for row in rows)
    (row,) = posted(home, website, {200: {"ean": ["e0"]}, 201: {"ean": ["e1"]}, 202: {"ean": ["another"]}})
    assert row.error.startswith("nominal values: ean has 9")


def test_attributes_that_a_mapping_of_the_sources_calls_text_are_text_in_documents(home: Home, tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path, "kind: items\ntext: [code]\n")
    source = {"files": "none/*.csv", "format": "csv", "mapping": str(mapping)}
    items = {n: {"code": [f"c{n % 8}"]} for n in range(20)}
    assert posted(home, limited(values=3, content={"sources": [source]}), items)[0].error == ""
    assert posted(home, limited(values=3), {30: {"code": ["c8"]}})[0].reasons == {NEW_VALUES: 1}


def test_a_mapping_that_can_not_be_read_holds_up_no_document(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    source = {"files": "none/*.csv", "format": "csv", "mapping": "/nowhere/m.yml"}
    assert posted(home, limited(content={"sources": [source]}), {1: {"a": ["x"]}})[0].error == ""
    assert "/nowhere/m.yml" in caplog.text


def test_an_update_that_a_cms_notifies_keeps_to_the_limits_and_a_full_is_judged_as_before(home: Home, cms: Cms) -> None:
    website = limited(names=3, content=listed([cms]))
    wide = [{**one, "extra": "x", "more": "y", "most": "z"} for one in named(3)]
    cms.answers = {"/1": document(*named(1)), "/2": document(*wide), "/3": document(*named(4, 5))}
    update = {"action": "UPDATE", "itemId": 1}
    for path in ("/1", "/2", "/3"):
        notify(home, website, {"uri": cms.url(path), **update})
    refused, done = apply(home, website)
    assert (refused.reasons, refused.files) == ({NEW_NAMES: 1}, (f"127.0.0.1:{cms.port}/2",))
    assert (refused.notification, refused.languages) == ("20240601-1", ("eng-GB",))
    assert (done.error, done.added) == ("", 3)
    cms.answers = {"/full": document(*named(1, 4, 5), *wide)}
    notify(home, website, {"uri": cms.url("/full")})
    (full,) = apply(home, website)
    assert full.error.startswith("attributes: 4 names of attributes, at most 3")


@pytest.fixture
def small_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small catalogue be kept as large ones are: as changes to a whole version."""
    monkeypatch.setattr(versions, "WHOLE_ROWS", 1)
    monkeypatch.setattr(versions, "CHANGED_SHARE", 100.0)


@pytest.mark.usefixtures("small_changes")
def test_versions_that_came_another_way_are_known_at_the_next_document(home: Home, tmp_path: Path) -> None:
    website = limited(names=3)
    posted(home, website, {1: {"a": ["x"]}})
    import_items(home, website, [write(tmp_path, "b.jsonl", [{"item_id": 2, "b": "x"}])], mode="incremental", now=NOW)
    assert catalogue(home, website).versions()[-1].changes == 1
    (row,) = posted(home, website, {3: {"c": ["x"], "d": ["x"]}})
    assert row.error.startswith("attributes: 4 names")
    assert posted(home, website, {3: {"c": ["x"]}})[0].error == ""


def test_what_is_kept_beside_the_catalogue_may_be_lost_or_damaged(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    website = limited(names=1)
    posted(home, website, {1: {"a": ["x"]}})
    kept = home.lake(website.name) / FILE
    kept.write_bytes(kept.read_bytes()[:-9])
    assert posted(home, website, {2: {"b": ["x"]}})[0].reasons == {NEW_NAMES: 1}
    assert "counted anew" in caplog.text
    kept.unlink(missing_ok=True)
    assert posted(home, website, {2: {"a": ["y"]}})[0].error == ""
    assert kept.is_file()


@pytest.mark.usefixtures("small_changes")
@pytest.mark.parametrize("step", ["store", "keep"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_refresh_that_dies_beside_the_catalogue_refuses_and_applies_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    website = limited(names=2)
    posted(home, website, {1: {"a": ["x"]}})
    for number, name in enumerate(("a", "b", "c"), 2):
        post(home, website, {number: {name: ["x"]}})
    with monkeypatch.context() as patched:
        place = {"store": Changes, "keep": KnownAttributes}[step]
        real = getattr(place, step)

        def dying(*given: Any) -> None:
            if after:
                real(*given)
            raise KeyboardInterrupt

        patched.setattr(place, step, dying)
        with pytest.raises(KeyboardInterrupt):
            apply_changes(home, website, now=NOW)
    rows = posted(home, website, {9: {"d": ["x"]}, 8: {"b": ["x"]}}, {7: {"b": ["y"]}})
    assert [row.reasons for row in rows if row.error] == [{NEW_NAMES: 1}]
    assert set(stored(home, website)) == {1, 2, 3, 7}
    history = import_history(home, website)
    assert sum(row.added for row in history) == 4
    assert [row.files for row in history if row.error] == [("POST of [4]",), ("POST of [9, 8]",)]
    assert pending(home, website) == []


def test_a_document_does_not_count_the_catalogue_again_that_keeps_to_the_limits(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "WHOLE_ROWS", 1)
    website = limited()
    posted(home, website, {n: {"color": ["red"], "ean": [f"e{n}"]} for n in range(400)})
    kept = msgspec.json.decode((home.lake(website.name) / FILE).read_bytes())
    kept["names"].append("only kept, not counted")
    (home.lake(website.name) / FILE).write_bytes(msgspec.json.encode(kept))
    posted(home, website, {1: {"color": ["blue"]}})
    known = known_attributes(catalogue(home, website), kept["text"], website.quality.items)
    assert known.names == {"color", "ean", "only kept, not counted"}
    assert known.values["color"] == {"red", "blue"}


def test_a_large_import_counts_its_attributes_and_the_next_document_does_not(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (versions, attribute_limits):
        monkeypatch.setattr(module, "WHOLE_ROWS", 1)
    website = limited()
    rows = [{"item_id": number, "color": "red"} for number in range(400)]
    import_items(home, website, [write(tmp_path, "all.jsonl", rows)], now=NOW)
    with monkeypatch.context() as patched:
        patched.setattr(known_attributes_module, "_counted", None)
        assert posted(home, website, {1: {"color": ["blue"]}})[0].error == ""
        delete(home, website, "2")
        assert posted(home, website, {3: {"color": ["pink"]}})[1].error == ""
    known = known_attributes(catalogue(home, website), text_names(home, website), website.quality.items)
    assert known.values == {"color": {"red", "blue", "pink"}}


ODD_NAMES = st.sampled_from(["color", "a/b", "~", "~1", "0", 'quo"te', "Title", "ü"])
VALUES = st.lists(st.sampled_from(["", "a", "b", "c", "1", '"', "\n", 1, 2.5]), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(ODD_NAMES, VALUES), min_size=1, max_size=12), st.integers(1, 3), st.integers(0, 3))
def test_a_whole_version_is_counted_exactly_whatever_its_attributes_are(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    items: list[Attributes],
    limit: int,
    many: int,
) -> None:
    monkeypatch.setattr(known_attributes_module, "MANY", many)
    home, website = Home(tmp_path_factory.mktemp("home") / "home"), limited(values=limit)
    home.create()
    table = catalogue(home, website)
    stored_rows = {"item_type": 1, "language": "", "attributes": ""}
    rows = [
        {**stored_rows, "item": str(number), "attributes": msgspec.json.encode(one).decode()}
        for number, one in enumerate(items)
    ]
    with table.locked():
        table.add(pa.Table.from_pylist(rows, ITEM_SCHEMA), "a", NOW)
    known = known_attributes(table, text_names(home, website), website.quality.items)
    names, texts = counted(dict(enumerate(items)))
    nominal = {name: found for name, found in texts.items() if name != "Title"}
    single = {name for name, found in nominal.items() if limit < len(set(found)) > len(found) / 2}
    assert known.names == names
    assert known.values == {name: set(found) for name, found in nominal.items() if name not in single}
    most = {name: max(sum(isinstance(v, str) for v in one.get(name, [])) for one in items) for name in single}
    assert {name: (one.different, one.texts, one.most) for name, one in known.singles.items()} == {
        name: (len(set(nominal[name])), len(nominal[name]), most[name]) for name in single
    }


NAMES = st.sampled_from(["color", "size", "title", "n1"])
ITEMS = st.dictionaries(
    st.integers(1, 9),
    st.dictionaries(NAMES, st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3)),
    min_size=1,
    max_size=6,
)


def counted(items: dict[int, Attributes]) -> tuple[set[str], dict[str, list[str]]]:
    """Return the names of attributes and each one's texts, the slow way."""
    names = {name for one in items.values() for name in one}
    return names, {
        name: [v for one in items.values() for v in one.get(name, []) if isinstance(v, str)] for name in names
    }


def fits(before: dict[int, Attributes], document: dict[int, Attributes], most_names: int, most_values: int) -> bool:
    """Say what the limits mean: too many after the document, and it brings new ones."""
    (names, texts), (new_names, new_texts) = counted(before), counted(document)
    after_names, after = counted(before | document)
    if len(after_names) > most_names and new_names - names:
        return False
    return not any(
        most_values < len(set(after[name])) <= len(after[name]) / 2
        and set(new_texts[name]) - set(texts.get(name, []))
        and name != "title"
        for name in new_texts
    )


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ITEMS, min_size=1, max_size=12), st.integers(1, 3), st.integers(1, 4))
def test_one_document_after_the_other_is_judged_as_if_all_were_counted_each_time(
    tmp_path_factory: pytest.TempPathFactory,
    small_changes: None,
    documents: list[dict[int, Attributes]],
    names: int,
    values: int,
) -> None:
    home = Home(tmp_path_factory.mktemp("home") / "home")
    home.create()
    website, expected = limited(names, values), dict[int, Attributes]()
    for one in documents:
        (row,) = posted(home, website, one)
        assert (row.error == "") == fits(expected, one, names, values)
        expected |= {} if row.error else one
        assert stored(home, website) == expected
