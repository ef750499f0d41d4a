"""The document of the HTTP side, `/openapi.json` (OpenAPI 3.1), made from the rules that requests are read by.

What a program needs to call the service or to test it: every path, parameter with its bounds, body and answer.
A new event or parameter appears by itself; one whose reader is of a new kind can not be described and is an error
at once (the tests make the document). It names no customer, website or scenario: it is open to everybody.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Response

from personalization_pipelines import __version__
from personalization_pipelines.events.judging.rules import BATCH, RULES, Rule
from serving.openapi import openapi_answers as answers
from serving.openapi import openapi_content as content
from serving.openapi import openapi_erasing as erasing
from serving.openapi import openapi_imports as imports
from serving.openapi import openapi_notifications as notifications
from serving.openapi import openapi_parameters as parameters
from serving.openapi import openapi_users as users

if TYPE_CHECKING:
    from serving.services import Services

PREFIXES = ("/api", "/ebl")
"""Of tracking: the protocol's and its older one."""
_ABOUT = (
    "Tracking, recommendations and content in the wire protocol of Ibexa Personalization. Names of parameters may be "
    "written in any case; parameters nobody knows and those without a value are ignored. A backslash or a control "
    "character anywhere in path or query is refused. Bodies may be sent with `Content-Encoding: gzip`. Content, and "
    "recommendations with `.json` or `.jsonp`, are also found under the older prefix `/ebl/`."
)

Value = dict[str, Any]


def blueprint(_services: Services) -> Blueprint:
    """Return the block that serves the document; it is made when it is first asked for."""
    block = Blueprint("openapi", __name__)
    made: list[bytes] = []
    making = threading.Lock()

    @block.get("/openapi.json")
    def openapi() -> Response:
        """Answer with the document."""
        with making:
            if not made:
                made.append(orjson.dumps(document()))
        headers = {"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"}
        return Response(made[0], content_type="application/json", headers=headers)

    return block


def document() -> Value:
    """Return the document as a JSON value."""
    paths: Value = {}
    for word, rule in sorted(RULES.items()):
        for prefix in PREFIXES:
            paths |= _event_paths(prefix, word, rule)
    for prefix in PREFIXES:
        paths[f"{prefix}/{{customer}}/{BATCH}"] = _batch(prefix)
    for ending in ("", ".json", ".jsonp"):
        paths[f"/api/v2/{{customer}}/{{user}}/{{scenario}}{ending}"] = _recommendations(ending)
    paths |= content.paths() | notifications.paths() | erasing.paths() | users.paths() | imports.paths()
    for path, answer in answers.PAGES.items():
        operation = {"operationId": path.strip("/"), "tags": ["service"], "responses": answer}
        paths[path] = {"get": operation}
    return {
        "openapi": "3.1.0",
        "info": {"title": "personalization-pipelines", "version": __version__, "description": _ABOUT},
        "tags": [{"name": name} for name in ("tracking", "recommendations", "content", "users", "service")],
        "paths": paths,
        "components": {
            "schemas": answers.COMPONENTS,
            "responses": answers.RESPONSES,
            "securitySchemes": {"key": {"type": "http", "scheme": "basic"}},
        },
    }


def _event_paths(prefix: str, word: str, rule: Rule) -> Value:
    names = ["customer", word, *parameters.places(rule)]
    path = "/".join([prefix, *(name if name == word else f"{{{name}}}" for name in names)])
    return {path: {method: _event(prefix, method, word, rule) for method in ("get", "post")}}


def _event(prefix: str, method: str, word: str, rule: Rule) -> Value:
    names = ["customer", *parameters.places(rule)]
    given = parameters.event_parameters(rule)
    required = {rule.required} - {""}
    operation = _operation(prefix, method, word, "tracking")
    operation["parameters"] = [_in_path(name, several=rule.path == "items") for name in names]
    operation["responses"] = answers.TRACKED[method]
    if method == "get":
        queries = [_in_query(name, schema) | {"required": name in required} for name, schema in given.items()]
        operation["parameters"] += queries
        return operation
    form = parameters.open_object(given, sorted(required))
    encoding = {name: _style(name) for name in given}
    content = {"application/x-www-form-urlencoded": {"schema": form, "encoding": encoding}}
    operation["requestBody"] = {"content": content, "required": bool(required)}
    return operation


def _batch(prefix: str) -> Value:
    operation = _operation(prefix, "post", BATCH, "tracking")
    operation["parameters"] = [_in_path("customer")]
    operation["requestBody"] = {"required": True, "content": parameters.batch_content()}
    operation["responses"] = answers.BATCHED
    return {"post": operation}


def _recommendations(ending: str) -> Value:
    known = parameters.RECOMMENDATION | (parameters.JSONP if ending == ".jsonp" else {})
    operation: Value = {
        "operationId": f"recommendations{ending.replace('.', '_')}",
        "tags": ["recommendations"],
        "parameters": [_in_path(name) for name in ("customer", "user", "scenario")],
        "responses": answers.recommended(jsonp=ending == ".jsonp"),
        "security": [{}, {"key": []}],
    }
    operation["parameters"] += [_in_query(name, schema) for name, schema in known.items()]
    return {"get": operation}


def _operation(prefix: str, method: str, word: str, tag: str) -> Value:
    operation: Value = {"operationId": f"{prefix.strip('/')}_{method}_{word}", "tags": [tag]}
    return operation | ({} if prefix == PREFIXES[0] else {"deprecated": True})


def _in_path(name: str, *, several: bool = False) -> Value:
    return {"name": name, "in": "path", "required": True, "schema": parameters.path_part(name, several=several)}


def _in_query(name: str, schema: Value) -> Value:
    return {"name": name, "in": "query", "schema": schema, **_style(name)}


def _style(name: str) -> Value:
    """Several values are several parameters of one name, or one with commas between them."""
    return {"style": "form", "explode": name in parameters.REPEATED}
