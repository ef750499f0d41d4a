"""Whose request it is: a header counts only as far as trusted proxies vouch for it."""

from __future__ import annotations

import pytest

from personalization_pipelines.foundation.errors import ConfigurationError
from serving.http.client_address import TRUSTED_PROXIES, client_address, first_untrusted, trusted_proxies

PROXIES = trusted_proxies("127.0.0.1, 10.0.0.0/8 2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1,10.1.2.3 , 10.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("127.0.0.1", "198.51.100.1, unknown", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, unknown, 10.0.0.1", "10.0.0.1"),
        ("127.0.0.1", "1.1.1.1,", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1:5678", "198.51.100.1"),
        ("2001:db8::1", "[2001:DB9::7]:443", "2001:db9::7"),
        ("::ffff:127.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_last_address_that_is_no_trusted_proxy_counts(peer: str, forwarded: str, expected: str) -> None:
    assert first_untrusted(peer, forwarded, PROXIES) == expected


def test_without_a_setting_nobodys_word_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRUSTED_PROXIES, raising=False)
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "198.51.100.1"}
    assert client_address(environ) == "127.0.0.1"
    monkeypatch.setenv(TRUSTED_PROXIES, "127.0.0.1")
    assert client_address(environ) == "198.51.100.1"
    assert client_address({"REMOTE_ADDR": "127.0.0.1"}) == "127.0.0.1"
    assert client_address({}) == ""


@pytest.mark.parametrize("setting", ["nginx", "10.0.0.1/8", "10.0.0.0/33", "127.0.0.1, *"])
def test_a_setting_that_names_no_networks_is_refused_with_its_name(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=TRUSTED_PROXIES):
        trusted_proxies(setting)
