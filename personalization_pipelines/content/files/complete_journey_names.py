"""Names that a person can read for the products of Complete Journey, whose columns hold a cash register's codes.

`SFT DRNK 2 LITER BTL CARB INCL` becomes "Soft drinks, 2 liter bottle". General rules do most of it: brackets are
cut, abbreviations spelled out, signs turned into words, a noun that stands first is put last ("Gala apples"). The
few names that no rule gets right are listed whole.
"""

from __future__ import annotations

import re
from functools import lru_cache

WIDTH = 29
"""Letters after which the source's column is cut off (at 30, spaces stripped), in the middle of a word."""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _table(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


_WHOLE = {
    "DRUG GM": "Drugstore & home",
    "MEAT-PCKGD": "Packaged meat",
    "SEAFOOD-PCKGD": "Packaged seafood",
    "NUTRITION": "Natural foods",
    "PASTRY": "Bakery",
    "CHEF SHOPPE": "Chef's shop",
    "CNTRL/STORE SUP": "Store supplies",
    "CHARITABLE CONT": "Charity",
    "PROD-WHS SALES": "Warehouse sales",
    "ELECT &PLUMBING": "Electrical & plumbing",
    "GM MERCH EXP": "General merchandise",
    "GROCERY": "Grocery",
    "MISCELLANEOUS": "Other",
    "BATH TISSUES": "Toilet paper",
    "TOILET TISSUE": "Toilet paper",
    "BEERALEMALT LIQUORS": "Beer & ale",
    "BEVERAGE": "Drinks",
    "BITS & MORSELS": "Baking chips",
    "BOOKSTORE": "Books",
    "BUTTER SPRAY CRACKER": "Butter crackers",
    "CANDY - CHECKLANE": "Sweets at the checkout",
    "CANDY - PACKAGED": "Packaged sweets",
    "CANDY BARS": "Candy bars",
    "CATSUP": "Ketchup",
    "CHEESE CRACKERS": "Cheese crackers",
    "CONTINUITIES": "Collections",
    "CONVENIENT BRKFST/WHLSM SNACKS": "Breakfast bars & snacks",
    "CRACKERS/MISC BKD FD": "Crackers",
    "DAIRY CASE 100% PURE JUICE - O": "Chilled orange juice",
    "DAIRY CASE 100% PURE JUICE OTH": "Chilled fruit juice",
    "DAIRY CASE CITRUS PNCH/OJ SUBS": "Chilled citrus punch",
    "DAIRY CASE JUICE DRNK UNDER 10": "Chilled juice drink",
    "DAIRY CASE TEA WITH SUGAR OR S": "Chilled sweet tea",
    "FEM. HYGN. TAMPONS": "Tampons",
    "FEM. HYGN.NAPKINS": "Sanitary pads",
    "FITNESS&DIET - BARS": "Fitness bars",
    "FLUID MILK": "Milk",
    "FLUID MILK PRODUCTS": "Milk",
    "FLUID MILK WHITE ONLY": "White milk",
    "FRZN BOXED VEGETABLES- VALUE A": "Frozen boxed vegetables, prepared",
    "FRZN BAGGED VEGETABLES- VALUE": "Frozen bagged vegetables, prepared",
    "FRZN BRD STICK/PORTON": "Frozen breaded fish sticks",
    "FRZN MEAT/MEAT DINNERS": "Frozen meals",
    "FRZN SS PREMIUM ENTREES/DNRS/N": "Frozen premium meal for one",
    "FRZN SS PREMIUM ENTREES/DNRS/T": "Frozen premium dinner for one",
    "FRZN MULTI SERVE ENTREES ALL": "Frozen family meal",
    "SS ECONOMY ENTREES/DINNERS ALL": "Frozen economy meal for one",
    "GARBAGE KITCHEN COMPACTOR BA": "Garbage bags",
    "GASOLINE-REG UNLEADED": "Regular unleaded gasoline",
    "HISPANIC": "Mexican & Latin foods",
    "ICE CREAM/MILK/SHERBTS": "Ice cream & sherbet",
    "INSTORE CUT FRUIT": "Fresh cut fruit",
    "INSTANT COFFEE FLAVORED NO SWE": "Flavored instant coffee, unsweetened",
    "INSTANT COFFEE FLAVORED W/SWEE": "Flavored instant coffee, sweetened",
    "IWS SINGLE CHEESE": "Wrapped cheese slices",
    "NON-IWS SINGLE CHEESE": "Cheese slices",
    "J-HOOKS": "Household helpers",
    "MUSHROOMS W/WHOLE PKG": "Whole white mushrooms",
    "POTATOES SWEET&YAMS": "Sweet potatoes & yams",
    "COUGH SYRP/LOZNG-DRP/XPCTRNT": "Cough syrup & lozenges",
    "CRANAPPLE CRAN GRAPE JUICE": "Cranberry mixed juice",
    "BEANS GREEN: FS/WHL/CUT": "Green beans",
    "BEANS - CANNED GLASS & MW": "Canned beans",
    "COUPONS/STORE & MFG": "Coupons",
    "FD WRAPS/BAGS/TRSH BG": "Food wraps & trash bags",
    "FRZN SS PREMIUM ENTREES/DNRS": "Frozen premium meal for one",
    "PEPPERS-ALL": "Peppers",
    "PUDDING&GELATIN CUPS/CANS": "Pudding & gelatin cups",
    "SOFT DRINKS CAN NON-CARB": "Still drinks, cans",
    "SOFT DRINK BOTTLE NON-CARB": "Still drink, bottle",
    "SALD DRSNG/SNDWCH SPRD": "Salad dressing & sandwich spreads",
    "SAL:SALSA/DPS-PRPCK": "Salsa & dips",
    "VINEGAR ALL-EXCEPT WINE/RIC": "Vinegar",
    "MEAT: SAUS DRY BULK": "Dry sausage",
    "MEXICAN SAUCESSALSAPICANTEE": "Salsa & Mexican sauces",
    "MILK BY-PRODUCTS": "Cream & cottage cheese",
    "NEW AGE": "Specialty drinks",
    "NON-CRBNTD DRNKING/MNERAL WATE": "Still water",
    "NON-CARB FLVRD DRNKNG/MNRL WAT": "Flavored still water",
    "NON-CARB WATER FLVR - DRNK/MNR": "Flavored water",
    "ORANGES NAVELS ALL": "Navel oranges",
    "PLSTC CTLRYTBLCLTHSTTHPKSST": "Plastic cutlery & party supplies",
    "PREPARED BEANS - BAKED W/PORK": "Baked beans with pork",
    "RTS SOUP: CHUNKY/HOMESTYLE ET": "Chunky soup",
    "SEMI-SOLID SALAD DRESSING MAY": "Mayonnaise",
    "SGL SV/VEND MACH SNACKS CHIP/P": "Single-serve chips",
    "SALAD BAR FRESH FRUIT": "Fresh fruit from the salad bar",
    "SOFT DRINKS 12/18&15PK CAN CAR": "Soft drinks, case of cans",
    "SOFT DRINKS 20PK&24PK CAN CARB": "Soft drinks, large case of cans",
    "SOFT DRINKS 6PK/4PK CAN CARB": "Soft drinks, pack of cans",
    "SFT DRNK MLT-PK BTL CARB": "Soft drinks, pack of bottles",
    "SFT DRNK SNGL SRV BTL CARB": "Soft drink, single bottle",
    "SPICES & EXTRACTS": "Spices & extracts",
    "TOMATOES HOTHOUSE ON THE VINE": "Tomatoes on the vine",
    "TOMATOES VINE RIPE BULK": "Vine-ripe tomatoes",
    "TOMATOES VINE RIPE PKG": "Vine-ripe tomatoes, packed",
    "ROMA TOMATOES": "Roma tomatoes",
    "TROPICAL FRUIT": "Bananas & tropical fruit",
    "VALUE ADDED FRUIT": "Cut fruit",
    "VALUE ADDED VEGETABLES": "Cut vegetables",
    "VEGETABLES SALAD": "Lettuce & salad vegetables",
    "WAREHOUSE SNACKS": "Canister snacks",
    "WATER - CARBONATED/FLVRD DRINK": "Water & flavored water",
    "YOGURT NOT MULTI-PACKS": "Yogurt",
    "YOGURT MULTI-PACKS": "Yogurt multipack",
}  # fmt: skip
"""Names that are said in another way, by what stands in the column before an opening bracket."""

_WORDS = _table(
    "ACC=accessories ACCESS=accessories ALL= ALLIEDS= BA=bags BALLOONS=balloons BG=bags BKD=baked BKWARES=bakeware "
    "BN=beans BR=bread BRD=breaded BRKFST=breakfast BRST=breast BTL=bottle BTLS=bottles BTR=butter BULK= "
    "CALC=calculators CAN=can CARB= CATFD=cat~food CHICK=chicken CHIX=chicken CHOC=chocolate CHOCOCLATE=chocolate "
    "CHOCOL=chocolate CHOCOLA=chocolate CKE=cake CKYS=cookies CLEANE=cleaners CLEANG=cleaning CND=canned CNDY=candy "
    "CNTRL=control COCO=cocoa COMBINATN=combination CONC=concentrate COND=conditioner CONTAINR=containers "
    "COOKI=cookies CRBNTD=carbonated CRKR=crackers CRMD=creamed CRSTDAS=crostadas CRYSTL=crystal DAN=Danish "
    "DEOD=deodorant DEPT=department DINNER=dinner DISPOSIBLE=disposable DNR=dinner DNRS=dinners DOGFD=dog~food "
    "DPS=dips DRNK=drink DRNKING=drinking DRNKNG=drinking DRNKS=drinks DRP=drops DRSNG=dressing DSH=dishes ET= ETC= "
    "EX= EXACT= EXCEPT= EXCP= FD=food FDS=food FEM=feminine FLAV=flavored FLV=flavored FLVR=flavored FLVRD=flavored "
    "FRD=fried FRE=fresh FRZ=frozen FRZN=frozen FS= GALLON=gallon GDS=goods GNG=ginger GNGR=ginger GRND=ground "
    "HANDKE=handkerchiefs HBC=health~&~beauty HORSERADISH=horseradish HYGN=hygiene INCL= INCLUDI= INCLUDING= "
    "IQF=frozen JCE=juice JHOOK=household JUI=juice JUIC=juice JUICES=juices KLR= LESS=less LIQS=liquids "
    "LNCHMT=lunchmeat LSS=less LTR=lighter MAC=macaroni MARINAD=marinades MENS=men's MISC=other MISCELLANEOUS=other "
    "MIXS=mixes MLK=milk MLT=multi MNERAL=mineral MNR=mineral MNRL=mineral MULT=multi MUSTAR=mustard MW=microwave "
    "MX=mixes MXS=mixes NAVELS=navel NDAIRY=non-dairy NZ=New~Zealand OCCAS=occasion OJ=orange~juice OTH=other "
    "OTHE=other OTYHER=other PAC= PC=piece PCKGD=packaged PICKLD=pickled PK=pack PKG=packed PKGD=packaged "
    "PKLD=pickled PLSTC=plastic PNCH=punch PNT=peanut PORTON=portions PPK=packed PREM=premium PREP=prepared "
    "PREPACK=packed PREPORTND=portioned PRESLC=sliced PROD=products PRODUC=products PROTIEN=protein PRPCK=packed "
    "PRSLC=sliced PTTY=patty PURP=purpose PWDR=powder PWDRS=powders REFIGERATED=chilled REFRGRATD=chilled "
    "REFRIG=chilled REFRIGERATED=chilled REG=regular RETL=retail ROLLS=rolls RTS= RW= SAL=salad SALD=salad "
    "SANDWIC=sandwiches SAUS=sausage SEASO=seasoning SECT=segments SFT=soft SGL=single SHERBTS=sherbets "
    "SHLFSH=shellfish SNDWCH=sandwich SNGL=single SNK=snack SNKS=snacks SPEC=special SPECILATY=specialty "
    "SPLY=supplies SPRD=spreads SRV=serve SS=single-serve STK=stick SUBS=substitutes SUGARS=sugar SUP=super "
    "SUPPLEMEN=supplements SUPPPLIES=supplies SV=service SW=sweet SWEETNERS=sweeteners SWT=sweet SYRP=syrup "
    "TISS=tissues TORT=tortilla TOSTADO=tostada TRSH=trash VAC=vacuum~packed VEG=vegetable VEND=vending WHL=whole "
    "WHLSM=wholesome WHT=white WOMENS=women's WORCHESTER=Worcestershire WRA=wraps WT= WTR=water XPCTRNT=expectorant"
)
"""What abbreviations stand for; nothing after the sign where a word says nothing to a customer."""

_PROPER = _set(
    "Alaskan Almay Angus Anjou Asian Australian Bartlett BBQ Bosc Braeburn Canadian CD Christmas Covergirl Danish "
    "Delicious DVD Easter English French Fuji Gala German Granny Greek Halloween Hawaiian Indian Italian Japanese "
    "Loreal Maybelline Mexican New Revlon Roma Smith Spanish SPF Thai TV Valentine VHS Vienna Worcestershire "
    "Zealand"
)
_SPELLED = {name.lower(): name for name in _PROPER}

_ADJECTIVES = _set(
    "& adult all angus choice cooked dry economy enhanced external flavored fresh frozen fully ground internal "
    "kosher large lean mainstream marinated mini mixed natural new old other popular pre-cooked premium primal raw "
    "red regular seasonal select single small smoked specialty stuffed super traditional value variety white"
)
_VAGUE = _ADJECTIVES | _set(
    "age base beef better blends bone boneless bulk butts cubes cups decor end entrees for full garden half kits "
    "links loaf low meat medium microwave novelties pails pantry patties patty pints plus pork poultry quarts ribs "
    "serve serving steaks treats whole wings you"
)
"""Words that do not say what a product is: a name of nothing else stands with its category's."""

_FIRST = re.compile(
    r"(apples|beans|cabbage|carrots|cherries|corn(?= white| yellow)|eggs|grapes|herbs|mushrooms|nectarines|onions|"
    r"oranges|peaches|pears|peas|peppers|plums|potatoes|squash|tomatoes),? ([a-z0-9 &-]+)"
)
_REWRITTEN = [
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"^MEAT:\s*", "DELI "),
        (r"^(?:SW|SWEET) GDS:\s*", ""),
        (r"^(?:SEAFOOD|FLORAL)\s*-\s*(?=\w)", ""),
        (r"[ -]RW(?:[ -]ALL)?$", ""),
        (r"\b(FRZ|FRE|MISC)-", r"\1 "),
        (r"(?<=[A-Z])-MAGAZINE$", " MAGAZINE"),
        (r"\bNON-CARB\b", "STILL"),
        (r"\bW/", "WITH "),
        (r"(?<=[A-Z]) S (?=[A-Z])", "'S "),
        (r"\bX-LARGE\b", "EXTRA LARGE"),
        (r"^(PIZZA)/", r"\1, "),
        (r"^CAN (?=CAT|DOG)", "CANNED "),
        (r"^([A-Z &/]+?)[ :-]+DRY$", r"DRY \1"),
        (r"^([A-Z &/]+?)[ :-]+CANNED$", r"CANNED \1"),
        (r"(?<=[A-Z]{3})\s*-\s+|(?<=BAGS)-|\s+-\s*|\s*:\s*", ", "),
    )
]
_SIGNS = re.compile(r"(?:\s*[,&-]\s)*\s*([,&])(?:\s*[,&](?=\s))*\s*")
_CUT_OFF = re.compile(r"(?<=\w)[ /&-]+[A-Z]{1,3}$")
_TOKEN = re.compile(r"[A-Z']+")
_UNITS = {
    "CT": "count", "GA": "gal", "GAL": "gal", "IN": "in", "L": "l", "LB": "lb", "LT": "l", "LTR": "l", "ML": "ml",
    "OZ": "oz", "PK": "pack", "PT": "pint", "QT": "qt", "YD": "yd", "FT": "ft", "SQ": "sq", "EA": "each",
    "BTL": "bottle", "MED": "medium", "LG": "large", "SM": "small", "NR": "", "PET": "",
    "CTN": "carton", "DZ": "dozen", "DOZ": "dozen",
}  # fmt: skip
_ALONE = frozenset(("dozen", "gal", "l", "lb", "oz", "pint", "qt"))
_BRANDS = {"National": "National brand", "Private": "Store brand"}


