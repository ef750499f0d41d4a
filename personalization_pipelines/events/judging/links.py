"""Links in answers that only this installation can make, so that KPIs count what it really recommended.

Every tracking link of an answer carries `rid` (when it was given out, and for which answer) and `sig`, an HMAC over
customer, visitor, scenario, model, item and `rid`. It holds for 24 hours. A call without a valid one is not
refused, for old pages and caches send it in good faith: it is stored as unverified and stays out of revenue.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b

from personalization_pipelines.events.event import MICROSECONDS, Event
from personalization_pipelines.foundation.keyed_hash import KeyedHash

LINKED = frozenset({"rendered", "clickrecommended"})
"""Events that answers carry links for."""
LIFETIME = 24 * 3600
SIGNATURE_BYTES = 12
_MAX_AHEAD = 300  # seconds that the clocks of an installation's machines may differ
_RID = re.compile(r"([0-9a-f]{8})[0-9a-f]{8}")


def answer_id(seconds: int, random: str) -> str:
    """Return the `rid` of one answer: its second since 1970 as 8 hex digits, then 8 random ones."""
    return f"{seconds:08x}{random[:8]}"


class Signer:
    """Signs the links of one answer: HMAC-SHA-256 gives the answer's own key, keyed BLAKE2b (RFC 7693) the items' sigs.

    The key is set up once an answer, not once an item, and an answer has many.
    """

    __slots__ = ("_keyed", "rid")

    def __init__(self, key: bytes, customer: str, visitor: str, scenario: str, rid: str) -> None:
        own = _link_hash(key).digest(f"{customer}\0{visitor}\0{scenario}\0{rid}".encode())
        self._keyed = blake2b(digest_size=SIGNATURE_BYTES, key=own)
        self.rid = rid

    def sign(self, model: int | str, item_type: int, item: str) -> str:
        """Return the `sig` of a recommended item: 96 bits in hex."""
        said = self._keyed.copy()
        said.update(f"{model}\0{item_type}\0{item}".encode())
        return said.hexdigest()


def are_signed(
    events: Sequence[Event], parameters: Mapping[str, Sequence[str]], customer: str, now: int, key: bytes
) -> list[bool]:
    """Return for each event of one call whether its link is ours and not older than a day.

    A call with several items carries their signatures in the same order, separated by commas.
    """
    rid, signatures = "".join(parameters.get("rid", ())), ",".join(parameters.get("sig", ())).split(",")
    given = _RID.fullmatch(rid)
    if not given or len(signatures) != len(events) or not _is_recent(int(given[1], 16), now):
        return [False] * len(events)
    signer = Signer(key, customer, events[0].visitor, events[0].scenario, rid)
    return [
        hmac.compare_digest(signer.sign(event.model, event.item_type, event.item).encode(), signature.encode())
        for event, signature in zip(events, signatures, strict=True)
    ]


def _is_recent(seconds: int, now: int) -> bool:
    return -_MAX_AHEAD <= now // MICROSECONDS - seconds <= LIFETIME


@lru_cache(maxsize=8)
def _link_hash(key: bytes) -> KeyedHash:
    """Return the hash under the key of links, which is derived from the installation's: neither tells the other."""
    return KeyedHash(hmac.digest(key, b"personalization links 1", "sha256"))
