"""Attributes of users as they lie in the lake: `{"city":["Bonn"],"age":[33]}`, and beside it the types that JSON lacks.

Texts are NOMINAL and numbers NUMERIC; `types` names the attributes that are something else. What an attribute called
like an e-mail address holds is sealed under the installation key before it touches a disk: opened for whoever has the
licence key, and for triggers.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

from personalization_pipelines.foundation.errors import CorruptData

TYPES = ("DATE", "DATETIME", "NOMINAL", "NUMERIC", "TEXT")
SAID_BY_JSON = frozenset({"NOMINAL", "NUMERIC"})
EMAIL_KEYS = frozenset({"email", "e-mail", "e_mail"})
"""Names of attributes (in any case) whose values are sealed."""

Value = str | int | float
Attributes = dict[str, list[Value]]

_PURPOSE = "e-mail of a user"
_SEALED = "sealed:"


def is_email(key: str) -> bool:
    """Tell whether an attribute is called like an e-mail address."""
    return key.lower() in EMAIL_KEYS


def seal_emails(attributes: Mapping[str, list[Value]], visitor: str, key: bytes) -> Attributes:
    """Return a visitor's attributes with e-mail addresses sealed: the same ones give the same text."""
    return {
        name: [_seal(str(one), visitor, key) for one in values] if is_email(name) else values
        for name, values in attributes.items()
    }


def open_emails(attributes: Mapping[str, list[Value]], visitor: str, key: bytes) -> Attributes:
    """Return a visitor's attributes with e-mail addresses as they were sent.

    Those that an older version stored are opened already. Raises CorruptData where one was sealed under another key.
    """
    return {
        name: [_open(str(one), visitor, key) for one in values] if is_email(name) else values
        for name, values in attributes.items()
    }


def _seal(text: str, visitor: str, key: bytes) -> str:
    from personalization_pipelines.foundation.secret_box import seal_alike

    return _SEALED + urlsafe_b64encode(seal_alike(key, _PURPOSE, text.encode(), visitor.encode())).decode()


def _open(text: str, visitor: str, key: bytes) -> str:
    from personalization_pipelines.foundation.secret_box import open_alike

    if not text.startswith(_SEALED):
        return text
    try:
        sealed = urlsafe_b64decode(text.removeprefix(_SEALED))
    except ValueError as error:
        raise CorruptData(f"a sealed e-mail address is no base64url ({error}); import the users again") from error
    return open_alike(key, _PURPOSE, sealed, visitor.encode()).decode()
