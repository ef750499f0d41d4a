"""The catalogue over HTTP: `/api/{customer}/item…` (section 3 of the HTTP contract), with the licence key.

What comes is checked wholly and then queued: 202 says that it is on the disk, and the next refresh applies it. What
is read is what is published, so an item that was just sent is not there before the refresh after it. Parsing XML is
imported by the first request that needs it.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest, NotFound, ServiceUnavailable

from personalization_pipelines.content.change_queue import (
    DELETE_ITEM,
    ITEMS_XML,
    TRANSFER_ITEMS,
    Deletion,
    enqueue,
    pending,
)
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.identifiers import parse_item_type
from personalization_pipelines.publications.read.published_items import ALWAYS, Items
from personalization_pipelines.website import Website
from serving.http.raw_request import checked, parse_parameters, read_body
from serving.openapi.schemas import QUEUED_CHANGE, TEXT, Described, in_path, in_query, problems, ref, with_key
from serving.services import Services
from serving.websites import ServedWebsite

MAX_BODY_BYTES = 64 << 20
MAX_TRANSFER_BYTES = 4 << 20
LARGE_BYTES = 1 << 20
XML = "application/xml; charset=utf-8"
NO_STORE = {"Cache-Control": "no-store"}

_log = logging.getLogger(__name__)


def blueprint(services: Services) -> Blueprint:
    """Return the block of the content API."""
    block, api = Blueprint("content", __name__), _Content(services)
    item = "/api/<customer>/item/<type>/<item>"
    block.add_url_rule("/api/<customer>/item", "post_item", api.post, methods=["POST"])
    block.add_url_rule("/api/<customer>/item/schema.xsd", "item_schema", api.schema)
    block.add_url_rule("/api/<customer>/transferitems", "transfer_items", api.transfer, methods=["POST"])
    block.add_url_rule(item, "get_item", api.get)
    block.add_url_rule(item, "delete_item", api.delete, methods=["DELETE"])
    return block


def describe() -> Described:
    """Return what `/openapi.json` says of items and transfers."""
    xml, customer = {"application/xml": {"schema": TEXT}}, in_path("customer")
    found = {"200": {"description": "As it is published.", "content": xml}}
    queued = {"202": QUEUED_CHANGE}
    sent = queued | problems(400, 401, 411, 413, 414, 415, 429, 503)
    item = [customer, in_path("type"), in_path("item"), in_query("lang", ref("Language"))]
    post = "Adds items, or replaces those of the same type, id and language. The schema is at `schema.xsd`."
    transfer = "Lets the history of old items count for new ones, from now on; the old items are removed."
    delete = "Removes an item, in one language or (without `lang`) in all."
    return Described(
        {
            "/api/{customer}/item": {"post": with_key("post_item", "content", post, [customer], sent, xml)},
            "/api/{customer}/transferitems": {
                "post": with_key("transfer_items", "content", transfer, [customer], sent, xml)
            },
            "/api/{customer}/item/schema.xsd": {
                "get": with_key(
                    "get_item_schema",
                    "content",
                    "The XML Schema of this website's documents.",
                    [customer],
                    found | problems(400, 401, 414, 429),
                )
            },
            "/api/{customer}/item/{type}/{item}": {
                "get": with_key(
                    "get_item",
                    "content",
                    "An item as it is published now.",
                    item,
                    found | problems(400, 401, 404, 414, 429, 501),
                ),
                "delete": with_key(
                    "delete_item", "content", delete, item, queued | problems(400, 401, 404, 414, 429, 503)
                ),
            },
        }
    )


class _Content:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._large = threading.Lock()

    def post(self, customer: str) -> Response:
        """Queue a document of items (202), or say what is wrong with it (400)."""
        from personalization_pipelines.content.xml.xml_items import check_xml_items

        website = self._website(customer).website
        body = read_body(request.environ, MAX_BODY_BYTES)
        with self._alone(body):
            try:
                count, last = check_xml_items(io.BytesIO(body), website)
            except ImportRefused as error:
                raise BadRequest(f"{error}. Nothing was stored.") from None
        what = f"item {last.item_type}/{last.item}" if count == 1 else f"{count:,} items"
        return self._queued(website, ITEMS_XML, body, f"POST of {what}")

    def transfer(self, customer: str) -> Response:
        """Queue a document of transfers (202), or say what is wrong with it (400)."""
        from personalization_pipelines.content.xml.xml_transfers import read_xml_transfers

        website = self._website(customer).website
        body = read_body(request.environ, MAX_TRANSFER_BYTES)
        with self._alone(body):
            try:
                asked = read_xml_transfers(io.BytesIO(body), website)
            except ImportRefused as error:
                raise BadRequest(f"{error}. Nothing was stored.") from None
        what = f"item {asked[0]}" if len(asked) == 1 else f"{len(asked):,} items"
        return self._queued(website, TRANSFER_ITEMS, body, f"transfer of {what}")

    def schema(self, customer: str) -> Response:
        """Answer with the XML Schema of this website's documents."""
        from personalization_pipelines.content.xml.xml_schema import items_schema

        return Response(items_schema(self._website(customer).website), content_type=XML, headers=NO_STORE)

    def get(self, customer: str, type: str, item: str) -> Response:
        """Answer with an item as it is published, as the document that `post` takes."""
        from personalization_pipelines.content.xml.write_xml import write_xml_items
        from personalization_pipelines.content.xml.xml_grammar import XmlItem

        served, number, name = self._asked(customer, type, item)
        language = self._language() or ""
        items, row = _found(served, number, name)
        if items is None or (language and not items.exist_in(language)[row]):
            where = f" in the language {language}" if language else ""
            raise NotFound(
                f"item {name!r} of type {number} is not published{where}: compare type and id, or wait for a build."
            )
        price, currency = int(items.price_minor[row]), served.website.currency
        made = XmlItem(
            number,
            name,
            items.languages.of(row, language) if items.languages else "",
            price_minor=None if price < 0 else price,
            currency="" if price < 0 else currency,
            valid_from=None if items.valid_from[row] == ALWAYS.min else int(items.valid_from[row]),
            valid_to=None if items.valid_to[row] == ALWAYS.max else int(items.valid_to[row]),
            categories=items.paths(row),
            attributes=items.attributes(row, language),
        )
        return Response(write_xml_items([made], served.website), content_type=XML, headers=NO_STORE)

    def delete(self, customer: str, type: str, item: str) -> Response:
        """Queue the deletion of an item (202); 404 where it is neither published nor may be waiting."""
        served, number, name = self._asked(customer, type, item)
        language = self._language()
        if _found(served, number, name)[0] is None and not self._waiting(served.website):
            raise NotFound(f"item {name!r} of type {number} is not published: compare type and id.")
        gone = Deletion(number, name, language)
        return self._queued(served.website, DELETE_ITEM, msgspec.json.encode(gone), f"DELETE of item {number}/{name}")

    def _website(self, customer: str) -> ServedWebsite:
        """Return the website whose key the request carries (401, 414, 429 where it does not)."""
        return self._services.with_key(customer, request.environ)

    def _asked(self, customer: str, kind: str, item: str) -> tuple[ServedWebsite, int, str]:
        served = self._website(customer)
        return served, parse_item_type(kind), served.website.item_id(item)

    def _language(self) -> str | None:
        """Return the language that the request names, also one that the website's file does not."""
        from personalization_pipelines.events.judging.rules import read_language

        given = parse_parameters(request.environ, 0).get("lang")
        if given is None:
            return None
        read_language("lang", given)
        return checked(given[0], "lang")

    @contextmanager
    def _alone(self, body: bytes) -> Iterator[None]:
        """Let only one large document be checked at a time: checking takes the time of all other answers (503)."""
        if len(body) <= LARGE_BYTES:
            yield
        elif self._large.acquire(blocking=False):
            try:
                yield
            finally:
                self._large.release()
        else:
            raise ServiceUnavailable("another large document is being checked: send again later.", retry_after=10)

    def _waiting(self, website: Website) -> bool:
        return any(change.kind == ITEMS_XML for change in pending(self._services.home, website))

    def _queued(self, website: Website, kind: str, body: bytes, name: str) -> Response:
        try:
            change = enqueue(self._services.home, website, kind, body, name=name)
        except OSError as error:
            _log.error("website %s: a change of content cannot be queued: %s", website.name, error.strerror)
            raise ServiceUnavailable("The change can not be stored now: send it again later.", retry_after=60) from None
        return Response(status=202, headers={**NO_STORE, "X-Change": change})


def _found(served: ServedWebsite, kind: int, item: str) -> tuple[Items | None, int]:
    """Return the published items and the row of one, or None where it is not among them."""
    items = served.publication.items if served.publication else None
    row = items.row(kind, item) if items else -1
    return (None, -1) if row < 0 else (items, row)
