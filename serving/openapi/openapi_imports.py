"""What `/openapi.json` says of the import history."""

from __future__ import annotations

from typing import Any

from serving.content.import_views import DEFAULT_IMPORTS, KINDS, MAX_IMPORTS
from serving.openapi.openapi_answers import problems
from serving.openapi.openapi_parameters import path_part

Value = dict[str, Any]

_TEXT: Value = {"type": "string"}
_TEXTS: Value = {"type": "array", "items": _TEXT}
_COUNT: Value = {"type": "integer", "minimum": 0}
_KIND: Value = {"enum": [*KINDS]}


def _object(properties: Value) -> Value:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


_GATE = _object(dict.fromkeys(("rule", "limit", "found", "key"), _TEXT) | {"ok": {"type": "boolean"}, "rows": _TEXTS})
_IMPORT = _object(
    {
        "time": {"type": "string", "format": "date-time"},
        "kind": _KIND,
        "files": {**_TEXTS, "description": "Where it came from; of files in folders their names."},
        "item_types": {"type": "array", "items": _COUNT},
        "languages": _TEXTS,
        "notes": _TEXTS,
        "gates": {"type": "array", "items": _GATE},
        "reasons": {"type": "object", "additionalProperties": _COUNT, "description": "Why rows were rejected."},
        "rejects_file": {**_TEXT, "description": "Where the list of rejected rows is to be had; empty without any."},
        "seconds": {"type": "number", "minimum": 0},
        "error": {**_TEXT, "description": "Why it was refused; empty where it was not."},
    }
    | dict.fromkeys(("transaction", "notification", "mapping", "mode"), _TEXT)
    | dict.fromkeys(("rows", "added", "changed", "removed", "rejected", "anonymous"), _COUNT)
)
_IMPORTS = _object({"imports": {"type": "array", "items": _IMPORT, "maxItems": MAX_IMPORTS}})
_LIMIT: Value = {"type": "integer", "minimum": 1, "maximum": MAX_IMPORTS, "default": DEFAULT_IMPORTS}


def paths() -> dict[str, Value]:
    """Return the paths that tell of imports."""
    customer = _in("path", "customer", path_part("customer"), required=True)
    transaction = _in("path", "transaction", {"type": "string", "pattern": "^[^/\\u0000-\\u001f\\u007f\\\\]+$"}, True)
    listed = {"description": "The newest first.", "content": {"application/json": {"schema": _IMPORTS}}}
    rejects = {"description": "File, row, column, value, reason.", "content": {"text/csv": {"schema": _TEXT}}}
    listing = _operation("get_imports", "What the last imports did, refused ones too.", listed)
    listing["parameters"] = [customer, _in("query", "kind", _KIND), _in("query", "limit", _LIMIT)]
    listing["responses"] |= problems(400, 401, 414, 429)
    download = _operation("get_rejects", "The rows that an import rejected, as its file lists them.", rejects)
    download["parameters"] = [customer, transaction]
    download["responses"] |= problems(400, 401, 404, 414, 429)
    return {
        "/api/{customer}/imports": {"get": listing},
        "/api/{customer}/imports/{transaction}/rejects.csv": {"get": download},
    }


def _operation(name: str, says: str, answer: Value) -> Value:
    known: Value = {"operationId": name, "tags": ["content"], "description": says, "security": [{"key": []}]}
    return {**known, "responses": {"200": answer}}


def _in(place: str, name: str, schema: Value, required: bool = False) -> Value:
    return {"name": name, "in": place, "required": required, "schema": schema}
