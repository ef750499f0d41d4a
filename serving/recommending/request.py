"""What a recommendation request asks for (section 2 of the HTTP contract), checked; or a sentence why not.

Everything malformed is 400. What the specification has and this version has not is 501: `usetimeslot=true`,
`segments`, `userattribute`. Parameters nobody knows are ignored, as the contract says. A parameter that names an
attribute would select a submodel; no website can have one yet (its configuration is refused), so it selects nothing
and is one of the unknown ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from werkzeug.exceptions import BadRequest, NotFound

from personalization_pipelines.events.judging.rules import read_language
from personalization_pipelines.foundation.errors import InvalidIdentifier, NotBuiltYet
from personalization_pipelines.foundation.identifiers import parse_user_id
from personalization_pipelines.foundation.unset import UNSET
from personalization_pipelines.scenarios.plan import PlanScenario
from personalization_pipelines.website import Website
from serving.recommending.question import DEFAULT_NUMBER, HISTORY_CODES, MAX_NUMBER

MAX_CONTEXT_ITEMS = 50
MAX_CATEGORIES = 20
MAX_ATTRIBUTES = 50
CALLBACK = re.compile(r"[A-Za-z_$][\w$.]{0,63}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,10}")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
NOT_BUILT = {
    "usetimeslot": "time slots",
    "segments": "segments",
    "userattribute": "preferring what visitors with the same attribute follow",
}

_USUAL = frozenset({"contextitems", "numrecs"})

Parameters = Mapping[str, Sequence[str]]


class Address(NamedTuple):
    """What the path says: `/api/v2/{customer}/{user}/{scenario}[.json|.jsonp]`; `user` None is nobody."""

    customer: str
    user: str | None
    scenario: str
    jsonp: bool


class Asking(NamedTuple):
    """What the parameters ask of the strategy; the fields of `Question` after the visitor, in its order."""

    number: int
    items: tuple[tuple[int, str], ...]
    histories: tuple[str, ...]
    output_types: tuple[int, ...]
    categories: tuple[str, ...]
    context_categories: bool
    nearest_category: bool
    explain: bool
    language: str


class Wanted(NamedTuple):
    """What the parameters say, checked."""

    asked: Asking
    attributes: tuple[str, ...]


def known_user(address: Address, website: Website) -> Address:
    """Return the address with nobody as its user where the website says so (`placeholder_users`)."""
    if address.user is None or parse_user_id(address.user, website.placeholder_users) is not None:
        return address
    return address._replace(user=None)


def parse_address(path: str) -> Address:
    """Return what a decoded path names. A user id may hold slashes: it is all between customer and scenario."""
    parts = path.split("/")
    if len(parts) < 6 or parts[:3] != ["", "api", "v2"]:
        raise NotFound(f"path {path[:80]!r}: expected /api/v2/{{customer}}/{{user}}/{{scenario}}.")
    scenario, dot, ending = parts[-1].rpartition(".")
    if not dot or ending not in ("json", "jsonp"):
        scenario, ending = parts[-1], "json"
    try:
        user = parse_user_id("/".join(parts[4:-1]))
    except InvalidIdentifier as error:
        raise BadRequest(f"{error}.") from None
    return Address(parts[3], user, scenario, ending == "jsonp")


def parse_wanted(parameters: Parameters, website: Website, scenario: PlanScenario) -> Wanted:
    """Return what the parameters ask of a scenario. Raises BadRequest (400) or NotBuiltYet (501)."""
    usual = parameters.keys() <= _USUAL
    if not usual:
        _refuse_what_is_not_built(parameters)
    number = parse_number(parameters, "numrecs", DEFAULT_NUMBER, MAX_NUMBER)
    items, histories = _context(parameters.get("contextitems"), website, scenario.input)
    if usual:
        asked = Asking(number, items, histories, scenario.output[:1], (), False, False, False, "")
        return Wanted(asked, ())
    asked = Asking(
        number=number,
        items=items,
        histories=histories,
        output_types=_output_types(parameters, scenario),
        categories=_categories(parameters.get("categorypath")),
        context_categories=parse_flag(parameters, "usecontextcategorypath"),
        nearest_category=parse_flag(parameters, "recommendcategory"),
        explain=parse_flag(parameters, "explain"),
        language=parse_language(parameters, website),
    )
    return Wanted(asked, _attributes(parameters))


def parse_callback(parameters: Parameters) -> str:
    """Return the JSONP function to call: one dotted ASCII name of at most 64 characters."""
    text = parse_one(parameters, "jsonpcallback") or "jsonpCallback"
    if not CALLBACK.fullmatch(text):
        raise BadRequest(f"jsonpCallback {text[:40]!r}: expected a name like `shop.show`, 64 characters at most.")
    return text


def parse_one(parameters: Parameters, name: str) -> str | None:
    """Return a parameter that may be given once (its name in lower case), None without it; BadRequest for several."""
    values = parameters.get(name)
    if values is not None and len(values) > 1:
        raise BadRequest(f"{name} is given {len(values)} times: expected once.")
    return values[0] if values else None


def parse_flag(parameters: Parameters, name: str) -> bool:
    """Return whether a parameter (its name in lower case) is `true` or `1`; BadRequest for what is neither."""
    if name not in parameters:
        return False
    text = parse_one(parameters, name) or ""
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise BadRequest(f"{name} {text[:40]!r}: expected true, false, 1 or 0.")
    return value


def parse_number(parameters: Parameters, name: str, default: int, most: int) -> int:
    """Return a parameter (its name in lower case) that is a number from 1 to `most`; BadRequest for what is not."""
    text = parse_one(parameters, name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= most:
        raise BadRequest(f"{name} {text[:40]!r}: expected a number from 1 to {most}.")
    return int(text)


def _context(
    values: Sequence[str] | None, website: Website, item_type: int
) -> tuple[tuple[tuple[int, str], ...], tuple[str, ...]]:
    if values is None:
        return (), ()
    texts = [text for value in values for text in value.split(",") if text not in UNSET]
    if len(texts) > MAX_CONTEXT_ITEMS:
        raise BadRequest(f"contextitems: {len(texts)} items, expected at most {MAX_CONTEXT_ITEMS}.")
    codes = tuple(dict.fromkeys(text for text in texts if text in HISTORY_CODES))
    try:
        items = dict.fromkeys((item_type, website.item_id(text)) for text in texts if text not in codes)
    except InvalidIdentifier as error:
        raise BadRequest(f"contextitems: {error}, or one of {', '.join(HISTORY_CODES)}.") from None
    return tuple(items), codes


def _output_types(parameters: Parameters, scenario: PlanScenario) -> tuple[int, ...]:
    text = parse_one(parameters, "outputtypeid")
    if text is not None and (not _NUMBER.fullmatch(text) or int(text) not in scenario.output):
        known = ", ".join(map(str, scenario.output))
        raise BadRequest(f"outputtypeid {text[:40]!r}: expected an output type of the scenario ({known}).")
    if parse_flag(parameters, "crosscontenttype"):
        return scenario.output
    return (int(text) if text is not None else scenario.output[0],)


def _categories(values: Sequence[str] | None) -> tuple[str, ...]:
    if values is None:
        return ()
    if len(values) > MAX_CATEGORIES:
        raise BadRequest(f"categorypath is given {len(values)} times: expected at most {MAX_CATEGORIES}.")
    return tuple(dict.fromkeys("/" + path for path in (value.strip("/") for value in values) if path))


def _attributes(parameters: Parameters) -> tuple[str, ...]:
    values = [*parameters.get("attribute", ()), *parameters.get("attributes", ())]
    if not values:
        return ()
    names = dict.fromkeys(name for value in values for name in value.split(",") if name)
    if len(names) > MAX_ATTRIBUTES:
        raise BadRequest(f"attribute: {len(names)} names, expected at most {MAX_ATTRIBUTES}.")
    return tuple(names)


def parse_language(parameters: Parameters, website: Website) -> str:
    """Return the language that is asked for, "" for any. Raises BadRequest (400) for none of the website's."""
    text = parse_one(parameters, "lang")
    try:
        return "" if text is None else checked_language(text, website)
    except InvalidIdentifier as error:
        raise BadRequest(f"{error}.") from None


def checked_language(text: str, website: Website) -> str:
    """Return a language code if it may be asked for; InvalidIdentifier where the website names others."""
    read_language("lang", [text])
    if website.languages and text not in website.languages:
        known = ", ".join(website.languages)
        raise InvalidIdentifier(f"lang {text[:40]!r}: expected a language of the website ({known})")
    return text


def _refuse_what_is_not_built(parameters: Parameters) -> None:
    for name in NOT_BUILT.keys() & parameters.keys():
        what = NOT_BUILT[name]
        if name != "usetimeslot" or parse_flag(parameters, name):
            raise NotBuiltYet(f"{name}: {what} is not built yet; leave the parameter out.")
