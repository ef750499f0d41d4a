"""Pictures of items that have none: an SVG tile in the colour of the department with a simple drawing.

The drawing is found by words of the item's categories and title; where no word is known, it is the initial.
"""

from __future__ import annotations

import re
from zlib import crc32

from markupsafe import escape

from serving.shop.catalogue import Card

# Drawings in a 24 x 24 box, drawn with a line of 1.5; made for this shop.
_DRAWINGS: dict[str, str] = {
    "bottle": "M10 3h4v4l2 3v9a2 2 0 0 1-2 2h-4a2 2 0 0 1-2-2v-9l2-3zM8 13h8M8 17h8",
    "carton": "M7 9l3-5h4l3 5v11a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1zM7 9h10M10 4h4"
    "M12 12c1.6 2 2 2.8 2 3.7a2 2 0 0 1-4 0c0-.9.4-1.7 2-3.7z",
    "cheese": "M3 13l13-8c3 1 5 4 5 8zM3 13h18v6H3zM9 16h.01M15 16.5h.01M14 10h.01",
    "egg": "M12 3c3.6 0 6.5 6 6.5 10.5a6.5 6.5 0 0 1-13 0C5.5 9 8.4 3 12 3zM9 14a3 3 0 0 0 2 3",
    "bread": "M5 10a3.5 3.5 0 0 1 1-6.5h12a3.5 3.5 0 0 1 1 6.5v9a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1zM10 9l-2 4M14 9l-2 4",
    "snack": "M6 3h12l-1 3 1 14-1 1H7l-1-1L7 6zM7 6h10M12 10a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z",
    "meat": "M14.5 3.5a6 6 0 0 1 5 9.5c-2 3-5 3-7 3.5-1.5.4-2 1.5-3 2.5l-2 2-1.5-1-2-.5-.5-2 2-1.5c1-1 2-1.6 "
    "2.5-3.2.8-2.6 1-5 3-7 1-1.2 2-2 3.5-2.3z"
    "M15 8.5a1.5 1.5 0 1 1 0 .01",
    "fish": "M3 12c3-5 9-7 14-2l4-3v10l-4-3c-5 5-11 3-14-2zM7.5 11h.01M12 9.5c1 1.5 1 3.5 0 5",
    "can": "M6 6c0-1.7 2.7-3 6-3s6 1.3 6 3v12c0 1.7-2.7 3-6 3s-6-1.3-6-3zM6 6c0 1.7 2.7 3 6 3s6-1.3 6-3"
    "M6 10.5c0 1.7 2.7 3 6 3s6-1.3 6-3M6 15c0 1.7 2.7 3 6 3s6-1.3 6-3",
    "box": "M5 5l3-2h11v16l-3 2H5zM5 5h11l3-2M16 5v16M8 10h5M8 13h5",
    "pizza": "M3 6c6-3.5 12-3.5 18 0L12 21zM5 9.5c4.7-2.5 9.3-2.5 14 0M10 12h.01M13.5 14h.01M12 17h.01",
    "ice": "M7 11a5 5 0 1 1 10 0zM6.5 11h11L12 21.5zM9 11l4 6M15 11l-4 6",
    "frozen": "M12 2.5v19M3.8 7.2l16.4 9.5M20.2 7.2L3.8 16.7M9.5 4l2.5 2.5L14.5 4M9.5 20l2.5-2.5 2.5 2.5"
    "M4 10.5l3.4-1L6.5 6M20 13.5l-3.4 1 .9 3.5M20 10.5l-3.4-1 .9-3.5M4 13.5l3.4 1-.9 3.5",
    "candy": "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM8.5 10L4 7v10l4.5-3M15.5 10L20 7v10l-4.5-3M10.5 13.5l3-3",
    "apple": "M12 8c-2-2-7-1.5-7 4 0 4.5 3 9 5 9 1 0 1.3-.5 2-.5s1 .5 2 .5c2 0 5-4.5 5-9 0-5.5-5-6-7-4z"
    "M12 8c0-2 .5-4 2.5-5",
    "carrot": "M14 10c-3-2-5-1-6 2L3.5 20.5 12 16c3-1 4-3 2-6zM14 10c-.5-3 0-5 1.5-7M14 10c3 .5 5 0 7-1.5"
    "M14 10l5-5M8 13l2 2",
    "leaf": "M5 19C4 10 9 4 20 4c0 11-6 16-15 15zM5 19L14 10M4 21l1-2",
    "cup": "M5 8h12v7a5 5 0 0 1-5 5h-2a5 5 0 0 1-5-5zM17 9h1.5a2.5 2.5 0 0 1 0 6H17M9 5c-1-1 1-1.5 0-3"
    "M13 5c-1-1 1-1.5 0-3",
    "glass": "M7 3h10l-.5 6a4.5 4.5 0 0 1-9 0zM12 13.5V20M8 21h8M7.3 8h9.4",
    "baby": "M9 8h6l1 3v8a2 2 0 0 1-2 2h-4a2 2 0 0 1-2-2v-8z"
    "M10 8c0-2 .8-2 .8-3.5a1.2 1.2 0 0 1 2.4 0C13.2 6 14 6 14 8M8 14h3M8 17h3",
    "paw": "M12 12c2.5 0 5 3 5 5.5S15 21 12 20c-3 1-5 0-5-2.5S9.5 12 12 12zM6 9.5a1.5 2 0 1 1 .01 0"
    "M18 9.5a1.5 2 0 1 1 .01 0M9.8 7a1.5 2 0 1 1 .01 0M14.2 7a1.5 2 0 1 1 .01 0",
    "roll": "M5 7c0-2.2 1.8-4 4-4s4 1.8 4 4v10c0 2.2-1.8 4-4 4s-4-1.8-4-4zM9 3h7c2 0 3.5 1.8 3.5 4v14H9"
    "M9 6a1 1 0 1 1 0 2 1 1 0 0 1 0-2z",
    "pump": "M8 11h8a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1v-8a1 1 0 0 1 1-1zM10 11V8h4v3"
    "M12 8V4h-3c-1.5 0-2 .8-2 2M10 15h4",
    "pill": "M8.5 20.5a5 5 0 0 1-7-7l6-6a5 5 0 0 1 7 0M5 11l7 7M16 11a5 5 0 1 1 0 10 5 5 0 0 1 0-10zM12.5 19.5l7-7",
    "flower": "M12 8a2 2 0 1 1 0 4 2 2 0 0 1 0-4zM12 8c-2.5-4 2.5-4 0 0M12 12c-2.5 4 2.5 4 0 0"
    "M10 10c-4-2.5-4 2.5 0 0M14 10c4-2.5 4 2.5 0 0M12 15v6M12 20c-3 0-4-1.5-4-3"
    "M12 20c3 0 4-1.5 4-3",
    "book": "M12 6c-2-1.5-5-2-8-1.5v13c3-.5 6 0 8 1.5 2-1.5 5-2 8-1.5v-13c-3-.5-6 0-8 1.5zM12 6v13",
    "pump_fuel": "M5 21V5a2 2 0 0 1 2-2h5a2 2 0 0 1 2 2v16M4 21h11M7.5 6h4v4h-4z"
    "M14 12h2a1.5 1.5 0 0 1 1.5 1.5V17a1.5 1.5 0 0 0 3 0V9l-3-3",
}

