"""What exists is in the README, and what the README shows works: otherwise the build fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from personalization_pipelines import __version__
from personalization_pipelines.cli import main
from personalization_pipelines.commands.evaluate import COLUMNS
from personalization_pipelines.events.judging.judge import EVENT_WORDS
from personalization_pipelines.features.sql_models import feature_names
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.models.registry import built_types
from personalization_pipelines.website.example import example_text
from personalization_pipelines.website.load import load_website
from serving.app import create_app
from serving.http.request_metrics import COUNTERS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CODE = " ".join(re.findall(r"`+([^`]+)`+", README)) + " ".join(re.findall(r"```.*?```", README, re.DOTALL))


def missing(names: Iterator[str]) -> list[str]:
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", CODE)]


def commands(group: click.Group, prefix: str = "personalization") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def test_the_readme_shows_the_website_file_that_init_writes() -> None:
    shown = re.search(r"```yaml\n(# One website = one file.*?)```", README, re.DOTALL)
    assert shown, "the README has no website file"
    assert shown[1] == example_text(license_key="0000-0000-0000-0000-0000")


def test_the_website_file_of_the_readme_loads(tmp_path: Path) -> None:
    (tmp_path / "my-shop.yaml").write_text(example_text())
    assert load_website(tmp_path / "my-shop.yaml").models


def test_every_event_model_feature_and_metric_is_named() -> None:
    names = [*EVENT_WORDS, *built_types(), *feature_names(), *COLUMNS]
    assert missing(iter(names)) == []


def test_every_counter_of_the_metrics_endpoint_is_named() -> None:
    assert missing(f"personalization_{name}_total" for name in COUNTERS) == []


def test_every_command_and_its_options_are_named() -> None:
    for name, command in commands(main):
        short = name.replace("import items", "import items|events|users")
        assert short.split(" ")[1] in CODE, name
        options = [option for each in command.params for option in each.opts if option.startswith("--")]
        assert missing(iter(options)) == [], name


def test_every_endpoint_of_the_server_is_named(home: Home) -> None:
    app = create_app(home)
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    for rule in rules:
        first = "/" + "/".join(part for part in rule.split("/")[1:3] if "<" not in part)
        assert first in CODE, rule
    services = app.extensions["personalization"]
    services.log.close()
    services.live.close()


def test_every_shipped_mapping_is_named() -> None:
    names = (
        path.stem for path in (ROOT / "personalization_pipelines" / "content" / "files" / "mappings").glob("*.yml")
    )
    assert missing(names) == []


def test_every_folder_of_the_tree_is_on_the_map() -> None:
    packages = {path.parent.name for path in (ROOT / "personalization_pipelines").glob("*/__init__.py")}
    assert missing(f"personalization_pipelines/{name}/" for name in packages - {"graph", "commands"}) == []
    assert "graph/" in README and "commands/" in README


def test_the_changelog_begins_with_this_version() -> None:
    found = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found and found[1] == __version__


def test_no_document_names_a_place_that_only_its_authors_have() -> None:
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "Makefile"):
        assert not re.search(r"/root/|/tmp/|/mnt/", path.read_text()), path


@pytest.mark.parametrize("word", ["not built yet", "pseudonym", "rollback", "PERSONALIZATION_DATABASE", "kill -9"])
def test_what_an_operator_searches_for_is_there(word: str) -> None:
    assert word in README
