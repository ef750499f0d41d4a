"""`personalization logins`: which logins gave whose history to whom, and undoing one.

What counts is asked of the SQL that the features use, over the lake as it is now; so what was acknowledged is brought
into the lake first. An undoing is a record of the event log like any event: kept for good, in the live store within a
second, in features at the next build.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from rich.table import Column, Table

from personalization_pipelines.build import Build
from personalization_pipelines.errors import InvalidIdentifier
from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.lake import ingest
from personalization_pipelines.events.log import SegmentLog
from personalization_pipelines.events.logins import UNDO
from personalization_pipelines.events.visitors import visitor_of
from personalization_pipelines.features.engine import open_engine
from personalization_pipelines.features.sql_models import feature_sql
from personalization_pipelines.home import Home
from personalization_pipelines.website import Website

Row = tuple[datetime, str, str, str]

TOKEN_CHARACTERS = 23
"""As wide a column stays in any terminal: a token that was cut could not be given to `--undo`."""


def logins_table(home: Home, website: Website, user: str | None, limit: int) -> Table:
    """Return the newest logins, of one user where given, as tokens (`~…`, which are users too), and what they do."""
    visitor = known_visitor(home, website, user) if user else ""
    rows = [row for row in _told(home, website) if not visitor or visitor in row[1:3]]
    tokens = [Column(name, no_wrap=True, min_width=TOKEN_CHARACTERS) for name in ("from", "to")]
    table = Table("time (UTC)", *tokens, "", title=f"{website.name}: {len(rows):,} logins")
    for moment, source, target, ignored in rows[-limit:]:
        said = f"ignored: {ignored}" if ignored else "counts"
        table.add_row(f"{moment:%Y-%m-%d %H:%M:%S}", f"~{source}", f"~{target}", said)
    return table


def undo_logins(home: Home, website: Website, source: str, target: str) -> int:
    """Make all logins of `source` to `target`, past and coming, count for nothing; return how many there were."""
    pair = known_visitor(home, website, source), known_visitor(home, website, target)
    now = time.time_ns() // 1000
    log = SegmentLog(home.log)
    try:
        log.append([encode(Event(website.name, UNDO, now, now, visitor=pair[1], source_visitor=pair[0]))])
    finally:
        log.close()
    return sum(row[1:3] == pair for row in _told(home, website))


def known_visitor(home: Home, website: Website, user: str) -> str:
    """Return the visitor behind a user id or token; InvalidIdentifier where that is nobody."""
    visitor = visitor_of(user, website, home.key)
    if not visitor:
        raise InvalidIdentifier(f"user id {user!r} is nobody's: expected a user id or a token like ~AbCd…")
    return visitor


def _told(home: Home, website: Website) -> list[Row]:
    """Return time, source, target and why it is ignored ("" if it counts) of every login, oldest first."""
    ingest(home, website)
    with open_engine(Build(home, website, datetime.now(UTC))) as engine:
        found = engine.rows(
            f"select time, source, target, ignored from ({feature_sql('visitor_logins')}) where hop < 2 order by all"  # noqa: S608 - our own text
        )
    return [(moment, source, target, ignored) for moment, source, target, ignored in found]
