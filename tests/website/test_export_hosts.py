"""Which hosts may be listed, which addresses are on them, and that no other spelling slips through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.website.export_hosts import (
    ExportAddress,
    listed,
    parse_export_address,
    parse_export_host,
)

GOOD = {
    "cms.example.org": ("https", "cms.example.org", 443, None),
    "cms.example.org:8443": ("https", "cms.example.org", 8443, None),
    "https://cms.example.org": ("https", "cms.example.org", 443, None),
    "http://cms.example.org": ("http", "cms.example.org", 80, None),
    "http://127.0.0.1:8080": ("http", "127.0.0.1", 8080, "127.0.0.1/32"),
    "[::1]:8443": ("https", "::1", 8443, "::1/128"),
    "cms.intranet=10.1.0.0/16": ("https", "cms.intranet", 443, "10.1.0.0/16"),
    "http://cms.intranet:81=fd00::/8": ("http", "cms.intranet", 81, "fd00::/8"),
}
BAD = (
    "", " ", "cms.example.org/", "cms.example.org/path", "ftp://cms.example.org", "//cms.example.org", "*",
    "*.example.org", "user@cms.example.org", "cms.example.org:0", "cms.example.org:65536", "cms.example.org:",
    "cms..example.org", "cms.example.org.", "-cms.example.org", "cms.example.org=", "cms.example.org=10.1.0.1/16",
    "cms.example.org=all", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5", "[::1",
    "[::1%eth0]", "CMS.example.org", "bücher.example", "①②⑦.⓪.⓪.①", "a" * 64 + ".org",
)  # fmt: skip


@pytest.mark.parametrize("text", list(GOOD))
def test_a_host_is_listed_with_scheme_port_and_network(text: str) -> None:
    found = parse_export_host(text)
    assert (found.scheme, found.host, found.port, found.network and str(found.network)) == GOOD[text]
    assert found.text == text


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_host_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no host to fetch from; expected a host like cms\.example\.org"):
        parse_export_host(text)


def test_an_address_is_taken_apart_and_its_query_is_not_shown() -> None:
    found = parse_export_address("HTTPS://CMS.Example.org:8443/a/b%20c?token=hidden&page=2")
    assert found == ExportAddress("https", "cms.example.org", 8443, "/a/b%20c", "?token=hidden&page=2")
    assert found.text == "https://cms.example.org:8443/a/b%20c?token=hidden&page=2"
    assert found.shown == "cms.example.org:8443/a/b%20c"
    assert "hidden" not in repr(found)
    assert parse_export_address("http://[::1]") == ExportAddress("http", "::1", 80, "/")


WRONG = (
    "cms.example.org/a", "ftp://cms.example.org/a", "https:/cms.example.org/a", "https:cms.example.org", "https://",
    "https:///a", "https://user:secret@cms.example.org/a", "https://cms.example.org@evil.example/secret",
    "https://cms.example.org\\@evil.example/secret", "https://cms.example.org#secret", "https://cms.example.org:99999/secret",
    "https://cms.example.org /secret", "https://cms.example.org/secret\r\nHost: evil", "https://cms.example.org/\x00secret",
    "https://cms.example.org/s\u00e9cret", "https://\u212ams.example.org/secret", "https://127.1/secret",
    "https://2130706433/secret", "https://0x7f000001/secret", "https://017700000001/secret", "https://127.0.0.01/secret",
    "https://①②⑦.⓪.⓪.①/secret", "https://%31%32%37.0.0.1/secret", "https://[::1%25lo]/secret", "https://[::1/secret",
    "https://cms.example.org./secret", "https://cms..example.org/secret", "https://cms.example.org:/secret",
    "https://" + "a" * 9000,
)  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_another_spelling_is_no_address_and_its_secret_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_export_address(text)
    assert "secret" not in str(error.value)


def test_scheme_host_and_port_must_all_be_those_of_an_entry() -> None:
    hosts = [parse_export_host(text) for text in ("cms.example.org", "http://cms.example.org:8080")]
    for address, entry in {
        "https://cms.example.org/a": hosts[0],
        "https://cms.example.org:443/a": hosts[0],
        "http://cms.example.org:8080/a": hosts[1],
        "http://cms.example.org/a": None,
        "https://cms.example.org:8080/a": None,
        "https://www.cms.example.org/a": None,
        "https://cms.example.org.evil.example/a": None,
        "https://xcms.example.org/a": None,
    }.items():
        assert listed(parse_export_address(address), hosts) is entry, address


@given(st.text(alphabet="htps:/@#?.[]%01:ac\\ \t\n", max_size=40))
def test_whatever_is_taken_for_an_address_means_the_same_when_it_is_written_again(text: str) -> None:
    try:
        found = parse_export_address(text)
    except ValueError:
        return
    assert parse_export_address(found.text) == found
    assert found.path.startswith("/") and "@" not in found.authority
