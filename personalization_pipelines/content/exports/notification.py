"""What a CMS notifies (`POST /api/{customer}/items`, section 3 of the contract): checked wholly, then queued.

Each event is a change of its own: a FULL or an UPDATE is fetched by the next refresh, from addresses that are on the
website's list today and again then; a DELETE needs no document. Addresses and credentials wait sealed under the
installation key, for both may hold secrets; what stands in the clear are host and path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from personalization_pipelines.content.change_queue import DELETE_ITEM, EXPORT_FULL, EXPORT_UPDATE, Deletion
from personalization_pipelines.events.judging.rules import LANGUAGE
from personalization_pipelines.foundation.errors import ImportRefused, InvalidIdentifier, PermanentError
from personalization_pipelines.foundation.identifiers import parse_item_type
from personalization_pipelines.website import Website
from personalization_pipelines.website.export_hosts import ExportAddress, listed, parse_export_address

ACTIONS = ("FULL", "UPDATE", "DELETE")
FORMATS = ("EZ",)
MAX_EVENTS = 200
MAX_ADDRESSES = 2_000
"""Of one event: a catalogue of two million items in the pages of 1,000 that the CMS writes."""
MAX_TRANSACTION = 200
MAX_CREDENTIAL = 1_024
SEALED_FOR = "notified export"
_KINDS = {"FULL": EXPORT_FULL, "UPDATE": EXPORT_UPDATE}
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")


class Secrets(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sealed of an event: the addresses, login and password."""

    addresses: list[str]
    login: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Secrets({len(self.addresses)} addresses)"


class Export(msgspec.Struct, frozen=True, omit_defaults=True):
    """A FULL or an UPDATE as it is queued; `item_type`, `language` and `item` are None where that is not known."""

    transaction: str
    sources: list[str]
    item_type: int | None = None
    language: str | None = None
    item: str | None = None
    sealed: bytes = b""

    @property
    def about(self) -> str:
        """What it is of and from where, for a person."""
        kind = f" of type {self.item_type}" if self.item_type else ""
        language = f" in {self.language}" if self.language else ""
        more = f" and {len(self.sources) - 1:,} more" if len(self.sources) > 1 else ""
        return f"{kind}{language} from {self.sources[0]}{more}".strip()


@dataclass(frozen=True)
class Notified:
    """One event of a notification that may be queued: the change's kind, its name and its body."""

    kind: str
    name: str
    body: Export | Deletion
    secrets: Secrets | None = field(default=None, repr=False)

    def encoded(self, key: bytes) -> bytes:
        """Return the body as it is queued, with what is secret sealed under the installation key."""
        body = self.body
        if self.secrets is not None and isinstance(body, Export):
            from personalization_pipelines.foundation.secret_box import (
                seal,  # brings `cryptography`, which few requests need
            )

            sealed = seal(key, SEALED_FOR, msgspec.json.encode(self.secrets))
            body = msgspec.structs.replace(body, sealed=sealed)
        return msgspec.json.encode(body)


def opened_secrets(export: Export, key: bytes) -> Secrets:
    """Return what is sealed of an event. Raises CorruptData where the key is another or the bytes were changed."""
    from personalization_pipelines.foundation.secret_box import open_sealed

    return msgspec.json.decode(open_sealed(key, SEALED_FOR, export.sealed), type=Secrets)


class _Event(msgspec.Struct):
    """An event as the protocol names its fields."""

    action: str
    format: str = "EZ"
    uri: str | list[str] | None = None
    itemId: int | str | None = None
    contentTypeId: int | str | None = None
    lang: str | None = None
    credentials: dict[str, str | None] | list[Any] | None = None  # PHP writes an empty object as []


class _Notification(msgspec.Struct):
    events: list[_Event]
    transaction: str | int | None = None


def read_notification(body: bytes, website: Website) -> list[Notified]:
    """Return the events of a notification in their order.

    Fields that nobody knows are ignored, and so is the id 0, which a CMS sends with a FULL. Raises ImportRefused with
    a sentence at the first thing that is wrong; no sentence repeats an address' query or a credential.
    """
    try:
        sent = msgspec.json.decode(body, type=_Notification)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ImportRefused(f"no notification: {_reason(error)}") from None
    transaction = _transaction(sent.transaction)
    if not 0 < len(sent.events) <= MAX_EVENTS:
        raise ImportRefused(f"{len(sent.events):,} events: expected 1 to {MAX_EVENTS}")
    return [_numbered(number, event, transaction, website) for number, event in enumerate(sent.events)]


def check_address(text: str, website: Website) -> ExportAddress:
    """Return an address that the website's list allows. Raises ImportRefused with a sentence."""
    try:
        address = parse_export_address(text)
    except ValueError as error:
        raise ImportRefused(f"uri: {error}") from None
    if listed(address, website.content.export_hosts) is None:
        place = f"{address.scheme}://{address.authority}"
        raise ImportRefused(f"uri: {place[:200]!r} is not among the website's hosts (content: export_hosts)")
    return address