@lru_cache(maxsize=8192)
def readable_name(code: str) -> str:
    """Return a department's, category's or type's name as a sentence begins."""
    cut = code.split("(")[0].strip(" -/&")
    cut = _CUT_OFF.sub("", cut) if len(code) >= WIDTH and "(" not in code else cut
    return _WHOLE.get(code.strip()) or _WHOLE.get(cut) or _ruled(cut) or code.strip().capitalize()


def product_name(department: str | None, category: str | None, kind: str | None) -> str:
    """Return what a product is called: its type, after its category's name where the type alone says nothing."""
    inner = readable_name(kind) if kind else ""
    outer = readable_name(category or department or "")
    words = set(inner.lower().replace(",", " ").split())
    if not words or outer.lower() in inner.lower() or not words <= _VAGUE:
        return _without_other(inner or outer)
    if words <= _ADJECTIVES and "," not in inner:
        return _without_other(f"{inner} {_begun_small(outer)}")
    return f"{outer}, {_begun_small(inner)}"


def _without_other(name: str) -> str:
    """Return a name without the "other" that its place in a list of categories asked for."""
    rest = name.removeprefix("Other ")
    return rest[:1].upper() + rest[1:]


@lru_cache(maxsize=8192)
def readable_size(size: str | None) -> str:
    """Return a package size with its units in small letters: `12 PK/12 OZ` is "12 pack, 12 oz".

    Left out is a code of one or two letters in front of the number.
    """
    text = re.sub(r"^[A-Z]{1,2} (?=[0-9])|[*]", "", " ".join((size or "").split()))
    text = re.sub(r"[A-Z]+", lambda found: _UNITS.get(found[0], found[0].lower()), text).strip()
    text = re.sub(r"(?<![\d.])\.(?=\d)", "0.", text)
    text = re.sub(r"(?<=[a-z])\s*/\s*(?=\d)", ", ", text)
    return f"1 {text}" if text in _ALONE else text


def readable_brand(brand: str | None) -> str:
    """Return whose brand it is; the data knows national brands and the store's own only."""
    return _BRANDS.get(brand or "", brand or "")


def _ruled(code: str) -> str:
    for pattern, instead in _REWRITTEN:
        code = pattern.sub(instead, code)
    text = code.replace("/", " & " if code.count("/") == 1 else ", ").replace("&", " & ").replace(".", " ")
    text = _TOKEN.sub(_word, text).replace("~", " ").lower()
    text = _SIGNS.sub(r" \1 ", re.sub(r"\s+", " ", text)).replace(" ,", ",")
    text = _noun_last(text.strip(" ,&-"))
    text = re.sub(r"[a-z]+", lambda found: _SPELLED.get(found[0], found[0]), text)
    return text[:1].upper() + text[1:]


def _word(found: re.Match[str]) -> str:
    return _WORDS.get(found[0], found[0])


def _noun_last(text: str) -> str:
    found = _FIRST.fullmatch(text)
    return f"{found[2].strip()} {found[1]}" if found and not found[2].startswith("&") else text


def _begun_small(name: str) -> str:
    return name if name.split()[0].strip(",") in _PROPER else name[:1].lower() + name[1:]