# The first line with a word of the text wins, so special words stand before general ones.
_WORDS: tuple[tuple[str, str], ...] = (
    ("pump_fuel", "fuel gasoline"),
    ("baby", "baby infant diaper"),
    ("paw", "cat dog pet kitty"),
    ("pizza", "pizza"),
    ("ice", "gelato novelties sherbts"),
    ("cheese", "cheese cheeses"),
    ("egg", "egg eggs"),
    ("cup", "coffee tea cocoa"),
    ("glass", "beer beers ale ales wine liquor spirits"),
    ("bottle", "soft drink drinks drnk drnks juice juices water isotonic beverage soda cola"),
    ("carton", "milk dairy yogurt margarine margarines butter cream"),
    ("can", "soup canned sauce sauces beans condiment condiments dressing sald pickle shelf dip dips peanut pnt jelly"),
    ("candy", "candy chocolate cookie cookies gum"),
    ("snack", "snack snacks snk crackers chips popcorn pretzels nuts"),
    ("fish", "seafood fish shrimp tuna salmon"),
    ("bread", "bread baked bakery buns rolls dough bagels cake cakes muffin pastry pie pies baking donuts sweet"),
    ("meat", "meat beef pork chicken bacon sausage lunchmeat turkey ham poultry lamb deli"),
    ("frozen", "frozen frzn ice"),
    ("box", "cereal breakfast pasta noodles rice dinner mixes mix mxs dry hispanic sugars flour spices"),
    ("apple", "fruit apple apples berries grapes citrus melons bananas stone tropical pears"),
    ("carrot", "carrots vegetables vegetable potatoes onions peppers tomatoes corn roots"),
    ("leaf", "salad herbs organics lettuce greens produce mushrooms"),
    ("roll", "tissue tissues tiss towels paper napkin wraps bags"),
    ("pump", "soap detergents cleang clean laundry hair shampoo oral deodorants makeup cosmetics skin care bath air"),
    ("pill", "vitamin vitamins cold pain health drug medicine diet nutrition first aid antacids sinus"),
    ("flower", "floral flower flowers garden plants bulb"),
    ("book", "magazine newspaper book books cards greeting stationery school"),
)  # fmt: skip
_KNOWN = {word: drawing for drawing, words in reversed(_WORDS) for word in words.split()}
_ORDER = {drawing: place for place, (drawing, _) in enumerate(_WORDS)}
_TEXT_WORDS = re.compile(r"[a-z]+")


