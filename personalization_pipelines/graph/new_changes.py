"""Notices changes that came over HTTP, and has the assets that take them apply them within about a minute.

The queue is looked at, not the requests: a server in another process, or before a restart, is the same. What is new
asks, and so does an export whose waiting time after a try that failed is over. What still waits after that (the run
failed, another import had the lock, or it is behind such an export) asks three times more, each after twice the time.
So a change that can never be applied starts a handful of runs, not one every look for days.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
import msgspec

from personalization_pipelines.content.change_queue import Change, pending
from personalization_pipelines.content.exports.tries import Tried, read_tries
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.graph.parts import Installation, key, python_name
from personalization_pipelines.website import Website

SECONDS_BETWEEN_LOOKS = 30
AGAIN = 3
AGAIN_SECONDS = 300.0
"""After which the same changes are asked for a second time; then twice as long."""


class Asked(msgspec.Struct, frozen=True):
    """What was asked for last: the newest change, the tries that were due (a fingerprint), how often the same, when."""

    newest: str = ""
    tried: str = ""
    times: int = 0
    at: float = 0.0


def build_sensors(website: Website, run_tags: dict[str, str]) -> list[dg.SensorDefinition]:
    """Return the sensor `<website>_changes`."""
    items, users = key(website, "content", "items"), key(website, "content", "users")

    @dg.sensor(
        name=f"{python_name(website.name)}_changes",
        asset_selection=[items, users],
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Applies what came over HTTP (items, notified exports, users) within about a minute.",
    )
    def changes(context: dg.SensorEvaluationContext, installation: Installation) -> dg.SensorResult:
        home, now = installation.home, time.time()
        due = due_changes(pending(home, website), read_tries(home, website), datetime.fromtimestamp(now, UTC))
        asked = ask(_asked(context.cursor), due, now)
        if asked is None:
            return dg.SensorResult(skip_reason="nothing waits" if not due else "what waits was asked for already")
        wanted = {users if change.kind.startswith("users") else items for change, _ in due}
        request = dg.RunRequest(asset_selection=sorted(wanted), tags={**run_tags, "website": website.name})
        return dg.SensorResult(run_requests=[request], cursor=msgspec.json.encode(asked).decode())

    return [changes]


def due_changes(waiting: Sequence[Change], tries: dict[str, Tried], now: datetime) -> list[tuple[Change, int]]:
    """Return the changes that may be applied now, each with how often it was tried."""
    never = Tried(0, datetime.min.replace(tzinfo=UTC), "")
    found = [(change, tries.get(change.id, never)) for change in waiting]
    return [(change, tried.count) for change, tried in found if tried.due <= now]


def ask(last: Asked, due: Sequence[tuple[Change, int]], now: float) -> Asked | None:
    """Return what is asked for now; None where that would be nothing, or the same again too often or too soon."""
    if not due:
        return None
    newest = max(change.id for change, _ in due)
    again = [(change.id, tries) for change, tries in due if tries]
    tried = fingerprint(tries=again) if again else last.tried
    if newest > last.newest:
        return Asked(newest, tried, 1, now)
    if tried != last.tried:
        return Asked(last.newest, tried, last.times, now)
    if last.times > AGAIN or now < last.at + AGAIN_SECONDS * 2 ** (last.times - 1):
        return None
    return Asked(last.newest, tried, last.times + 1, now)


def _asked(cursor: str | None) -> Asked:
    """Return what the cursor holds; one that cannot be read (an older version's) is as good as none."""
    try:
        return msgspec.json.decode(cursor or "{}", type=Asked)
    except msgspec.DecodeError:
        return Asked()
