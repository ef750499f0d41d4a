"""The fast HMAC is the standard library's."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.foundation.keyed_hash import KeyedHash


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_it_is_hmac_sha256(key: bytes, beginning: bytes, rest: bytes) -> None:
    made = KeyedHash(key, beginning)
    assert made.digest(rest) == hmac.digest(key, beginning + rest, "sha256")


@given(st.binary(max_size=80), st.binary(max_size=80), st.lists(st.binary(max_size=80), max_size=5))
def test_many_at_once_are_those_of_one_by_one(key: bytes, beginning: bytes, rests: list[bytes]) -> None:
    made = KeyedHash(key, beginning)
    assert made.digests(rests) == [made.digest(rest) for rest in rests]
