"""Who is a robot by user agent: labelled traffic, own patterns, and bounds on what a hostile sender can cost."""

from __future__ import annotations

import time

from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from msgspec.structs import replace

from personalization_pipelines.events.event import Event
from personalization_pipelines.events.judging import robots
from personalization_pipelines.events.judging.robots import LONGEST, NOT_ROBOTS, REMEMBERED, is_robot, mark_robots

DEFAULT = ("default",)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)

PEOPLE = [
    CHROME,
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0 Mobile Safari",
    "Mozilla/5.0 (Linux; Android 8.1.0; POWER BOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0 Mobile",
    "Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/142.0.7444.142 Mobile Safari/537.36 Instagram 406.0.0.58.159 Android",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "[FBAN/FBIOS;FBAV/460.0.0.37.104;FBDV/iPhone14,5;FBLC/de_DE]",
    "Mozilla/5.0 (Linux; Android 11; SogouMobileBrowser/5.9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0 Mobile",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) coc_coc_browser/94.0 Chrome/88.0",
    "Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/108.4 like Chrome/108 Safari",
    "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10",
    "",
    "okhttp/4.12.0", "MyShop/3.1 CFNetwork/1494.0.7 Darwin/23.4.0", "Dart/3.4 (dart:io)",  # apps
    "curl/8.5.0", "GuzzleHttp/7", "python-requests/2.32.3", "Java/17.0.2", "node-fetch/1.0 (+https://github.com/b/n)",
]  # fmt: skip
ROBOTS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) "
    "Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (compatible; NobodyHasListedThisBot/0.1)",
    "Unheard-Of Indexer (+https://indexer.example/about)",
    "Mozilla/5.0 (Linux; Android 11; moto g power (2022)) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 "
    "Mobile Safari/537.36 Chrome-Lighthouse",
]


def test_labelled_traffic_is_told_apart_without_one_mistake() -> None:
    assert [agent for agent in PEOPLE if is_robot(agent, DEFAULT)] == []
    assert [agent for agent in ROBOTS if not is_robot(agent, DEFAULT)] == []


def test_nearly_every_example_of_the_list_is_recognised() -> None:
    listed = [one for one in CRAWLER_USER_AGENTS_DATA if "http-library" not in one.get("tags", ())]
    examples = [agent for one in listed for agent in one["instances"]]
    recall = sum(is_robot(agent, DEFAULT) for agent in examples) / len(examples)
    assert len(examples) > 2000
    assert recall > 0.985, "what is missed is what people's user agents hold too"


def test_every_pattern_that_is_left_out_is_in_the_list() -> None:
    assert {one["pattern"] for one in CRAWLER_USER_AGENTS_DATA} >= NOT_ROBOTS


def test_own_patterns_stand_alone_or_beside_the_list() -> None:
    own, both = ("^OurMonitor/", "(?i)probe"), ("^OurMonitor/", "default")
    assert is_robot("OurMonitor/2", own)
    assert is_robot("a PROBE", own)
    assert not is_robot(ROBOTS[0], own)
    assert not is_robot("not OurMonitor/2", own)
    assert is_robot(ROBOTS[0], both)
    assert is_robot("OurMonitor/2", both)
    assert not is_robot(CHROME, both)


def test_none_marks_nobody() -> None:
    assert not any(is_robot(agent, ()) for agent in ROBOTS)


def test_a_hostile_user_agent_costs_little_and_is_remembered_cut() -> None:
    hostile = ["Mozilla/5.0 " + piece * 60_000 for piece in ("( ", "Current ", "a.b", "+http", "Bot ", "AdsBot-Google")]
    is_robot("warm", DEFAULT)
    began = time.process_time()
    for agent in hostile:
        is_robot(agent, DEFAULT)
    assert time.process_time() - began < 2
    for number in range(REMEMBERED + 10):
        is_robot(f"agent {number}", ("^x",))
    assert robots._is_robot.cache_info().currsize == REMEMBERED
    assert is_robot("GPTBot/" + "x" * LONGEST, DEFAULT)
    assert not is_robot("x" * LONGEST + "GPTBot/", DEFAULT)


def test_events_of_a_robot_are_marked_and_signed_ones_of_the_past_are_not() -> None:
    now = Event("shop", "click", received_at=7, time=7, item_type=1, item="5")
    past = replace(now, time=3)
    assert mark_robots([now, past]) == (replace(now, is_bot=True), past)
