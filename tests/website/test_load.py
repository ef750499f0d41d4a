from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website, example_text, load_website, load_websites

SMALL = """\
website: shop
customer_id: "00001"
license_key: 1111-2222
models:
  top: {type: popularity, event: buy, history: 90d}
  picks: {type: editorial, items: [{type: 1, id: 77}]}
  never: {type: blacklist, items: []}
scenarios:
  landing_page:
    input: product
    output: [product]
    strategy:
      - {models: [top, picks]}
"""


def write(directory: Path, text: str, name: str = "shop") -> Path:
    path = directory / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(directory: Path, text: str) -> list[str]:
    """The problems of a file, without the file's name."""
    path = write(directory, text)
    with pytest.raises(ConfigurationError) as caught:
        load_website(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_a_small_file_becomes_a_website_with_defaults(tmp_path: Path) -> None:
    website = load_website(write(tmp_path, SMALL))
    assert isinstance(website, Website)
    assert (website.name, website.customer_id, website.time_zone) == ("shop", "00001", "UTC")
    assert website.scenarios["landing_page"].strategy[0].models[1].model == "picks"
    assert website.license_key.get_secret_value() == "1111-2222"


def test_event_weights_that_are_not_named_keep_their_default(tmp_path: Path) -> None:
    website = load_website(write(tmp_path, SMALL + "event_weights: {click: 0}\n"))
    assert (website.event_weights["click"], website.event_weights["buy"]) == (0, 10)


WRONG = [
    # what is added or replaced, the problem's line and key, words of its sentence
    ("currency: eur", "14: currency:", "ISO 4217"),
    ("currency: XXQ", "14: currency:", "ISO 4217"),
    ("time_zone: Europe/Berln", "14: time_zone:", "not a time zone"),
    ("time_zon: UTC", "14: time_zon:", "unknown key; did you mean time_zone?"),
    ("kind: comerce", "14: kind:", "did you mean commerce?"),
    ("languages: [english]", "14: languages[0]:", "like eng-GB"),
    ("languages: [eng-GB, eng-GB]", "14: languages[1]:", "listed twice"),
    ("public_host: reco.example.org", "14: public_host:", "like //reco.example.org"),
    ("item_types: {0: product}", "14: item_types[0]:", "expected a number from 1"),
    ("item_types: {1: product, 2: product}", "14: item_types:", "a name of its own"),
    ("item_types: {x: product}", "14: item_types.x:", "the key `x` must be a whole number"),
    ("event_weights: {clik: 1}", "14: event_weights.clik:", "did you mean click?"),
    ("event_weights: {click: -1}", "14: event_weights.click:", "at least 0"),
    ("content: {schedule: 0 25 * * *}", "14: content.schedule:", "'25' is no hour"),
    ("content: {schedule: daily}", "14: content.schedule:", "not a cron line"),
    (
        "content: {sources: [{files: a.xls, format: xls}]}",
        "14: content.sources[0].format:",
        "expected csv, jsonl, parquet",
    ),
    ("retention: {live: 35 days}", "14: retention.live:", "not a time span"),
    ("quality: {events: {max_rejected: 5}}", "14: quality.events.max_rejected:", "like 20%"),
    ("quality: {events: {max_rejected: 101%}}", "14: quality.events.max_rejected:", "between 0% and 100%"),
    ("tests: [{scenario: landing, expect: {at_least: 1}}]", "14: tests[0].scenario:", "did you mean landing_page?"),
    ("tests: [{scenario: landing_page, expect: {}}]", "14: tests[0].expect:", "expects nothing"),
    ("tests: [{scenario: landing_page, expect: {never_category: A}}]", "14: tests[0].expect.never_category:", "path"),
    ("tests: [{scenario: landing_page, context: [x], expect: {at_least: 1}}]", "14: tests[0].context[0]:", "item id"),
    ("output_attributes: title", "14: output_attributes:", "expected a list, found the text `title`"),
    ("freshness:", "14: freshness:", "expected keys and values below it, found nothing"),
    ("recommendation_auth: ${AUTH}", "14: recommendation_auth:", "in `license_key` alone"),
    ("12: x", "14: [12]:", "must be text"),
]


@pytest.mark.parametrize(("added", "place", "words"), WRONG, ids=[added for added, _, _ in WRONG])
def test_a_wrong_value_is_named_with_line_key_and_sentence(tmp_path: Path, added: str, place: str, words: str) -> None:
    problems = refused(tmp_path, SMALL + added)
    assert problems[0].startswith(place)
    assert words in problems[0]
    assert len(problems) == 1


REPLACED = [
    ('customer_id: "00001"', "customer_id: 00001", "2: customer_id:", "put it in quotes"),
    ('customer_id: "00001"', "customer_id: 12345", "2: customer_id:", "put it in quotes"),
    ('customer_id: "00001"', 'customer_id: "0 1"', "2: customer_id:", "ASCII letters and digits"),
    ('customer_id: "00001"\n', "", "1: customer_id:", "the key is required"),
    ("website: shop", "website: Shop", "1: website:", "lower-case letters"),
    ("website: shop", "website: toys", "1: website:", "the file is named shop.yaml"),
    ("license_key: 1111-2222", "license_key:", "3: license_key:", "found nothing"),
    ("license_key: 1111-2222", 'license_key: " "', "3: license_key:", "is empty"),
    ("history: 90d", "history: 90 days", "5: models.top.history:", "not a time span"),
    ("history: 90d", "build: every 7h", "5: models.top.build:", "divisor of 24"),
    ("history: 90d", "histroy: 90d", "5: models.top.histroy:", "did you mean history?"),
    ("event: buy", "event: bought", "5: models.top.event:", "expected click, consume"),
    ("type: popularity", "type: popular", "5: models.top:", "did you mean popularity?"),
    ("type: popularity, ", "", "5: models.top:", "a model needs a `type`"),
    ("  top: {", "  top hits: {", "5: models.top hits:", "expected 1 to 64 letters"),
    ("id: 77", "id: 007", "6: models.picks.items[0].id:", "leading zero"),
    ("id: 77", "id: abc", "6: models.picks.items[0].id:", "item_ids: alphanumeric"),
    ("id: 77", "id: 7.5", "6: models.picks.items[0].id:", "expected a whole number or text"),
    ("{type: 1, id: 77}", "{type: 2, id: 77}", "6: models.picks.items[0].type:", "`item_types` has 1 (product)"),
    ("{type: 1, id: 77}", "{id: 77}, {id: '77'}", "6: models.picks.items[1]:", "listed twice"),
    ("[top, picks]", "[topp, picks]", "13: scenarios.landing_page.strategy[0].models[0]:", "did you mean top?"),
    ("[top, picks]", "[top, top]", "13: scenarios.landing_page.strategy[0].models[1]:", "listed twice"),
    ("[top, picks]", "[never]", "13: scenarios.landing_page.strategy[0].models[0]:", "is a blacklist"),
    ("[top, picks]", "[]", "13: scenarios.landing_page.strategy[0].models:", "expected at least 1"),
    ("input: product", "input: prodct", "10: scenarios.landing_page.input:", "did you mean product?"),
    ("[product]", "[product, product]", "11: scenarios.landing_page.output[1]:", "listed twice"),
    ("picks]}", "picks], category: sit}", "13: scenarios.landing_page.strategy[0].category:", "expected site"),
    ("picks]}", "picks], category: {levels_up: 1}}", "13: scenarios.landing_page.strategy[0].category:", "is `site`"),
    ("picks]}", "picks], category: {main: true, levels_up: 1}}", "13: scenarios.landing_page.strategy", "`same: true`"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "words"), REPLACED, ids=[new for _, new, _, _ in REPLACED])
def test_a_wrong_model_or_scenario_is_named(tmp_path: Path, old: str, new: str, place: str, words: str) -> None:
    problems = refused(tmp_path, SMALL.replace(old, new))
    assert problems[0].startswith(place)
    assert words in problems[0]


def test_all_problems_of_a_file_are_listed_at_once_in_its_order(tmp_path: Path) -> None:
    text = (
        SMALL.replace("history: 90d", "history: 90 days").replace("[top, picks]", "[top, pick]").replace("00001", "0 1")
        + "tests:\n  - {scenario: landing_page}\n  - {scenario: other, expect: {at_least: 1}}\n"
        + "retention: {live: 5d}\nretention: {live: 6d}\ntriggers: {}\n"
    )
    places = [re.match(r"[0-9]+: [^:]+", problem)[0] for problem in refused(tmp_path, text)]  # type: ignore[index]
    assert places == [
        "2: customer_id",
        "5: models.top.history",
        "13: scenarios.landing_page.strategy[0].models[1]",
        "15: tests[0].expect",
        "16: tests[1].scenario",
        "18: retention",
        "19: triggers",
    ]


def test_the_license_key_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, SMALL.replace("1111-2222", '"${SHOP_KEY}"'))
    monkeypatch.setenv("SHOP_KEY", "from outside")
    assert load_website(path).license_key.get_secret_value() == "from outside"
    monkeypatch.delenv("SHOP_KEY")
    with pytest.raises(ConfigurationError, match=r":3: license_key: the environment variable SHOP_KEY is not set"):
        load_website(path)


