"""What exists is in the documentation, where a reader looks for it, and what the pages show works."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from personalization_pipelines import __version__
from personalization_pipelines.cli import main
from personalization_pipelines.commands.evaluate import COLUMNS
from personalization_pipelines.content.files.mapping import TOTAL, Condition, Mapping
from personalization_pipelines.events.judging.judge import EVENT_WORDS
from personalization_pipelines.features.sql_models import feature_names
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.models.registry import type_names
from personalization_pipelines.website.example import example_text
from personalization_pipelines.website.load import load_website
from serving.app import create_app
from serving.http.request_metrics import COUNTERS
from tests.made_documents import DOCS, FENCED, ROOT, anchor, as_made, headings, own_types, pages

README = ROOT / "README.md"
MOST_LINES_OF_README = 250
EVERYTHING = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *pages()]
TOPICS = [page for page in pages() if page.parent == DOCS]
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
VARIABLE = re.compile(r"PERSONALIZATION_[A-Z]+(?:_[A-Z]+)*")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code(*names: str) -> str:
    """Return all that stands as code on pages of docs/ (without names: on all of them and the README)."""
    paths = [DOCS / f"{name}.md" for name in names] or [README, *pages()]
    text = "\n".join(path.read_text() for path in paths)
    return " ".join(re.findall(r"`([^`\n]+)`", FENCED.sub("", text)) + FENCED.findall(text))


def missing(names: Iterator[str] | list[str] | tuple[str, ...], where: str) -> list[str]:
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", where)]


def commands(group: click.Group, prefix: str = "personalization") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


# the pages themselves


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MOST_LINES_OF_README


@pytest.mark.parametrize("page", TOPICS, ids=named)
def test_a_page_begins_with_its_contents(page: Path) -> None:
    text = page.read_text()
    before = text.partition("<!-- made: contents -->")[0]
    assert before != text, "no table of contents"
    assert not list(headings(before)), "the table of contents comes after the first heading"


@pytest.mark.parametrize("page", pages(), ids=named)
def test_what_is_made_from_the_code_is_as_the_code_is(page: Path) -> None:
    text = page.read_text()
    made = as_made(text)
    difference = difflib.unified_diff(text.splitlines(), made.splitlines(), named(page), "made anew", lineterm="", n=1)
    assert text == made, "run `make docs`:\n" + "\n".join(difference)


@pytest.mark.parametrize("page", EVERYTHING, ids=named)
def test_every_link_to_a_file_finds_it_and_its_heading(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if link.startswith(("https://", "http://")):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_file():
            broken.append(f"{link}: no such file")
        elif heading and heading not in {anchor(title) for _, title in headings(target.read_text())}:
            broken.append(f"{link}: no such heading")
    assert broken == []


def test_no_two_headings_of_a_page_have_one_address() -> None:
    for page in pages():
        addresses = [anchor(title) for _, title in headings(page.read_text())]
        assert sorted(set(addresses)) == sorted(addresses), page


def test_every_page_is_reached_from_the_readme() -> None:
    found: set[Path] = set()
    waiting = [README]
    while waiting:
        page = waiting.pop()
        found.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(page.read_text())]
        waiting += [one for one in targets if one.suffix == ".md" and one.is_file() and one not in found]
    assert [named(page) for page in EVERYTHING if page not in found] == []


def test_every_picture_is_shown() -> None:
    shown = {Path(link).name for page in EVERYTHING for link in LINK.findall(page.read_text())}
    assert sorted({path.name for path in (DOCS / "images").iterdir()} - shown) == []


def test_no_document_names_a_place_that_only_its_authors_have() -> None:
    for path in (*EVERYTHING, ROOT / "Makefile"):
        assert not re.search(r"/root/|/tmp/|/mnt/", path.read_text()), path


# what exists, and the page where it belongs


def test_every_event_is_named_where_tracking_is() -> None:
    assert missing(tuple(EVENT_WORDS), code("tracking")) == []


def test_every_model_type_and_measure_is_named_where_models_are() -> None:
    types = [name for one in own_types() for name in type_names(one)]
    assert missing([*types, *COLUMNS], code("models")) == []


def test_every_feature_table_is_named_where_the_pipeline_is() -> None:
    assert missing(list(feature_names()), code("pipeline")) == []


def test_every_counter_of_the_metrics_endpoint_is_named_where_operations_are() -> None:
    assert missing([f"personalization_{name}_total" for name in COUNTERS], code("operations")) == []


def test_every_shipped_mapping_is_named_where_content_is() -> None:
    mappings = (ROOT / "personalization_pipelines" / "content" / "files" / "mappings").glob("*.yml")
    assert missing([path.stem for path in mappings], code("content")) == []


def test_every_key_of_a_mapping_file_is_named_where_content_is() -> None:
    assert missing([*Mapping.model_fields, *Condition.model_fields, TOTAL], code("content")) == []


def test_every_command_and_its_options_are_named_where_operations_are() -> None:
    where = code("operations", "getting-started")
    for name, command in commands(main):
        assert missing([name.split(" ")[1]], where) == [], name
        options = [option for each in command.params for option in each.opts if option.startswith("--")]
        assert missing(options, where) == [], name


def test_every_environment_variable_is_named_where_operations_are() -> None:
    files = [path for folder in ("personalization_pipelines", "serving") for path in (ROOT / folder).rglob("*.py")]
    variables = {name for path in files for name in VARIABLE.findall(path.read_text())}
    assert "PERSONALIZATION_HOME" in variables
    assert missing(sorted(variables), code("operations")) == []


def test_every_endpoint_of_the_server_is_named(home: Home) -> None:
    app = create_app(home)
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    where = code("tracking", "recommending", "content", "users-and-privacy", "operations", "coming-from-ibexa")
    for rule in rules:
        first = "/" + "/".join(part for part in rule.split("/")[1:3] if "<" not in part)
        assert first in where, rule
    services = app.extensions["personalization"]
    services.log.close()
    services.live.close()


def test_every_folder_of_the_tree_is_on_the_map() -> None:
    packages = {path.parent.name for path in (ROOT / "personalization_pipelines").glob("*/__init__.py")}
    where = code("architecture")
    assert missing([f"personalization_pipelines/{name}/" for name in packages], where) == []
    inner = {path.parent.name for path in (ROOT / "serving").glob("*/__init__.py")}
    assert missing([f"{name}/" for name in inner], where) == []


def test_every_make_target_is_named() -> None:
    targets = re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    where = code() + (ROOT / "CONTRIBUTING.md").read_text()
    assert missing([f"make {target}" for target in targets if target not in ("clean", "lock")], where) == []


def test_the_changelog_begins_with_this_version() -> None:
    found = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found and found[1] == __version__


@pytest.mark.parametrize("word", ["not built yet", "pseudonym", "rollback", "PERSONALIZATION_DATABASE", "kill -9"])
def test_what_an_operator_searches_for_is_there(word: str) -> None:
    assert any(word in page.read_text() for page in pages())


# what the pages show


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in (README, *pages()):
        for block in re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            yield named(page), block


def test_the_website_file_that_init_writes_is_shown() -> None:
    shown = re.search(r"```yaml\n(# One website = one file.*?)```", (DOCS / "configuration.md").read_text(), re.DOTALL)
    assert shown, "the page has no website file"
    assert shown[1] == example_text(license_key="0000-0000-0000-0000-0000")


def test_the_website_file_that_is_shown_loads(tmp_path: Path) -> None:
    (tmp_path / "my-shop.yaml").write_text(example_text())
    assert load_website(tmp_path / "my-shop.yaml").models


def test_parts_of_a_website_file_that_are_shown_load_in_place_of_its_own(tmp_path: Path) -> None:
    parts = [block for page, block in blocks("yaml") if page == "docs/scenarios.md"]
    assert parts
    for part in parts:
        key = part.partition(":")[0]
        whole = re.sub(rf"^{key}:.*\n(?:[ #].*\n|\n)*", part, example_text(), flags=re.MULTILINE)
        assert part in whole
        if key == "scenarios":
            whole = whole.partition("\ntests:")[0] + "\n"
        (tmp_path / "my-shop.yaml").write_text(whole)
        assert load_website(tmp_path / "my-shop.yaml")


def test_every_command_that_is_shown_is_one() -> None:
    lines = [
        (page, line.removeprefix("$ "))
        for page, block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ personalization ")
    ]
    assert len(lines) >= 10
    for page, line in lines:
        _, *words = shlex.split(line, comments=True)
        try:
            parse(main, words)
        except click.UsageError as error:
            pytest.fail(f"{page}: {line}: {error.format_message()}")


def parse(command: click.Command, words: list[str]) -> None:
    """Read a command line as click does, and run nothing."""
    if isinstance(command, click.Group):
        assert words and words[0] in command.commands, f"no command {' '.join(words)}"
        parse(command.commands[words[0]], words[1:])
    else:
        command.make_context(command.name, list(words))
