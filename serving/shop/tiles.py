"""Pictures of items that have none: an SVG tile with a drawing of the kind of product, in the colour of its family.

The drawing is found by words of the item's title and categories; where no word is known, it is the initial. The
colours are few and chosen to stand beside each other, on light and on dark pages.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from zlib import crc32

from markupsafe import escape

from serving.shop.catalogue import Card


class Colours(NamedTuple):
    """A family's colours: the ground, the light behind the drawing, its body, its lines."""

    ground: str
    light: str
    body: str
    line: str


_COLOURS = {
    "leaf": Colours("#e2eee0", "#f1f7ef", "#a3cb9b", "#2c5a38"),
    "butter": Colours("#f9ecd0", "#fdf6e6", "#f0c56f", "#6f4d12"),
    "tomato": Colours("#f9e1d9", "#fdf1ec", "#ec9f88", "#783020"),
    "sky": Colours("#deeaf4", "#f0f6fb", "#98c1e0", "#244f6e"),
    "plum": Colours("#eae4f4", "#f6f2fb", "#baa6de", "#4a3776"),
    "mint": Colours("#daeeec", "#eef8f7", "#8bcac4", "#1e5a55"),
    "crust": Colours("#efe6d8", "#f9f4ec", "#d6b68a", "#5f4524"),
    "rose": Colours("#f7e1ea", "#fcf1f6", "#e9a3bf", "#762e4a"),
}


class Drawing(NamedTuple):
    """A drawing in a 24 x 24 box, made for this shop: what it shows, its family, filled shapes, lines."""

    shows: str
    family: str
    body: str
    lines: str = ""