@pytest.mark.parametrize("key", ["471147114711", "&k 4711-4711", "0x4711", "[4711]", "{4711: x}", "4711_4711"])
def test_no_problem_shows_the_license_key(tmp_path: Path, key: str) -> None:
    problems = refused(tmp_path, SMALL.replace("1111-2222", key))
    assert not any("4711" in problem for problem in problems)


@pytest.mark.parametrize("text", ["", "just text", "- a list", "4", "\0", "a: [", "{}"])
def test_a_file_that_is_no_website_is_refused(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text)


def test_a_file_that_can_not_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"shop\.yaml: the file can not be read: No such file"):
        load_website(tmp_path / "shop.yaml")


def test_one_broken_file_leaves_the_other_websites_alone(home: Home) -> None:
    write(home.websites, SMALL)
    write(home.websites, SMALL.replace("shop", "toys").replace("00001", "2").replace("90d", "x"), "toys")
    write(home.websites, SMALL.replace("shop", "zoo"), "zoo")
    (home.websites / "other.yml").write_text(SMALL)
    (home.websites / ".shop.yaml.swp").write_text("x")
    good, broken = load_websites(home)
    assert list(good) == ["shop"]
    assert list(broken) == ["toys", "zoo", "other.yml"]
    assert ":2: customer_id: the customer id belongs to the website shop already" in str(broken["zoo"])
    assert "not a time span" in str(broken["toys"])


def test_an_installation_without_websites_has_none(tmp_path: Path) -> None:
    assert load_websites(Home(tmp_path)) == ({}, {})


words = st.sampled_from(
    [*sorted(set(re.findall(r"[^\s{}\[\],]+|[{}\[\],\n]", example_text()))), "no", "&a", "*a", "!!x", "- ", "? ", "  "]
)
lines = st.sampled_from(example_text().splitlines(keepends=True))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.one_of(
        st.text(max_size=100),
        st.lists(words, max_size=30).map(" ".join),
        st.lists(lines, max_size=60).map("".join),
        st.tuples(st.integers(0, 140), lines).map(lambda change: _line_replaced(*change)),
    )
)
def test_any_text_is_a_website_or_a_configuration_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_bytes(text.encode("utf-8", "replace"))
    try:
        assert load_website(path).name == "shop"
    except ConfigurationError as error:
        assert str(error).startswith(str(path))


def _line_replaced(number: int, line: str) -> str:
    found = example_text("shop").splitlines(keepends=True)
    return "".join([*found[:number], line, *found[number + 1 :]])
