"""What is sealed opens with the same key and purpose only, and shows nothing of itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.secret_box import open_sealed, seal

KEY = bytes(range(32))


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_was_sealed_opens(text: bytes, purpose: str) -> None:
    assert open_sealed(KEY, purpose, seal(KEY, purpose, text)) == text


def test_the_same_text_is_never_sealed_to_the_same_bytes_and_is_not_in_them() -> None:
    sealed = {seal(KEY, "mail", b"anna@example.org") for _ in range(100)}
    assert len(sealed) == 100
    assert not any(b"anna" in one or b"example" in one for one in sealed)


@pytest.mark.parametrize(("key", "purpose"), [(KEY, "export"), (KEY, ""), (KEY[::-1], "mail")])
def test_another_purpose_or_key_does_not_open(key: bytes, purpose: str) -> None:
    with pytest.raises(CorruptData, match="can not be opened"):
        open_sealed(key, purpose, seal(KEY, "mail", b"anna@example.org"))


@given(st.data())
def test_one_changed_bit_or_a_missing_byte_is_noticed_and_the_text_is_not_in_the_error(data: st.DataObject) -> None:
    sealed = seal(KEY, "mail", b"anna@example.org")
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for broken in (bytes(changed), cut):
        with pytest.raises(CorruptData) as error:
            open_sealed(KEY, "mail", broken)
        assert "anna" not in str(error.value)
