"""The commented website file that `personalization init` writes."""

from __future__ import annotations

import secrets
from importlib.resources import files

from personalization_pipelines.foundation.identifiers import parse_customer_id, parse_website_name


def example_text(website: str = "my-shop", customer_id: str = "00001", license_key: str | None = None) -> str:
    """Return the text of a commented website file that names every key this version has.

    It loads as it is, saved as `<website>.yaml`. Without a `license_key` it gets a new random one.
    """
    key = license_key or "-".join(f"{secrets.randbelow(10_000):04d}" for _ in range(5))
    text = files("personalization_pipelines.website").joinpath("example.yaml").read_text("utf-8")
    for placeholder, value in (
        ("my-shop", parse_website_name(website)),
        ("00001", parse_customer_id(customer_id)),
        ("0000-0000-0000-0000-0000", key),
    ):
        text = text.replace(placeholder, value, 1)
    return text
