"""The contract of every parameter as a table: what is taken, what is refused, and that nothing is a 5xx but 501."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.unset import UNSET
from tests.serving.shopfront import Installation, website


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = Home(Path(tmp_path_factory.mktemp("home")))
    home.create()
    made = Installation(home, website(languages=["eng-GB"]))
    made.happened("ann", ("click", "1"), ("basket", "2"))
    yield made
    made.close()


GOOD = [
    "numrecs=1", "numrecs=50", "numrecs=", "&&numrecs=5&&", "NumRecs=3", "contextitems=1,2", "contextitems=1,,2",
    "contextitems=1&contextitems=2", "contextitems=CLICKED,BASKET,1", "contextitems=007", "outputtypeid=1",
    "outputtypeid=2", "crosscontenttype=1", "crosscontenttype=TRUE", "crosscontenttype=false",
    "attribute=a,b&attributes=c",
    "categorypath=/Women", "categorypath=Women/Shirts/&categorypath=%2FSale", "categorypath=/", "explain=1",
    "categorypath=/No%20such", "usecontextcategorypath=true", "recommendCategory=true", "recommendcategory=0",
    "usetimeslot=false", "lang=eng-GB", "jsonpCallback=1)", "color=red", "*color=red", "whatever=%C3%A4", "a+b=c+d",
]  # fmt: skip
BAD = [
    ("numrecs=0", "numrecs"), ("numrecs=51", "numrecs"), ("numrecs=ten", "numrecs"), ("numrecs=-1", "numrecs"),
    ("numrecs=%D9%A3", "numrecs"), ("numrecs=1&numrecs=2", "numrecs"), ("numrecs=9999999999999", "numrecs"),
    ("numrecs=1.0", "numrecs"), ("contextitems=abc", "contextitems"), ("contextitems=clicked", "contextitems"),
    ("contextitems=1%2Cx", "contextitems"), ("contextitems=-1", "contextitems"),
    ("contextitems=99999999999999999999", "contextitems"),
    ("contextitems=" + ",".join(map(str, range(51))), "contextitems"), ("outputtypeid=3", "outputtypeid"),
    ("outputtypeid=x", "outputtypeid"), ("crosscontenttype=yes", "crosscontenttype"), ("explain=2", "explain"),
    ("usecontextcategorypath=on", "usecontextcategorypath"), ("recommendCategory=x", "recommendcategory"),
    ("usetimeslot=maybe", "usetimeslot"), ("&".join(["categorypath=/a"] * 21), "categorypath"),
    ("attribute=" + ",".join(f"a{n}" for n in range(51)), "attribute"), ("x=%5C", ""), ("x=%00", ""), ("x=%ff", ""),
    ("%ff=1", ""), ("x=a%0Ab", ""),
]  # fmt: skip


@pytest.mark.parametrize("query", GOOD)
def test_good_parameters_are_answered(shop: Installation, query: str) -> None:
    response = shop.get(f"ann/popular?{query}")
    assert response.status_code == 200, response.text
    assert set(response.json) >= {"contextItems", "recommendationItems"}


@pytest.mark.parametrize(("query", "named"), BAD)
def test_bad_parameters_are_refused_with_a_sentence_that_names_them(shop: Installation, query: str, named: str) -> None:
    response = shop.get(f"ann/popular?{query}")
    assert response.status_code == 400
    assert response.content_type == "application/problem+json"
    assert response.json["detail"].startswith(named)
    assert response.json["detail"].endswith(".")


@pytest.mark.parametrize("query", ["usetimeslot=true", "segments=7,11", "userattribute=country"])
def test_what_is_not_built_yet_says_so(shop: Installation, query: str) -> None:
    response = shop.get(f"ann/popular?{query}")
    assert response.status_code == 501
    assert "not built yet" in response.json["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v2/00001/ann/popular", 200), ("/api/v2/00001/ann/popular.json", 200), ("/api/v2/00001//popular", 200),
        ("/api/v2/1/ann/popular", 404), ("/api/v2/99999/ann/popular", 404), ("/api/v2/00001/ann/nothing", 404),
        ("/api/v2/00001/ann/popular.xml", 404), ("/api/v2/00001/popular", 404), ("/api/v2/00001", 404),
        ("/api/v2/", 404), ("/api/v2/00001/ann/", 404), ("/api/v2/00001/a%5Cb/popular", 400),
        ("/api/v2/00001/a%00b/popular", 400), ("/api/v2/00001/%ff/popular", 400),
        ("/api/v2/00001/" + "u" * 513 + "/popular", 400), ("/api/v2/00001/" + "u" * 8200 + "/popular", 414),
        ("/api/v2/00001/ann/popular?x=" + "a" * 8200, 414),
    ],
)  # fmt: skip
def test_paths(shop: Installation, path: str, status: int) -> None:
    response = shop.client.get(path)
    assert response.status_code == status
    if status != 200:
        assert response.json["status"] == status


def test_only_get_and_head(shop: Installation) -> None:
    assert shop.client.head("/api/v2/00001/ann/popular").data == b""
    for method in ("post", "put", "delete"):
        response = getattr(shop.client, method)("/api/v2/00001/ann/popular")
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD"


CALLBACKS = [
    "", "f", "$", "_", "a.b.c", "a" * 64, "jQuery123_456", "a$", "a" * 65, "1a", "a-b", "a b", "a\n", "a;b",
    "a(b", "alert(1)",
    "a/*", "*/a", "a//", "</script>", "<script>", "a[0]", "a['b']", 'a"b', "a`b", "a+b", "é", "a\u2028b",
    "a%0a", "a&b",
    "a,b", "a=b", "a{b", "a}b", "a:b", "a?b", "a#b", "a!b", "a@b", "a^b", "a|b", "a~b", "CWSMIKI0hCD0Up0IZ",
    "\x00a", "a\x00",
    "a\r\nSet-Cookie:x", "a\t", " a", "a ", ".a", "a..b", "\u0661a", "a\uff0eb", "constructor", "a\u200bb",
    "\ufeffa", "a\\u0028",
]  # fmt: skip


@pytest.mark.parametrize("callback", CALLBACKS)
def test_a_jsonp_answer_calls_exactly_the_name_that_was_given(shop: Installation, callback: str) -> None:
    _check_callback(shop, callback)


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_callback_smuggles_anything_in(shop: Installation, callback: str) -> None:
    _check_callback(shop, callback)


def _check_callback(shop: Installation, callback: str) -> None:
    response = shop.get(f"ann/popular.jsonp?numrecs=1&jsonpCallback={quote(callback, safe='', errors='surrogatepass')}")
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$.")
    fine = set(callback) <= allowed and len(callback) <= 64 and callback[:1] not in set("0123456789.")
    assert response.status_code == (200 if fine else 400)
    if fine:
        named = "jsonpCallback" if callback in UNSET else callback  # "null" is a variable that was never set
        assert response.data.startswith(f"/**/{named}({{".encode())
        assert response.data.isascii()


@given(st.binary(max_size=200))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_in_a_query_are_a_server_error(shop: Installation, query: bytes) -> None:
    _check_bytes(shop, "/api/v2/00001/ann/product_page", query)


@given(st.binary(max_size=60), st.sampled_from(["landing_page", "popular.jsonp", "near_context"]))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_in_a_path_are_a_server_error(shop: Installation, user: bytes, scenario: str) -> None:
    _check_bytes(shop, f"/api/v2/00001/{user.decode('latin-1')}/{scenario}", b"contextitems=1")


PARAMETERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["numrecs", "contextitems", "categorypath", "outputtypeid", "attribute", "explain", "lang", "x"]
        ),
        st.sampled_from(
            ["1", "0", "true", "CLICKED", "/Women", "-1", "", "%", "%%", "%4", "+", "1,2,BASKET", "é", "%ED%A0%80"]
        ),
    ),
    max_size=8,
)


@given(PARAMETERS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_mixture_of_parameters_is_a_server_error(shop: Installation, pairs: list[tuple[str, str]]) -> None:
    _check_bytes(shop, "/api/v2/00001/ann/product_page", "&".join(f"{a}={b}" for a, b in pairs).encode())


def _check_bytes(shop: Installation, path: str, query: bytes) -> None:
    """Call the application as the server does: the path decoded, the query raw, both as Latin-1."""
    answered: list[str] = []
    environ = {
        "PATH_INFO": path, "QUERY_STRING": query.decode("latin-1"), "REQUEST_METHOD": "GET", "HTTP_HOST": "localhost",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
    }  # fmt: skip
    body = b"".join(shop.app.wsgi_app(environ, lambda status, headers: answered.append(status)))  # type: ignore[arg-type]
    status = int(answered[0][:3])
    assert status in (200, 400, 404, 409, 501), (status, body)
    assert b"Traceback" not in body


@pytest.mark.parametrize("host", ['a"b', "a b", "a/b", "x" * 256, "a<b>"])
def test_a_host_header_that_is_no_host_never_reaches_a_link(shop: Installation, host: str) -> None:
    assert shop.get("ann/popular", Host=host).status_code == 400
