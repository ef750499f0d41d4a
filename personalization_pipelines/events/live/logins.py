"""What a login means, the same for the live store and for the features (dbt_like_sql/staging/visitor_logins.sql).

A login of `source` to `target` gives the target what the source has at that moment: what it did itself and what
earlier logins gave it. Each of these events goes on with the first login of its holder at or after the moment it got
there; so what the source does later goes with its next login, or with none. Who had an event keeps reading it
(else a stranger could empty anybody's history with one call), and nothing ever flows from the target to the source.
For counts an event belongs to its last holder alone.

The endpoint is open to everybody, so its reach is bounded: of a target's sources of one day (UTC) the first
five count, by the time of their first login, then by id; an event goes on at most five times, never to somebody who
had it. A pair that was undone does not count, neither before nor after (`personalization logins --undo`).
"""

from __future__ import annotations

from typing import NamedTuple

from personalization_pipelines.events.event import Event

LOGIN = "login"
UNDO = "undologin"
"""The events that tell of logins. No call can send the second: the operator's command writes it into the log."""
MAX_SOURCES = 5
MAX_HOPS = 5
DAY_MICROSECONDS = 86_400_000_000


class Login(NamedTuple):
    """One login, in the order in which logins of one website are looked at; `time` in microseconds UTC."""

    website: str
    source: str
    time: int
    target: str

    @property
    def day(self) -> int:
        """The day (UTC) whose first sources count, in days since 1970."""
        return self.time // DAY_MICROSECONDS


def login_of(event: Event) -> Login | None:
    """Return what an event tells of a login or of its undoing; None for any other, and for a robot's."""
    if event.event not in (LOGIN, UNDO) or not event.visitor or not event.source_visitor or event.is_bot:
        return None
    return Login(event.website, event.source_visitor, event.time, event.visitor)
