"""What `/openapi.json` says of tracking, read off the rules that calls are judged by.

A new event or parameter appears by itself; one whose reader is of a new kind can not be described and is an error at
once (the tests make the document).
"""

from __future__ import annotations

import re
from functools import partial

from personalization_pipelines.events.judging import rules
from personalization_pipelines.events.judging.batch_body import MAX_EVENTS
from personalization_pipelines.events.judging.batch_usual import EVENT_ID
from personalization_pipelines.events.judging.rules import BATCH, RULES, Reader, Rule
from personalization_pipelines.foundation.identifiers import MAX_NUMERIC_ITEM
from serving.openapi.schemas import (
    Described,
    Value,
    in_path,
    in_query,
    measure,
    number,
    open_object,
    path_part,
    problems,
    ref,
    style,
)

PREFIXES = ("/api", "/ebl")
"""The protocol's and its older one."""
_BATCHED = {"type": "item_type"}
"""Names of a batch's fields that are not those of the path."""
_PLACE = re.compile(r"\{(\w+)[^}]*\}")
_READERS: dict[Reader, str] = {
    rules.read_segments: "Segments",
    rules.read_categories: "Categories",
    rules.read_language: "Language",
    rules.read_price: "Price",
    rules.read_order: "Order",
}
_OPEN = {"Access-Control-Allow-Origin": {"required": True, "schema": {"const": "*"}}}
_STORED: Value = {"description": "Stored: it is on disk.", "headers": _OPEN}
_PIXEL: Value = {**_STORED, "content": {"image/gif": {"schema": {"type": "string", "format": "binary"}}}}
_BODY_REFUSED = (411, 413, 415)
_ANSWERS: dict[str, Value] = {
    "get": {"200": _PIXEL, "204": _STORED, **problems(400, 401, 404, 414, 503)},
    "post": {"204": _STORED, **problems(400, 401, 404, 414, 503, *_BODY_REFUSED)},
}


def describe() -> Described:
    """Return what `/openapi.json` says of events and batches of them."""
    paths: Value = {}
    for prefix in PREFIXES:
        for word, rule in sorted(RULES.items()):
            names = ["customer", word, *_places(rule)]
            path = "/".join([prefix, *(name if name == word else f"{{{name}}}" for name in names)])
            paths[path] = {method: _event(prefix, method, word, rule) for method in ("get", "post")}
        paths[f"{prefix}/{{customer}}/{BATCH}"] = {"post": _batch(prefix)}
    return Described(paths, {"Event": {"anyOf": [_batched(word, rule) for word, rule in sorted(RULES.items())]}})


def _event(prefix: str, method: str, word: str, rule: Rule) -> Value:
    several = rule.path == "items"
    given = {name: _of_reader(reader) for name, reader in rule.parameters.items()}
    required = {rule.required} - {""}
    operation = _operation(prefix, method, word)
    operation["parameters"] = [
        in_path(name, path_part(name, several_items=several)) for name in ("customer", *_places(rule))
    ]
    operation["responses"] = _ANSWERS[method]
    if method == "get":
        queries = [in_query(name, schema) | style(name) for name, schema in given.items()]
        operation["parameters"] += [one | {"required": one["name"] in required} for one in queries]
        return operation
    form = {"schema": open_object(given, sorted(required)), "encoding": {name: style(name) for name in given}}
    content = {"application/x-www-form-urlencoded": form}
    operation["requestBody"] = {"content": content, "required": bool(required)}
    return operation


def _batch(prefix: str) -> Value:
    array = {"type": "array", "items": ref("Event"), "maxItems": MAX_EVENTS}
    lines = {"type": "string", "description": f"At most {MAX_EVENTS} objects, one a line."}
    content = {"application/json": {"schema": array}, "application/x-ndjson": {"schema": lines}}
    operation = _operation(prefix, "post", BATCH)
    operation["parameters"] = [in_path("customer")]
    operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = {"204": _STORED, **problems(400, 401, 404, 414, 501, 503, *_BODY_REFUSED)}
    return operation


def _operation(prefix: str, method: str, word: str) -> Value:
    operation: Value = {"operationId": f"{prefix.strip('/')}_{method}_{word}", "tags": ["tracking"]}
    return operation | ({} if prefix == PREFIXES[0] else {"deprecated": True})


def _places(rule: Rule) -> list[str]:
    """Return the names of what follows the event in its path: `{source user}` is `source`, `{item[,item…]}` `item`."""
    return _PLACE.findall(rule.shape(""))


def _batched(word: str, rule: Rule) -> Value:
    """Return the schema of an object of a batch; its fields are the places of the path and the parameters."""
    fields: Value = {"event": {"const": word}, EVENT_ID: {"type": "string", "format": "uuid"}}
    required = ["event", rule.required] if rule.required else ["event"]
    for place in _places(rule):
        fields[_BATCHED.get(place, place)] = path_part(place, several_items=rule.path == "items")
    if "item" in fields:
        fields["item"] = {"anyOf": [number(0, MAX_NUMERIC_ITEM), fields["item"]]}
    required += [name for name in fields if name not in ("event", "user", EVENT_ID)]
    fields |= {name: _of_reader(reader) for name, reader in rule.parameters.items()}
    known = {name: schema if name in required else _or_nothing(schema) for name, schema in fields.items()}
    return open_object(known, required, {"type": ["boolean", "null"]}, number(-(2**63), 2**64 - 1))


def _or_nothing(schema: Value) -> Value:
    """Return the schema of a field that may also be null or empty, which counts as not given."""
    return {"anyOf": [schema, {"enum": [None, "", []]}]}


def _of_reader(reader: Reader) -> Value:
    """Return the schema of what a reader takes; KeyError for a kind of reader that is new."""
    if isinstance(reader, partial) and reader.func is rules.read_integer:
        _, lowest, highest = reader.args
        return measure(lowest, highest)
    if isinstance(reader, partial) and reader.func is rules.read_name:
        return ref("Name")
    return ref(_READERS[reader])
