"""Users over HTTP: who may, what is taken and refused, what is answered, and that nothing raw is on the disk."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.change_queue import pending
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.content.journal import Journal
from personalization_pipelines.content.users import user_changes
from personalization_pipelines.content.users.user_changes import JOURNAL, apply_user_changes
from personalization_pipelines.content.users.user_tables import import_users, users_table
from personalization_pipelines.content.users.user_values import TYPES
from personalization_pipelines.content.xml.xml_users import Told, read_xml_users, write_xml_users
from personalization_pipelines.erasure.applying import apply_tombstones
from personalization_pipelines.erasure.tombstones import bury
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import PLACEHOLDER_USERS, pseudonym
from tests.conftest import make_website
from tests.content.files import write
from tests.serving.shopfront import KEY as INSTALLATION_KEY
from tests.serving.shopfront import Installation, website

KEY = {"Authorization": "Basic " + b64encode(b"00001:1111-2222-3333-4444-5555").decode()}
ANN = """<users><user id="ann@example.org"><attributes>
  <attribute key="city" value="Bonn"/><attribute key="city" value="Köln"/>
  <attribute key="age" value="33" type="NUMERIC"/><attribute key="born" value="1993-02-28" type="DATE"/>
  <attribute key="seen" value="2026-01-02T03:04:05Z" type="DATETIME"/>
  <attribute key="about" value="likes&#10;books" type="TEXT"/>
  <attribute key="E-Mail" value="ann.canary@example.org"/>
