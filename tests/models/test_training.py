"""From feature tables to a saved model, its metrics and its report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from personalization_pipelines.foundation.errors import ConfigurationError, CorruptData, NotBuiltYet
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.models.artifact import load_model
from personalization_pipelines.models.forms.ranking import site_key
from personalization_pipelines.models.training import metrics_history, quality_drop, train
from personalization_pipelines.website.one_build import Build
from tests.conftest import make_website
from tests.models.features import Did, write_features

AS_OF = datetime(2024, 5, 20, 12, tzinfo=UTC)
TODAY = AS_OF.date()


def weeks_of_shopping(days: int = 60, visitors: int = 30) -> Iterator[Did]:
    """Each visitor buys two items every fifth day, all of the visitor's own parity, so that parity foretells."""
    random = Random(7)
    for ago in range(days, 0, -1):
        for number in range(ago % 5, visitors, 5):
            for item in random.sample(range(100 + number % 2, 220, 2), 2):
                yield "buy", f"v{number:02}", str(item), TODAY - timedelta(days=ago)


@pytest.fixture
def build(home: Home) -> Build:
    """A shop with 60 days of purchases."""
    made = Build(home, make_website(), AS_OF)
    write_features(made, weeks_of_shopping(), items=[str(number) for number in range(100, 220)])
    return made


def test_every_model_of_the_website_is_learned_saved_and_loaded(build: Build) -> None:
    for name, model in build.website.models.items():
        report = train(build, name)
        made = load_model(build.models / name)
        assert (report.name, report.type, report.unchanged) == (name, model.type, False)
        assert (made.build_id, made.counts["lists"], len(made.items)) == (report.build_id, report.lists, 120)


def test_a_second_build_of_the_same_input_is_skipped_and_reports_the_same(build: Build) -> None:
    first = train(build, "for_you")
    second = train(build, "for_you")
    assert second.unchanged and not first.unchanged
    assert (second.build_id, second.metrics, second.preview) == (first.build_id, first.metrics, first.preview)


def test_a_rebuild_as_of_the_same_moment_gives_the_same_bytes(build: Build) -> None:
    rebuild = Build(build.home, build.website, AS_OF, rebuild=True)
    write_features(rebuild, weeks_of_shopping(), items=[str(number) for number in range(100, 220)])
    for name in build.website.models:
        one, other = (each.models / name / train(each, name).build_id for each in (build, rebuild))
        assert contents(one) == contents(other)


def test_a_transfer_of_a_blacklisted_item_bans_its_new_one_in_every_model(home: Home) -> None:
    models = {
        "top": {"type": "popularity", "event": "buy"},
        "picks": {"type": "editorial", "items": [{"id": 777}, {"id": 103}, {"id": 666}]},
        "never": {"type": "blacklist", "items": [{"id": 666}]},
    }
    build = Build(home, make_website(models=models, scenarios={}), AS_OF)
    items = [str(number) for number in range(100, 220)]
    write_features(build, weeks_of_shopping(), items=items)
    before = train(build, "top")
    write_features(build, weeks_of_shopping(), items=items, moved={"666": "101", "777": "102"})
    after = train(build, "top")
    assert not after.unchanged
    assert "101" in items_in(build, before.build_id) and "101" not in items_in(build, after.build_id)
    train(build, "picks")
    picks = load_model(build.models / "picks")
    assert [picks.items[row] for row in picks.answer.lists.of(0)[0]] == ["102", "103"]
    assert train(build, "picks").unchanged
    write_features(build, weeks_of_shopping(), items=items, moved={"666": "103", "777": "104"})
    assert not train(build, "picks").unchanged


def items_in(build: Build, build_id: str) -> set[str]:
    made = load_model(build.models / "top" / build_id)
    return {made.items[row] for row in made.answer.lists.rows.tolist()}


def test_metrics_say_that_neighbours_beat_popularity_where_taste_is_visible(build: Build) -> None:
    report = train(build, "for_you")
    assert report.metrics["HR@10"] > report.floor_metrics["HR@10"]
    assert report.metrics["HR@10 low"] <= report.metrics["HR@10"] <= report.metrics["HR@10 high"]
    assert report.metrics["users"] == report.floor_metrics["users"] > 10


def test_what_happens_today_changes_the_model_and_not_the_evaluation(build: Build) -> None:
    before = train(build, "for_you")
    did = [*weeks_of_shopping(), ("buy", "a new visitor", "100", TODAY), ("buy", "v01", "219", TODAY)]
    write_features(build, did, items=[str(number) for number in range(100, 220)])
    after = train(build, "for_you")
    assert after.build_id != before.build_id and not after.unchanged
    assert after.metrics == before.metrics
    assert len(metrics_history(build, "for_you")) == 1