def _reason(error: Exception) -> str:
    """Return what is wrong with JSON; msgspec names the place and the expected type, never a value."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return "expected UTF-8"
    return str(error)


def _transaction(given: str | int | None) -> str:
    text = "" if given is None else str(given)
    if len(text) > MAX_TRANSACTION or not text.isprintable():
        raise ImportRefused(f"transaction {text[:40]!r}: expected at most {MAX_TRANSACTION} printable characters")
    return text


def _numbered(number: int, event: _Event, transaction: str, website: Website) -> Notified:
    try:
        return _notified(event, transaction, website)
    except PermanentError as error:
        raise ImportRefused(f"events[{number}]: {error}") from None


def _notified(event: _Event, transaction: str, website: Website) -> Notified:
    if event.action not in ACTIONS:
        raise ImportRefused(f"action {event.action[:40]!r}: expected one of {', '.join(ACTIONS)}")
    if event.format not in FORMATS:
        raise ImportRefused(f"format {event.format[:40]!r}: expected {', '.join(FORMATS)}")
    kind, item = _item_type(event.contentTypeId, website), _item(event.itemId, website)
    language = _language(event.lang)
    addresses = [check_address(text, website) for text in _uris(event.uri)]
    login, password = _credentials(event.credentials)
    if event.action == "DELETE":
        return _deletion(kind, item, language, transaction)
    if not addresses:
        raise ImportRefused(f"uri is missing: expected where the {event.action} can be fetched")
    if event.action == "FULL" and kind is None:
        raise ImportRefused("contentTypeId is missing: a FULL replaces one item type, expected which")
    sources = [one.shown for one in addresses]
    export = Export(transaction, sources, kind, language, item if event.action == "UPDATE" else None)
    secrets = Secrets([one.text for one in addresses], login, password)
    return Notified(_KINDS[event.action], f"{event.action} {export.about}", export, secrets)


def _deletion(kind: int | None, item: str | None, language: str | None, transaction: str) -> Notified:
    if kind is None or item is None:
        raise ImportRefused("itemId or contentTypeId is missing: a DELETE needs both")
    notified = f" (transaction {transaction})" if transaction else ""
    return Notified(DELETE_ITEM, f"DELETE of item {kind}/{item}{notified}", Deletion(kind, item, language))


def _item_type(given: int | str | None, website: Website) -> int | None:
    if given is None or given in (0, "0", ""):
        return None
    try:
        kind = parse_item_type(str(given))
    except InvalidIdentifier as error:
        raise ImportRefused(f"contentTypeId: {error}") from None
    if kind not in website.item_types:
        known = ", ".join(map(str, sorted(website.item_types)))
        raise ImportRefused(f"contentTypeId {kind}: expected one of the website's item types ({known})")
    return kind


def _item(given: int | str | None, website: Website) -> str | None:
    if given is None or given in (0, "0", ""):
        return None
    try:
        return website.item_id(str(given))
    except InvalidIdentifier as error:
        raise ImportRefused(f"itemId: {error}") from None


def _language(given: str | None) -> str | None:
    if not given:
        return None
    if not LANGUAGE.fullmatch(given):
        raise ImportRefused(f"lang {given[:40]!r}: expected a language code like eng-GB")
    return given


def _uris(given: str | list[str] | None) -> list[str]:
    uris = [given] if isinstance(given, str) else given or []
    if len(uris) > MAX_ADDRESSES:
        raise ImportRefused(f"uri with {len(uris):,} addresses: expected at most {MAX_ADDRESSES:,}")
    return list(dict.fromkeys(uris))


def _credentials(given: dict[str, str | None] | list[Any] | None) -> tuple[str, str]:
    if not given:
        return "", ""
    if isinstance(given, list):
        raise ImportRefused("credentials: expected an object with login and password")
    login, password = given.get("login") or "", given.get("password") or ""
    if ":" in login or not all(map(_is_credential, (login, password))):
        raise ImportRefused(
            f"credentials: expected login (without ':') and password of at most {MAX_CREDENTIAL:,} printable characters"
        )
    return login, password


def _is_credential(text: str) -> bool:
    return len(text) <= MAX_CREDENTIAL and _PRINTABLE.fullmatch(text) is not None


def conflicts(waiting: Export, later: Export | Deletion) -> bool:
    """Say whether a later change may be about what an export that still waits is about: it must not go before it.

    Not knowing a type, a language or an item is being about all of them.
    """
    pairs: Iterator[tuple[object, object]] = zip(
        (waiting.item_type, waiting.language, waiting.item), (later.item_type, later.language, later.item), strict=True
    )
    return all(one is None or other is None or one == other for one, other in pairs)
