"""From the user that a call names to the visitor that is stored; many at a time where many come at once."""

from __future__ import annotations

import re
from binascii import b2a_base64

from personalization_pipelines.identifiers import parse_user_id, pseudonym
from personalization_pipelines.keyed_hash import KeyedHash

PLAIN_CHARACTERS = 64
_TOKEN = re.compile(r"~([A-Za-z0-9_-]{21}[AQgw])")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def visitor_of(user: str, customer_id: str, key: bytes) -> str:
    """Return the visitor behind a sent user: its pseudonym, "" for nobody.

    A token of a push message's link (`~` and the pseudonym) is the visitor itself. InvalidIdentifier for a
    user that is none.
    """
    if user.startswith("~") and (token := _TOKEN.fullmatch(user)):
        return token[1]
    known = parse_user_id(user)
    return pseudonym(key, customer_id, known) if known is not None else ""


class Visitors(dict[str, str]):
    """The visitors of one batch by user, each computed once, in half of `visitor_of`'s time."""

    def __init__(self, customer_id: str, key: bytes) -> None:
        super().__init__()
        self._customer_id, self._key = customer_id, key
        self._hash = KeyedHash(key, customer_id.encode() + b"\0")

    def __missing__(self, user: str) -> str:
        if user.isascii() and user.isalnum() and len(user) <= PLAIN_CHARACTERS:
            digest = self._hash.digest(user.encode())
            visitor = b2a_base64(digest[:16]).translate(_URL_SAFE)[:22].decode()
        else:
            visitor = visitor_of(user, self._customer_id, self._key)
        self[user] = visitor
        return visitor
