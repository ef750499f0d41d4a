"""Events of the past, sent by whoever holds the website's licence key: the two signatures and the time they sign.

A signed string is rebuilt from what was parsed, every value percent-encoded again, so bytes that are no parameter
can not be in it. `signature` (MD5, the wire protocol's) can not bind the user: whoever saw one signed call may
send it for another user. `signature2` binds customer, event and user too, and is the one to use.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from personalization_pipelines.events.event import MICROSECONDS, Event
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.website import Website

OVERRIDE = "overridetimestamp"
MAX_AHEAD = 300 * MICROSECONDS
_SIGNATURES = ("signature", "signature2")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)

Parameters = Mapping[str, Sequence[str]]


def md5_signature(license_key: str, item_type: str, item: str, parameters: Parameters) -> str:
    """Return the wire protocol's signature: MD5 over `{type}&{item}&{licensekey}` and `&name=value` of each parameter.

    Names in alphabetical order, values percent-encoded with upper-case hex; `signature` and `signature2` do not count.
    """
    text = f"{item_type}&{item}&{license_key}{_signed(parameters)}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def hmac_signature(license_key: str, customer: str, path: Sequence[str], parameters: Parameters) -> str:
    """Return `signature2`: HMAC-SHA-256 under the licence key, in lower-case hex.

    Over customer and the path after it (event, user, and type and item where the event has them), each
    percent-encoded and joined by `&`, then `&name=value` of each parameter as in `md5_signature`.
    """
    text = "&".join(quote(part, safe="") for part in (customer, *path)) + _signed(parameters)
    return hmac.new(license_key.encode(), text.encode(), "sha256").hexdigest()


def find_fault(website: Website, path: Sequence[str], parameters: Parameters, told: Parameters | None = None) -> str:
    """Return why the call's signatures do not allow it, "" if they do. `path`: event, user and maybe type and item.

    A signature that is given must be right, also where none was needed; `overridetimestamp` needs one. What is signed
    are `parameters` as they were sent; `told` (default: all) are those of them that say something.
    """
    told = parameters if told is None else told
    key = website.license_key.get_secret_value()
    given = [name for name in _SIGNATURES if name in told]
    if not given:
        return f"{OVERRIDE} needs signature or signature2: nothing was stored." if OVERRIDE in told else ""
    for name in given:
        if name == "signature2":
            expected = hmac_signature(key, website.customer_id, path, parameters)
        elif len(path) == 4:
            expected = md5_signature(key, path[2], path[3], parameters)
        else:
            return f"{path[0]} has no item, which signature would need: use signature2. Nothing was stored."
        if not hmac.compare_digest("\n".join(told[name]).encode(), expected.encode()):
            return f"{name} does not fit this call and the website's licence key: nothing was stored."
    return ""


def override_time(parameters: Parameters, zone: ZoneInfo, now: int) -> int | None:
    """Return the time that the call claims, in microseconds since 1970; None where it claims none.

    ISO 8601; without a zone it is a time of the website's `zone`. InvalidIdentifier for anything else, for a
    time before 1970 and for one more than five minutes ahead of `now`.
    """
    values = parameters.get(OVERRIDE)
    if not values:
        return None
    text = values[0]
    if len(set(values)) > 1 or not _ISO.fullmatch(text):
        raise InvalidIdentifier(f"{OVERRIDE} {text[:40]!r}: expected one ISO 8601 time like 2012-01-01T11:00:00")
    try:
        moment = datetime.fromisoformat(text)
        time = ((moment if moment.tzinfo else moment.replace(tzinfo=zone)) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        raise InvalidIdentifier(f"{OVERRIDE} {text[:40]!r}: {error}") from None
    if not 0 <= time <= now + MAX_AHEAD:
        raise InvalidIdentifier(f"{OVERRIDE} {text[:40]!r}: expected a time from 1970 to five minutes from now")
    return time


def replay_id(customer: str, event: Event) -> str:
    """Return the event id of a signed event, the same for every replay: a hash of what makes it this event.

    Times of the past are often as coarse as a day: 40 % and 90 % of a film in one moment are two events.
    """
    parts = [customer, event.event, event.visitor, event.item_type, event.item, event.time, event.quantity]
    parts += [event.source_visitor] if event.source_visitor else []
    said = {name: getattr(event, name) for name in ("percentage", "rating", "scenario", "trigger", "order_id")}
    parts += [f"{name}={value}" for name, value in said.items() if value not in (None, "")]
    return "signed-" + hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]


def _signed(parameters: Parameters) -> str:
    """Return `&name=value` of everything that is signed; a name given several times keeps its values' order."""
    pairs = [(name, value) for name in sorted(parameters) if name not in _SIGNATURES for value in parameters[name]]
    return "".join(f"&{name}={quote(value, safe='')}" for name, value in pairs)
