"""One request to the shop: which publication it sees, who asks, what is in the basket; fixed to its end."""

from __future__ import annotations

import time
from dataclasses import dataclass

from flask import abort, request

from personalization_pipelines.foundation.errors import LiveStoreUnavailable
from personalization_pipelines.foundation.identifiers import pseudonym
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.website import Website
from serving.recommending.shelf import shelf_of
from serving.recommending.visitor_past import SOURCES, Past
from serving.services import Services
from serving.shop.basket import read_basket
from serving.shop.catalogue import Card, Catalogue
from serving.shop.visitors import Shopper, chosen, guest, shoppers

DEMOS = (("demo", "1000"), ("demo", "00000"))
"""Name and customer id of the website that `personalization demo` makes, and of the one that earlier versions made."""

_DID = {
    "click": "looked at", "consume": "read", "buy": "bought", "owns": "owned", "basket": "put in the basket",
    "wishlist": "wished for", "rate": "rated",
}  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """What one request sees. `user` is the id that the page's calls carry, `visitor` its pseudonym."""

    website: Website
    publication: Publication
    catalogue: Catalogue
    shoppers: list[Shopper]
    user: str
    visitor: str
    basket: dict[tuple[int, str], int]
    now: int

    @property
    def is_guest(self) -> bool:
        """Whether nobody chose who this is."""
        return self.user.startswith("guest-")

    @property
    def is_demo(self) -> bool:
        """Whether this is the shop of `personalization demo`."""
        return (self.website.name, self.website.customer_id) in DEMOS

    @property
    def shop_name(self) -> str:
        """The shop's name for people."""
        name = self.website.name.replace("-", " ").capitalize()
        return name if "shop" in name.lower() else f"{name} shop"

    @property
    def person(self) -> str:
        """What a visitor is called here."""
        return "household" if self.is_demo else "visitor"

    def row(self, item_type: int, item: str) -> int:
        """Return the row of an item, 404 where the shop has none."""
        row = self.catalogue.items.row(item_type, item)
        if row < 0:
            abort(404, "The shop has no such product.")
        return row


class Shop:
    """The shop of one website; what is derived from a publication is kept until the next one."""

    def __init__(self, services: Services, website: str) -> None:
        self._services = services
        self._website = website
        self._derived: tuple[Catalogue, list[Shopper]] | None = None

    def enter(self) -> Visit:
        """Return what this request sees; 503 where there is nothing to show yet. Nobody yet known becomes a guest."""
        served = next((one for one in self._services.websites.all() if one.website.name == self._website), None)
        if served is None:
            abort(503, f"There is no website {self._website!r} here, or its file is refused: `personalization check`.")
        if served.publication is None:
            abort(503, f"Nothing is published yet: run `personalization build --website {self._website}`.")
        catalogue, found = self._derive(served.website, served.publication)
        user = chosen(request.cookies.get("shop_user")) or guest()
        return Visit(
            website=served.website,
            publication=served.publication,
            catalogue=catalogue,
            shoppers=found,
            user=user,
            visitor=pseudonym(self._services.home.key, served.website.customer_id, user),
            basket=read_basket(request.cookies.get("shop_basket", "")),
            now=time.time_ns() // 1000,
        )

    def past(self, visit: Visit, limit: int) -> list[tuple[Card, str]]:
        """Return the newest items that interested the visitor, published and live; a name once, with what was done."""
        try:
            live = self._services.live.history(visit.website.name, visit.visitor)
        except LiveStoreUnavailable:
            self._services.metrics.count("live_store_unavailable", visit.website.name)
            live = []
        names, newest = visit.catalogue.names(), dict[int, tuple[int, str]]()
        for _, row, event in Past(visit.publication, shelf_of(visit.publication), visit.visitor, live).entries:
            if row >= 0 and event in SOURCES and len(newest) < limit:
                newest.setdefault(int(names[row]), (row, event))
        return [(visit.catalogue.card(row), _DID[event]) for row, event in newest.values()]

    def _derive(self, website: Website, publication: Publication) -> tuple[Catalogue, list[Shopper]]:
        derived = self._derived
        if derived is None or derived[0].publication is not publication:
            found = shoppers(publication, self._services.home.key, website.customer_id)
            derived = self._derived = Catalogue(publication), found
        return derived