def test_a_new_day_is_evaluated_anew_and_compared_with_those_before(build: Build) -> None:
    train(build, "for_you")
    assert "no earlier" in quality_drop(build, "for_you").sentence
    tomorrow = Build(build.home, build.website, AS_OF + timedelta(days=1))
    did = [*weeks_of_shopping(), *(("buy", f"v{number:02}", "219", TODAY) for number in range(30))]
    write_features(tomorrow, did, items=[str(number) for number in range(100, 220)])
    train(tomorrow, "for_you")
    assert len(metrics_history(tomorrow, "for_you")) == 2
    assert "the last evaluations had" in quality_drop(tomorrow, "for_you").sentence


def test_models_that_do_not_learn_have_no_metrics_and_pass_the_check(build: Build) -> None:
    assert train(build, "picks").metrics == {}
    assert quality_drop(build, "picks").passed


def test_items_not_valid_while_the_model_serves_stay_out_of_its_lists(home: Home) -> None:
    build = Build(home, make_website(), AS_OF)
    day = datetime(2024, 5, 20)
    validity = {
        "101": (None, day - timedelta(days=1)),  # over
        "102": (day + timedelta(days=9), None),  # after the model's life
        "103": (day + timedelta(hours=30), None),  # begins while it serves: the server looks at the clock
        "104": (None, day + timedelta(hours=20)),  # ends while it serves
    }
    did = [("buy", f"v{number}", item, TODAY) for number in range(3) for item in ("101", "102", "103", "104", "105")]
    write_features(build, did, validity=validity)
    train(build, "top_bought")
    assert listed(build, "top_bought") == ["103", "104", "105"]


def test_recently_added_are_those_first_imported_or_valid_within_the_age_newest_first(home: Home) -> None:
    build = Build(home, make_website(), AS_OF)
    day = datetime(2024, 5, 20)
    seen = {"1": day - timedelta(days=2), "2": day - timedelta(days=1), "3": day - timedelta(days=20), "4": day}
    valid = {"4": (datetime(2015, 1, 1), None)}
    write_features(build, [], items=["1", "2", "3", "4"], first_seen=seen, validity=valid)
    train(build, "new_in")
    assert listed(build, "new_in") == ["2", "1"]


def test_an_item_of_events_that_the_catalogue_does_not_have_is_left_out(home: Home) -> None:
    build = Build(home, make_website(), AS_OF)
    write_features(build, [("buy", "v", "1", TODAY), ("buy", "v", "unknown", TODAY)], items=["1"])
    report = train(build, "top_bought")
    assert listed(build, "top_bought") == ["1"] and report.events == 1


def test_no_events_at_all_is_an_empty_model(home: Home) -> None:
    build = Build(home, make_website(), AS_OF)
    write_features(build, [], items=["1", "2"])
    for name in ("top_bought", "also_bought", "for_you"):
        report = train(build, name)
        assert (report.lists, report.events, report.users, report.metrics, report.preview) == (0, 0, 0, {}, ())


def test_a_history_in_hours_still_counts_whole_days(home: Home) -> None:
    website = make_website(models={"top": {"type": "popularity", "event": "buy", "history": "6h"}}, scenarios={})
    build = Build(home, website, AS_OF)
    write_features(build, [("buy", "v", "1", TODAY), ("buy", "v", "2", TODAY - timedelta(days=1))])
    train(build, "top")
    assert listed(build, "top") == ["1"]


def test_missing_and_broken_features_are_named(home: Home) -> None:
    build = Build(home, make_website(), AS_OF)
    with pytest.raises(CorruptData, match=r"items\.json: no fingerprint"):
        train(build, "for_you")
    write_features(build, [("buy", "v", "1", TODAY)])
    (build.features / "visitor_item_days.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(CorruptData, match="visitor_item_days cannot be read"):
        train(build, "for_you")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"type": "also_bought", "scope": "session"}, "scope: session"),
        ({"type": "popularity", "submodels": {"color": "dynamic"}}, "submodels"),
        ({"type": "ease"}, "`ease` is not built yet"),
    ],
)
def test_what_is_not_built_says_so(home: Home, changes: dict[str, object], sentence: str) -> None:
    build = Build(home, make_website(models={"m": changes}, scenarios={}), AS_OF)
    with pytest.raises(NotBuiltYet, match=sentence):
        train(build, "m")


def test_an_unknown_model_is_refused_with_the_known_ones(build: Build) -> None:
    with pytest.raises(ConfigurationError, match="no model 'nope'; it has: top_bought"):
        train(build, "nope")


def listed(build: Build, name: str) -> list[str]:
    """Return the item ids of the site's list, in order of their ids where scores are equal."""
    made = load_model(build.models / name)
    rows, _ = made.answer.lists.of(made.answer.keys.index(site_key(1)))
    return [made.items[row] for row in rows]


def contents(directory: Path) -> dict[str, bytes]:
    """Return every file's bytes."""
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}