_DRAWINGS: dict[str, Drawing] = {
    "bottle": Drawing("a bottle", "sky", "M10 3h4v4l2 3v9a2 2 0 0 1-2 2h-4a2 2 0 0 1-2-2v-9l2-3z", "M8 13h8M8 17h8"),
    "carton": Drawing(
        "a carton of milk",
        "sky",
        "M7 9l3-5h4l3 5v11a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1z",
        "M7 9h10M10 4h4M12 12c1.6 2 2 2.8 2 3.7a2 2 0 0 1-4 0c0-.9.4-1.7 2-3.7z",
    ),
    "tub": Drawing(
        "a tub",
        "sky",
        "M5.5 9h13l-1.6 10.5a1.5 1.5 0 0 1-1.5 1.5H8.6a1.5 1.5 0 0 1-1.5-1.5z",
        "M4.5 6.5h15V9h-15zM9 13.5c1.2-1.2 2 1.2 3 0s1.8 1.2 3 0",
    ),
    "cheese": Drawing(
        "a piece of cheese", "butter", "M3 13l13-8c3 1 5 4 5 8v6H3z", "M3 13h18M9 16h.01M15 16.5h.01M14 10h.01"
    ),
    "egg": Drawing(
        "an egg", "butter", "M12 3c3.6 0 6.5 6 6.5 10.5a6.5 6.5 0 0 1-13 0C5.5 9 8.4 3 12 3z", "M9 14a3 3 0 0 0 2 3"
    ),
    "bread": Drawing(
        "a loaf of bread",
        "crust",
        "M5 10a3.5 3.5 0 0 1 1-6.5h12a3.5 3.5 0 0 1 1 6.5v9a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1z",
        "M10 9l-2 4M14 9l-2 4",
    ),
    "cake": Drawing(
        "a cake",
        "rose",
        "M4 12.5a2.5 2.5 0 0 1 2.5-2.5h11a2.5 2.5 0 0 1 2.5 2.5V20H4z",
        "M4 14.5c1.3 1.5 2.7 1.5 4 0 1.3 1.5 2.7 1.5 4 0 1.3 1.5 2.7 1.5 4 0 1.3 1.5 2.7 1.5 4 0M2.5 20h19"
        "M12 10V6.5M12 4.5v-.8",
    ),
    "cookie": Drawing(
        "a cookie",
        "crust",
        "M12 3.5a8.5 8.5 0 1 0 8.5 9c-1.8.3-3-.7-3-2.3-2.3.2-3.6-1.2-3.2-3.3-1.5-.3-2.3-1.5-2.3-3.4z",
        "M8.5 9.5h.01M8 14.5h.01M12.5 12.5h.01M13 17h.01M16.5 15h.01",
    ),
    "snack": Drawing(
        "a bag of snacks",
        "tomato",
        "M6 3h12l-1 3 1 14-1 1H7l-1-1L7 6z",
        "M7 6h10M12 10a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z",
    ),
    "meat": Drawing(
        "a piece of meat",
        "tomato",
        "M14.5 3.5a6 6 0 0 1 5 9.5c-2 3-5 3-7 3.5-1.5.4-2 1.5-3 2.5l-2 2-1.5-1-2-.5-.5-2 2-1.5c1-1 2-1.6 "
        "2.5-3.2.8-2.6 1-5 3-7 1-1.2 2-2 3.5-2.3z",
        "M15 8.5a1.5 1.5 0 1 1 0 .01",
    ),
    "sausage": Drawing(
        "a sausage",
        "tomato",
        "M5.2 18.8a3.5 3.5 0 0 1 0-5l8.6-8.6a3.5 3.5 0 0 1 5 5l-8.6 8.6a3.5 3.5 0 0 1-5 0z",
        "M9 12.5l2 2M12 9.5l2 2M4.8 19.2L3 21M19.2 4.8L21 3",
    ),
    "fish": Drawing(
        "a fish", "mint", "M3 12c3-5 9-7 14-2l4-3v10l-4-3c-5 5-11 3-14-2z", "M7.5 11h.01M12 9.5c1 1.5 1 3.5 0 5"
    ),
    "can": Drawing(
        "a can",
        "tomato",
        "M6 6c0-1.7 2.7-3 6-3s6 1.3 6 3v12c0 1.7-2.7 3-6 3s-6-1.3-6-3z",
        "M6 6c0 1.7 2.7 3 6 3s6-1.3 6-3M6 10.5c0 1.7 2.7 3 6 3s6-1.3 6-3M6 15c0 1.7 2.7 3 6 3s6-1.3 6-3",
    ),
    "jar": Drawing(
        "a jar",
        "butter",
        "M7 7.5h10a2 2 0 0 1 1.5 2V19a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2V9.5a2 2 0 0 1 1.5-2z",
        "M7 3.5h10v4H7zM5.5 12h13M5.5 17h13",
    ),
    "box": Drawing("a packet", "butter", "M5 5l3-2h11v16l-3 2H5z", "M5 5h11l3-2M16 5v16M8 10h5M8 13h5"),
    "pasta": Drawing(
        "a bowl of pasta",
        "crust",
        "M3 12h18a9 7.5 0 0 1-6 7.5V21H9v-1.5A9 7.5 0 0 1 3 12z",
        "M5.5 12c0-4 4-5 6-3M9 12c0-5 6-5.5 7-2M13 12c0-2.5 4.5-3.5 5.5 0M16 3l-3.5 5.5",
    ),
    "pizza": Drawing(
        "a slice of pizza",
        "tomato",
        "M3 6c6-3.5 12-3.5 18 0L12 21z",
        "M5 9.5c4.7-2.5 9.3-2.5 14 0M10 12h.01M13.5 14h.01M12 17h.01",
    ),
    "ice": Drawing(
        "an ice cream cone", "rose", "M7 11a5 5 0 1 1 10 0h.5L12 21.5 6.5 11z", "M6.5 11h11M9 11l4 6.5M15 11l-4 6.5"
    ),
    "frozen": Drawing(
        "a snowflake",
        "sky",
        "",
        "M12 2.5v19M3.8 7.2l16.4 9.5M20.2 7.2L3.8 16.7M9.5 4l2.5 2.5L14.5 4M9.5 20l2.5-2.5 2.5 2.5"
        "M4 10.5l3.4-1L6.5 6M20 13.5l-3.4 1 .9 3.5M20 10.5l-3.4-1 .9-3.5M4 13.5l3.4 1-.9 3.5",
    ),
    "meal": Drawing(
        "a plate",
        "plum",
        "M12 5a7 7 0 1 1 0 14 7 7 0 0 1 0-14z",
        "M12 8.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7M2.5 4v5M2.5 9v11M21.5 4v16M21.5 4c-1.5 2-1.5 6 0 8",
    ),
    "candy": Drawing(
        "a sweet",
        "rose",
        "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM8.5 10L4 7v10l4.5-3zM15.5 10L20 7v10l-4.5-3z",
        "M10.5 13.5l3-3",
    ),
    "banana": Drawing(
        "bananas",
        "butter",
        "M6 3.5c.5 5 2.5 9.5 7 11.5 2.5 1.1 5 1 7 .3.4 2-1.2 3.7-3.6 4.4C9.5 21.7 3.5 14 4.5 4z",
        "M6 3.5L4.5 4",
    ),
    "apple": Drawing(
        "an apple",
        "leaf",
        "M12 8c-2-2-7-1.5-7 4 0 4.5 3 9 5 9 1 0 1.3-.5 2-.5s1 .5 2 .5c2 0 5-4.5 5-9 0-5.5-5-6-7-4z",
        "M12 8c0-2 .5-4 2.5-5",
    ),
    "berry": Drawing(
        "berries",
        "plum",
        "M8 7.5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM16 7.5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM12 14.5a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
        "M8 7.5C9 5.5 11 4 13 3.5c0 2 1.5 3.5 3 4M12 14.5V4",
    ),
    "citrus": Drawing(
        "a citrus fruit",
        "butter",
        "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z",
        "M12 6.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11zM12 6.5v11M7.2 9.3l9.6 5.4M16.8 9.3l-9.6 5.4",
    ),
    "tomato": Drawing(
        "a tomato",
        "tomato",
        "M12 7.5c5-2.5 8.5.5 8.5 5 0 4.5-3.8 8-8.5 8s-8.5-3.5-8.5-8c0-4.5 3.5-7.5 8.5-5z",
        "M12 7.5V4M12 7.5l-3.5-2M12 7.5l3.5-2M12 7.5l-2 2.5M12 7.5l2 2.5",
    ),
    "potato": Drawing(
        "a potato",
        "crust",
        "M7 6.5c3-3.5 9-3.5 12 .5 2.8 3.8 1.5 9-2.5 11.5-4 2.5-8 1-10.5-2S4 9.5 7 6.5z",
        "M9.5 10h.01M14 9h.01M12 14h.01M16 13.5h.01",
    ),
    "onion": Drawing(
        "an onion",
        "plum",
        "M12 6.5c1 2.5 8 3 8 8 0 4-3.5 6-8 6s-8-2-8-6c0-5 7-5.5 8-8z",
        "M12 6.5c-.3-1.5 0-2.5 1-3.5M12 6.5c-.5-1-1.2-1.5-2-2M12 8c-4 4-4 9 0 12.5M12 8c4 4 4 9 0 12.5",
    ),
    "pepper": Drawing(
        "a pepper",
        "leaf",
        "M12 7.5c3-2 7.5-.5 7.5 4 0 4-2.5 9-4.5 9-1.2 0-1.8-.8-3-.8s-1.8.8-3 .8c-2 0-4.5-5-4.5-9 0-4.5 4.5-6 7.5-4z",
        "M12 7.5c0-2 .5-3.5 2-4.5M12 7.5c-1.5 3-1.5 8 0 12",
    ),
    "carrot": Drawing(
        "a carrot",
        "butter",
        "M14 10c-3-2-5-1-6 2L3.5 20.5 12 16c3-1 4-3 2-6z",
        "M14 10c-.5-3 0-5 1.5-7M14 10c3 .5 5 0 7-1.5M14 10l5-5M8 13l2 2",
    ),
    "leaf": Drawing("a leaf", "leaf", "M5 19C4 10 9 4 20 4c0 11-6 16-15 15z", "M5 19L14 10M4 21l1-2"),
    "cup": Drawing(
        "a cup",
        "crust",
        "M5 8h12v7a5 5 0 0 1-5 5h-2a5 5 0 0 1-5-5z",
        "M17 9h1.5a2.5 2.5 0 0 1 0 6H17M9 5c-1-1 1-1.5 0-3M13 5c-1-1 1-1.5 0-3",
    ),
    "glass": Drawing(
        "a glass",
        "plum",
        "M7.3 8.4h9.4L16.5 9a4.5 4.5 0 0 1-9 0z",
        "M7 3h10l-.5 6a4.5 4.5 0 0 1-9 0zM12 13.5V20M8 21h8M7.3 8.4h9.4",
    ),
    "beer": Drawing(
        "a mug of beer",
        "butter",
        "M6 8h10v11a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 6 19z",
        "M16 10h2a2 2 0 0 1 2 2v3a2 2 0 0 1-2 2h-2"
        "M6 8a2.5 2.5 0 0 1 1.5-4.5C8.5 2 11 2 12 3.5c2-1 4.5.5 4 4.5M9.5 12v5M12.5 12v5",
    ),
    "baby": Drawing(
        "a baby's bottle",
        "mint",
        "M9 8h6l1 3v8a2 2 0 0 1-2 2h-4a2 2 0 0 1-2-2v-8z",
        "M10 8c0-2 .8-2 .8-3.5a1.2 1.2 0 0 1 2.4 0C13.2 6 14 6 14 8M8 14h3M8 17h3",
    ),
    "paw": Drawing(
        "a paw",
        "crust",
        "M12 12c2.5 0 5 3 5 5.5S15 21 12 20c-3 1-5 0-5-2.5S9.5 12 12 12zM6 9.5a1.5 2 0 1 1 .01 0"
        "M18 9.5a1.5 2 0 1 1 .01 0M9.8 7a1.5 2 0 1 1 .01 0M14.2 7a1.5 2 0 1 1 .01 0",
    ),
    "roll": Drawing(
        "a roll of paper",
        "mint",
        "M9 3h7c2 0 3.5 1.8 3.5 4v14H9c-2.2 0-4-1.8-4-4V7c0-2.2 1.8-4 4-4z",
        "M13 7v10c0 2.2-1.8 4-4 4M13 7c0-2.2-1.8-4-4-4M9 6a1 1 0 1 1 0 2 1 1 0 0 1 0-2z",
    ),
    "pump": Drawing(
        "a soap dispenser",
        "mint",
        "M8 11h8a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1v-8a1 1 0 0 1 1-1zM10 8h4v3h-4z",
        "M12 8V4H9c-1.5 0-2 .8-2 2M10 15h4",
    ),
    "pill": Drawing(
        "a remedy",
        "mint",
        "M6 8.5A4.5 4.5 0 0 1 12.4 2L21 10.7a4.5 4.5 0 0 1-6.4 6.4z",
        "M10.3 12.8l6.4-6.4M5.5 14a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM3.5 19.5l4-4",
    ),
    "flower": Drawing(
        "a flower",
        "rose",
        "M12 6.5c-3-4.5 3-4.5 0 0M12 11.5c-3 4.5 3 4.5 0 0M9.5 9c-4.5-3-4.5 3 0 0M14.5 9c4.5-3 4.5 3 0 0"
        "M12 6.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z",
        "M12 14.5V21M12 20c-3 0-4-1.5-4-3M12 20c3 0 4-1.5 4-3",
    ),
    "book": Drawing(
        "a book", "plum", "M12 6c-2-1.5-5-2-8-1.5v13c3-.5 6 0 8 1.5 2-1.5 5-2 8-1.5v-13c-3-.5-6 0-8 1.5z", "M12 6v13"
    ),
    "gift": Drawing(
        "a present",
        "rose",
        "M4 8.5h16v4H4zM5.5 12.5h13V21h-13z",
        "M12 8.5V21M12 8.5C9 8.5 7 7 8 5s3.5-.5 4 3.5c.5-4 3-5.5 4-3.5s-1 3.5-4 3.5z",
    ),
    "pot": Drawing(
        "a pot",
        "plum",
        "M4.5 10h15v8a3 3 0 0 1-3 3h-9a3 3 0 0 1-3-3z",
        "M4.5 10h15M2 12.5h2.5M19.5 12.5H22M4.5 10c0-3 3.5-4 7.5-4s7.5 1 7.5 4M12 6V4",
    ),
    "tool": Drawing(
        "a light bulb",
        "butter",
        "M12 3a6.5 6.5 0 0 1 3.5 12v2.5h-7V15A6.5 6.5 0 0 1 12 3z",
        "M9.5 20.5h5M10 15v-4l2 1.5 2-1.5v4",
    ),
    "toy": Drawing(
        "a toy",
        "sky",
        "M12 4.5a5 5 0 0 1 4.3 2.4 2.2 2.2 0 1 1 1.2 3.6c-.8 1.4-1.5 2-1.5 2.5 1.5 1 2 2.5 2 4.5 0 2-2 3.5-6 "
        "3.5s-6-1.5-6-3.5c0-2 .5-3.5 2-4.5 0-.5-.7-1.1-1.5-2.5a2.2 2.2 0 1 1 1.2-3.6A5 5 0 0 1 12 4.5z",
        "M10 9h.01M14 9h.01M10.5 11.5c1 .8 2 .8 3 0M10 16.5c1.3 1 2.7 1 4 0",
    ),
    "shirt": Drawing("a shirt", "sky", "M8.5 4L3 7l1.8 4L7 10v10.5h10V10l2.2 1L21 7l-5.5-3c-.8 2-6.2 2-7 0z"),
    "candle": Drawing(
        "a candle",
        "crust",
        "M8.5 10.5h7V21h-7z",
        "M12 10.5V8.5M12 8.5c-2.5-1.5-1-4 0-5.5 1 1.5 2.5 4 0 5.5zM6 21h12M8.5 14c1.2 1 2 .5 2.3-.5",
    ),
    "bag": Drawing("a shopping bag", "mint", "M5 8h14l1 13H4z", "M8.5 11V7a3.5 3.5 0 0 1 7 0v4"),
    "ticket": Drawing(
        "a voucher", "rose", "M3 7h18v3.5a1.8 1.8 0 0 0 0 3.5V17H3v-3a1.8 1.8 0 0 0 0-3.5z", "M14 7v2M14 11v2M14 15v2"
    ),
    "pump_fuel": Drawing(
        "a fuel pump",
        "sky",
        "M5 21V5a2 2 0 0 1 2-2h5a2 2 0 0 1 2 2v16z",
        "M4 21h11M7.5 6h4v4h-4zM14 12h2a1.5 1.5 0 0 1 1.5 1.5V17a1.5 1.5 0 0 0 3 0V9l-3-3",
    ),
}

