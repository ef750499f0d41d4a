"""Which user agents are robots': the well-kept list of `crawler-user-agents` (MIT), a website's own patterns, or none.

A robot that reaches a tracker runs scripts or loads pixels; one that only reads pages never calls. So what the list
calls an HTTP library (okhttp, curl, Guzzle) is no robot here: that is how apps and shops' servers send events of
people. Nor is a call without a user agent. The user agent decides and is forgotten: it is stored nowhere.

A look-up costs about 120 us, a repeated one 0.2 us: the answers for the last 4096 user agents are remembered, the
first 512 characters of each. The list is loaded with the first event (30 ms), not when the server starts.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import cache, lru_cache

from msgspec.structs import replace

from personalization_pipelines.events.event import Event
from personalization_pipelines.foundation.fields import DEFAULT_ROBOTS

LONGEST = 512
REMEMBERED = 4096
TOGETHER = 25
"""Patterns joined into one expression: as fast as it gets, the list's own reader measured it."""

NOT_ROBOTS = frozenset(
    {
        "AP3A\\.240617\\.008",  # a build of Android, on the phones of a whole brand
        "MetaIAB Facebook", "Viber", "Tumblr\\/", "Goodreads", "Blackboard", "mail\\.ru",  # browsers inside of apps
        "Fluid", "Sogou", "Notion\\/", "Code\\/1\\.", "Trae\\/",  # browsers, and desktop programs that show pages
        "Sonic", "Magellan", "Butterfly", "Adventurer", "Charlotte", "speedy",  # words that devices are named by
    }
)  # fmt: skip
"""Patterns of the list that people's user agents hold too."""

UNLISTED = (r"(?i:(?:bot|crawler|spider)s?/v?[0-9])", r"\+https?://(?!github\.com/)")
"""How robots name themselves: `SomeBot/1.0`, and the address of a page about them behind a plus sign. HTTP libraries
do the latter too, with the address of their source."""

_loading = threading.Lock()


def is_robot(user_agent: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a user agent is a robot's, by a website's `events.bots.user_agents`; "" is none."""
    return bool(patterns) and _is_robot(user_agent[:LONGEST], patterns)


def mark_robots(events: Sequence[Event]) -> tuple[Event, ...]:
    """Return the events of a robot's call, marked; but signed ones, which come from a server, as they are."""
    return tuple([event if event.time != event.received_at else replace(event, is_bot=True) for event in events])


@lru_cache(maxsize=REMEMBERED)
def _is_robot(user_agent: str, patterns: tuple[str, ...]) -> bool:
    with _loading:  # or every thread would load the list with its first event
        expressions = _compiled(patterns)
    return any(expression.search(user_agent) for expression in expressions)


@cache
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Return the expressions to search for. Own patterns stay apart: each may have flags and groups of its own."""
    own = [re.compile(pattern) for pattern in patterns if pattern != DEFAULT_ROBOTS]
    return (*own, *(_default() if DEFAULT_ROBOTS in patterns else ()))


@cache
def _default() -> tuple[re.Pattern[str], ...]:
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA as KNOWN  # reads half a megabyte

    chosen = [one["pattern"] for one in KNOWN if "http-library" not in one.get("tags", ())]
    wanted = [pattern for pattern in chosen if pattern not in NOT_ROBOTS] + list(UNLISTED)
    groups = [wanted[start : start + TOGETHER] for start in range(0, len(wanted), TOGETHER)]
    return tuple(re.compile("|".join(group)) for group in groups)
