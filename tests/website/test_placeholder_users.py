"""Which users a website's file says are nobody, and the sentence for what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.website import load_website

HEAD = 'website: shop\ncustomer_id: "00001"\nlicense_key: "0000-0000"\n'


def placeholders(folder: Path, text: str) -> tuple[str, ...]:
    """Return what a file with these `placeholder_users` says."""
    path = folder / "shop.yaml"
    path.write_text(f"{HEAD}placeholder_users: {text}\n")
    return load_website(path).placeholder_users


def test_they_are_compared_in_lower_case_and_each_once(tmp_path: Path) -> None:
    assert placeholders(tmp_path, "[Guest, guest, '0', 'Nobody Known']") == ("guest", "0", "nobody known")
    assert placeholders(tmp_path, "[]") == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("guest", "'guest' is not a list of texts"),
        ("[7]", "is not a list of texts"),
        ("[null]", "is not a list of texts"),
        ("['']", "is not a list of texts"),
        (f"[{', '.join(f'u{number}' for number in range(101))}]", "101 users who are nobody are too many"),
        ('["a\\\\b"]', "control characters"),
        (f"[{'x' * 513}]", "user id of 513 bytes"),
    ],
)
def test_what_is_no_list_of_users_is_an_error_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        placeholders(tmp_path, text)
    assert "shop.yaml:4: placeholder_users" in str(caught.value)
    assert sentence in str(caught.value)