# The first line with a word of the text wins, so special words stand before general ones.
_WORDS: tuple[tuple[str, str], ...] = (
    ("pump_fuel", "fuel gasoline"),
    ("ticket", "coupon coupons tickets voucher"),
    ("baby", "baby babyfood infant diaper diapers"),
    ("paw", "cat dog pet kitty litter rawhide bird"),
    ("pizza", "pizza"),
    ("ice", "gelato novelties sherbet sherbts cones"),
    ("tub", "yogurt cream margarine margarines butter pudding dip dips creams"),
    ("jar",
     "peanut jelly jam jams preserves honey salsa sauce sauces ketchup mustard mayonnaise relish pickles "
     "pickle olives dressing dressings condiment condiments syrup syrups vinegar gravy salads spread spreads"),
    ("cheese", "cheese cheeses"),
    ("egg", "egg eggs"),
    ("cup", "coffee tea teas cocoa creamer creamers"),
    ("beer", "beer beers ale ales"),
    ("glass", "wine wines liquor liquors spirits vodka cocktails mixers"),
    ("bottle",
     "soft drink drinks drnk drnks juice juices cider water isotonic beverage beverages soda cola oil oils "
     "punch"),
    ("carton", "milk dairy buttermilk"),
    ("snack", "snack snacks snk chips crackers popcorn pretzels nuts seeds jerky"),
    ("cookie", "cookie cookies biscuits wafer granola bars"),
    ("can", "soup soups broth canned beans tuna chili stew"),
    ("candy", "candy chocolate gum sweets mints marshmallows"),
    ("fish", "seafood fish shrimp salmon sushi fillets catfish shellfish"),
    ("cake", "cake cakes pie pies frosting icing desserts"),
    ("bread",
     "bread breads baked bakery buns rolls dough bagels muffin muffins pastry pastries donuts tortillas toast "
     "waffles baking loaf"),
    ("sausage", "sausage sausages hot dogs bologna pepperoni salami franks wieners lunchmeat"),
    ("meat", "meat meats beef pork chicken bacon turkey ham poultry lamb veal deli ribs"),
    ("pasta", "pasta noodles spaghetti macaroni ramen"),
    ("meal", "meal meals dinner dinners entrees prepared sandwiches sandwich burritos restaurant"),
    ("banana", "banana bananas"),
    ("berry", "berry berries strawberries blueberries raspberries blackberries grape grapes cherries raisins"),
    ("citrus", "citrus orange oranges lemons limes grapefruit clementines tangerines"),
    ("tomato", "tomato tomatoes"),
    ("potato", "potato potatoes fries yams hashbrown"),
    ("onion", "onion onions garlic"),
    ("pepper", "pepper peppers jalapeno"),
    ("apple",
     "fruit fruits apple apples melons melon cantaloupe watermelon stone tropical pears peaches plums "
     "pineapple kiwi mango avocado nectarines"),
    ("carrot",
     "carrot carrots vegetables vegetable corn roots celery broccoli cauliflower squash cucumbers asparagus "
     "radish"),
    ("leaf", "salad herbs organic organics lettuce greens produce mushrooms spinach cabbage parsley"),
    ("frozen", "frozen frzn ice"),
    ("box",
     "cereal oatmeal breakfast rice mix mixes mxs dry hispanic sugar sugars flour spices seasoning seasonings "
     "stuffing grits"),
    ("pill",
     "vitamin vitamins cold pain analgesics drug medicine diet nutrition aid antacids acids sinus laxatives "
     "allergy cough health"),
    ("pump",
     "soap detergent detergents cleaning cleaner cleaners clean laundry hair shampoo oral toothpaste "
     "toothbrush deodorant deodorants makeup cosmetics skin care bath air bleach softener razors shaving "
     "hygiene lotion lotions body mouthwash perfume fragrances suntan covergirl maybelline revlon"),
    ("roll",
     "tissue tissues tiss towels paper toilet napkins napkin wraps bags foil plates cups wipes filters pads "
     "tampons"),
    ("gift", "gift greeting wrap party christmas easter halloween valentine seasonal cards card balloons"),
    ("book", "magazine newspaper book books bookstore stationery school paperback"),
    ("flower", "floral flower flowers garden plants bulb rose roses bunch"),
    ("candle", "candle candles"),
    ("toy", "toy toys games diecast"),
    ("shirt", "apparel hosiery socks shoe shirts"),
    ("pot", "kitchen cookware bakeware glassware dinnerware housewares houseware gadgets household plastic foilware"),
    ("tool", "battery batteries bulbs electrical hardware tools automotive appliances audio video film photo camera"),
    ("bag", "grocery drugstore merchandise supplies accessories"),
)  # fmt: skip
_KNOWN = {word: drawing for drawing, words in reversed(_WORDS) for word in words.split()}
_ORDER = {drawing: place for place, (drawing, _) in enumerate(_WORDS)}
_TEXT_WORDS = re.compile(r"[a-z]+")
_SAYINGS = (("hot dog", "sausage"), ("ice cream", "gelato"), ("baby carrots", "carrots"), ("soft drink", "soda"))


