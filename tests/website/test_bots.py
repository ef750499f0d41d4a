"""What a website's file may say about robots, and the sentence for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.website import load_website
from personalization_pipelines.website.values import Bots

HEAD = 'website: shop\ncustomer_id: "00001"\nlicense_key: "0000-0000"\n'


def bots_of(folder: Path, text: str) -> Bots:
    """Return what a file with this `events:` section says about robots."""
    path = folder / "shop.yaml"
    path.write_text(f"{HEAD}events: {text}\n")
    return load_website(path).events.bots


@pytest.mark.parametrize(
    ("text", "patterns", "rate"),
    [
        ("{}", ("default",), 60),
        ("{bots: {}}", ("default",), 60),
        ("{bots: {user_agents: default, max_events_per_minute: 200}}", ("default",), 200),
        ("{bots: {user_agents: none, max_events_per_minute: none}}", (), None),
        ("{bots: {user_agents: [default, '^OurMonitor/', '(?i)probe']}}", ("default", "^OurMonitor/", "(?i)probe"), 60),
        ("{bots: {user_agents: []}}", (), 60),
    ],
)
def test_robots_are_the_list_own_patterns_or_nobody(
    tmp_path: Path, text: str, patterns: tuple[str, ...], rate: int | None
) -> None:
    bots = bots_of(tmp_path, text)
    assert (bots.user_agents, bots.max_events_per_minute) == (patterns, rate)


@pytest.mark.parametrize(
    ("bots", "key", "sentence"),
    [
        ("{user_agents: defualt}", "user_agents", "'defualt' is neither `default` nor `none` nor a list"),
        ("{user_agents: ['(']}", "user_agents", "'(' is not a regular expression: missing )"),
        ("{user_agents: ['x*']}", "user_agents", "'x*' fits every user agent"),
        ("{user_agents: [7]}", "user_agents", "'7' is not a regular expression of 1 to 200 characters"),
        (f"{{user_agents: [{'x' * 201}]}}", "user_agents", "is not a regular expression of 1 to 200 characters"),
        (f"{{user_agents: [{', '.join(['x'] * 101)}]}}", "user_agents", "101 regular expressions are too many"),
        ("{max_events_per_minute: 0}", "max_events_per_minute", "'0' is neither a whole number from 1 to 1000000"),
        ("{max_events_per_minute: true}", "max_events_per_minute", "nor `none`"),
        ("{max_event_per_minute: 9}", "max_event_per_minute", "unknown key; did you mean max_events_per_minute?"),
    ],
)
def test_what_can_not_be_meant_is_said_with_line_and_key(tmp_path: Path, bots: str, key: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bots_of(tmp_path, f"{{bots: {bots}}}")
    (line,) = str(caught.value).splitlines()
    assert f"shop.yaml:4: events.bots.{key}: " in line
    assert sentence in line
