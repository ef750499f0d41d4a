"""Names, parameters and paths that strangers send to a real server: refused in the envelope, nothing stored or logged.

The marks T1 to T25 are the threats these requests stand for: callback injection (T1), foreign attributes (T6), other
websites (T8), paths as file names (T9), names as SQL (T10), passwords (T11), signatures (T12), log lines (T21),
poison events (T24), times (T25). Sizes and bodies are in test_hostile_bodies.py.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode

import pytest

from tests.serving.raw_shop import FORM, Shop, assert_problem, served, shop

__all__ = ["served", "shop"]

# ---- T9, T10, T24: what ids and names may hold -----------------------------------------------------------------

PATHS = {
    "a NUL in the user": b"/api/00001/click/a%00b/1/5",
    "a NUL in the item": b"/api/00001/click/ann/1/5%00",
    "a user that is not UTF-8": b"/api/00001/click/%ff%fe/1/5",
    "UTF-8 that is longer than it need be": b"/api/00001/click/%c0%af/1/5",
    "half a UTF-8 character": b"/api/00001/click/%e2%82/1/5",
    "a surrogate in UTF-8": b"/api/00001/click/%ed%a0%80/1/5",
    "beyond Unicode": b"/api/00001/click/%f4%90%80%80/1/5",
    "the character that stands for broken ones": b"/api/00001/click/%ef%bf%bd/1/5",
    "an id of 20 digits": b"/api/00001/click/ann/1/99999999999999999999",
    "an id one above 63 bits": b"/api/00001/click/ann/1/9223372036854775808",
    "an id of 4,000 digits": b"/api/00001/click/ann/1/" + b"9" * 4000,
    "Arabic digits": b"/api/00001/click/ann/1/%D9%A3",
    "an Arabic item type": b"/api/00001/click/ann/%D9%A1/5",
    "full-width digits": b"/api/00001/click/ann/1/%EF%BC%95",
    "a superscript two": b"/api/00001/click/ann/1/%C2%B2",
    "a negative id": b"/api/00001/click/ann/1/-5",
    "a signed id": b"/api/00001/click/ann/1/+5",
    "an id with a space": b"/api/00001/click/ann/1/%205",
    "a hexadecimal id": b"/api/00001/click/ann/1/0x5",
    "an id with an underscore": b"/api/00001/click/ann/1/1_0",
    "an exponent": b"/api/00001/click/ann/1/1e3",
    "not a number": b"/api/00001/click/ann/1/NaN",
    "an empty item": b"/api/00001/click/ann/1/",
    "type 0": b"/api/00001/click/ann/0/5",
    "a type one above 31 bits": b"/api/00001/click/ann/2147483648/5",
    "a backslash in the user": b"/api/00001/click/a%5Cb/1/5",
    "a raw backslash": b"/api/00001/click/a\\b/1/5",
    "a backslash in the item": b"/api/00001/click/ann/1/5%5C",
    "a tab": b"/api/00001/click/a%09b/1/5",
    "a line break in the user": b"/api/00001/click/a%0D%0AX-Evil:%201/1/5",
    "an escape": b"/api/00001/click/%1B%5B31m/1/5",
    "a delete": b"/api/00001/click/%7F/1/5",
    "a user of 513 bytes": b"/api/00001/click/" + b"u" * 513 + b"/1/5",
    "a user of 171 three-byte characters": b"/api/00001/click/" + b"%E2%82%AC" * 171 + b"/1/5",
    "a way out of the item": b"/api/00001/click/ann/1/..%2F..%2Fetc%2Fpasswd",
    "SQL in the item": b"/api/00001/click/ann/1/5;DROP%20TABLE%20visitor_events--",
    "SQL in the scenario": b"/api/00001/clickrecommended/ann/1/5?scenario=x'%20OR%201=1",
    "a scenario that is a path": b"/api/00001/clickrecommended/ann/1/5?scenario=..%2F..%2Fx",
    "a model that is a path": b"/api/00001/rendered/ann/1/5?modelid=.%2E/x",
    "one bad item among good ones": b"/api/00001/rendered/ann/1/5,6,x,7",
    "a zero-width item": b"/api/00001/click/ann/1/5%E2%80%8B",
    "a right-to-left item": b"/api/00001/click/ann/1/%E2%80%AE5",
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_that_is_none_is_refused(shop: Shop, path: bytes) -> None:
    sentence = assert_problem(shop.ask(path), 400)
    assert not re.search(r"[\x00-\x1f\x7f]", sentence), "what was sent is quoted, not copied"
    assert_problem(shop.ask(path.replace(b"/api/", b"/ebl/"), b"POST"), 400)


QUERIES = {
    "a backslash in a value": b"lang=%5C",
    "a backslash in a name": b"a%5Cb=1",
    "a backslash in a parameter nobody knows": b"x=%5C",
    "a NUL": b"segments=1%002",
    "a NUL in a parameter nobody knows": b"x=%00",
    "a name that is not UTF-8": b"%ff=1",
    "a value that is not UTF-8": b"categorypath=%ff",
    "a surrogate": b"categorypath=%ed%bf%bf",
    "Arabic digits": b"percentage=%D9%A3",
    "a number of 5,000 digits": b"percentage=" + b"9" * 5000,
    "a fraction beyond its bounds": b"percentage=100.6",
    "infinity": b"percentage=inf",
    "two values that differ": b"percentage=1&percentage=2",
    "a segment of 20 digits": b"segments=99999999999999999999",
    "101 segments": b"segments=" + b",".join([b"1"] * 101),
    "a language that is a path": b"lang=../../etc",
    "a time without a signature": b"overridetimestamp=2012-01-01T11:00:00",
    "a time that is none": b"overridetimestamp=yesterday",
    "a time before all calendars": b"overridetimestamp=-0001-01-01",
    "a time after all calendars": b"overridetimestamp=99999-01-01",
    "a 30th of February": b"overridetimestamp=2012-02-30",
    "a signature that fits nothing": b"signature=" + b"0" * 32,
    "a signature that is not ASCII": b"signature=%C3%A4",
    "a signature of 4,000 characters": b"signature2=" + b"a" * 4000,
}  # fmt: skip


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_parameter_that_is_none_is_refused_in_query_and_form(shop: Shop, query: bytes) -> None:
    target = b"/api/00001/consume/ann/1/5"
    assert_problem(shop.ask(target + b"?" + query), 400, 401)
    assert_problem(shop.ask(target, b"POST", FORM, query), 400, 401)


PRICES = [b"12.45", b"-1EUR", b"1e9EUR", b"nanEUR", b"InfinityEUR", b"1.0.5EUR", b"1,500EUR", b"1XXX", b"1eur",
          b"9" * 30 + b"EUR", b"%D9%A1EUR", b"1EUR%00", b"0x1EUR", b"1_0EUR", b"12.45%E2%82%AC"]  # fmt: skip


@pytest.mark.parametrize("price", PRICES)
def test_a_price_that_is_none_is_refused(shop: Shop, price: bytes) -> None:
    assert_problem(shop.ask(b"/api/00001/buy/ann/1/5?fullprice=" + price), 400)


# ---- T8, T9: where paths lead ----------------------------------------------------------------------------------

WAYS = [
    b"/../../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/..%2f..%2fetc%2fpasswd", b"//etc/passwd", b"/./healthz",
    b"/healthz/..", b"/tracker.js/../../server.py", b"/tracker.js%00.png", b"/static/tracker.js", b"/serving/server.py",
    b"/api/../healthz", b"/api//click/ann/1/5", b"//api/00001/click/ann/1/5", b"/API/00001/click/ann/1/5",
    b"/api/%2e%2e/click/ann/1/5", b"/api/..%2f00001/click/ann/1/5", b"/api/00001%2f/click/ann/1/5",
    b"/api/00001/../00002/click/ann/1/5", b"/api/0000%D9%A1/click/ann/1/5", b"/api/00001%20/click/ann/1/5",
    b"/api/00001/click%00/ann/1/5", b"/api/00001/CLICK/ann/1/5", b"/api/" + b"0" * 65 + b"/click/ann/1/5",
    b"/api/v2/00001/ann/..%2fpopular%00", b"/api/v2/00001/ann/" + b"x" * 200, b"/api/v2/..", b"/api/v2/00001/click",
    b"/api/v2/00001/ann/popular%2ejson%2f..", b"/.git/config", b"/demo/", b"/backoffice/00001/", b"/%", b"/%zz",
    b"/%00", b"/openapi.json/..",
]  # fmt: skip


@pytest.mark.parametrize("path", WAYS)
def test_a_path_leads_nowhere_else(shop: Shop, path: bytes) -> None:
    assert_problem(shop.ask(path), 400, 401, 404)


def test_dots_and_encoded_slashes_in_a_user_are_that_user(served: Shop) -> None:
    """They are text that is hashed, and name no file."""
    before = len(served.stored())
    for user in (b"..", b"%2e%2e", b"..%2f..%2fetc%2fpasswd", b"a//b", b"%E2%80%AEnna", b"%zz", b"a%2"):
        assert served.ask(b"/api/00001/click/" + user + b"/1/5").status == 204, user
    visitors = [event.visitor for event in served.stored()[before:]]
    assert len(visitors) == 7
    assert visitors[0] == visitors[1], "two spellings of one user"
    assert len(set(visitors)) == 6
    for path in served.server.home.root.rglob("*"):
        assert not re.search(r"passwd|\.\.", path.name)


def test_another_websites_key_opens_nothing(shop: Shop) -> None:
    for credentials in (b"00001:1111-2222-3333-4444-5555", b"00002:x", b":", b"00002", b"\xff:\xff", b"00002:\x00"):
        header = b"Authorization: Basic " + b64encode(credentials) + b"\r\n"
        assert_problem(shop.ask(b"/api/v2/00002/ann/popular", headers=header), 401, 429)


HEADERS = [b"Basic", b"Basic ", b"Basic !!!!", b"Basic \xff\xfe", b"Bearer x", b"basic \xc3\xa4", b"=",
           b"Basic " + b"A" * 9000, b"Basic a b c", b"Digest username=x"]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
def test_an_odd_authorization_header_is_401(shop: Shop, header: bytes) -> None:
    assert_problem(shop.ask(b"/api/v2/00002/ann/popular", headers=b"Authorization: " + header + b"\r\n"), 401, 429)


def test_what_exists_is_not_told_to_who_has_no_key(shop: Shop) -> None:
    known, unknown = shop.ask(b"/api/v2/00002/ann/popular"), shop.ask(b"/api/v2/99999/ann/popular")
    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert known.headers.keys() == unknown.headers.keys()


# ---- T1, T6, T21: what comes back ------------------------------------------------------------------------------

CALLBACKS = [b"alert(1)//", b"a%0Ab", b"a;b", b"a%2Cb", b"a%20b", b"a%3Cscript%3E", b"1a", b"a-b", b"a%5B0%5D", b"a`b`",
             b"%E2%80%A8a", b"a" * 65, b"a%00", b"a%0A", b"CWS%07%0E", b"%C3%A4", b"a&jsonpCallback=b", b"(a)",
             b"a/**/b"]  # fmt: skip


@pytest.mark.parametrize("callback", CALLBACKS)
def test_no_callback_but_a_name_is_called(shop: Shop, callback: bytes) -> None:
    assert_problem(shop.ask(b"/api/v2/00001/ann/popular.jsonp?jsonpCallback=" + callback), 400)


def test_a_header_can_not_be_written_through_a_path_or_parameter(shop: Shop) -> None:
    for target in (
        b"/api/v2/00001/a%0D%0ASet-Cookie:%20x=1/popular",
        b"/api/v2/00001/ann/popular.jsonp?jsonpCallback=a%0D%0ASet-Cookie:%20x=1",
        b"/api/00001/click/ann/1/5?requestuuid=a%0D%0ASet-Cookie:%20x=1",
    ):
        answer = shop.ask(target)
        assert_problem(answer, 400)
        assert "set-cookie" not in answer.headers


HOSTS = [b"evil.example/x", b'"><script>', b"a@b", b"a b", b"x?y", b"a" * 256, b"x#y"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_none_gets_into_no_link(shop: Shop, host: bytes) -> None:
    answer = shop.send(b"GET /api/v2/00001/ann/popular HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n")
    assert answer.status == 400
    assert not answer.body or assert_problem(answer, 400)


def test_bytes_that_are_no_http_never_reach_the_application(shop: Shop) -> None:
    for target in (b"/api/00001/click/\xff/1/5", b"/api/00001/click/a b/1/5", b"\\", b"http://", b"*", b""):
        assert 400 <= shop.ask(target).status < 500, target
    answer = shop.send(b"GET /api/v2/00001/ann/popular HTTP/1.1\r\nConnection: close\r\nHost: \xff\r\n\r\n")
    assert b"//127.0.0.1:" in answer.body, "a host nobody can read is none: links name the server's own"


def test_what_a_website_does_not_give_out_is_in_no_answer(shop: Shop) -> None:
    for attribute in (
        b"secret",
        b"SECRET",
        b"secret,title",
        b"*",
        b"__class__",
        b"secret%20",
        b"title&attribute=secret",
    ):
        answer = shop.ask(b"/api/v2/00001/ann/popular?numrecs=50&attribute=" + attribute)
        assert answer.status == 200
        keys = [one["key"] for item in json.loads(answer.body)["recommendationItems"] for one in item["attributes"]]
        assert not {"SECRET", "*", "__class__", "secret "} & set(keys)
