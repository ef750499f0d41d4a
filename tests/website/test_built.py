from __future__ import annotations

from pathlib import Path

import pytest

from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.models.registry import LATER_TYPES, built_types
from personalization_pipelines.website import load_website
from personalization_pipelines.website.not_built import not_built_yet

# Every key of the specification at once.
EVERYTHING = """\
website: garden-shop
customer_id: "00000"
license_key: "${GARDEN_KEY}"
kind: commerce
time_zone: Europe/Berlin
currency: EUR
languages: [eng-GB, ger-DE]
item_ids: numeric
item_types: {1: product, 2: article}
public_host: //reco.example.org
recommendation_auth: none
output_attributes: [title, uri, image, color]
placeholder_users: [guest]
category_from_clicks: true
event_weights: {click: 1, consume: 3, basket: 5, wishlist: 4, rate: 4, buy: 10}
content:
  sources:
    - {files: "data/items/*.parquet", format: parquet, mode: full}
    - {files: "s3://bucket/items/*.xml", format: xml}
    - {files: "data/export/*.json", format: export}
  export_hosts: [cms.example.org]
  schedule: "0 3 * * *"
events:
  sources:
    - {files: "data/events/*.parquet", format: parquet}
    - {files: "data/events/*.xml", format: xml}
  bots: {user_agents: default, max_events_per_minute: 60}
retention: {events: 400d, live: 35d}
visitor_groups:
  9001: {name: big spenders, match: all, criteria: [{visits: {at_least: 3, within: 30d}}]}
segment_groups:
  hunters: {and: [7, 11, 14]}
models:
  top_clicked: {type: popularity, event: click, history: 30d, aging: fast, build: every 1h}
  top_bought: {type: popularity, event: buy, submodels: {brand: dynamic}}
  trending: {type: predictive_popularity, event: click, history: 30d, build: daily}
  also_clicked: {type: also_clicked, time_slots: [["08:00", "11:00"], ["18:00", "22:30"]]}
  also_bought: {type: also_bought, history: 180d, segments: [hunters, 9001]}
  lifted: {type: also_basket, similarity: lift}
  in_session: {type: also_clicked, scope: session}
  bundles: {type: bundle, history: 365d, min_support: 5, build: daily}
  for_you: {type: item_knn, history: 365d, build: daily}
  new_in: {type: recently_added, item_age: 10d, build: every 1h}
  picks: {type: editorial, items: [{type: 1, id: 77}, {type: 1, id: 78}]}
  never: {type: blacklist, items: [{type: 1, id: 666}]}
scenarios:
  landing_page:
    input: product
    output: [product]
    strategy:
      - {models: [for_you, top_clicked], category: site}
      - {models: [trending], category: {same: true, levels_up: 1}}
    filters: {minimum_price: 5, already_bought: exclude, boost: [{user: a, item: b}], diversity: {category: 3}}
    experiment: {holdout: 5%}
  product_page:
    input: product
    output: [product, article]
    strategy:
      - {models: [{model: also_clicked, context: items, data: submodels}, {model: bundles}]}
    filters: {context_items: exclude, exclude_categories: [/Gift cards], minimum_price: 5.00, unknown_price: exclude,
              at_least_context_price: false, top_sellers: {exclude: 10}, variants: only, demote: []}
triggers:
  basket_reminder: {type: abandoned_basket, webhook: {url: "https://hooks.example.org", token: "${HOOK_TOKEN}"}}
freshness: {models: 36h, publication: 2h}
quality: {events: {max_rejected: 1%, min_daily_share: 30%}, items: {max_drop: 20%}, publication: {min_coverage: 60%}}
tests:
  - {scenario: landing_page, user: nobody, expect: {at_least: 6}}
  - {scenario: product_page, context: [77], expect: {never_category: /Alcohol, at_least: 4}}
"""

NOT_BUILT = {
    "events.sources[1].format", "retention.events",
    "visitor_groups", "segment_groups", "models.top_bought.submodels", "models.trending.type",
    "models.also_clicked.time_slots", "models.also_bought.segments", "models.lifted.similarity",
    "models.in_session.scope", "models.bundles.type", "scenarios.landing_page.filters.minimum_price",
    "scenarios.landing_page.filters.boost", "scenarios.landing_page.filters.diversity",
    "scenarios.landing_page.experiment", "scenarios.product_page.strategy[0].models[0].data",
    "scenarios.product_page.filters.minimum_price", "scenarios.product_page.filters.unknown_price",
    "scenarios.product_page.filters.at_least_context_price", "scenarios.product_page.filters.top_sellers",
    "scenarios.product_page.filters.variants", "scenarios.product_page.filters.demote", "triggers",
}  # fmt: skip


def test_the_specifications_keys_all_parse_and_what_is_not_built_is_said_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARDEN_KEY", "secret")
    path = tmp_path / "garden-shop.yaml"
    path.write_text(EVERYTHING)
    with pytest.raises(ConfigurationError) as caught:
        load_website(path)
    problems = [line.removeprefix(f"{path}:").split(": ", 2) for line in str(caught.value).splitlines()]
    assert all("is not built yet" in sentence for _, _, sentence in problems)
    assert {place for _, place, _ in problems} == NOT_BUILT
    lines = EVERYTHING.splitlines()
    for number, place, _ in problems:
        last = place.split(".")[-1]
        assert last in lines[int(number) - 1], f"line {number} does not hold {place}"


@pytest.mark.parametrize("name", LATER_TYPES)
def test_each_type_of_a_later_version_is_refused(name: str) -> None:
    found = list(not_built_yet({"models": {"x": {"type": name, "whatever": 1}}}))
    ((place, sentence),) = found
    assert place == ("models", "x", "type")
    assert sentence.startswith(f"`type: {name}` is not built yet; ")
    assert sentence.endswith(
        (*(f"did you mean {built}?" for built in built_types()), f"built are {', '.join(built_types())}")
    )


@pytest.mark.parametrize("name", built_types())
def test_built_types_are_accepted(name: str) -> None:
    assert not list(not_built_yet({"models": {"x": {"type": name}}}))


@pytest.mark.parametrize("value", [None, 3, [], {"models": None}, {"models": [{"type": []}]}, {"scenarios": {1: 2}}])
def test_values_of_another_shape_match_nothing(value: object) -> None:
    assert not list(not_built_yet(value))