</attributes></user></users>""".encode()
SAID = [
    ("E-Mail", "ann.canary@example.org", None), ("about", "likes\nbooks", "TEXT"), ("age", "33", "NUMERIC"),
    ("born", "1993-02-28", "DATE"), ("city", "Bonn", None), ("city", "Köln", None),
    ("seen", "2026-01-02T03:04:05Z", "DATETIME"),
]  # fmt: skip


@pytest.fixture
def shop(home: Home) -> Iterator[Installation]:
    made = Installation(home, website())
    yield made
    made.close()


def post(shop: Installation, body: bytes, source: str = "shop") -> Any:
    return shop.client.post(f"/api/00001/{source}/user", data=body, headers=KEY)


def get(shop: Installation, users: str, source: str = "shop") -> Any:
    return shop.client.get(f"/api/00001/{source}/user/{users}", headers=KEY)


def told(data: bytes) -> list[tuple[str | None, ...]]:
    found = [(one.get("key"), one.get("value"), one.get("type")) for one in etree.fromstring(data).iter("attribute")]
    return sorted(found, key=str)


def document(user: str, **attributes: str) -> bytes:
    inside = "".join(f'<attribute key="{key}" value="{value}"/>' for key, value in attributes.items())
    return f'<users><user id="{user}"><attributes>{inside}</attributes></user></users>'.encode()


def both(one: bytes, other: bytes) -> bytes:
    return one.removesuffix(b"</users>") + other.removeprefix(b"<users>")


def apply(shop: Installation) -> Any:
    return apply_user_changes(shop.home, shop.websites["shop"])


def everything_below(root: Path) -> Iterator[tuple[Path, bytes]]:
    for path in root.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()
            if path.suffix == ".parquet":
                yield path, repr(pq.read_table(path).to_pylist()).encode()


def test_what_was_sent_is_answered_before_and_after_it_was_applied(shop: Installation) -> None:
    sent = post(shop, ANN)
    assert (sent.status_code, sent.headers["X-Change"]) == (202, pending(shop.home, shop.websites["shop"])[0].id)
    before = get(shop, "ann@example.org")
    assert (before.status_code, before.content_type) == (200, "application/xml; charset=utf-8")
    assert told(before.data) == SAID
    row = apply(shop)
    assert (row.added, row.changed, row.removed, row.files) == (1, 0, 0, ("POST of 1 user by shop",))
    assert pending(shop.home, shop.websites["shop"]) == []
    after = get(shop, "ann@example.org")
    assert told(after.data) == SAID
    assert post(shop, after.data).status_code == 202, "what is answered may be sent"
    assert apply(shop).changed == 0


def test_who_sends_users_as_the_official_client_does_is_told_200(shop: Installation) -> None:
    for kind, status in (("text/xml", 200), ("Text/XML; charset=utf-8", 200), ("application/xml", 202), ("", 202)):
        headers = {**KEY, "Content-Type": kind}
        sent = shop.client.post("/api/00001/shop/user", data=ANN, headers=headers)
        waiting = pending(shop.home, shop.websites["shop"])
        assert (sent.status_code, sent.headers["X-Change"]) == (status, waiting[-1].id)
        assert told(get(shop, "ann@example.org").data) == SAID
        apply(shop)


def test_a_source_replaces_what_it_said_itself_and_nothing_else(shop: Installation) -> None:
    for source, attributes in (("shop", {"a": "1", "b": "2"}), ("crm", {"a": "3"}), ("shop", {"a": "4"})):
        assert post(shop, document("ann", **attributes), source).status_code == 202
    for _ in range(2):
        assert told(get(shop, "ann").data) == [("a", "4", None)]
        found = etree.fromstring(get(shop, "ann?allSources=true").data).iter("attribute")
        assert [(one.get("value"), one.get("source")) for one in found] == [("4", None), ("3", "crm")]
        apply(shop)
    assert post(shop, document("ann"), "shop").status_code == 202
    assert apply(shop).removed == 1
    assert get(shop, "ann").status_code == 404
    assert get(shop, "ann?allSources=1").status_code == 200


def test_several_users_are_asked_at_once_and_unknown_ones_are_left_out(shop: Installation) -> None:
    post(shop, both(document("ann", a="1"), document("bob", a="2")))
    found = etree.fromstring(get(shop, "bob,nobody%20known,ann").data)
    assert [one.get("id") for one in found] == ["bob", "ann"]
    token = "~" + pseudonym(INSTALLATION_KEY, "00001", "ann")
    assert told(get(shop, token).data) == [("a", "1", None)]
    assert get(shop, "nobody").status_code == 404
    assert get(shop, "ann,not_defined").status_code == 400
    assert get(shop, ",".join(f"u{n}" for n in range(101))).status_code == 400
    assert get(shop, "ann?allSources=perhaps").status_code == 400


def test_the_last_of_two_words_in_one_document_counts(shop: Installation) -> None:
    post(shop, both(document("ann", a="1"), document("ann", b="2")))
    assert told(get(shop, "ann").data) == [("b", "2", None)]


BAD = {
    "no XML": (b"{}", "line 1, the document: no well-formed XML"),
    "no user": (b"<users/>", "no user; expected at least one <user>"),
    "a DTD": (b'<!DOCTYPE users SYSTEM "file:///etc/passwd"><users/>', "a DTD"),
    "another document": (b'<items version="1"/>', "element 'items' is not expected here"),
    "nobody": (document("not_defined", a="1"), "id is no user id"),
    "a placeholder": (document("[object Object]", a="1"), "id is no user id"),
    "a control character": (document("a&#9;b", a="1"), "id is no user id"),
    "a long id": (document("a" * 513, a="1"), "id is no user id"),
    "a backslash": (document("a\\b", a="1"), "id is no user id"),
    "an unknown type": (ANN.replace(b"NUMERIC", b"COLOUR"), "type 'COLOUR'; expected one of"),
    "no number": (ANN.replace(b'"33"', b'"3x"'), "of type NUMERIC; expected a number below 2^53"),
    "no date": (ANN.replace(b"1993-02-28", b"1993-02-30"), "of type DATE; expected one like 2026-01-31"),
    "two types of one key": (ANN.replace(b'"about"', b'"city"'), "expected one type for all its values"),
    "no value": (document("ann", a=""), "a value of 0 characters"),
    "a key that no request could name": (ANN.replace(b'"about"', b'"a,b"'), "key 'a,b'"),
    "deep": (b"<users>" * 100_000, "element 'users' is not expected here"),
    "a huge value": (document("ann", a="x" * 70_000), "a value of 70,000 characters"),
    "many keys": (document("ann", **{f"k{n}": "v" for n in range(201)}), "more than 200 different keys"),
    "entities": (b"<users><user id='&xxe;'/></users>", "no well-formed XML"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_a_wrong_document_is_400_with_its_line_and_stores_nothing(shop: Installation, name: str) -> None:
    body, sentence = BAD[name]
    answer = post(shop, body)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert sentence in answer.json["detail"]
    assert answer.json["detail"].endswith("Nothing was stored.")
    assert "ann@" not in answer.text, "messages go into logs"
    assert not (shop.home.lake("shop") / "changes").exists()


def test_only_who_has_the_key_may_send_and_ask(shop: Installation) -> None:
    wrong = {"Authorization": "Basic " + b64encode(b"00001:wrong").decode()}
    assert shop.client.post("/api/00001/shop/user", data=ANN).status_code == 401
    assert shop.client.post("/api/00001/shop/user", data=ANN, headers=wrong).status_code == 401
    assert shop.client.get("/api/00001/shop/user/ann", headers=wrong).status_code == 401
    assert shop.client.get("/api/99999/shop/user/ann", headers=wrong).status_code == 401
    assert post(shop, b"<" * ((1 << 20) + 1)).status_code == 413


@pytest.mark.parametrize("source", ["item", "user", "items", "events", "click"])
def test_a_source_whose_addresses_mean_something_else_takes_nothing(shop: Installation, source: str) -> None:
    assert post(shop, ANN, source).status_code in (400, 404, 415)
    assert not (shop.home.lake("shop") / "changes").exists()


def test_a_source_is_a_name(shop: Installation) -> None:
    assert post(shop, ANN, "a%20b").status_code == 400
    assert post(shop, ANN, "x" * 65).status_code == 400


def test_neither_user_id_nor_e_mail_address_reaches_the_disk(home: Home, tmp_path: Path) -> None:
    rows = [{"user": "file-canary", "email": "file.canary@example.org", "city": "Bonn"}]
    import_users(home, make_website(), [write(tmp_path, "users.csv", rows)])
    shop = Installation(home, website())
    post(shop, ANN)
    waiting = list(everything_below(shop.home.root))
    apply(shop)
    canaries = [b"ann@example.org", b"ann.canary", b"file-canary", b"file.canary"]
    encoded = [urlsafe_b64encode(one)[:-4] for one in canaries]
    for path, data in [*waiting, *everything_below(shop.home.root)]:
        assert not [one for one in [*canaries, *encoded] if one in data], path
    assert ("E-Mail", "ann.canary@example.org", None) in told(get(shop, "ann@example.org").data)
    shop.close()


def test_an_address_that_was_imported_from_a_file_is_opened_for_the_key_holder(home: Home, tmp_path: Path) -> None:
    site, row = make_website(), {"user": "ann", "source": "crm", "email": "ann@example.org", "city": "Bonn"}
    assert import_users(home, site, [write(tmp_path, "users.csv", [row])]).added == 1
    other = write(tmp_path, "other.csv", [row, {"user": "bob", "source": "crm", "email": "b@example.org"}])
    again = import_users(home, site, [other])
    assert (again.added, again.changed) == (1, 0), "the same address is sealed to the same text"
    shop = Installation(home, website())
    assert told(get(shop, "ann", "crm").data) == [("city", "Bonn", None), ("email", "ann@example.org", None)]
    shop.close()


def test_an_erased_user_is_taken_out_of_what_waits_too(shop: Installation) -> None:
    post(shop, both(document("ann", a="canary"), document("bob", a="2")))
    bury(shop.home, "shop", [pseudonym(INSTALLATION_KEY, "00001", "ann")])
    apply_tombstones(shop.home, shop.websites["shop"])
    assert not [path for path, data in everything_below(shop.home.lake("shop")) if b"canary" in data]
    assert apply(shop).added == 1
    assert get(shop, "ann").status_code == 404
    post(shop, document("ann", a="back"))
    assert apply(shop).added == 1, "who comes back is a new user"


def test_a_user_who_is_erased_while_a_change_waits_is_not_applied(shop: Installation) -> None:
    post(shop, document("ann", a="1"))
    bury(shop.home, "shop", [pseudonym(INSTALLATION_KEY, "00001", "ann")])
    assert apply(shop).added == 0


@pytest.mark.parametrize("crash_at", ["adding the version", "recording it", "taking it off the queue"])
def test_a_change_counts_once_where_applying_it_is_interrupted(
    shop: Installation, crash_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    post(shop, document("ann", a="1"))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        if crash_at == "adding the version":
            patched.setattr(VersionedTable, "add", broken)
        elif crash_at == "recording it":
            patched.setattr(user_changes, "record_import", broken)
        else:
            patched.setattr(Journal, "finish", broken)
        apply(shop)
    assert (shop.home.lake("shop") / "changes" / JOURNAL).exists()
    post(shop, document("bob", a="2"))
    apply(shop)
    site = shop.websites["shop"]
    assert pending(shop.home, site) == []
    assert sum(row.added for row in import_history(shop.home, site)) == 2
    assert users_table(shop.home, site).current().num_rows == 2


keys = st.from_regex(r"[A-Za-zä ._-]{1,12}", fullmatch=True)
texts = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z"), include_characters="\n\t"), min_size=1
)
values = {
    "NOMINAL": texts,
    "TEXT": texts,
    "NUMERIC": st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), st.floats(-1e6, 1e6).filter(lambda n: n != int(n))),
    "DATE": st.dates().map(str),
    "DATETIME": st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds")),
}
attributes = st.dictionaries(
    keys, st.sampled_from(TYPES).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(values[kind], min_size=1)))
)
names = texts.filter(
    lambda text: (
        text.isprintable() and "\\" not in text and "\ufffd" not in text and text.lower() not in PLACEHOLDER_USERS
    )
)


@given(st.dictionaries(names, attributes, min_size=1, max_size=3))
def test_what_is_written_is_read_again_as_the_same_users(users: dict[str, dict[str, tuple[str, list[Any]]]]) -> None:
    said = [
        (
            user,
            Told(
                {key: found for key, (_, found) in known.items()},
                {key: kind for key, (kind, _) in known.items() if kind not in ("NOMINAL", "NUMERIC")},
            ),
        )
        for user, known in users.items()
    ]
    data = write_xml_users((user, [one]) for user, one in said)
    read = list(read_xml_users(BytesIO(data), make_website()))
    assert [(one.user, Told(one.attributes, one.types)) for one in read] == said
