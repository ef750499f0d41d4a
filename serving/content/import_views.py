"""The import history over HTTP: `GET /api/{customer}/imports` and the rejects of one import, with the licence key.

No part of a path on disk comes from a request: a transaction is looked for in the history, and the file is the one
that its row names. No path of this machine's disk goes out: of files in folders only their names are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.http import dump_options_header

from personalization_pipelines.website import Website
from serving.http.raw_request import parse_parameters
from serving.openapi.schemas import (
    TEXT,
    Described,
    Value,
    closed_object,
    in_path,
    in_query,
    json_body,
    list_of,
    number,
    problems,
    with_key,
)
from serving.recommending.request import parse_number, parse_one
from serving.services import Services

KINDS = ("items", "events", "users", "erasure")
DEFAULT_IMPORTS = 50
MAX_IMPORTS = 1000
CHUNK = 64 << 10
REJECTS = "text/csv; charset=utf-8"


def blueprint(services: Services) -> Blueprint:
    """Return the block that tells of imports."""
    block, api = Blueprint("imports", __name__), _Imports(services)
    block.add_url_rule("/api/<customer>/imports", "get_imports", api.listing)
    block.add_url_rule("/api/<customer>/imports/<transaction>/rejects.csv", "get_rejects", api.rejects)
    return block


def describe() -> Described:
    """Return what `/openapi.json` says of the import history."""
    imports = closed_object({"imports": {**list_of(_import()), "maxItems": MAX_IMPORTS}})
    listed = {"description": "The newest first.", "content": json_body(imports)}
    rejects = {"description": "File, row, column, value, reason.", "content": {"text/csv": {"schema": TEXT}}}
    asked = [
        in_path("customer"),
        in_query("kind", {"enum": [*KINDS]}),
        in_query("limit", number(1, MAX_IMPORTS, default=DEFAULT_IMPORTS)),
    ]
    transaction = in_path("transaction", {"type": "string", "pattern": "^[^/\\u0000-\\u001f\\u007f\\\\]+$"})
    listing = with_key(
        "get_imports",
        "content",
        "What the last imports did, refused ones too.",
        asked,
        {"200": listed, **problems(400, 401, 414, 429)},
    )
    download = with_key(
        "get_rejects",
        "content",
        "The rows that an import rejected, as its file lists them.",
        [in_path("customer"), transaction],
        {"200": rejects, **problems(400, 401, 404, 414, 429)},
    )
    return Described(
        {
            "/api/{customer}/imports": {"get": listing},
            "/api/{customer}/imports/{transaction}/rejects.csv": {"get": download},
        }
    )


def _import() -> Value:
    texts, count = list_of(TEXT), {"type": "integer", "minimum": 0}
    gate = dict.fromkeys(("rule", "limit", "found", "key"), TEXT) | {"ok": {"type": "boolean"}, "rows": texts}
    known = {
        "time": {**TEXT, "format": "date-time"},
        "kind": {"enum": [*KINDS]},
        "files": {**texts, "description": "Where it came from; of files in folders their names."},
        "item_types": list_of(count),
        "languages": texts,
        "notes": texts,
        "gates": list_of(closed_object(gate)),
        "reasons": {"type": "object", "additionalProperties": count, "description": "Why rows were rejected."},
        "rejects_file": {**TEXT, "description": "Where the list of rejected rows is to be had; empty without any."},
        "seconds": {"type": "number", "minimum": 0},
        "error": {**TEXT, "description": "Why it was refused; empty where it was not."},
    }
    known |= dict.fromkeys(("transaction", "notification", "mapping", "mode"), TEXT)
    return closed_object(known | dict.fromkeys(("rows", "added", "changed", "removed", "rejected", "anonymous"), count))


class _Imports:
    def __init__(self, services: Services) -> None:
        self._services = services

    def listing(self, customer: str) -> Response:
        """Answer with the newest imports, the last one first."""
        from personalization_pipelines.content.import_history import import_history

        website, parameters = self._website(customer), parse_parameters(request.environ, 0)
        kind = parse_one(parameters, "kind")
        if kind is not None and kind not in KINDS:
            raise BadRequest(f"kind {kind[:40]!r}: expected one of {', '.join(KINDS)}.")
        limit = parse_number(parameters, "limit", DEFAULT_IMPORTS, MAX_IMPORTS)
        rows = [row for row in import_history(self._services.home, website) if kind in (None, row.kind)]
        imports = [_told(row, customer) for row in rows[: -limit - 1 : -1]]
        body = msgspec.json.encode({"imports": imports})
        return Response(body, content_type="application/json", headers={"Cache-Control": "no-store"})

    def rejects(self, customer: str, transaction: str) -> Response:
        """Answer with the list of what an import rejected, as CSV; 404 where it rejected nothing."""
        path = self._rejects_file(self._website(customer), transaction)
        if path is None:
            raise NotFound(f"import {transaction[:80]!r}: no list of rejects; compare it with `imports`.")
        name = f"rejects-{path.name.removesuffix('.rejects.csv')}.csv"
        headers = {
            "Content-Disposition": dump_options_header("attachment", {"filename": name}),
            "Content-Length": str(path.stat().st_size),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(_chunks(path), content_type=REJECTS, headers=headers)

    def _rejects_file(self, website: Website, transaction: str) -> Path | None:
        """Return the file that the newest import of this id names, if it is there and in the folder of imports."""
        from personalization_pipelines.content.import_history import import_history, imports_directory

        home = self._services.home
        named = [row.rejects_file for row in import_history(home, website) if row.transaction == transaction]
        name = next(filter(None, reversed(named)), "")
        path = imports_directory(home, website) / name
        return path if name == path.name and path.is_file() and not path.is_symlink() else None

    def _website(self, customer: str) -> Website:
        """Return the website whose key the request carries (401, 414, 429 where it does not)."""
        return self._services.with_key(customer, request.environ).website


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield a file piece by piece; it is open only while somebody reads."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _told(row: Any, customer: str) -> dict[str, Any]:
    """Return a row of the history as it goes out: without digests of files, with the address of its rejects."""
    told: dict[str, Any] = {name: getattr(row, name) for name in row.__struct_fields__ if name != "parts"}
    told["gates"] = [{name: getattr(gate, name) for name in gate.__struct_fields__} for gate in row.gates]
    folders = {text: Path(text).name for text in row.files if Path(text).is_absolute()}
    if Path(row.mapping).is_absolute():
        folders[row.mapping] = Path(row.mapping).name
    told["files"] = [folders.get(text, text) for text in row.files]
    told["mapping"] = folders.get(row.mapping, row.mapping)
    told["error"] = _without(row.error, folders)
    told["notes"] = [_without(note, folders) for note in row.notes]
    rejects = f"/api/{customer}/imports/{row.transaction}/rejects.csv"
    told["rejects_file"] = rejects if row.rejects_file and row.transaction else ""
    return told


def _without(text: str, folders: dict[str, str]) -> str:
    """Return a sentence with names in place of the paths of files."""
    for path in sorted(folders, key=len, reverse=True):
        text = text.replace(path, folders[path])
    return text
