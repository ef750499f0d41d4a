"""What `/openapi.json` says of recommendations."""

from __future__ import annotations

from serving.openapi.schemas import (
    FORBIDDEN,
    TEXT,
    Described,
    Value,
    closed_object,
    in_path,
    in_query,
    list_of,
    number,
    problems,
    ref,
    several,
    style,
    text,
)
from serving.recommending.question import DEFAULT_NUMBER, HISTORY_CODES, MAX_NUMBER
from serving.recommending.request import CALLBACK, MAX_ATTRIBUTES, MAX_CATEGORIES, MAX_CONTEXT_ITEMS, NOT_BUILT

_PARAMETERS: dict[str, Value] = {
    "numrecs": number(1, MAX_NUMBER, default=DEFAULT_NUMBER),
    "contextitems": several({"anyOf": [ref("ItemId"), ref("HistoryCode")]}, MAX_CONTEXT_ITEMS),
    "outputtypeid": {**ref("ItemType"), "description": "One of the scenario's output types."},
    "crosscontenttype": ref("Boolean"),
    "attribute": ref("Attributes"),
    "attributes": ref("Attributes"),
    "categorypath": several(ref("Category"), MAX_CATEGORIES),
    "usecontextcategorypath": ref("Boolean"),
    "recommendCategory": ref("Boolean"),
    "lang": {
        **ref("Language"),
        "description": "Only items that exist in it; one of the website's languages, where it names any.",
    },
    "explain": ref("Boolean"),
    **{name: {**ref("Text"), "description": f"501: {what}, not built."} for name, what in NOT_BUILT.items()},
    "usetimeslot": {**ref("Boolean"), "description": "501 if true: time slots are not built."},
}
_JSONP: dict[str, Value] = {"jsonpCallback": text(CALLBACK.pattern.replace(r"\w", "A-Za-z0-9_"))}
_ID: Value = {"type": ["integer", "string"], "description": "A number on a website whose ids are numeric."}
_SOURCE: Value = {"enum": ["REQUEST", "CLICK", "CONSUME", "BUY", "OWNS", "BASKET", "RATE", "WISHLIST"]}
_ITEM = {"itemId": _ID, "itemType": ref("ItemType")}
_ATTRIBUTE = closed_object({"key": TEXT, "values": list_of({"type": ["string", "number", "boolean"]})})
_EXPLAINED: Value = {"type": "object"}
_SCHEMAS: dict[str, Value] = {
    "Attributes": several(text(rf"[^{FORBIDDEN},]+"), MAX_ATTRIBUTES),
    "HistoryCode": {"type": "string", "enum": [*HISTORY_CODES]},
    "ContextItem": closed_object(_ITEM | {"sources": list_of(_SOURCE)}, viewers={"type": "integer", "minimum": 0}),
    "RecommendedItem": closed_object(
        _ITEM | {"relevance": number(1, 1000), "attributes": list_of(_ATTRIBUTE)},
        origin=closed_object({"itemIds": list_of(_ID), "itemType": ref("ItemType"), "source": _SOURCE}),
        category=TEXT,
        links=closed_object({"clickRecommended": TEXT, "rendered": TEXT}),
        explanation=_EXPLAINED,
    ),
    "Answer": closed_object(
        {"contextItems": list_of(ref("ContextItem")), "recommendationItems": list_of(ref("RecommendedItem"))},
        explanation=_EXPLAINED,
    ),
}
_READABLE: Value = {
    "Access-Control-Allow-Origin": {
        "schema": {"const": "*"},
        "description": "Where recommendations need no key; on errors, too.",
    }
}


def describe() -> Described:
    """Return what `/openapi.json` says of recommendations."""
    path = "/api/v2/{customer}/{user}/{scenario}"
    return Described({f"{path}{ending}": {"get": _operation(ending)} for ending in ("", ".json", ".jsonp")}, _SCHEMAS)


def _operation(ending: str) -> Value:
    known = _PARAMETERS | (_JSONP if ending == ".jsonp" else {})
    places = [in_path(name) for name in ("customer", "user", "scenario")]
    return {
        "operationId": f"recommendations{ending.replace('.', '_')}",
        "tags": ["recommendations"],
        "parameters": places + [in_query(name, schema) | style(name) for name, schema in known.items()],
        "responses": _answers(jsonp=ending == ".jsonp"),
        "security": [{}, {"key": []}],
    }


def _answers(*, jsonp: bool) -> Value:
    kind, schema = ("application/javascript", TEXT) if jsonp else ("application/json", ref("Answer"))
    late = {
        **_READABLE,
        "X-Live-History": {"schema": {"const": "unavailable"}, "description": "Composed without live history."},
    }
    found = {"description": "Recommendations.", "content": {kind: {"schema": schema}}, "headers": late}
    unchanged = {"description": "The sender's copy still holds.", "headers": _READABLE}
    return {"200": found, "304": unchanged, **problems(400, 401, 404, 409, 414, 429, 501, 503)}
