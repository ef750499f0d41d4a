"""`personalization logins`: which logins gave whose history to whom, and undoing one.

What counts is asked of the SQL that the features use, over the lake as it is now; so what was acknowledged is brought
into the lake first. An undoing is a record of the event log like any event: kept for good, in the live store within a
second, in features at the next build.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from personalization_pipelines.commands.tables import Shown, Table
from personalization_pipelines.events.event import Event, encode
from personalization_pipelines.events.judging.visitors import visitor_of
from personalization_pipelines.events.lake.event_lake import ingest
from personalization_pipelines.events.live.logins import UNDO
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.features.engine import open_engine
from personalization_pipelines.features.sql_models import feature_sql
from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from personalization_pipelines.website.one_build import Build

Login = tuple[datetime, str, str, str]

NAMES = ("time", "from", "to", "ignored")


def logins_table(home: Home, website: Website, user: str | None, limit: int) -> Table:
    """Return the newest logins, of one user where given, as tokens (`~…`, which are users too), and what they do."""
    visitor = known_visitor(home, website, user) if user is not None else ""
    rows = [row for row in _told(home, website) if not visitor or visitor in row[1:3]]
    shown = [
        {"time": moment.replace(tzinfo=UTC), "from": f"~{source}", "to": f"~{target}", "ignored": ignored}
        for moment, source, target, ignored in rows[-limit:]
    ]
    columns = (
        Shown("time (UTC)", lambda row: f"{row['time']:%Y-%m-%d %H:%M:%S}", folds=True),
        Shown("from", lambda row: row["from"]),
        Shown("to", lambda row: row["to"]),
        Shown("", lambda row: f"ignored: {row['ignored']}" if row["ignored"] else "counts", folds=True),
    )
    return Table(f"{website.name}: {len(rows):,} logins", NAMES, shown, columns)


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


def _told(home: Home, website: Website) -> list[Login]:
    """Return time, source, target and why it is ignored ("" if it counts) of every login, oldest first."""
    ingest(home, website)
    with open_engine(Build(home, website, datetime.now(UTC))) as engine:
        found = engine.rows(
            f"select time, source, target, ignored from ({feature_sql('visitor_logins')}) where hop < 2 order by all"  # noqa: S608 - our own text
        )
    return [(moment, source, target, ignored) for moment, source, target, ignored in found]
