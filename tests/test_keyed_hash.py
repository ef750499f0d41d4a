"""The fast HMAC is the standard library's."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.keyed_hash import KeyedHash


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_it_is_hmac_sha256(key: bytes, beginning: bytes, rest: bytes) -> None:
    made = KeyedHash(key, beginning)
    assert made.digest(rest) == hmac.digest(key, beginning + rest, "sha256")
