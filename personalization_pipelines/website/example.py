"""The commented website file that `personalization init` writes."""

from __future__ import annotations

import re
import secrets
from importlib.resources import files
from itertools import count
from pathlib import Path

from personalization_pipelines.foundation.identifiers import parse_customer_id, parse_website_name

FIRST_CUSTOMER = "1001"
_CUSTOMER = re.compile(r"^customer_id:\s*[\"']?([A-Za-z0-9]+)", re.MULTILINE)


def free_customer_id(websites: Path) -> str:
    """Return a customer id that no file of a folder of website files has, also no file with an error in it.

    It has no leading zeros, and is none's without them: clients that send it as a number drop them.
    """
    texts = [path.read_text("utf-8", errors="replace") for path in websites.glob("*.y*ml")]
    taken = {found.lstrip("0") for text in texts for found in _CUSTOMER.findall(text)}
    return next(str(number) for number in count(int(FIRST_CUSTOMER)) if str(number) not in taken)


def example_text(website: str = "my-shop", customer_id: str = FIRST_CUSTOMER, license_key: str | None = None) -> str:
    """Return the text of a commented website file that names every key this version has.

    It loads as it is, saved as `<website>.yaml`. Without a `license_key` it gets a new random one.
    """
    key = license_key or "-".join(f"{secrets.randbelow(10_000):04d}" for _ in range(5))
    text = files("personalization_pipelines.website").joinpath("example.yaml").read_text("utf-8")
    for placeholder, value in (
        ("my-shop", parse_website_name(website)),
        (FIRST_CUSTOMER, parse_customer_id(customer_id)),
        ("0000-0000-0000-0000-0000", key),
    ):
        text = text.replace(placeholder, value, 1)
    return text
