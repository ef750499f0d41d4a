"""What Dagster's own storage (what ran, and when) refuses, as a sentence with its directory and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from personalization_pipelines.foundation.errors import HistoryUnavailable
from personalization_pipelines.foundation.home import Home

_FULL = "the disk is full: free some space there, then run it again; what is published keeps serving"
_AWAY = (
    "stop what uses it, move its directory `history` away and run it again: Dagster begins a new one, "
    "nothing else is lost"
)
_SQLITE_SAYS = {
    "is full": _FULL,
    "disk i/o error": "the disk fails or is full: look at its space and at the system's log, then run it again",
    "readonly": "this user may not write there: give it the right to, then run it again",
    "unable to open": "this user may not write there, or the disk is full: look at both, then run it again",
    "malformed": f"the file is damaged: {_AWAY}",
    "not a database": f"the file is damaged: {_AWAY}",
    "no such": f"the file is damaged: {_AWAY}",
    "locked": "another process holds it: wait until that is done, then run it again",
}
"""What SQLite says, and what to do about it."""


@contextmanager
def history_failures(home: Home) -> Iterator[None]:
    """Turn what goes wrong with Dagster's own storage into a sentence that names its directory."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        raise HistoryUnavailable(history_sentence(home, error)) from error


def history_sentence(home: Home, error: Exception) -> str:
    """Return where Dagster's storage is, what is wrong with it, and what to do."""
    said = str(getattr(error, "orig", None) or error).lower()
    if home.database.startswith("postgresql"):
        return (
            "Dagster's history: PostgreSQL (PERSONALIZATION_DATABASE) refused it; start that server or look at its "
            "log, then run it again"
        )
    advice = next((advice for words, advice in _SQLITE_SAYS.items() if words in said), f"it can not be used: {_AWAY}")
    return f"{home.dagster}: Dagster's history: {advice}"
