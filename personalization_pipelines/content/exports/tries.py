"""How often the fetching of each waiting export was tried, and why it failed: `lake/<website>/changes/tries.json`.

Every refresh tries again what waits, but a try counts only when the waiting time of the one before is over (a minute,
then twice as long each time, an hour at most), so that many refreshes in a row use up no tries. After ten tries, or
after a day, it is given up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import msgspec

from personalization_pipelines.content.change_queue import Change, changes_directory
from personalization_pipelines.foundation.durable import write_durably
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

MAX_TRIES = 10
MAX_AGE = timedelta(days=1)
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)


class Tried(msgspec.Struct, frozen=True):
    """The tries of one change that counted, when the next one counts, and what the last one said."""

    count: int
    due: datetime
    reason: str


def read_tries(home: Home, website: Website) -> dict[str, Tried]:
    """Return what was tried, by the change's id. Raises CorruptData for a file that nobody wrote so."""
    path = changes_directory(home, website) / "tries.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Tried])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise CorruptData(f"{path}: {error}; remove it, and the tries are counted anew") from error


def write_tries(home: Home, website: Website, tries: Mapping[str, Tried], waiting: Collection[str]) -> None:
    """Keep the tries of the changes that still wait."""
    path = changes_directory(home, website) / "tries.json"
    kept = {change: tried for change, tried in tries.items() if change in waiting}
    if kept:
        write_durably(path, msgspec.json.encode(kept))
    else:
        path.unlink(missing_ok=True)


def tried_again(before: Tried | None, reason: str, now: datetime) -> Tried:
    """Return the tries after one more that failed now."""
    if before is not None and now < before.due:
        return msgspec.structs.replace(before, reason=reason)
    count = before.count + 1 if before else 1
    return Tried(count, now + min(FIRST_WAIT * 2 ** (count - 1), LONGEST_WAIT), reason)


def is_given_up(change: Change, tried: Tried, now: datetime) -> bool:
    """Say whether an export that could not be fetched so often, or for so long, is not tried any more."""
    return tried.count >= MAX_TRIES or (tried.count > 1 and now - change.time > MAX_AGE)
