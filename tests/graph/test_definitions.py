"""The graph of a website as Dagit shows it."""

from __future__ import annotations

import ast
from pathlib import Path

import dagster as dg
import pytest

from personalization_pipelines import definitions as code_location
from personalization_pipelines.features.sql_models import feature_names
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.example import example_text
from tests.conftest import make_website

ROOT = Path(code_location.__file__).parents[1]


@pytest.fixture(scope="module")
def graph() -> dg.Definitions:
    return code_location.complete(
        Home(Path("nowhere")),
        code_location.website_definitions(make_website()),
        code_location.website_definitions(make_website(website="other-shop", customer_id="2")),
    )


def specs(graph: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in graph.resolve_all_asset_specs()}


def test_every_stage_has_its_assets_under_the_prefix_of_the_website(graph: dg.Definitions) -> None:
    own = {name.removeprefix("shop/") for name in specs(graph) if name.startswith("shop/")}
    wanted = {"content/items", "content/users", "events", "publication"}
    wanted |= {f"features/{name}" for name in feature_names()}
    wanted |= {f"models/{name}" for name in make_website().models}
    wanted |= {f"scenarios/{name}" for name in make_website().scenarios}
    assert own == wanted
    assert len(specs(graph)) == 2 * len(wanted)


def test_every_asset_has_freshness_owner_kind_group_description_and_a_condition(graph: dg.Definitions) -> None:
    for name, spec in specs(graph).items():
        assert spec.freshness_policy is not None, name
        assert spec.owners and spec.kinds and spec.group_name and spec.description, name
        assert spec.automation_condition is not None, name


def test_a_feature_depends_on_what_its_sql_reads_and_shows_the_sql(graph: dg.Definitions) -> None:
    staged = specs(graph)["shop/features/stg_events"]
    assert "shop/events" in {dep.asset_key.to_user_string() for dep in staged.deps}
    assert "```sql" in str(staged.description)


def test_no_asset_of_a_website_depends_on_another_website(graph: dg.Definitions) -> None:
    for name, spec in specs(graph).items():
        assert {dep.asset_key.path[0] for dep in spec.deps} <= {name.split("/")[0]}


def test_what_is_published_hangs_on_every_model_of_every_scenario(graph: dg.Definitions) -> None:
    known = specs(graph)

    def above(name: str) -> set[str]:
        direct = {dep.asset_key.to_user_string() for dep in known[name].deps}
        return direct.union(*(above(dep) for dep in direct)) if direct else set()

    upstream = above("shop/publication")
    assert {"shop/models/for_you", "shop/models/top_bought", "shop/models/never", "shop/events"} <= upstream
    assert "shop/features/event_days" in upstream, "nothing is published past its gate"


def test_every_check_blocks(graph: dg.Definitions) -> None:
    made = [one for one in graph.assets or [] if isinstance(one, dg.AssetsDefinition)]
    checks = [spec for one in made for spec in one.check_specs]
    assert {spec.name for spec in checks} == {"rejected", "contract", "daily_share", "not_worse", "gates"}
    assert len(checks) == 2 * (3 + len(feature_names()) + len(make_website().models))
    assert all(spec.blocking for spec in checks)


def test_every_job_and_sensor_ends_in_bounded_time_and_belongs_to_one_website(graph: dg.Definitions) -> None:
    for name in ("shop_refresh", "shop_rollback", "other_shop_refresh"):
        assert int(graph.resolve_job_def(name).tags["dagster/max_runtime"]) > 0
    sensors = list(graph.sensors or [])
    assert {sensor.name for sensor in sensors} == {
        f"{name}_{what}" for name in ("shop", "other_shop") for what in ("automation", "changes")
    }
    for sensor in sensors:
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
        if isinstance(sensor, dg.AutomationConditionSensorDefinition):  # the others tag what they ask for
            assert "dagster/max_runtime" in sensor.run_tags


def test_a_broken_website_shows_its_mistake_and_leaves_the_others_alone(home: Home) -> None:
    (home.websites / "good.yaml").write_text(example_text("good"))
    (home.websites / "bad.yaml").write_text("website: bad\ncustomer_id: 00001\n")
    known = specs(code_location.make_definitions(home))
    assert "good/publication" in known
    assert "bad.yaml:2" in str(known["bad/configuration"].description)


def test_a_home_without_websites_is_an_empty_graph(home: Home) -> None:
    assert specs(code_location.make_definitions(home)) == {}


def test_only_the_graph_knows_dagster() -> None:
    for package in ("personalization_pipelines", "serving"):
        for path in (ROOT / package).rglob("*.py"):
            if imports_dagster(path):
                place = path.relative_to(ROOT).as_posix()
                assert path.name in ("assets.py", "definitions.py", "refresh.py") or "/graph/" in place, place


def imports_dagster(path: Path) -> bool:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return any(name.split(".")[0] == "dagster" for name in names)
