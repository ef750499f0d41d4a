"""What tests of notified exports have in common: events as they are queued, exports as they are applied."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from personalization_pipelines.content.catalogue.changes import apply_changes
from personalization_pipelines.content.change_queue import enqueue
from personalization_pipelines.content.exports.fetch_export import Fetcher, Limits
from personalization_pipelines.content.exports.notification import read_notification
from personalization_pipelines.content.import_history import ImportRow
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.content.cms import content, notification
from tests.content.test_changes import NOW, rows

SECRETS = {"login": "editor", "password": "Canary-Pass-7731"}


def notify(home: Home, site: Website, *events: dict[str, Any]) -> list[str]:
    """Queue events as the endpoint does."""
    found = read_notification(json.dumps(notification(*events)).encode(), site)
    return [enqueue(home, site, one.kind, one.encoded(home.key), name=one.name) for one in found]


def apply(home: Home, site: Website, now: datetime = NOW, **limits: Any) -> list[ImportRow]:
    limits = {"seconds": 60.0, "connect_seconds": 2.0, **limits}
    return apply_changes(home, site, now=now, fetcher=Fetcher(site.content.export_hosts, Limits(**limits)))


def titles(home: Home, site: Website) -> dict[tuple[int, str, str], Any]:
    """Return the catalogue's titles by type, id and language."""
    return {
        (row["item_type"], row["item"], row["language"]): json.loads(row["attributes"]).get("title", [""])[0]
        for row in rows(home, site)
    }


def named(*numbers: int, title: str = "", kind: int = 1, language: str = "eng-GB") -> list[dict[str, Any]]:
    return [content(number, kind, language, title=title or f"t{number}") for number in numbers]


def places_with(home: Home, secrets: list[bytes]) -> dict[str, list[Path]]:
    """Return the files of a home whose bytes hold a secret."""
    files = [path for path in home.root.rglob("*") if path.is_file()]
    return {one.decode(): [path for path in files if one in path.read_bytes()] for one in secrets}