def tile(card: Card) -> str:
    """Return the SVG of an item; it runs no script and refers to nothing."""
    drawing = _drawing(card)
    family = list(_COLOURS.values())[crc32(card.category.encode()) % len(_COLOURS)]
    colours = _COLOURS[drawing.family] if drawing else family
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 180" width="240" height="180">'
        f'<rect width="240" height="180" fill="{colours.ground}"/>'
        f'<circle cx="120" cy="88" r="66" fill="{colours.light}"/>'
        f'<ellipse cx="120" cy="133" rx="34" ry="4.5" fill="{colours.line}" opacity=".13"/>'
        f"{_figure(drawing, colours) if drawing else _initial(card, colours)}</svg>"
    )


def picture(card: Card) -> str:
    """Return what the tile of an item shows, for those who do not see it."""
    drawing = _drawing(card)
    return f"Drawing of {drawing.shows}" if drawing else ""


def _figure(drawing: Drawing, colours: Colours) -> str:
    return (
        f'<g transform="translate(81 48) scale(3.25)" fill="none" stroke="{colours.line}" stroke-width="1.25" '
        f'stroke-linecap="round" stroke-linejoin="round"><path d="{drawing.body}" fill="{colours.body}"/>'
        f'<path d="{drawing.lines}"/></g>'
    )


def _initial(card: Card, colours: Colours) -> str:
    return (
        f'<text x="120" y="90" fill="{colours.line}" font-family="Georgia,serif" font-size="62" text-anchor="middle" '
        f'dominant-baseline="central">{escape(card.title[:1].upper())}</text>'
    )


def _drawing(card: Card) -> Drawing | None:
    """Return the drawing: looked for in the title, then in the categories from the inner to the outer."""
    for text in (card.title, *reversed(card.category.split("/"))):
        small = text.lower()
        for saying, word in _SAYINGS:
            small = small.replace(saying, word)
        if found := {_KNOWN[word] for word in _TEXT_WORDS.findall(small) if word in _KNOWN}:
            return _DRAWINGS[min(found, key=_ORDER.__getitem__)]
    return None