def tile(card: Card) -> str:
    """Return the SVG of an item; it runs no script and refers to nothing."""
    parts = card.category.strip("/").split("/")
    hue = (crc32(parts[0].encode()) * 47 + crc32("/".join(parts[1:2]).encode()) % 151 - 75) % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 180" width="240" height="180">'
        f'<defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="hsl({hue},58%,94%)"/>'
        f'<stop offset="1" stop-color="hsl({(hue + 18) % 360},52%,85%)"/></linearGradient></defs>'
        f'<rect width="240" height="180" fill="url(#g)"/><circle cx="120" cy="90" r="58" fill="#fff" opacity=".55"/>'
        f"{_figure(card, hue)}</svg>"
    )


def _figure(card: Card, hue: int) -> str:
    drawing = _drawing(card)
    colour = f"hsl({hue},42%,34%)"
    if drawing is None:
        initial = escape(card.title[:1].upper())
        return (
            f'<text x="120" y="90" fill="{colour}" font-family="Georgia,serif" font-size="62" text-anchor="middle" '
            f'dominant-baseline="central">{initial}</text>'
        )
    return (
        f'<g transform="translate(84 54) scale(3)" fill="none" stroke="{colour}" stroke-width="1.3" '
        f'stroke-linecap="round" stroke-linejoin="round"><path d="{_DRAWINGS[drawing]}"/></g>'
    )


def _drawing(card: Card) -> str | None:
    """Return the drawing's name: looked for in the title, then in the categories from the inner to the outer."""
    for text in (card.title, *reversed(card.category.split("/"))):
        found = {
            _KNOWN[word]
            for word in _TEXT_WORDS.findall(text.lower().replace("hot dog", "sausage").replace("ice cream", "gelato"))
            if word in _KNOWN
        }
        if found:
            return min(found, key=_ORDER.__getitem__)
    return None
