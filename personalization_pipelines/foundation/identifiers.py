"""The only place where foreign text becomes an identifier. Ids are refused, never repaired.

Nothing returned from here may name a file, except a website name: it comes from configuration
and matches `[a-z][a-z0-9-]{0,62}`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from functools import lru_cache

from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.keyed_hash import KeyedHash

MAX_USER_BYTES = 512
MAX_ITEM_CHARACTERS = 128
MAX_ITEM_TYPE = 2**31 - 1
MAX_NUMERIC_ITEM = 2**63 - 1
ANONYMOUS_USER = "not_defined"
PLACEHOLDER_USERS = frozenset({ANONYMOUS_USER, "undefined", "null", "none", "nan", "[object object]"})
"""What clients send where they know no user, in lower case: as an id it would make one visitor of all strangers."""

_WEBSITE_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
CUSTOMER_ID = re.compile(r"[0-9A-Za-z]{1,64}")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_DIGITS = re.compile(r"[0-9]{1,19}")
_FORBIDDEN_ANYWHERE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff\ufffd]")


def parse_website_name(text: str) -> str:
    """Return `text` as a website name, lower case letters, digits and dashes, 63 at most."""
    return _matching(_WEBSITE_NAME, text, "website name", "lower-case letters, digits and '-', starting with a letter")


def parse_customer_id(text: str) -> str:
    """Return `text` as a customer id: 1 to 64 ASCII letters and digits; leading zeros count."""
    return _matching(CUSTOMER_ID, text, "customer id", "1 to 64 ASCII letters and digits")


def parse_name(text: str, what: str = "name") -> str:
    """Return `text` as the name of a scenario, model or attribute group (64 characters at most)."""
    return _matching(NAME, text, what, "1 to 64 letters, digits, '_', '-' or '.'")


def parse_item_type(text: str) -> int:
    """Return an item type id between 1 and 2147483647."""
    number = _number(text, "item type", MAX_ITEM_TYPE)
    if number < 1:
        raise InvalidIdentifier(f"item type {text[:40]!r}: expected a number from 1 to {MAX_ITEM_TYPE}")
    return number


def parse_item_id(text: str, *, alphanumeric: bool) -> str:
    """Return the canonical text of an item id.

    Numeric ids lose leading zeros (`007` is item 7, as on the wire protocol's number type);
    alphanumeric ones keep every character: up to 128 of anything but `/`, `,`, `\\` and controls.
    """
    if not alphanumeric:
        return str(_number(text, "item id", MAX_NUMERIC_ITEM))
    if not 0 < len(text) <= MAX_ITEM_CHARACTERS or "/" in text or "," in text or _FORBIDDEN_ANYWHERE.search(text):
        raise InvalidIdentifier(
            f"item id {text[:40]!r}: expected 1 to {MAX_ITEM_CHARACTERS} characters without '/', ',', '\\' and controls"
        )
    return text


def parse_user_id(text: str, placeholders: Collection[str] = ()) -> str | None:
    """Return a user id of at most 512 UTF-8 bytes, or None for nobody.

    Nobody are the empty text, `PLACEHOLDER_USERS` and a website's own `placeholders` (in lower case), in any case.
    """
    if not text or (lower := text.lower()) in PLACEHOLDER_USERS or lower in placeholders:
        return None
    if _FORBIDDEN_ANYWHERE.search(text):
        raise InvalidIdentifier(f"user id {text[:40]!r}: control characters, '\\' and broken UTF-8 are not allowed")
    if len(text.encode()) > MAX_USER_BYTES:
        raise InvalidIdentifier(f"user id of {len(text.encode())} bytes: expected at most {MAX_USER_BYTES}")
    return text


def pseudonym(key: bytes, customer_id: str, user_id: str) -> str:
    """Return the visitor key of a user: 22 characters of base64url.

    HMAC-SHA-256 under the installation key over customer, NUL, user, cut to 128 bits: the same user
    of two websites gives two unrelated visitors, and no dictionary reverses it without the key.
    """
    digest = _keyed_hash(key, customer_id).digest(user_id.encode())
    return base64.urlsafe_b64encode(digest[:16])[:22].decode()


@lru_cache(maxsize=256)
def _keyed_hash(key: bytes, customer_id: str) -> KeyedHash:
    return KeyedHash(key, customer_id.encode() + b"\0")


def _matching(pattern: re.Pattern[str], text: str, what: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise InvalidIdentifier(f"{what} {text[:40]!r}: expected {expected}")
    return text


def _number(text: str, what: str, largest: int) -> int:
    if not _DIGITS.fullmatch(text) or int(text) > largest:
        raise InvalidIdentifier(f"{what} {text[:40]!r}: expected a number from 0 to {largest} in ASCII digits")
    return int(text)
